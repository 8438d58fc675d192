import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "ipaddr.js";
import { type Flags, loadConfig } from "./config.ts";
import { messageOf } from "./domain/errors.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function load(toml: string, variables: Record<string, string> = {}, flags: Partial<Flags> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "ccw-config-"));
  folders.push(folder);
  writeFileSync(join(folder, "ccw.toml"), toml);
  return loadConfig({ data: folder, ...flags }, variables);
}

test("flags go before the environment, which goes before the file", () => {
  const toml = "[http]\nport = 1\nhost = 'a'\n";
  expect(load(toml).port).toBe(1);
  expect(load(toml, { CCW_PORT: "2" }).port).toBe(2);
  expect(load(toml, { CCW_PORT: "2" }, { port: "3" }).port).toBe(3);
  expect(load("").port).toBe(7080);
});

test("a misspelt or misplaced setting is refused by name", () => {
  expect(() => load("[http]\nprot = 1\n")).toThrow('http: Unrecognized key: "prot"');
  expect(() => load("\n[http\n")).toThrow(/is not TOML: .*, in line 2\.$/);
  expect(() => load("[tasks]\nparallel = 0\n")).toThrow("tasks.parallel: It has to be at least 1.");
  expect(() => load("", { CCW_PORT: "eighty" })).toThrow('CCW_PORT must be a port number: "eighty"');
  expect(() => load("", {}, { port: "70000" })).toThrow("--port");
});

test("single model requests are kept for 400 days, or as long as is set; 0 is for ever", () => {
  expect(load("").usage.keepRequestDays).toBe(400);
  expect(load("[usage]\nkeep_request_days = 0\n").usage.keepRequestDays).toBe(0);
  expect(() => load("[usage]\nkeep_request_days = -1\n")).toThrow("keep_request_days");
});

test("a model key alone means the vendor's endpoint", () => {
  expect(load("", { CCW_MODEL_API_KEY: "k" }).model).toEqual({
    endpoint: {
      kind: "endpoint",
      baseUrl: "https://api.anthropic.com",
      credential: { header: "x-api-key", value: "k" },
    },
    source: "environment",
  });
  expect(load("[model]\nbase_url = 'http://gpu.lan:8000/'\nauth_token = 't'\n").model?.endpoint).toEqual({
    kind: "endpoint",
    baseUrl: "http://gpu.lan:8000",
    credential: { header: "authorization", value: "Bearer t" },
  });
  expect(load("").model).toBeUndefined();
  expect(() => load("[model]\napi_key = 'a'\nauth_token = 'b'\n")).toThrow("Both");
});

test("egress: ranges, proxy and the ledger's bounds come from the file, and mistakes are named", () => {
  const { egress } = load(
    "[egress]\nallowed_ranges = ['10.1.0.0/16']\nupstream_proxy = 'http://u:p@proxy.lan:3128'\nkeep_days = 7\n",
    { SSL_CERT_FILE: "/etc/corp.pem" },
  );
  expect(egress).toEqual({
    allowedRanges: [{ first: parse("10.1.0.0"), bits: 16 }],
    upstreamProxy: { url: "http://u:p@proxy.lan:3128", resolves: false },
    caFile: "/etc/corp.pem",
    keepDays: 7,
    keepRows: 1_000_000,
  });
  expect(load("").egress).toMatchObject({ allowedRanges: [], upstreamProxy: undefined, keepDays: 30 });
  expect(() => load("[egress]\nallowed_ranges = ['10.1.0.0/16', 'intranet']\n")).toThrow(
    /egress\.allowed_ranges\.1: "intranet"/,
  );
  expect(() => load("[egress]\nupstream_proxy = 'socks5://u:s3cret@x:1'\n")).toThrow(
    /^(?!.*s3cret).*must be the http address of a proxy/,
  );
  expect(() => load("[egress]\nupstream_proxy = 'http://u:s3cret%@x:1'\n")).toThrow(
    /^(?!.*s3cret).*a % in a password is written %25/,
  );
  expect(() => load("[egress]\nkeep_rows = 10\n")).toThrow("egress.keep_rows");
});

