/** Amounts as people read and type them. */

/** `12s`, `5m`, `3h`, `2d`: the largest unit alone. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** `950`, `12.3k`, `4.5M`. */
export function countText(count: number): string {
  if (count < 1000) return String(count);
  if (count < 999_950) return `${(count / 1000).toFixed(count < 99_950 ? 1 : 0)}k`;
  return `${(count / 1_000_000).toFixed(1)}M`;
}

/** Dollars of nano-dollars: `$12.34`; with four places below a dollar, `<$0.0001` for less than those show. */
export function usdText(nano: number): string {
  if (nano > 0 && nano < 50_000) return "<$0.0001";
  return `$${(nano / 1e9).toFixed(nano === 0 || nano >= 1e9 ? 2 : 4)}`;
}

const units: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const decimalUnits: Record<string, number> = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** `4GiB`, `1.5 MiB`: exact where the number is whole, else to one place. */
export function bytesText(bytes: number): string {
  for (const [name, size] of [
    ["TiB", units["t"]],
    ["GiB", units["g"]],
    ["MiB", units["m"]],
    ["KiB", units["k"]],
  ] as const) {
    if (size !== undefined && bytes >= size) {
      const amount = bytes / size;
      return `${Number.isInteger(amount) ? amount : amount.toFixed(1)}${name}`;
    }
  }
  return `${bytes}B`;
}

/**
 * Bytes of `4GiB`, `4G`, `512m` (powers of 1024), `4GB` (powers of 1000) or a plain number; undefined for anything
 * else.
 */
export function parseBytes(text: string): number | undefined {
  const match = text.trim().match(/^(\d{1,15}(?:\.\d{1,6})?)\s*(?:([kmgt])(ib|b)?|b)?$/i);
  if (match === null) return undefined;
  const [, amount = "", unit = "", suffix = ""] = match;
  const size = (suffix.toLowerCase() === "b" ? decimalUnits : units)[unit.toLowerCase()];
  return size === undefined ? undefined : Math.round(Number(amount) * size);
}
