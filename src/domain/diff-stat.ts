/** Files and lines of a unified diff of git. A line of code that looks like a header is code, as the hunk's counts say. */
export function diffStat(diff: string): { files: number; added: number; removed: number } {
  const stat = { files: 0, added: 0, removed: 0 };
  let left = { before: 0, after: 0 };
  for (const line of diff.split("\n")) {
    if (left.before > 0 || left.after > 0) {
      const added = line.startsWith("+");
      const removed = line.startsWith("-");
      if (line.startsWith("\\")) continue;
      if (added) stat.added++;
      if (removed) stat.removed++;
      left = { before: left.before - (added ? 0 : 1), after: left.after - (removed ? 0 : 1) };
      continue;
    }
    if (line.startsWith("diff --git ")) stat.files++;
    const hunk = line.match(/^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/);
    if (hunk !== null) left = { before: Number(hunk[1] ?? 1), after: Number(hunk[2] ?? 1) };
  }
  return stat;
}
