import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { CcwError } from "../../src/domain/errors.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "./failure.tsx";
import { useLoaded } from "./hooks.ts";

/**
 * A part of the page whose code comes when it is first shown, so that the first load stays small. `what` names it, as
 * in "the settings".
 */
export function later<Props extends object>(
  what: string,
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  let Part: ComponentType<Props> | undefined;
  return function Later(props: Props) {
    const { link } = useAppliance();
    const again = useSignal(false);
    const { state, reload } = useLoaded(async () => {
      try {
        Part ??= await load();
      } catch (cause) {
        // Some browsers remember that a module failed; and an appliance that was updated has it under another name.
        if (again.peek() && link.peek() === "good") location.reload();
        const hint = "The appliance may be out of reach, or was updated since this page was opened.";
        throw new CcwError("unavailable", `The code of ${what} could not be loaded.`, hint, { cause });
      }
    }, []);
    if (Part !== undefined) return <Part {...props} />;
    if (state.value.kind === "failed") {
      const retry = () => {
        again.value = true;
        reload();
      };
      return <FailureNote failure={state.value.failure} retry={retry} />;
    }
    return (
      <p class="empty" role="status">
        Loading {what}…
      </p>
    );
  };
}
