/** Below this a buffer costs less than freeing it; and such small ones may be parts of a pool. */
const leastBytes = 4 * 1024;

/**
 * Gives a buffer's memory back at once; whoever has it still finds it empty. The runtime has a new buffer for each
 * read and leaves the old ones to the collector, which at full speed lets tens of MiB of them come together.
 * A view of a part of a buffer is left alone, since the other parts may be somebody's.
 */
export function free(bytes: Uint8Array): void {
  if (bytes.byteLength < leastBytes) return;
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
