import { expect, test } from "bun:test";
import type { TaskEventBody } from "./event.ts";
import { noticeOf } from "./notice.ts";
import { headlineOf } from "./notification.ts";

const told = (body: TaskEventBody, before?: string, after?: string) =>
  noticeOf({ body }, { before, after, person: "ada" });
const state = (name: string, detail = ""): TaskEventBody => ({ kind: "state", state: name, detail });
const opened = (person: string): TaskEventBody => ({
  ...{
    kind: "pull_request_opened",
    pullRequestId: "p",
    repository: "demo",
    number: 3,
    title: "T",
    webUrl: "",
  },
  ...{ person, draft: false },
});

test("work that is handed back is told once for each burst of it", () => {
  expect(told(state("idle"), "finishing")?.kind).toBe("done");
  expect(told(state("completed"), "idle")).toBeUndefined();
  // More prompts came meanwhile.
  expect(told(state("idle"), "finishing", "running")).toBeUndefined();
  // Without an idle before it: the sandbox was not kept awake.
  expect(told(state("completed"), "finishing")?.kind).toBe("done");
});

test("what a person did themselves is not told to them", () => {
  expect(told(state("idle"), "running")).toBeUndefined();
  expect(told(state("cancelled", "by ada"), "running")).toBeUndefined();
  expect(told(state("paused"), "idle")).toBeUndefined();
  expect(told(opened("ada"))).toBeUndefined();
});

test("what a person has to know is told, with its reason", () => {
  expect(told(state("failed", "The clone failed."), "starting")).toEqual({
    kind: "failed",
    reason: "The clone failed.",
  });
  expect(told(state("waiting"), "running")?.kind).toBe("question");
  expect(told(state("paused", "Usage limit until 14:00."), "running")).toEqual({
    kind: "paused",
    reason: "Usage limit until 14:00.",
  });
  const asked = { kind: "access_requested", requestId: 1, host: "::1", port: 443, reason: "" } as const;
  expect(told(asked)?.reason).toContain("[::1]:443");
  expect(told(opened(""))).toEqual({ kind: "pull_request", reason: "Pull request #3 of demo is open." });
  const { draft: _, ...pullRequest } = opened("") as Extract<TaskEventBody, { draft: boolean }>;
  const updated = { ...pullRequest, kind: "pull_request_updated", detail: "has 2 failed checks" } as const;
  expect(told(updated)).toBeUndefined();
  expect(told({ ...updated, failedChecks: 2 })).toEqual({
    kind: "checks_failed",
    reason: "Pull request #3 of demo has 2 failed checks.",
  });
});

test("a hostile title or reason stays within its line, and is cut", () => {
  const reason = told(state("failed", `a\r\nBcc: eve@example.com\u202e${"x".repeat(1000)}`))?.reason ?? "";
  expect(reason).toStartWith("a Bcc: eve@example.com<U+202E>xxx");
  expect(reason.length).toBe(401);
  expect(headlineOf({ kind: "done", title: `one\r\nSubject: two\0${"y".repeat(500)}` })).toMatch(
    /^Done: one Subject: two\u2400y{100,200}…$/,
  );
});
