import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse as parseToml } from "smol-toml";
import { z } from "zod";
import { type ConfiguredAgent, configuredAgentsSchema } from "./domain/agents.ts";
import { usualAttachmentBytes } from "./domain/attachment.ts";
import { type AttributionSettings, usualAttribution } from "./domain/attribution.ts";
import type { DayLimits } from "./domain/budget.ts";
import { type Calendar, createCalendar } from "./domain/calendar.ts";
import { CcwError, messageOf } from "./domain/errors.ts";
import { type AddressRange, parseRange } from "./domain/ip-address.ts";
import type { ModelEndpoint } from "./domain/model.ts";
import { type PriceTable, pricePatternSchema, priceSchema } from "./domain/prices.ts";

/**
 * Everything that can be set, from flags, then environment variables, then ccw.toml in the data folder, then the
 * default: the first that says something wins.
 */
export interface Config {
  dataFolder: string;
  host: string;
  port: number;
  /** Where people reach the appliance; empty for what follows from host and port. */
  publicUrl: string;
  hostNames: string[];
  /** Sandboxes that are awake at once. */
  parallel: number;
  patience: {
    /** How long a task without work keeps its sandbox awake (ms). */
    idleMs: number;
    /** How long a question waits for a person (ms); Infinity for ever. */
    questionMs: number;
  };
  /** How long a sandbox that sleeps is kept (ms). */
  keepMs: number;
  /** How long a deleted task can be restored (ms). */
  deleteAfterMs: number;
  /** Work that a forge did not take and nobody pushed is removed so many days after its task's end; 0: never. */
  keepWorkDays: number;
  /** Of one attachment of a prompt. */
  attachmentBytes: number;
  /** Undefined where neither the environment nor ccw.toml names one. */
  model: { endpoint: ModelEndpoint; source: "environment" | "ccw.toml" } | undefined;
  /** Of the Responses API, which Codex speaks; undefined where none is named. */
  responsesModel: ModelEndpoint | undefined;
  engine: {
    /** An engine's API socket; undefined to look for one. */
    socket: string | undefined;
    dockerHost: string | undefined;
    runtimeFolder: string | undefined;
    /** Where commands are looked for. */
    path: string;
  };
  /** For what image builds download. */
  download: {
    npmRegistry: string | undefined;
    debianMirror: string | undefined;
    proxy: { http?: string; https?: string; except?: string };
    caFile: string | undefined;
  };
  attribution: AttributionSettings;
  /** Beside the built-in ones. */
  agents: ConfiguredAgent[];
  usage: {
    /** The operator's own prices, which go before the built-in ones. */
    prices: PriceTable;
    budget: DayLimits;
    /** Whose days usage is summed up by. */
    calendar: Calendar;
    /** Whether tasks wait for the end of a usage limit of the model's account, or fail. */
    waitForUsageLimit: boolean;
  };
  snapshots: {
    /** Of one task. */
    maxBytes: number;
    /** After a task's end; 0 for as long as the task is there. */
    keepDays: number;
    /** Files that git ignores, too. */
    ignored: boolean;
  };
  egress: {
    /** What sandboxes may reach although it is not public. */
    allowedRanges: AddressRange[];
    upstreamProxy:
      | {
          /** With the credentials in it, where it takes some. */
          url: string;
          /** Whether the proxy, and not this machine, resolves names: then only names are vetted, not addresses. */
          resolves: boolean;
        }
      | undefined;
    /** PEM file of further authorities to trust, besides the system's, for what sandboxes reach. */
    caFile: string | undefined;
    /** The ledger keeps entries for so long, and so many. */
    keepDays: number;
    keepRows: number;
  };
  notifications: {
    /** What people may have notifications sent to although it is not public. */
    allowedRanges: AddressRange[];
    /** The server that takes the appliance's mail; undefined for none. */
    mail:
      | {
          host: string;
          port: number;
          security: "none" | "starttls" | "tls";
          login: { user: string; password: string } | undefined;
          from: string;
        }
      | undefined;
  };
}

export interface Flags {
  data: string;
  host?: string | undefined;
  port?: string | undefined;
  config?: string | undefined;
}

type Variables = Record<string, string | undefined>;

const httpUrl = z
  .url({ protocol: /^https?$/, error: "must be an http or https URL" })
  .transform((url) => url.replace(/\/+$/, ""));
