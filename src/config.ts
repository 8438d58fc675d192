import { join, resolve } from "node:path";
import { z } from "zod";
import { type ConfigFile, mib, readConfigFile } from "./config/file.ts";
import { type ConfiguredModel, modelFrom, responsesModelFrom } from "./config/model.ts";
import { check, httpUrl, idleMinutes, port, type Variables } from "./config/settings.ts";
import type { ConfiguredAgent } from "./domain/agents.ts";
import type { AttributionSettings } from "./domain/attribution.ts";
import type { DayLimits } from "./domain/budget.ts";
import { type Calendar, createCalendar } from "./domain/calendar.ts";
import { CcwError } from "./domain/errors.ts";
import type { AddressRange } from "./domain/ip-address.ts";
import type { ModelEndpoint } from "./domain/model.ts";
import type { PriceTable } from "./domain/prices.ts";

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
  model: ConfiguredModel | undefined;
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
    /** How long single model requests are kept; 0 for ever. Their sums stay. */
    keepRequestDays: number;
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

const defaultPort = 7080;
const hourMs = 3_600_000;

/** Throws `invalid` with the file or variable and what is wrong with it. */
export function loadConfig(flags: Flags, variables: Variables): Config {
  const dataFolder = resolve(flags.data);
  const path = flags.config ?? join(dataFolder, "ccw.toml");
  const file = readConfigFile(path, flags.config !== undefined);
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
      keepRequestDays: file.usage.keep_request_days,
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

function mailFrom(smtp: ConfigFile["smtp"], variables: Variables): Config["notifications"]["mail"] {
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
