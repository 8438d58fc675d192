import { expect, test } from "bun:test";
import { lookUpRef } from "./ls-refs.ts";

const { signal } = new AbortController();

test("a page without end in place of a list of refs is neither read nor kept", async () => {
  let given = 0;
  let left = false;
  async function* page() {
    try {
      for (; given < 64; given++) yield Buffer.alloc(1024 ** 2, "x");
    } finally {
      left = true;
    }
  }
  const ask = async () => ({
    status: 500,
    headers: { "content-type": "text/html" },
    body: page(),
  });
  await expect(lookUpRef(ask, "refs/heads/claude/x", signal)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/^x{1000}$/),
  });
  expect(given).toBeLessThan(3);
  expect(left).toBe(true);
});
