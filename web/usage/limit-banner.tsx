import { useAppliance } from "../appliance.ts";
import { useAction } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";

/** Tasks go on by themselves when it is over. */
export function LimitBanner({ until }: { until: number }) {
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
