import { useSignal } from "@preact/signals";
import { authorityText, reasonInWords } from "../../src/domain/access-words.ts";
import { bytesText } from "../../src/domain/amounts.ts";
import { denyCodes } from "../../src/domain/egress.ts";
import { Icon } from "../parts/icon.tsx";
import { plainLine } from "../text/plain.ts";
import { duration } from "../words.ts";
import type { LedgerRow } from "./ledger.ts";

export const verdictWords: Record<LedgerRow["verdict"], string> = {
  allowed: "allowed",
  refused: "refused",
  cut: "cut off",
  failed: "failed",
};

/** Hosts, paths and reasons are what a sandbox wrote: text, cut where it is endless. */
export function LedgerTable({ rows }: { rows: readonly LedgerRow[] }) {
  return (
    <table class="ledger">
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Request</th>
          <th scope="col">Verdict</th>
          <th scope="col" class="number">
            Up
          </th>
          <th scope="col" class="number">
            Down
          </th>
          <th scope="col" class="number">
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row key={row.id} row={row} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ row }: { row: LedgerRow }) {
  const { at, method, path, verdict, kind, open } = row;
  const date = new Date(at);
  return (
    <tr class={verdict}>
      <td class="when">
        <time dateTime={date.toISOString()} title={date.toLocaleString()}>
          {date.toLocaleTimeString("en", { hour12: false })}
        </time>
      </td>
      <td class="request">
        <span class="method">{plainLine(method)}</span>{" "}
        <span class="host">{plainLine(authorityText(row))}</span>
        <wbr />
        <Path path={path} />
        {kind !== "tunnel" && row.status !== 0 && (
          <span class="dim" title="Status that the sandbox saw">
            {" "}
            → {row.status}
          </span>
        )}
      </td>
      <td class="verdict">
        <span class="verdict-word">
          <Icon name={icons[verdict]} />
          {open && verdict === "allowed" ? "open" : verdictWords[verdict]}
        </span>{" "}
        <span class="dim">{reasonOf(row)}</span>
      </td>
      <td class="number up">{bytesText(row.bytesUp)}</td>
      <td class="number down">{bytesText(row.bytesDown)}</td>
      <td class="number took">{open ? "…" : duration(row.ms)}</td>
    </tr>
  );
}

function Path({ path }: { path: string }) {
  const whole = useSignal(false);
  const shown = whole.value ? path : path.slice(0, maxPath);
  return (
    <span class="path">
      {plainLine(shown)}
      {shown.length < path.length && (
        <button
          type="button"
          class="link"
          aria-label="Show the whole path"
          onClick={() => (whole.value = true)}
        >
          …
        </button>
      )}
    </span>
  );
}

const maxPath = 120;
const icons = { allowed: "check", refused: "cross", cut: "cross", failed: "warning" } as const;

/** The rule that let it is the operator's own text; a reason is a code. */
function reasonOf({ verdict, reason }: LedgerRow): string {
  const code = denyCodes.some((each) => each === reason) && verdict !== "allowed";
  return plainLine(code ? reasonInWords(reason) : reason.slice(0, 200));
}
