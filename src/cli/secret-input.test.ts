import { expect, test } from "bun:test";
import type { CliIo } from "./io.ts";
import { readSecret } from "./secret-input.ts";

function terminal(
  typed: string[],
  echo: (on: boolean) => void,
): { io: CliIo; said: string[]; read: string[] } {
  const [said, read]: [string[], string[]] = [[], []];
  const sink = {
    ...{ isTty: true, columns: 80 },
    write: async (text: string) => void said.push(text),
  };
  const input: CliIo["in"] = {
    ...{ isTty: true, echo },
    async *chunks() {
      for (const line of typed) {
        read.push(line);
        yield Buffer.from(line);
      }
    },
  };
  return { io: { env: {}, in: input, out: sink, err: sink }, said, read };
}

test("at a terminal a token is not shown, ends with its line, and the terminal shows again what is typed", async () => {
  const echo: boolean[] = [];
  const { io, said, read } = terminal(["s3cret\n", "more\n"], (on) => echo.push(on));
  expect(await readSecret("-", "one", io)).toBe("s3cret");
  expect(echo).toEqual([false, true]);
  expect(read).toEqual(["s3cret\n"]);
  expect(said.join("")).not.toContain("s3cret");
  const key = terminal(["BEGIN\n", "END\n"], () => {});
  expect(await readSecret("-", "many", key.io)).toBe("BEGIN\nEND");
});

test("a terminal that cannot hide what is typed is not asked for a secret", async () => {
  const { io, read } = terminal(["s3cret\n"], () => {
    throw new Error("no stty");
  });
  await expect(readSecret("-", "one", io)).rejects.toMatchObject({ code: "unavailable" });
  expect(read).toEqual([]);
});
