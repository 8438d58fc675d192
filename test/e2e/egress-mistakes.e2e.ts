import { afterEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { enginesUnderTest, executable, freshFolder, run, startAppliance } from "./appliance.ts";

/** Rules and settings that cannot be right: what happened, what to write instead, and an exit code. */
const [engine] = enginesUnderTest();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function newFolder(): string {
  const folder = freshFolder();
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const rules: [string, string][] = [
  ["https://open.test/", "write open.test"],
  ["https://me:pass@open.test/", "write open.test"],
  ["*.com", "anybody can register a name below com"],
  ["open.test other.test", "other.test is no option. There are"],
  ["h\u00e9llo.test", "write xn--hllo-bpa.test"],
  ["open.test:8443", "write open.test port=8443"],
  ["open.test port=0", "each from 1 to 65535"],
  ["open.test methods=get", "write GET"],
  ["open.test methds=GET", "did you mean methods=?"],
  ["open.test path=x", "write path=/x"],
  ["open.test path=/a*", "a path holds no *"],
  ["open.test raw path=/a", "leave one of them out"],
  ["10.0.0.0/8", "an operator opens ranges of addresses in ccw.toml"],
  ["127.1", "write 127.0.0.1"],
];
test("what cannot be right in a rule, credential or secret is refused on the command line, with the correction", async () => {
  const server = await startAppliance({ engine: engine?.socket ?? "", dataFolder: newFolder() });
  closers.push(() => server.stop());
  const ccw = (...argv: string[]) => run([executable, ...argv, "--data", server.dataFolder]);
  const edit = (...argv: string[]) => ccw("env", "edit", "default", ...argv);
  for (const [rule, words] of rules) expectWords(await edit("--allow", rule), words);
  const one = `X-Key: \${KEY}`;
  expectWords(await edit("--deny-host", "https://x.test"), "write x.test");
  expectWords(await edit("--groups-off", "gists"), "there is no such group", "Version Control");
  expectWords(await edit("--credential", `api.test ${one}`), "which this environment does not have");
  expectWords(await edit("--secret", "KEY=abcdefghijk", "--credential", `github.com ${one}`), "is refused");
  expectWords(await edit("--secret", "KEY=abcdefghijk", "--credential", `*.test ${one}`), "one exact host");
  expectWords(await edit("--secret", "KEY=short"), "at least 8 characters");
  const nameless = await edit("--secret", "verysecretvalue");
  expectWords(nameless, "without a name");
  expect(nameless.err).not.toContain("verysecretvalue");
  expectWords(await edit("--upload-budget", "lots"), "is not a size");
  expectWords(await ccw("egress", "list", "--since", "5y"), "is not a time");
  expect(await ccw("egress", "allow", "77")).toMatchObject({ code: 3 });
  expect(await edit("--remove-allow", "x.test")).toMatchObject({ code: 3 });
});

const settings: [string, string][] = [
  [`allowed_ranges = ["10.1.2.3/8"]`, "write 10.0.0.0/8"],
  [`allowed_ranges = ["0.0.0.0/0"]`, "so wide"],
  [`allowed_ranges = ["intranet"]`, "write a range of addresses"],
  [`upstream_proxy = "proxy.test:3128"`, "must be the http address of a proxy"],
  [`upstream_proxy = "socks5://ada:hunter22@proxy.test:1080"`, "must be the http address of a proxy"],
  [`upstream_proxy = "http://ada:hunter22%zz@proxy.test:3128"`, "is written %25"],
  [`ca_file = "/nowhere.pem"`, "/nowhere.pem cannot be read"],
  [`ca_file = "/etc/hostname"`, "holds no certificate in PEM"],
  [`allow_ranges = []`, "allow_ranges"],
];
test("what cannot be right in the settings ends the start, with the setting and the correction", async () => {
  const folder = newFolder();
  for (const [line, words] of settings) {
    writeFileSync(join(folder, "ccw.toml"), `[egress]\n${line}\n`);
    const started = await run(["timeout", "240", executable, "start", "--data", folder, "--port", "0"], {
      env: { CCW_ENGINE_SOCKET: engine?.socket ?? "" },
    });
    expectWords(started, words);
    expect(started.err).not.toContain("hunter22");
  }
});

function expectWords({ code, err }: { code: number; err: string }, ...words: string[]): void {
  expect(err).toStartWith("error: ");
  for (const word of words) expect(err).toContain(word);
  expect(err).not.toMatch(/\n\s+at |node_modules|\$bunfs|internal error/);
  expect(code).toBe(2);
}
