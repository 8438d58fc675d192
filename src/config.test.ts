import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Flags, loadConfig } from "./config.ts";

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
  expect(() => load("[http\n")).toThrow("is not TOML");
  expect(() => load("", { CCW_PORT: "eighty" })).toThrow('CCW_PORT must be a port number: "eighty"');
  expect(() => load("", {}, { port: "70000" })).toThrow("--port");
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