const port = z.coerce
  .number("must be a port number")
  .int("must be a port number")
  .min(0)
  .max(65535, "must be a port number");

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

const mib = 1024 * 1024;

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
const idleMinutes = z.coerce
  .number()
  .min(0)
  .max(7 * 24 * 60);

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
  usage: z.strictObject({ time_zone: zone.default("UTC") }).prefault({}),
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

/** The Messages API's public address, for a key without an endpoint. */
const anthropicUrl = "https://api.anthropic.com";
/** The Responses API's. */
const openaiUrl = "https://api.openai.com";

const defaultPort = 7080;
const hourMs = 3_600_000;

/** Throws `invalid` with the file or variable and what is wrong with it. */
export function loadConfig(flags: Flags, variables: Variables): Config {
  const dataFolder = resolve(flags.data);
  const path = flags.config ?? join(dataFolder, "ccw.toml");
  const file = readFile(path, flags.config !== undefined);
  return {
    dataFolder,
    host: flags.host ?? variables["CCW_HOST"] ?? file.http.host ?? "127.0.0.1",
    port:
      check("--port", port, flags.port) ??
      check("CCW_PORT", port, variables["CCW_PORT"]) ??
      file.http.port ??
      defaultPort,
    publicUrl: check("CCW_PUBLIC_URL", httpUrl, variables["CCW_PUBLIC_URL"]) ?? file.http.public_url ?? "",
    hostNames: (file.http.host_names ?? []).map((name) => name.toLowerCase()),
    parallel:
      check("CCW_PARALLEL", z.coerce.number().int().min(1).max(1000), variables["CCW_PARALLEL"]) ??
      file.tasks.parallel ??
      4,
    patience: {
      idleMs:
        (check("CCW_IDLE_MINUTES", idleMinutes, variables["CCW_IDLE_MINUTES"]) ?? file.tasks.idle_minutes) *
        60_000,
      questionMs:
        file.tasks.question_hours === 0 ? Number.POSITIVE_INFINITY : file.tasks.question_hours * hourMs,
    },
    keepMs: file.tasks.keep_hours * hourMs,
    deleteAfterMs: file.tasks.delete_after_hours * hourMs,
    keepWorkDays: file.tasks.keep_work_days,
    attachmentBytes: file.tasks.attachment_mib * mib,
    model: modelFrom(file, variables),
    responsesModel: responsesModelFrom(file, variables),
    engine: {
      socket: (variables["CCW_ENGINE_SOCKET"] ?? file.engine.socket) || undefined,
      dockerHost: variables["DOCKER_HOST"],
      runtimeFolder: variables["XDG_RUNTIME_DIR"],
      path: variables["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    },
    download: {
      npmRegistry: file.download.npm_registry ?? variables["npm_config_registry"],
      debianMirror: file.download.debian_mirror,
      proxy: proxyFrom(variables),
      caFile: file.download.ca_file ?? variables["SSL_CERT_FILE"],
    },
    attribution: {
      author: file.commits.author,
      coAuthor: file.commits.co_author,
      taskTrailer: file.commits.task_trailer,
    },
    agents: file.agents,
    usage: {
      prices: new Map(Object.entries(file.prices)),
      budget: {
        perPersonDay: { usd: file.budget.per_person_day_usd, tokens: file.budget.per_person_day_tokens },
        perDay: { usd: file.budget.per_day_usd, tokens: file.budget.per_day_tokens },
      },
      calendar: createCalendar(file.usage.time_zone),
      waitForUsageLimit: file.tasks.wait_for_usage_limit,
    },
    snapshots: {
      maxBytes: file.tasks.max_snapshots_mib * 1024 ** 2,
      keepDays: file.tasks.keep_snapshots_days,
      ignored: file.tasks.snapshot_ignored,
    },
    egress: {
      allowedRanges: file.egress.allowed_ranges,
      upstreamProxy:
        file.egress.upstream_proxy === undefined
          ? undefined
          : { url: file.egress.upstream_proxy, resolves: file.egress.upstream_proxy_resolves },
      caFile: file.egress.ca_file ?? file.download.ca_file ?? variables["SSL_CERT_FILE"],
      keepDays: file.egress.keep_days,
      keepRows: file.egress.keep_rows,
    },
    notifications: {
      allowedRanges: file.notifications.allowed_ranges,
      mail: mailFrom(file.smtp, variables),
    },
  };
}

/** The ports of RFC 6409 and RFC 8314, and the one where servers take mail from anybody near. */
const mailPorts = { none: 25, starttls: 587, tls: 465 };

function mailFrom(
  smtp: z.infer<typeof fileSchema>["smtp"],
  variables: Variables,
): Config["notifications"]["mail"] {
  if (smtp === undefined) return undefined;
  const { host, security, user, from } = smtp;
  const password = variables["CCW_SMTP_PASSWORD"] || smtp.password;
  if ((user === undefined) !== (password === undefined)) {
    throw new CcwError(
      "invalid",
      "ccw.toml: under [smtp], `user` and `password` go together.",
      "The password may stand in CCW_SMTP_PASSWORD instead.",
    );
  }
  const login = user === undefined || password === undefined ? undefined : { user, password };
  return { host, port: smtp.port ?? mailPorts[security], security, login, from };
}

/** The customary variables; a server that takes no notice of them is of no use behind a proxy. */
function proxyFrom(variables: Variables): Config["download"]["proxy"] {
  const http = variables["http_proxy"] ?? variables["HTTP_PROXY"];
  const https = variables["https_proxy"] ?? variables["HTTPS_PROXY"];
  const except = variables["no_proxy"] ?? variables["NO_PROXY"];
  return { ...(http && { http }), ...(https && { https }), ...(except && { except }) };
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function readFile(path: string, mustExist: boolean): z.infer<typeof fileSchema> {
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
      `${path} is not TOML: ${messageOf(thrown).split("\n", 1)[0]}.`,
      "Mend the line it names.",
    );
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  throw new CcwError(
    "invalid",
    `${path}: ${where === "" ? "" : `${where}: `}${issue?.message ?? "not valid"}.`,
    "README.md lists the settings.",
  );
}

function check<Value>(name: string, schema: z.ZodType<Value>, text: string | undefined): Value | undefined {
  if (text === undefined || text === "") return undefined;
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CcwError(
    "invalid",
    `${name} ${parsed.error.issues[0]?.message ?? "is not valid"}: ${JSON.stringify(text.slice(0, 100))}.`,
  );
}

function modelFrom(file: z.infer<typeof fileSchema>, variables: Variables): Config["model"] {
  const fromVariables = endpointFrom({
    base_url: check("CCW_MODEL_BASE_URL", httpUrl, variables["CCW_MODEL_BASE_URL"]),
    api_key: variables["CCW_MODEL_API_KEY"],
    auth_token: variables["CCW_MODEL_AUTH_TOKEN"],
  });
  if (fromVariables !== undefined) return { endpoint: fromVariables, source: "environment" };
  const fromFile = endpointFrom(file.model);
  return fromFile && { endpoint: fromFile, source: "ccw.toml" };
}

function responsesModelFrom(
  file: z.infer<typeof fileSchema>,
  variables: Variables,
): ModelEndpoint | undefined {
  const url =
    check("CCW_OPENAI_BASE_URL", httpUrl, variables["CCW_OPENAI_BASE_URL"]) ?? file.model.openai.base_url;
  const key = variables["CCW_OPENAI_API_KEY"] || file.model.openai.api_key;
  if (url === undefined && key === undefined) return undefined;
  return {
    kind: "endpoint",
    // As its users write it the address ends with the API's version.
    baseUrl: (url ?? openaiUrl).replace(/\/v1$/, ""),
    credential: { header: "authorization", value: `Bearer ${key ?? "none"}` },
  };
}

interface ModelFields {
  base_url?: string | undefined;
  api_key?: string | undefined;
  auth_token?: string | undefined;
}

function endpointFrom({ base_url, api_key, auth_token }: ModelFields): ModelEndpoint | undefined {
  const key = api_key || undefined;
  const token = auth_token || undefined;
  if (base_url === undefined && key === undefined && token === undefined) return undefined;
  if (key !== undefined && token !== undefined) {
    throw new CcwError(
      "invalid",
      "Both an API key and an auth token are set for the model.",
      "Keep the one that your endpoint takes.",
    );
  }
  return {
    kind: "endpoint",
    baseUrl: base_url ?? anthropicUrl,
    credential:
      token === undefined
        ? { header: "x-api-key", value: key ?? "none" }
        : { header: "authorization", value: `Bearer ${token}` },
  };
}
