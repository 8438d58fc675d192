import { existsSync, readFileSync } from "node:fs";
import { parse as parseToml, TomlError } from "smol-toml";
import { z } from "zod";
import { configuredAgentsSchema } from "../domain/agents.ts";
import { usualAttachmentBytes } from "../domain/attachment.ts";
import { usualAttribution } from "../domain/attribution.ts";
import { createCalendar } from "../domain/calendar.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import { reasonOf } from "../domain/fault-words.ts";
import { parseRange } from "../domain/ip-address.ts";
import { pricePatternSchema, priceSchema } from "../domain/prices.ts";
import { httpUrl, idleMinutes, port } from "./settings.ts";

export const mib = 1024 * 1024;

const proxyUrl = z.string().refine(
  (text) => {
    const url = URL.parse(text);
    return (
      url?.protocol === "http:" &&
      url.pathname === "/" &&
      url.search === "" &&
      url.hash === "" &&
      !/\s/.test(text) &&
      isDecodable(url.username + url.password)
    );
  },
  // The address may hold a password: it is not repeated.
  "must be the http address of a proxy, such as http://proxy.example:3128 or http://user:password@proxy.example:3128, where a % in a password is written %25",
);
const range = z.string().transform((text, context) => {
  const parsed = parseRange(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: `${JSON.stringify(text.slice(0, 60))}: ${parsed.why}` });
  return z.NEVER;
});

/** 0 is no limit. */
const usd = z.number("must be US dollars").min(0).default(0);
const tokenCount = z.number("must be a number of tokens").int().min(0).default(0);
const zone = z.string().refine((name) => {
  try {
    createCalendar(name);
    return true;
  } catch {
    return false;
  }
}, 'must be a time zone such as "UTC" or "Europe/Berlin"');

const fileSchema = z.strictObject({
  http: z
    .strictObject({
      host: z.string().optional(),
      port: port.optional(),
      public_url: httpUrl.optional(),
      host_names: z.array(z.string()).optional(),
    })
    .default({}),
  tasks: z
    .strictObject({
      parallel: z.number().int().min(1).max(1000).optional(),
      wait_for_usage_limit: z.boolean().default(true),
      keep_snapshots_days: z.number().int().min(0).max(3650).default(90),
      snapshot_ignored: z.boolean().default(false),
      max_snapshots_mib: z.number().int().min(1).max(1_000_000).default(2048),
      idle_minutes: idleMinutes.default(10),
      keep_hours: z
        .number()
        .min(0)
        .max(365 * 24)
        .default(72),
      delete_after_hours: z
        .number()
        .min(0)
        .max(365 * 24)
        .default(24),
      question_hours: z
        .number()
        .min(0)
        .max(365 * 24)
        .default(0),
      keep_work_days: z.number().int().min(0).max(36_500).default(30),
      attachment_mib: z
        .number()
        .int()
        .min(1)
        .max(10 * 1024)
        .default(usualAttachmentBytes / mib),
    })
    .prefault({}),
  prices: z.record(pricePatternSchema, priceSchema).default({}),
  budget: z
    .strictObject({
      per_person_day_usd: usd,
      per_person_day_tokens: tokenCount,
      per_day_usd: usd,
      per_day_tokens: tokenCount,
    })
    .prefault({}),
  usage: z
    .strictObject({
      time_zone: zone.default("UTC"),
      keep_request_days: z.number().int().min(0).max(36_500).default(400),
    })
    .prefault({}),
  model: z
    .strictObject({
      base_url: httpUrl.optional(),
      api_key: z.string().min(1).optional(),
      auth_token: z.string().min(1).optional(),
      openai: z
        .strictObject({ base_url: httpUrl.optional(), api_key: z.string().min(1).optional() })
        .prefault({}),
    })
    .prefault({}),
  agents: configuredAgentsSchema.prefault({}),
  engine: z.strictObject({ socket: z.string().optional() }).default({}),
  download: z
    .strictObject({
      npm_registry: httpUrl.optional(),
      debian_mirror: httpUrl.optional(),
      ca_file: z.string().optional(),
    })
    .default({}),
  commits: z
    .strictObject({
      author: z.enum(["person", "agent"], 'must be "person" or "agent"').default(usualAttribution.author),
      co_author: z.boolean().default(usualAttribution.coAuthor),
      task_trailer: z.boolean().default(usualAttribution.taskTrailer),
    })
    .prefault({}),
  egress: z
    .strictObject({
      allowed_ranges: z.array(range).max(1000).default([]),
      upstream_proxy: proxyUrl.optional(),
      upstream_proxy_resolves: z.boolean().default(false),
      ca_file: z.string().optional(),
      keep_days: z.number().int().min(1).max(3650).default(30),
      keep_rows: z.number().int().min(1000).max(100_000_000).default(1_000_000),
    })
    .prefault({}),
  notifications: z.strictObject({ allowed_ranges: z.array(range).max(1000).default([]) }).prefault({}),
  smtp: z
    .strictObject({
      host: z.string().min(1),
      port: port.optional(),
      security: z
        .enum(["none", "starttls", "tls"], 'must be "none", "starttls" or "tls"')
        .default("starttls"),
      user: z.string().min(1).optional(),
      password: z.string().min(1).optional(),
      from: z
        .string()
        .max(300)
        .regex(
          /^[^\p{Cc}<>]*<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@]+@[^\s<>@]+$/u,
          "must be an address, such as ccw@example.com or Agents <ccw@example.com>",
        ),
    })
    .optional(),
});

/** ccw.toml, with what is not set at its default. */
export type ConfigFile = z.infer<typeof fileSchema>;

const maxTold = 20;

/** Throws `invalid` with all that is wrong with it, and where. Unless it `mustExist`, a file that is not there sets nothing. */
export function readConfigFile(path: string, mustExist: boolean): ConfigFile {
  if (!mustExist && !existsSync(path)) return fileSchema.parse({});
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    throw new CcwError("invalid", `The settings in ${path} cannot be read: ${messageOf(thrown)}.`);
  }
  let value: unknown;
  try {
    value = parseToml(text);
  } catch (thrown) {
    throw new CcwError(
      "invalid",
      `${path} is not TOML: ${messageOf(thrown).split("\n", 1)[0]}${thrown instanceof TomlError ? `, in line ${thrown.line}` : ""}.`,
      "Mend the line it names.",
    );
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const told = parsed.error.issues.slice(0, maxTold).map((issue) => {
    const where = issue.path.join(".");
    const reason = reasonOf(issue).replace(/\.$/, "");
    return where === "" ? reason : `${where}: ${reason}`;
  });
  const more = parsed.error.issues.length - told.length;
  throw new CcwError(
    "invalid",
    `${path}: ${[...told, ...(more > 0 ? [`and ${more} more`] : [])].join("; ")}.`,
    "README.md lists the settings.",
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
