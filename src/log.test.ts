import { expect, test } from "bun:test";
import { createLog } from "./log.ts";

function logTo(lines: Record<string, unknown>[]) {
  let now = 1_000_000;
  const log = createLog(
    (line) => lines.push(JSON.parse(line)),
    () => now,
  );
  return { log, later: (ms: number) => (now += ms) };
}

test("a value cannot forge a line, and a long one is cut", () => {
  let text = "";
  const log = createLog((line) => (text += line), Date.now);
  log.info("said", { target: 'a\r\n{"level":"error"}', long: "x".repeat(10_000) });
  expect(text.trimEnd().split("\n")).toHaveLength(1);
  expect(text.length).toBeLessThan(3000);
});

test("a sandbox that causes line after line fills no disk, and silences nobody else", () => {
  const lines: Record<string, unknown>[] = [];
  const { log, later } = logTo(lines);
  for (let i = 0; i < 5000; i++) log.info("egress refused", { sandbox: "a", target: `t${i}` });
  expect(lines).toHaveLength(100);
  log.info("egress refused", { sandbox: "b", target: "t" });
  log.error("a run broke off", { task: "t" });
  expect(lines).toHaveLength(102);

  later(60_000);
  log.info("egress refused", { sandbox: "a", target: "again" });
  expect(lines.slice(102)).toEqual([
    expect.objectContaining({ message: "egress refused", sandbox: "a", leftOut: 4900 }),
    expect.objectContaining({ message: "egress refused", target: "again" }),
  ]);
});
