import { expect, test } from "bun:test";
import type { CommandResult } from "./commands.ts";
import { throughOutages } from "./outage.ts";

const { signal } = new AbortController();
const said = (output: string) => ({ code: 128, output });

test("a clone that was cut off by a restart of the appliance is tried again", async () => {
  const answers = [
    said(
      "error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: expected flush after ref listing",
    ),
    said("fatal: unable to access 'http://127.0.0.1:3128/git/demo.git/': Failed to connect to 127.0.0.1"),
    { code: 0, output: "" },
  ];
  let tries = 0;
  const result = await throughOutages(async () => answers[tries++] ?? said("too often"), { signal });
  expect([result.code, tries]).toEqual([0, 3]);
});

test("a refusal is not tried again, nor an outage without end", async () => {
  let tries = 0;
  const refused = said("! [remote rejected] main -> main (only refs/heads/x)");
  const answering = (result: CommandResult) => async () => {
    tries += 1;
    return result;
  };
  expect(await throughOutages(answering(refused), { signal })).toBe(refused);
  expect(tries).toBe(1);
  const away = said("fatal: the remote end hung up: early EOF");
  expect(await throughOutages(answering(away), { signal, patienceMs: 0 })).toBe(away);
  expect(tries).toBe(2);
});
