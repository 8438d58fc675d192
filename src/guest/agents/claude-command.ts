import { createHash } from "node:crypto";
import type { AgentStart, ModelAccess } from "./agent.ts";
import { conversationFolder } from "./claude-conversation.ts";

export const claudeVariables = ({ url, token }: ModelAccess): Record<string, string> => ({
  ANTHROPIC_BASE_URL: url,
  ANTHROPIC_AUTH_TOKEN: token,
  /** Lets root skip permission prompts: the sandbox is the boundary. */
  IS_SANDBOX: "1",
  CLAUDE_CODE_REMOTE: "true",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  DISABLE_AUTOUPDATER: "1",
});

const refusal = {
  hookSpecificOutput: {
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason:
      "The task is in plan mode: nothing is changed before a person has approved the plan. Propose it with ExitPlanMode.",
  },
};

/**
 * A process that may act without asking lets edits pass in plan mode too, and leaves it to the model to make none: here
 * they are refused, but for the plan itself. What a shell command changes is still the model's to mind.
 */
const planHooks = {
  PreToolUse: [
    {
      matcher: "Edit|Write|NotebookEdit",
      hooks: [
        {
          type: "command",
          command: `input=$(cat); case "$input" in *'"permission_mode":"plan"'*) case "$input" in *'/.claude/plans/'*) ;; *) printf %s '${JSON.stringify(refusal)}';; esac;; esac`,
        },
      ],
    },
  ],
};

export function claudeArguments({ model, sessionId, instructions, trailers, env }: AgentStart): string[] {
  return [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--include-partial-messages",
    "--replay-user-messages",
    "--dangerously-skip-permissions",
    // Questions, plans and what even this mode asks for come as control requests.
    "--permission-prompt-tool",
    "stdio",
    ...(model === "" ? [] : ["--model", model]),
    // Its own idea of a commit's last lines would stand beside ours; pull requests are the appliance's to write.
    "--settings",
    JSON.stringify({ attribution: { commit: trailers.join("\n"), pr: "" }, hooks: planHooks }),
    "--append-system-prompt",
    instructions,
    // The CLI writes a conversation down some time after it began; `--resume` of one that is not there ends it.
    ...(conversationFolder(env, sessionId) === undefined
      ? ["--session-id", sessionId]
      : ["--resume", sessionId]),
  ];
}

/** A UUID that depends on the prompt's key alone (RFC 9562, version 5), so that a prompt given twice counts once. */
export function promptUuid(key: string): string {
  const bytes = createHash("sha1").update(`ccw-server prompt ${key}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
