import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { followEngine } from "./progress.ts";

async function follow(...chunks: string[]): Promise<{ lines: string[]; result: unknown }> {
  const lines: string[] = [];
  const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const result = await followEngine(stream, (line) => lines.push(line)).catch((thrown: unknown) => thrown);
  return { lines, result };
}

test("an engine's words come as whole printable lines, however they were cut", async () => {
  const { lines } = await follow(
    '{"stream":"Step 1',
    ' : FROM a\\r\\nnext"}\n{"status":"Pull',
    'ing","id":"abc"}\n',
    "plain\n",
  );
  expect(lines).toEqual(["Step 1 : FROM a", "next", "abc: Pulling", "plain"]);
  expect((await follow('{"stream":"\\u001b[31mred"}\n')).lines).toEqual(["[31mred"]);
});

test("counting bytes is not a line", async () => {
  const { lines } = await follow(
    '{"status":"Downloading","id":"a","progressDetail":{"current":1,"total":9}}\n',
  );
  expect(lines).toEqual([]);
});

test("a reported error rejects with the engine's words and what came before", async () => {
  const { result } = await follow('{"stream":"RUN false"}\n{"error":"exit status 1"}\n');
  expect(result).toMatchObject({ message: "exit status 1", lastLines: ["RUN false"] });
});

test("a flood of output keeps its end only", async () => {
  const { result } = await follow(
    ...Array.from({ length: 500 }, (_, i) => `{"stream":"line ${i}"}\n`),
    '{"error":"x"}\n',
  );
  expect(result).toMatchObject({ lastLines: expect.arrayContaining(["line 499"]) });
  expect(result).not.toMatchObject({ lastLines: expect.arrayContaining(["line 400"]) });
});
