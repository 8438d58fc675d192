import { expect, test } from "bun:test";
import { createMirrorGit } from "./mirror-git.ts";

test("a forge's pack cannot have git take all memory there is", async () => {
  const { signal } = new AbortController();
  const limited = ["-c", "alias.limit=!printenv GIT_ALLOC_LIMIT", "limit"];
  expect((await createMirrorGit().run(limited, { signal })).stdout.trim()).toBe("4g");
});
