import type { Client } from "../client.ts";
import type { EgressRow } from "./egress-text.ts";

/** How often a follower looks for more: what people feel as at once. */
const followMs = 500;
const page = 1000;
/** So many entries the API gives by their ids. */
const idsAtOnce = 500;

/** As the API takes it. Not the verdict: what is under way has none that is final. */
interface Query {
  task?: string;
  host?: string;
  since?: string;
}

/**
 * What comes into the ledger above the id `last`, and the ends of those in `running`, for ever: each entry once it is
 * final, and one that lasts as soon as it is seen, marked `open`, as well. It asks again and again: live updates tell of
 * tasks and requests for access, not of the ledger, which grows by thousands of rows in a busy second.
 */
export async function* followLedger(
  { api, read }: Pick<Client, "api" | "read">,
  query: Query,
  from: { last: number; running: readonly number[] },
): AsyncGenerator<EgressRow[]> {
  let { last } = from;
  const open = new Set(from.running);
  while (true) {
    for (const ids of portions([...open], idsAtOnce)) {
      const rows: EgressRow[] = await read(api.egress.$get({ query: { ids: ids.join() } }));
      const running = new Set(rows.filter((row) => row.open).map(({ id }) => id));
      // One that is gone was pruned, and has no end to wait for.
      for (const id of ids) if (!running.has(id)) open.delete(id);
      yield rows.filter((row) => !row.open);
    }
    const more: EgressRow[] = await read(
      api.egress.$get({ query: { ...query, after: String(last), limit: String(page) } }),
    );
    for (const row of more) if (row.open) open.add(row.id);
    last = more.at(-1)?.id ?? last;
    yield more;
    if (more.length < page) await Bun.sleep(followMs);
  }
}

function portions<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) =>
    items.slice(at * size, (at + 1) * size),
  );
}
