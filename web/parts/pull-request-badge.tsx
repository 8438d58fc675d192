import type { PullRequestJson } from "../../src/client.ts";
import { plainLine } from "../text/plain.ts";
import { Icon } from "./icon.tsx";

type Shown = Pick<PullRequestJson, "repository" | "number" | "state" | "draft">;

const tones = { open: "busy", merged: "good", closed: "quiet" } as const;

/** A pull request in a few characters, as a list shows it. */
export function PullRequestBadge(one: Shown) {
  return (
    <span class={`state ${tones[one.state]}`} title={plainLine(`${one.repository}#${one.number}`)}>
      <Icon name="review" />#{one.number} {wordOf(one)}
    </span>
  );
}

function wordOf({ state, draft }: Pick<Shown, "state" | "draft">): string {
  return state === "open" && draft ? "draft" : state;
}
