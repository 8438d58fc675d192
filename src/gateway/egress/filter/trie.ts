/** Patterns laid together by their beginnings: what the automaton is made from. */

export interface Pattern {
  bytes: Uint8Array;
  /** What it is a form of, by the caller's numbering. */
  owner: number;
}

/** Line breaks do not count, in patterns and in what is read: encoders wrap their lines (RFC 2045 6.8), and people do. */
export function ignored(byte: number): boolean {
  return byte === 10 || byte === 13;
}

/** Bytes in no pattern. */
export const otherClass = 0;
export const ignoredClass = 1;
/** No such node. */
export const none = -1;

/** Bytes that no pattern tells apart share a column. */
export function classesOf(patterns: readonly Pattern[], fold: (byte: number) => number) {
  const classes = new Uint8Array(256);
  let width = 2;
  for (const { bytes } of patterns) {
    for (const byte of bytes) {
      const folded = fold(byte);
      if (!ignored(byte) && classes[folded] === otherClass) classes[folded] = width++;
    }
  }
  for (let byte = 0; byte < 256; byte++) {
    classes[byte] = ignored(byte) ? ignoredClass : at(classes, fold(byte));
  }
  return { classes, width };
}

export type Trie = ReturnType<typeof createTrie>;

/** Nodes by number, 0 is the root; `fail` is the node of the longest ending that is the beginning of a pattern. */
export function createTrie(patterns: readonly Pattern[], classes: Uint8Array) {
  const most = patterns.reduce((sum, { bytes }) => sum + bytes.length, 1);
  const trie = {
    count: 1,
    child: new Int32Array(most).fill(none),
    sibling: new Int32Array(most).fill(none),
    class: new Uint8Array(most),
    depth: new Int32Array(most),
    fail: new Int32Array(most),
    /** Of the longest pattern that ends here; length 0 where none does. */
    owner: new Int32Array(most),
    length: new Int32Array(most),
    breadthFirst: [0],
    /** Lengths of the shortest and the longest pattern, in bytes that count. */
    shortest: Number.POSITIVE_INFINITY,
    longest: 0,
  };

  const childOf = (node: number, kind: number): number => {
    let child = at(trie.child, node);
    while (child !== none && trie.class[child] !== kind) child = at(trie.sibling, child);
    return child;
  };

  for (const { bytes, owner } of patterns) {
    let node = 0;
    for (const byte of bytes) {
      const kind = at(classes, byte);
      if (kind === ignoredClass) continue;
      let child = childOf(node, kind);
      if (child === none) {
        child = trie.count++;
        trie.class[child] = kind;
        trie.depth[child] = at(trie.depth, node) + 1;
        trie.sibling[child] = at(trie.child, node);
        trie.child[node] = child;
      }
      node = child;
    }
    if (trie.length[node] === 0) trie.owner[node] = owner;
    trie.length[node] = at(trie.depth, node);
    trie.shortest = Math.min(trie.shortest, at(trie.depth, node));
    trie.longest = Math.max(trie.longest, at(trie.depth, node));
  }

  // The list grows while it is gone through.
  for (const node of trie.breadthFirst) {
    for (let child = at(trie.child, node); child !== none; child = at(trie.sibling, child)) {
      trie.breadthFirst.push(child);
      if (node === 0) continue;
      const kind = at(trie.class, child);
      let back = at(trie.fail, node);
      while (back !== 0 && childOf(back, kind) === none) back = at(trie.fail, back);
      const fallback = Math.max(0, childOf(back, kind));
      trie.fail[child] = fallback;
      if (trie.length[child] === 0) {
        trie.length[child] = at(trie.length, fallback);
        trie.owner[child] = at(trie.owner, fallback);
      }
    }
  }
  return trie;
}

/** What stands at an index that is known to be inside. */
export function at(array: Int32Array | Uint8Array, index: number): number {
  return array[index] as number;
}
