import { useSignal } from "@preact/signals";
import { useAppliance } from "../appliance.ts";
import { browserNotices } from "../browser-notices-choice.ts";

/** Asks the browser for leave when a person says so, never by itself. */
export function BrowserNotices() {
  const { startNotices } = useAppliance();
  const chosen = useSignal(browserNotices.chosen());
  const refused = useSignal(false);
  if (!("Notification" in window) || !window.isSecureContext) {
    return (
      <p class="dim">
        This browser shows notifications of pages over HTTPS, or on this machine itself, alone; this page is
        neither. Add a channel instead.
      </p>
    );
  }
  const switchOn = async () => {
    refused.value = (await Notification.requestPermission()) !== "granted";
    if (refused.value) return;
    browserNotices.choose(true);
    chosen.value = true;
    startNotices();
  };
  return (
    <div class="row">
      <div>
        <strong>This browser</strong>{" "}
        <span class="dim">
          {chosen.value
            ? "shows notifications while a page of the appliance is open in the background"
            : "can show notifications while a page of the appliance is open in the background"}
        </span>
        {refused.value && (
          <p class="dim" role="status">
            The browser does not allow it. Look at its settings for this site.
          </p>
        )}
      </div>
      {chosen.value ? (
        <button
          type="button"
          class="small"
          onClick={() => {
            browserNotices.choose(false);
            chosen.value = false;
          }}
        >
          Stop showing
        </button>
      ) : (
        <button type="button" class="small" onClick={() => void switchOn()}>
          Show in this browser
        </button>
      )}
    </div>
  );
}
