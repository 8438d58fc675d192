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

test("a forge behind the appliance that is away for now is waited for, one that refuses is not", async () => {
  const away = [
    "fatal: remote error: git.example could not answer (503). Nothing was changed here; try again later.",
    " ! [remote rejected] w -> w (git.example limits the rate)",
    " ! [remote rejected] w -> w (git.example was not reached)",
    "remote: git.example has had too many requests (429). Try again in 5 s.\nfatal: The requested URL returned error: 429",
  ];
  for (const words of away) {
    const answers = [said(words), { code: 0, output: "" }];
    expect(await throughOutages(async () => answers.shift() ?? said("too often"), { signal })).toMatchObject({
      code: 0,
    });
  }
  let tries = 0;
  const refused = said(" ! [remote rejected] w -> w (git.example forbids it)");
  const answer = async () => {
    tries += 1;
    return refused;
  };
  await throughOutages(answer, { signal });
  expect(tries).toBe(1);
});
