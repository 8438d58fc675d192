import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { counted } from "../words.ts";
import { AccessRow } from "./access-card.tsx";
import { type AccessRequests, isPending } from "./access-requests.ts";

/** What became of it stays to be read, and a second click does not meet the next host. */
const decidedMs = 1500;

/** The first request that waits, in view on every tab; it keeps its place until it is decided. */
export function AccessStrip({ requests, onMore }: { requests: AccessRequests; onMore: () => void }) {
  const all = requests.all.value;
  const waiting = all.filter(isPending);
  const shownId = useSignal<number | undefined>(undefined);
  const shown = all.find(({ id }) => id === shownId.value);
  const next = waiting[0]?.id;
  const settled = shown !== undefined && !isPending(shown);
  useEffect(() => {
    if (shown === undefined) shownId.value = next;
    if (!settled) return;
    const timer = setTimeout(() => (shownId.value = next), decidedMs);
    return () => clearTimeout(timer);
  }, [shown === undefined, settled, next, shownId]);
  if (shown === undefined) return null;
  const more = waiting.filter(({ id }) => id !== shown.id).length;
  return (
    <section class="access access-strip" aria-label="Request for access" aria-live="polite">
      <AccessRow key={shown.id} request={shown} onDecided={requests.refresh} />
      {more > 0 && (
        <button type="button" class="link" onClick={onMore}>
          and {counted(more, "more host")}
        </button>
      )}
    </section>
  );
}
