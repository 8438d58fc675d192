import { useEffect, useRef } from "preact/hooks";
import { type Forge, ForgeSearch } from "./parts/forge-search.tsx";
import { Link } from "./router.tsx";

/** A repository of a forge is found, added and chosen, without leaving what was typed. */
export function ForgeDialog(props: {
  forges: readonly Forge[];
  start: string;
  onPick: (name: string) => void;
  onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector("input")?.focus();
  }, []);
  return (
    <dialog class="sheet" ref={dialog} aria-labelledby="forge-dialog" onClose={props.onClose}>
      <div class="sheet-head">
        <h2 id="forge-dialog">Add a repository from a forge</h2>
        <button type="button" class="small" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <ForgeSearch
        forges={props.forges}
        start={props.start}
        picksKnown
        onPick={(name) => {
          props.onPick(name);
          dialog.current?.close();
        }}
      />
      <p class="dim">
        Another forge is connected in the <Link to="/settings">settings</Link>.
      </p>
    </dialog>
  );
}
