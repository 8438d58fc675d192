import { usdText } from "../../src/domain/amounts.ts";
import { costText, type UsageFigures } from "../../src/domain/usage-report.ts";
import { plainLine } from "../text/plain.ts";
import { amount } from "../words.ts";

export interface ShownRow extends UsageFigures {
  id: string;
  label: string;
}

/** Names and titles are anybody's words: text alone. */
export function UsageTable(props: {
  head: string;
  rows: readonly ShownRow[];
  total?: UsageFigures | undefined;
}) {
  const { head, rows, total } = props;
  return (
    <div class="scroll-aside">
      <table class="usage">
        <thead>
          <tr>
            <th scope="col">{head}</th>
            {["Cost", "Requests", "In", "Out", "Cache read", "Cache write"].map((title) => (
              <th scope="col" class="number" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.id} label={row.label} figures={row} />
          ))}
        </tbody>
        {total !== undefined && (
          <tfoot>
            <Row label="Total" figures={total} />
          </tfoot>
        )}
      </table>
    </div>
  );
}

function Row({ label, figures }: { label: string; figures: UsageFigures }) {
  const { cacheWrite5mTokens, cacheWrite1hTokens, costUsd, unpricedRequests } = figures;
  const counts = [
    figures.requests,
    figures.inputTokens,
    figures.outputTokens,
    figures.cacheReadTokens,
    cacheWrite5mTokens + cacheWrite1hTokens,
  ];
  return (
    <tr>
      <th scope="row">{plainLine(label)}</th>
      <td class="number">{costText(costUsd, unpricedRequests)}</td>
      {counts.map((count, column) => (
        <td class="number" key={column} title={count.toLocaleString("en")}>
          {amount(count)}
        </td>
      ))}
    </tr>
  );
}

/** One bar for each day, as high as its cost; where nothing has a price, as its tokens. */
export function DayBars({ days }: { days: readonly (UsageFigures & { key: string })[] }) {
  const priced = days.some(({ costUsd }) => costUsd > 0);
  const heightOf = (day: UsageFigures) =>
    priced
      ? day.costUsd
      : day.inputTokens +
        day.outputTokens +
        day.cacheReadTokens +
        day.cacheWrite5mTokens +
        day.cacheWrite1hTokens;
  const wordsOf = (day: UsageFigures) =>
    priced ? usdText(Math.round(day.costUsd * 1e9)) : `${amount(heightOf(day))} tokens`;
  const most = Math.max(...days.map(heightOf), Number.MIN_VALUE);
  const shown = days.slice(-62);
  return (
    <figure class="day-bars">
      <svg
        viewBox={`0 0 ${shown.length * 10} 100`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${priced ? "Cost" : "Tokens"} of each day; the table has the figures`}
      >
        {shown.map((day, index) => {
          const height = Math.max(heightOf(day) === 0 ? 0 : 1, (100 * heightOf(day)) / most);
          return (
            <rect key={day.key} x={index * 10 + 1} y={100 - height} width={8} height={height}>
              <title>{`${day.key}: ${wordsOf(day)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption>
        <span>{shown[0]?.key}</span>
        <span>
          {priced ? "cost" : "tokens"} a day, {priced ? usdText(Math.round(most * 1e9)) : amount(most)} at
          most
        </span>
        <span>{shown.at(-1)?.key}</span>
      </figcaption>
    </figure>
  );
}

/** Every day from the first to the last, those without usage too: a gap is to be seen. */
export function withoutGaps<Day extends UsageFigures & { key: string }>(
  days: readonly Day[],
): (UsageFigures & { key: string })[] {
  const first = days[0];
  const last = days.at(-1);
  if (first === undefined || last === undefined) return [];
  const known = new Map<string, UsageFigures & { key: string }>(days.map((day) => [day.key, day]));
  const all: (UsageFigures & { key: string })[] = [];
  for (let at = Date.parse(first.key); at <= Date.parse(last.key) && all.length < 400; at += 86_400_000) {
    const key = new Date(at).toISOString().slice(0, 10);
    all.push(known.get(key) ?? { ...nothing, key });
  }
  return all;
}

const nothing: UsageFigures = {
  requests: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
  webSearches: 0,
  costUsd: 0,
  unpricedRequests: 0,
};
