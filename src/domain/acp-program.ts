import { z } from "zod";
import { namedRecord } from "./named-record.ts";

/**
 * A program that speaks the Agent Client Protocol (https://agentclientprotocol.com) on standard input and output, as the
 * operator names it in `ccw.toml`. It travels to the guest, which starts it.
 */
export interface AcpProgram {
  /** As people know it. */
  title: string;
  /** Program and arguments; the program is looked for in the sandbox's PATH. */
  command: string[];
  /** What its process has beside the sandbox's own variables; values may hold placeholders. */
  variables: Record<string, string>;
  /** Folders and files below HOME where it keeps its conversations: they go into the snapshots. */
  conversation: string[];
}

/** What stands in a variable's value for what only the sandbox knows. `{model}` is empty for the agent's own default. */
const acpPlaceholders = ["model_url", "model_token", "model"] as const;

/** What looks like a placeholder; braces of JSON do not. */
export const acpPlaceholder = /\{([a-z][a-z_]*)\}/g;

/** What keeps git, the way out and the guest itself together. */
const ours = /^(PATH|HOME|GIT_.*|LD_.*|CCW_.*|NODE_OPTIONS|NODE_USE_ENV_PROXY|(https?|all|no|ftp)_proxy)$/i;

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
const hasControl = /[\u0000-\u001f\u007f]/;
const known = acpPlaceholders.map((name) => `{${name}}`).join(", ");

const argument = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !hasControl.test(text), "must not hold control characters");

/** What is wrong with a variable's name, if anything. */
function wrongName(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,199}$/.test(name)) return "must be a variable's name, such as MY_KEY";
  return ours.test(name) ? "is the appliance's own variable and cannot be set" : undefined;
}

const variableValue = z
  .string("must be a text")
  .max(32 * 1024)
  .superRefine((value, context) => {
    if (value.includes("\0")) context.addIssue({ code: "custom", message: "must not hold a NUL" });
    for (const [text, name] of value.matchAll(acpPlaceholder)) {
      if (!acpPlaceholders.some((each) => each === name))
        context.addIssue({ code: "custom", message: `${text} is no placeholder; there are ${known}` });
    }
  });

const belowHome = z
  .string()
  .max(300)
  .refine(
    (path) =>
      !hasControl.test(path) &&
      !/[*?[\]\\:]/.test(path) &&
      path.split("/").every((part) => !["", ".", "..", ".git"].includes(part)),
    'must be a path below the home folder, such as ".agent/sessions"',
  );

/** Each field by itself, so that all that is wrong with a program is told at once. */
export const acpProgramFields = {
  title: z
    .string()
    .trim()
    .min(1)
    .max(60)
    .refine((text) => !hasControl.test(text), "must not hold control characters"),
  command: z
    .array(argument, "must be a list of texts: the program and its arguments")
    .min(1, "must name a program")
    .max(100),
  variables: namedRecord(wrongName, variableValue).default({}),
  conversation: z.array(belowHome).max(20).default([]),
};

export const acpProgramSchema: z.ZodType<AcpProgram> = z.object(acpProgramFields);
