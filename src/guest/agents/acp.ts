import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AcpProgram } from "../../domain/acp-program.ts";
import { CcwError, messageOf } from "../../domain/errors.ts";
import { holdStill } from "../hold-still.ts";
import type { Child } from "../processes.ts";
import { acpEnvironment, acpVariables } from "./acp-command.ts";
import { homeOf, readRecord, recordFile } from "./acp-record.ts";
import { driveAcp } from "./acp-run.ts";
import type { Agent } from "./agent.ts";

/** An agent of the Agent Client Protocol, as the operator has named it. One process has one session for all turns. */
export function createAcp(program: AcpProgram): Agent {
  let last: Child | undefined;
  return {
    title: program.title,
    asksWith: "a tool for that where you have one, else with a message that ends your turn",
    variables: (access) => acpVariables(program, access),
    start(options) {
      const env = acpEnvironment(program, options);
      let child: Child;
      try {
        child = options.processes.spawn(program.command, { cwd: options.cwd, env });
      } catch (thrown) {
        throw new CcwError(
          "not_found",
          `The sandbox's image has no ${program.title} that can be started as ${JSON.stringify(program.command[0])}: ${messageOf(thrown)}.`,
          "Use an image that has the program on its PATH, or mend `command` under [agents] in ccw.toml.",
        );
      }
      last = child;
      return driveAcp(program, child, options);
    },
    conversation({ env }) {
      const folder = homeOf(env);
      const names = [recordFile, ...program.conversation].filter((name) => existsSync(join(folder, name)));
      if (readRecord(env) === undefined) return undefined;
      if (program.conversation.length === 0 || last?.exitCode !== null || last.signalCode !== null)
        return { folder, names };
      const { pid } = last;
      // It may be a database with a log beside it, which is written between turns, too.
      return { folder, names, hold: () => holdStill(pid) };
    },
    conversationHome: ({ env }) => homeOf(env),
    // The file beside the conversation says which it is.
    adoptConversation() {},
    // What was to join a turn has one of its own, which is not in the conversation before it began.
    holdsPrompt: () => false,
  };
}
