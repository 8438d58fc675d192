import { expect, test } from "bun:test";
import { createCodexTranslator } from "./codex-events.ts";
import { notificationSchema } from "./codex-messages.ts";

/** As codex-cli 0.169.0 wrote it. */
const recorded = (item: object) =>
  notificationSchema.parse({ method: "item/completed", params: { item, threadId: "t", turnId: "u" } });

function events(item: object) {
  const { method, params } = recorded(item);
  return method === "item/completed" ? createCodexTranslator().completed(params.item) : [];
}

test("a command is shown as it was meant, with its output and its exit code", () => {
  const command = {
    ...{ type: "commandExecution", id: "call_1", pluginId: null, scriptPath: null },
    command: "/bin/bash -lc 'echo hi; exit 3'",
    ...{ cwd: "/ws", processId: "8949", source: "unifiedExecStartup", status: "failed", commandActions: [] },
    ...{ aggregatedOutput: "hi\n", exitCode: 3, durationMs: 3563 },
  };
  expect(events(command)).toEqual([
    { kind: "tool_use", toolUseId: "call_1", name: "Bash", input: { command: "echo hi; exit 3" } },
    { kind: "tool_result", toolUseId: "call_1", isError: true, text: "hi\n\nexit code 3", omitted: 0 },
  ]);
});

test("a change of files names them, and what nobody knows yet is left out", () => {
  const changes = [{ path: "/ws/new.txt", kind: { type: "add" }, diff: "hello\n" }];
  expect(events({ type: "fileChange", id: "call_1", changes, status: "completed" })).toMatchObject([
    { kind: "tool_use", name: "apply_patch", input: { description: "add /ws/new.txt" } },
    { kind: "tool_result", isError: false, text: "add /ws/new.txt" },
  ]);
  expect(events({ type: "somethingNew", id: "x" })).toEqual([]);
});
