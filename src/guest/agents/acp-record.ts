import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { tailOf } from "../text.ts";

/**
 * What the protocol does not keep for us, in a file of the home folder that goes into the snapshots with the agent's own
 * conversation: which session it is, and which prompt it was given last.
 */
const recordSchema = z.object({
  sessionId: z.string().min(1).max(200),
  last: z
    .object({
      key: z.string(),
      /** Given, and its end was not heard; or answered, and the end may not have been told. */
      state: z.enum(["given", "answered"]),
      text: z.string(),
      reply: z.string(),
      /** What was said to it in that turn beside the prompt, the last of it. */
      also: z.string().default(""),
    })
    .optional(),
});
export type AcpRecord = z.infer<typeof recordSchema>;

/** Below HOME. */
export const recordFile = ".ccw-acp/session.json";
const maxText = 16 * 1024;
const maxReply = 8 * 1024;

type Env = Record<string, string>;
export const homeOf = (env: Env): string => env["HOME"] ?? "/root";

/** Undefined where there is none, or none that can be read. */
export function readRecord(env: Env): AcpRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(readFileSync(join(homeOf(env), recordFile), "utf8"))).data;
  } catch {
    return undefined;
  }
}

export function writeRecord(env: Env, { sessionId, last }: AcpRecord): void {
  const path = join(homeOf(env), recordFile);
  const kept =
    last === undefined
      ? {}
      : {
          last: {
            ...last,
            text: last.text.slice(0, maxText),
            reply: tailOf(last.reply, maxReply),
            also: last.also.slice(0, maxText),
          },
        };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify({ sessionId, ...kept }));
  renameSync(`${path}.new`, path);
}
