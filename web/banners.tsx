import { useAppliance } from "./appliance.ts";
import { Icon } from "./parts/icon.tsx";
import { later } from "./parts/later.tsx";
import { Link } from "./router.tsx";
import { plain } from "./text/plain.ts";

const LimitBanner = later("the usage limit", async () => {
  return (await import("./usage/limit-banner.tsx")).LimitBanner;
});

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
