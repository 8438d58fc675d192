/** What was held, and what came behind it; copies only where both have something. */
export function joined(held: Uint8Array, more: Uint8Array): Uint8Array {
  return held.length === 0 ? more : Buffer.concat([held, more]);
}
