import { expect, test } from "bun:test";
import { decidePush, decideSnapshots, type PushCommand } from "./push-policy.ts";

const zero = "0".repeat(40);
const one = "1".repeat(40);
const two = "2".repeat(40);
const own = "refs/heads/claude/fix-abc123";
const rules = { workBranch: "claude/fix-abc123", mayDelete: false, workBranchIsSymbolic: false };
const to = (ref: string): PushCommand => ({ oldId: zero, newId: one, ref });

test("the task's own branch may be made and moved on", () => {
  expect(decidePush([to(own)], rules).kind).toBe("allowed");
  expect(decidePush([{ oldId: one, newId: two, ref: own }], rules).kind).toBe("allowed");
});

for (const ref of [
  "refs/heads/main",
  "refs/tags/v1",
  "refs/notes/commits",
  "refs/pull/1/head",
  "refs/for/main",
  "HEAD",
  "refs//heads/claude/fix-abc123",
  "refs/heads/claude/../main",
  "claude/fix-abc123",
]) {
  test(`ATTACKS 46: a push to ${ref} is refused`, () => {
    expect(decidePush([to(ref)], rules)).toMatchObject({ kind: "refused", offender: ref });
  });
}

for (const [what, ref] of [
  ["a case variant", "refs/heads/Claude/fix-abc123"],
  ["a sibling", `${own}2`],
  ["a branch below", `${own}/y`],
  ["a lookalike", own.replace("a", "а")],
  ["another normal form", `${own}\u0301`],
  ["a trailing newline", `${own}\n`],
  ["a trailing blank", `${own} `],
  ["a byte order mark", `\ufeff${own}`],
] as const) {
  test(`ATTACKS 48: ${what} of the own branch is refused`, () => {
    expect(decidePush([to(ref)], rules).kind).toBe("refused");
  });
}

test("ATTACKS 47: an allowed ref together with a forbidden one is refused too", () => {
  const decision = decidePush([to(own), to("refs/heads/main")], rules);
  expect(decision).toMatchObject({ kind: "refused", offender: "refs/heads/main" });
  if (decision.kind === "refused")
    expect(decision.perRef.map(({ ref }) => ref)).toEqual([own, "refs/heads/main"]);
});

test("ATTACKS 47: the same ref twice is refused", () => {
  expect(decidePush([to(own), to(own)], rules).kind).toBe("refused");
});

test("ATTACKS 53: deleting the own branch is refused", () => {
  expect(decidePush([{ oldId: one, newId: zero, ref: own }], rules).kind).toBe("refused");
});

test("ATTACKS 53: an own branch that is a name for another branch is refused", () => {
  expect(decidePush([to(own)], { ...rules, workBranchIsSymbolic: true }).kind).toBe("refused");
});

test("a refusal names the branch that may be pushed and how", () => {
  const decision = decidePush([to("refs/heads/main")], rules);
  if (decision.kind !== "refused") throw new Error("it was allowed");
  expect(decision.lines.join("\n")).toContain(`git push origin HEAD:${own}`);
});

test("a refusal carries no control characters to a terminal", () => {
  const decision = decidePush([to("refs/heads/\u001b[31mred\r\n\u202egpj")], rules);
  if (decision.kind !== "refused") throw new Error("it was allowed");
  for (const line of decision.lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test("snapshots are new refs of one shape, a few at once, and one bad one refuses all", () => {
  const below = "refs/ccw/snapshots/";
  expect(decideSnapshots([to(`${below}prm0A`), to(`${below}prm0B`)])).toEqual({ kind: "allowed" });
  expect(decideSnapshots([{ oldId: "0".repeat(64), newId: "1".repeat(64), ref: `${below}a` }]).kind).toBe(
    "allowed",
  );
  for (const ref of [
    below,
    own,
    `${below}a/b`,
    `${below}a\n`,
    `${below}\u0430`,
    `x${below}a`,
    `${below}a.lock`,
  ]) {
    expect(decideSnapshots([to(`${below}good`), to(ref)])).toMatchObject({
      ...{ kind: "refused", offender: ref },
      perRef: [{ reason: "refused together with another ref of this push" }, {}],
    });
  }
  expect(decideSnapshots([{ oldId: one, newId: two, ref: `${below}a` }])).toMatchObject({
    reason: "a snapshot is not changed",
  });
  expect(decideSnapshots([{ oldId: one, newId: zero, ref: `${below}a` }])).toMatchObject({
    reason: "a snapshot is not deleted",
  });
  expect(decideSnapshots([to(`${below}a`), to(`${below}a`)]).kind).toBe("refused");
  expect(decideSnapshots(Array.from({ length: 11 }, (_, at) => to(`${below}a${at}`))).kind).toBe("refused");
});
