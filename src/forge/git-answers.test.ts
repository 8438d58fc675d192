import { expect, test } from "bun:test";
import { endingWith } from "./git-answers.ts";

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one");
  yield Buffer.from("two");
}
async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one");
  throw new Error("broken off");
}

test("what an answer holds is let go once: at its end, where it breaks off, and where it is left, read or not", async () => {
  let left = 0;
  const held = (body: AsyncIterable<Uint8Array>) => {
    left = 0;
    return endingWith(body, async () => {
      left += 1;
    });
  };
  expect(Buffer.concat(await Array.fromAsync(held(pieces()))).toString()).toBe("onetwo");
  expect(left).toBe(1);

  await expect(Array.fromAsync(held(broken()))).rejects.toThrow("broken off");
  expect(left).toBe(1);

  for await (const piece of held(pieces())) {
    expect(Buffer.from(piece).toString()).toBe("one");
    expect(left).toBe(0);
    break;
  }
  expect(left).toBe(1);

  await held(pieces())[Symbol.asyncIterator]().return?.();
  expect(left).toBe(1);
});
