import type { CcwError } from "../domain/errors.ts";
import type { TaskId } from "../domain/ids.ts";
import type { Store } from "../domain/store.ts";

/** What stands in the way of a task for now. */

export const passes = ({ code }: CcwError): boolean =>
  code === "unavailable" || code === "rate_limited" || code === "no_space";

/** In the task's transcript, once for as long as it is the same. */
export function tellThatItWaits(store: Store, id: TaskId, { message, hint }: CcwError): void {
  const text = `${message} The task waits and is tried again. ${hint}`.trim();
  const said = store.events.last(id, "appliance_notice")?.body;
  if (said?.kind === "appliance_notice" && said.text === text) return;
  store.events.append(id, { kind: "appliance_notice", level: "warning", text });
}
