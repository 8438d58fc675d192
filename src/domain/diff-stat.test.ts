import { expect, test } from "bun:test";
import { diffStat } from "./diff-stat.ts";

test("files and lines are counted, and code that looks like a header is code", () => {
  const diff = `diff --git a/a b/a
--- a/a
+++ b/a
@@ -1,3 +1,3 @@
 one
--- two
+++ three
\\ No newline at end of file
 diff --git
diff --git a/b b/b
new file mode 100644
--- /dev/null
+++ b/b
@@ -0,0 +1 @@
+new
`;
  expect(diffStat(diff)).toEqual({ files: 2, added: 2, removed: 1 });
  expect(diffStat("")).toEqual({ files: 0, added: 0, removed: 0 });
});
