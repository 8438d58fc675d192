import type { AgentMode } from "../../domain/task.ts";

/** Requests to the CLI on its standard input, as `SDKControlRequest` in sdk.d.ts has them, and who waits for answers. */
export interface ClaudeRequests {
  interrupt(): void;
  setModel(model: string): void;
  setMode(mode: AgentMode): void;
  /** Takes a message back that waits in the CLI; `answer`: whether it had not been taken yet. */
  cancel(uuid: string, answer: (cancelled: boolean) => void): void;
  answered(answer: { requestId: string; error: string | undefined; cancelled: boolean }): void;
}

export interface ClaudeRequestsOptions {
  write: (message: object) => void;
  /** The CLI did not take it; in words. */
  refused: (text: string) => void;
}

type Answer = { error: string | undefined; cancelled: boolean };

/** How the CLI calls a mode. What acts was started with `--dangerously-skip-permissions`. */
export const permissionModes: Record<AgentMode, string> = { act: "bypassPermissions", plan: "plan" };

export function createClaudeRequests({ write, refused }: ClaudeRequestsOptions): ClaudeRequests {
  const waiting = new Map<string, (answer: Answer) => void>();
  const request = (body: object, then: (answer: Answer) => void) => {
    const requestId = crypto.randomUUID();
    waiting.set(requestId, then);
    write({ type: "control_request", request_id: requestId, request: body });
  };
  const unless = (what: string) => (answer: Answer) => {
    if (answer.error !== undefined) refused(`${what} ${answer.error}`);
  };

  return {
    interrupt: () => request({ subtype: "interrupt" }, () => {}),
    setModel(model) {
      // An empty name would be taken for one.
      const body = { subtype: "set_model", model: model === "" ? "default" : model };
      request(body, unless("The agent did not take the model:"));
    },
    setMode(mode) {
      const body = { subtype: "set_permission_mode", mode: permissionModes[mode] };
      request(body, unless("The agent did not take the mode:"));
    },
    cancel(uuid, answer) {
      request({ subtype: "cancel_async_message", message_uuid: uuid }, ({ cancelled }) => answer(cancelled));
    },
    answered({ requestId, ...answer }) {
      const then = waiting.get(requestId);
      waiting.delete(requestId);
      then?.(answer);
    },
  };
}
