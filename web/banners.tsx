import { useAppliance } from "./appliance.ts";
import { useAction } from "./parts/hooks.ts";
import { Icon } from "./parts/icon.tsx";
import { Link } from "./router.tsx";
import { plain } from "./text/plain.ts";

/** What everybody who looks at the page has to know first. */
export function Banners() {
  const { status, link } = useAppliance();
  const { model, engine } = status.value ?? {};
  return (
    <div class="banners">
      {link.value === "signed-out" && (
        <p class="banner bad" role="alert">
          <Icon name="warning" />
          <span>
            You are signed out. Run <code>ccw-server link</code> on the appliance and open the link that it
            prints.
          </span>
        </p>
      )}
      {engine?.ok === false && (
        <p class="banner bad" role="alert">
          <Icon name="warning" />
          <span>
            No container engine answers, so tasks wait. {plain(engine.text)} <code>ccw-server doctor</code>{" "}
            says how to mend it.
          </span>
        </p>
      )}
      {model?.limitedUntil !== undefined && <LimitBanner until={model.limitedUntil} />}
      {model?.kind === "demo" && (
        <p class="banner ask">
          <Icon name="warning" />
          <span>
            <strong>Demo model:</strong> scripted answers, no real model. Set up a real one in{" "}
            <Link to="/settings">Settings</Link>.
          </span>
        </p>
      )}
    </div>
  );
}

/** Tasks go on by themselves when it is over. */
function LimitBanner({ until }: { until: number }) {
  const { client, refreshStatus } = useAppliance();
  const retry = useAction(async () => {
    await client.read(client.api.model.retry.$post());
    await refreshStatus();
  });
  return (
    <p class="banner ask" role="status">
      <Icon name="warning" />
      <span>
        The usage limit of the model account is reached. Tasks wait until{" "}
        <time dateTime={new Date(until).toISOString()}>{new Date(until).toLocaleString()}</time>.{" "}
        <button type="button" class="small" disabled={retry.busy.value} onClick={() => void retry.run()}>
          Ask it now
        </button>
      </span>
    </p>
  );
}
