import type { Page } from "../domain/forge.ts";

/** What the pages of a list hold together, up to `most` entries. */
export async function pagesOf<Item>(pages: AsyncIterable<{ data: Item[] }>, most: number): Promise<Item[]> {
  const all: Item[] = [];
  for await (const { data } of pages) {
    all.push(...data);
    if (all.length >= most) break;
  }
  return all.slice(0, most);
}

const perPage = 50;

/** One page of a list that is there as a whole. */
export function pageOf<Item>(all: Item[], page: string | undefined): Page<Item> {
  const from = Number(page ?? 0);
  const to = from + perPage;
  return { items: all.slice(from, to), next: to < all.length ? String(to) : undefined };
}
