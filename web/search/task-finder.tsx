import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { later } from "../parts/later.tsx";

type Shelf = "current" | "archived" | "deleted";

const SearchResults = later("the search", async () => (await import("./search-results.tsx")).SearchResults);
const ShelfList = later("the list", async () => (await import("./shelf-list.tsx")).ShelfList);

/** So long nobody types, and the search begins. */
const restMs = 200;

/**
 * The search, the archive and what was deleted, above the list of tasks; `inPlace` says when one of them stands in the
 * list's place.
 */
export function TaskFinder(props: { currentId: string | undefined; inPlace: Signal<boolean> }) {
  const { currentId, inPlace } = props;
  const typed = useSignal("");
  const wanted = useSignal("");
  const shelf = useSignal<Shelf>("current");
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const timer = setTimeout(() => (wanted.value = typed.value), typed.value === "" ? 0 : restMs);
    return () => clearTimeout(timer);
  }, [typed.value, wanted]);
  useEffect(() => {
    const seek = (event: KeyboardEvent) => {
      const { target } = event;
      const typing =
        target instanceof HTMLElement &&
        (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", seek);
    return () => removeEventListener("keydown", seek);
  }, []);

  const searching = wanted.value.trim() !== "" && shelf.value !== "deleted";
  const takesPlace = searching || shelf.value !== "current";
  useLayoutEffect(() => {
    inPlace.value = takesPlace;
  }, [takesPlace, inPlace]);
  return (
    <>
      <search class="finder">
        <input
          ref={field}
          type="search"
          aria-label="Search tasks and transcripts"
          placeholder="Search"
          title="Press / to search"
          maxLength={500}
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") typed.value = "";
          }}
        />
        <select
          aria-label="Which tasks"
          value={shelf.value}
          onChange={(event) => (shelf.value = shelfOf(event.currentTarget.value))}
        >
          <option value="current">Current</option>
          <option value="archived">Archived</option>
          <option value="deleted">Deleted</option>
        </select>
      </search>
      {searching ? (
        <SearchResults text={wanted.value} archived={shelf.value === "archived"} />
      ) : shelf.value === "current" ? null : (
        <ShelfList key={shelf.value} shelf={shelf.value} currentId={currentId} />
      )}
    </>
  );
}

function shelfOf(value: string): Shelf {
  return value === "archived" || value === "deleted" ? value : "current";
}
