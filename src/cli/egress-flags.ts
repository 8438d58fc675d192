import { parseBytes } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import type { Cli } from "./cli.ts";
import { collect, wholeNumber } from "./cli.ts";

export interface EgressFlags {
  allow?: string[];
  removeAllow?: string[];
  denyHost?: string[];
  removeDenyHost?: string[];
  groupsOff?: string[];
  groupsOn?: string[];
  credential?: string[];
  removeCredential?: string[];
  uploadBudget?: string;
  requestSize?: string;
  requestsPerMinute?: number;
  connections?: number;
  namesPerMinute?: number;
}

export interface ListEdit<Value> {
  add?: Value[];
  remove?: string[];
}
export interface Credential {
  host: string;
  header: string;
  template: string;
}

/** What is to change of an environment's egress; lists as a whole, or what to add to and remove from them. */
export interface EgressEdit {
  allow?: string[] | ListEdit<string>;
  deny?: string[] | ListEdit<string>;
  groupsOff?: string[] | ListEdit<string>;
  credentials?: Credential[] | ListEdit<Credential>;
  limits?: {
    uploadBytes?: number;
    requestBytes?: number;
    requestsPerMinute?: number;
    connections?: number;
    namesPerMinute?: number;
  };
}

type Command = ReturnType<Cli["program"]["command"]>;

/** For `env add` and `env edit`. */
export function withEgressFlags(command: Command): Command {
  return command
    .option(
      "--allow <rule>",
      "let through: 'HOST [port=N] [methods=GET] [path=/x] [write]'; repeatable",
      collect,
    )
    .option("--deny-host <pattern>", "refuse, whatever else allows it: NAME or *.NAME; repeatable", collect)
    .option(
      "--groups-off <group>",
      "switch a group of the default list off (see env groups); repeatable",
      collect,
    )
    .option("--secret <name=value>", "a value for credentials; no sandbox sees it; repeatable", collect)
    .option("--secrets-file <file>", "the same in .env format; - is standard input")
    .option(
      "--credential <text>",
      `header that the proxy adds: 'HOST HEADER: TEMPLATE', as in 'api.example.com Authorization: Bearer \${NAME}'`,
      collect,
    )
    .option("--upload-budget <size>", "bytes that a sandbox may upload in all, such as 1GiB")
    .option("--request-size <size>", "bytes of one request's body, such as 256MiB")
    .option("--requests-per-minute <number>", "requests of one sandbox", wholeNumber(1, 10_000_000))
    .option("--connections <number>", "connections of one sandbox at once", wholeNumber(1, 10_000))
    .option(
      "--names-per-minute <number>",
      "distinct names that wildcards or full access let",
      wholeNumber(1, 1_000_000),
    );
}

/** For `env edit` alone: what takes back. */
export function withEgressRemovals(command: Command): Command {
  return command
    .option("--remove-allow <rule>", "take a rule back, as env show prints it; repeatable", collect)
    .option("--remove-deny-host <pattern>", "take a denied host back; repeatable", collect)
    .option("--groups-on <group>", "switch a group on again; repeatable", collect)
    .option("--unset-secret <name>", "remove a secret; repeatable", collect)
    .option("--remove-credential <text>", "take one back: 'HOST HEADER'; repeatable", collect);
}

/** Undefined where nothing of it was said. */
export function egressEditOf(flags: EgressFlags): EgressEdit | undefined {
  const limits = {
    ...(flags.uploadBudget !== undefined && { uploadBytes: sizeOf(flags.uploadBudget) }),
    ...(flags.requestSize !== undefined && { requestBytes: sizeOf(flags.requestSize) }),
    ...(flags.requestsPerMinute !== undefined && { requestsPerMinute: flags.requestsPerMinute }),
    ...(flags.connections !== undefined && { connections: flags.connections }),
    ...(flags.namesPerMinute !== undefined && { namesPerMinute: flags.namesPerMinute }),
  };
  const allow = listEdit(flags.allow, flags.removeAllow);
  const deny = listEdit(flags.denyHost, flags.removeDenyHost);
  const groupsOff = listEdit(flags.groupsOff, flags.groupsOn);
  const credentials = listEdit(flags.credential?.map(parseCredential), flags.removeCredential);
  const edit: EgressEdit = {
    ...(allow && { allow }),
    ...(deny && { deny }),
    ...(groupsOff && { groupsOff }),
    ...(credentials && { credentials }),
    ...(Object.keys(limits).length > 0 && { limits }),
  };
  return Object.keys(edit).length === 0 ? undefined : edit;
}

function listEdit<Value>(
  add: Value[] | undefined,
  remove: string[] | undefined,
): ListEdit<Value> | undefined {
  if (add === undefined && remove === undefined) return undefined;
  return { ...(add && { add }), ...(remove && { remove }) };
}

/** `HOST HEADER: TEMPLATE`. */
export function parseCredential(text: string): Credential {
  const match = /^\s*(\S+)\s+([^\s:]+):\s*(.*\S)\s*$/.exec(text);
  if (match === null) {
    // It is not repeated: somebody may have written the secret itself.
    throw new CcwError(
      "invalid",
      "A credential is not written as 'HOST HEADER: TEMPLATE'.",
      `Write it such as 'api.example.com Authorization: Bearer \${NAME}', in single quotes so that the shell leaves \${NAME} alone.`,
    );
  }
  const [, host = "", header = "", template = ""] = match;
  return { host, header, template };
}

export function credentialText({ host, header, template }: Credential): string {
  return `${host} ${header}: ${template}`;
}

export function sizeOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  throw new CcwError("invalid", `${JSON.stringify(text)} is not a size.`, "Write it such as 4GiB or 512MiB.");
}