test("prices, budgets and whose days they are come from the file, and mistakes are named", () => {
  const { usage } = load(
    `[prices]
"qwen*" = { input = 0, output = 0 }
[budget]
per_day_usd = 50.5
per_person_day_tokens = 1000000
[usage]
time_zone = "Europe/Berlin"
[tasks]
wait_for_usage_limit = false
`,
  );
  expect([...usage.prices.keys()]).toEqual(["qwen*"]);
  expect(usage.budget).toEqual({
    perPersonDay: { usd: 0, tokens: 1_000_000 },
    perDay: { usd: 50.5, tokens: 0 },
  });
  expect(usage.calendar.zone).toBe("Europe/Berlin");
  expect(usage.waitForUsageLimit).toBe(false);

  const usual = load("").usage;
  expect(usual.calendar.zone).toBe("UTC");
  expect(usual.waitForUsageLimit).toBe(true);
  expect(() => load('[usage]\ntime_zone = "Mars"')).toThrow("usage.time_zone: must be a time zone");
  expect(() => load("[prices.m]\ninput = 3")).toThrow(
    "prices.m.output: must be US dollars per million tokens",
  );
  expect(() => load('[prices."=1"]\ninput = 3\noutput = 1')).toThrow("prices");
  expect(() => load("[budget]\nper_day_usd = -1")).toThrow("budget.per_day_usd");
});

test("how long work is kept that no forge took: a month, as many days as are set, or for ever", () => {
  expect(load("").keepWorkDays).toBe(30);
  expect(load("[tasks]\nkeep_work_days = 0\n").keepWorkDays).toBe(0);
  expect(() => load("[tasks]\nkeep_work_days = -1\n")).toThrow("tasks.keep_work_days");
});

test("mail: the port follows from the security, the password may stand in the environment, and mistakes are named", () => {
  const smtp = "[smtp]\nhost = 'mail.lan'\nfrom = 'Agents <ccw@example.com>'\n";
  expect(load("").notifications).toEqual({ allowedRanges: [], mail: undefined });
  expect(load(`${smtp}user = 'ccw'\n`, { CCW_SMTP_PASSWORD: "p" }).notifications.mail).toEqual({
    ...{ host: "mail.lan", port: 587, security: "starttls", from: "Agents <ccw@example.com>" },
    login: { user: "ccw", password: "p" },
  });
  expect(load(`${smtp}security = 'tls'\n`).notifications.mail).toMatchObject({ port: 465, login: undefined });
  expect(() => load(`${smtp}user = 'ccw'\n`)).toThrow("go together");
  expect(() => load("[smtp]\nhost = 'm'\nfrom = \"a@b\\r\\nBcc: c@d\"\n")).toThrow("must be an address");
  const { allowedRanges } = load("[notifications]\nallowed_ranges = ['10.1.0.0/16']\n").notifications;
  expect(allowedRanges).toHaveLength(1);
});

test("the Responses API has an endpoint of its own, whose address may end as its users write it", () => {
  expect(load("").responsesModel).toBeUndefined();
  expect(load("", { CCW_OPENAI_API_KEY: "k" }).responsesModel).toEqual({
    kind: "endpoint",
    baseUrl: "https://api.openai.com",
    credential: { header: "authorization", value: "Bearer k" },
  });
  const toml =
    "[model]\napi_key = 'a'\n[model.openai]\nbase_url = 'http://models.example/v1/'\napi_key = 'b'\n";
  expect(load(toml).responsesModel).toMatchObject({
    baseUrl: "http://models.example",
    credential: { value: "Bearer b" },
  });
  expect(load(toml).model?.endpoint.credential.value).toBe("a");
});

test("an agent is set up by its name; all that is wrong with others is told at once, each where it is", () => {
  const [agent] = load("[agents.mine]\ncommand = ['mine', 'acp']\nvariables.KEY = '{model_token}'\n").agents;
  expect(agent).toMatchObject({ name: "mine", acp: { title: "mine", variables: { KEY: "{model_token}" } } });
  expect(() => load("[agents.codex]\ncommand = ['x']\n")).toThrow("agents.codex: this agent is built in");
  expect(() => load("[agents.mine]\ncommand = ['x']\nvariables.KEY = '{key}'\n")).toThrow(
    "agents.mine.variables.KEY: {key} is no placeholder",
  );
  expect(load("").agents).toEqual([]);
  const all = `[http]
prot = 1
[agents.codex]
comand = ['x']
api = 'chat'
variables.KEY = '{key}'
variables.PATH = '{path}'
[agents.Mine]
command = 'mine'
conversation = ['../x']
`;
  let told = "";
  try {
    load(all);
  } catch (thrown) {
    told = messageOf(thrown);
  }
  for (const words of [
    'http: Unrecognized key: "prot"',
    "agents.codex: this agent is built in",
    "agents.codex.command: must be a list of texts",
    'agents.codex.api: must be "messages" or "responses"',
    'agents.codex: Unrecognized key: "comand"',
    "agents.codex.variables.KEY: {key} is no placeholder",
    "agents.codex.variables.PATH: is the appliance's own variable",
    "agents.codex.variables.PATH: {path} is no placeholder",
    "agents.Mine: an agent's name has small letters",
    "agents.Mine.command: must be a list of texts",
    "agents.Mine.conversation.0: must be a path below the home folder",
  ])
    expect(told).toContain(words);
});
