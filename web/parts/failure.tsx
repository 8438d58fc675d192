import { plain } from "../text/plain.ts";
import type { Failure } from "./hooks.ts";
import { Icon } from "./icon.tsx";

/** What went wrong and what to do, where the person is looking. */
export function FailureNote({ failure, retry }: { failure: Failure | undefined; retry?: () => void }) {
  if (failure === undefined) return null;
  return (
    <div class="note bad" role="alert">
      <Icon name="warning" />
      <div>
        <p>{plain(failure.message)}</p>
        {failure.hint !== "" && <p class="dim">{plain(failure.hint)}</p>}
        {retry !== undefined && (
          <button type="button" class="small" onClick={retry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}
