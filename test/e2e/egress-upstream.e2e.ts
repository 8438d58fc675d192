import { afterEach, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { enginesUnderTest, freshFolder, run, until } from "./appliance.ts";
import { curl, ledgerOf, openWorld, originAddress } from "./egress-world.ts";

/** A corporate proxy in front of everything: the executable, a real sandbox, and squid. */
const [engine] = enginesUnderTest();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("everything goes through squid, judged before squid hears of it; what is wrong with it is named", async () => {
  const squid = await startSquid();
  const proxied = (password: string, port = squid.port) =>
    `upstream_proxy = "http://ada:${password}@${squid.address}:${port}"\n`;
  if (engine === undefined) throw new Error("no engine");
  const world = await openWorld({ engine, toml: proxied("hunter-22-%40") });
  closers.push(() => world.close());
  const allow = ["open.test", "api.test inspect", "inside.test", "self.test"];
  const box = await world.sandbox({ access: "custom", egress: { allow } });
  for (const url of ["http://open.test/", "https://open.test/", "https://api.test/"])
    expect((await box.sh(`${curl} ${url}`)).out).toStartWith("hello from");
  for (const url of ["http://inside.test/", "http://self.test/"])
    expect((await box.sh(`${curl} -i ${url}`)).out).toContain("X-Deny-Reason: address-not-allowed");
  const log = await until("squid has written", () => {
    const text = readFileSync(squid.log, "utf8");
    return text.split("\n").filter((line) => line.includes("CONNECT")).length >= 3 && text;
  });
  expect(log.match(/TCP_TUNNEL\/200 \d+ CONNECT 127\.77\.0\.2:(80|443) ada/g)).toHaveLength(3);
  expect(log).not.toContain("10.9.9.9");
  expect(log).not.toContain("127.0.0.1:");

  // In a network where only the proxy knows the internet's names, it is given the name.
  await world.killAndRestart(`${proxied("hunter-22-%40")}upstream_proxy_resolves = true\n`);
  for (const url of ["http://open.test/", "https://open.test/", "https://api.test/"])
    await until("the new server answers", async () =>
      (await box.sh(`${curl} ${url}`)).out.startsWith("hello from"),
    );
  expect((await box.sh(`${curl} -i http://other.test/`)).out).toContain("X-Deny-Reason: host-not-allowed");
  await until("squid has written", () => readFileSync(squid.log, "utf8").includes("CONNECT api.test:443"));
  expect(readFileSync(squid.log, "utf8")).not.toContain("other.test");

  for (const [toml, words] of [
    [proxied("wrong-99"), "wants other credentials (407)"],
    [proxied("hunter-22-%40", 9), "cannot be reached"],
  ] as const) {
    await world.killAndRestart(toml);
    const answer = await until("the new server answers", async () => {
      const { out } = await box.sh(`${curl} -i http://open.test/`);
      return out.includes("HTTP/1.1") && out;
    });
    expect(answer).toContain("HTTP/1.1 502 Bad Gateway");
    expect(answer).toContain(`the upstream proxy ${squid.address}:`);
    expect(answer).toContain(words);
    const tunnel = await box.sh(`${curl} -v https://open.test/`);
    expect(tunnel.out).toContain("HTTP/1.1 502 Bad Gateway");
    const written = world.appliance.output() + JSON.stringify(await ledgerOf(world, box));
    const encoded = ["wrong-99", "hunter-22-@"].map((word) => Buffer.from(`ada:${word}`).toString("base64"));
    for (const password of ["wrong-99", "hunter-22", ...encoded])
      expect(answer + tunnel.out + written + (await box.transcript())).not.toContain(password);
  }
}, 600_000);

/** Squid with one user, ada, who has to say her password. */
async function startSquid(): Promise<{ address: string; port: number; log: string }> {
  const program = await programOf("squid");
  const address = "127.77.0.3";
  const probe = Bun.listen({ hostname: address, port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop();
  const folder = freshFolder();
  chmodSync(folder, 0o777);
  const hash = await run(["openssl", "passwd", "-apr1", "hunter-22-@"]);
  writeFileSync(join(folder, "users"), `ada:${hash.out.trim()}\n`);
  writeFileSync(join(folder, "hosts"), `${originAddress} open.test api.test\n`);
  const log = join(folder, "access.log");
  const lines = [
    `http_port ${address}:${port}`,
    `hosts_file ${join(folder, "hosts")}`,
    `auth_param basic program /usr/lib/squid/basic_ncsa_auth ${join(folder, "users")}`,
    "acl known proxy_auth REQUIRED",
    "http_access allow known",
    "http_access deny all",
    "cache deny all",
    `access_log stdio:${log} squid`,
    `cache_log ${join(folder, "cache.log")}`,
    `pid_filename ${join(folder, "squid.pid")}`,
    `coredump_dir ${folder}`,
    "shutdown_lifetime 0 seconds",
    "max_filedescriptors 1024",
  ];
  writeFileSync(join(folder, "squid.conf"), `${lines.join("\n")}\n`);
  const child = Bun.spawn([program, "-N", "-f", join(folder, "squid.conf")], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  closers.push(async () => {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  });
  await until("squid listens", async () => {
    if (child.exitCode !== null)
      throw new Error(`squid ended: ${readFileSync(join(folder, "cache.log"), "utf8")}`);
    return fetch(`http://${address}:${port}/`).then(
      () => true,
      () => false,
    );
  });
  return { address, port, log };
}

/** Installed as Debian has it, where it is missing. */
async function programOf(name: string): Promise<string> {
  const found = Bun.which(name);
  if (found !== null) return found;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run(["apt-get", "update", "-qq"], { env });
  const { err } = await run(["apt-get", "install", "-y", "--no-install-recommends", name], { env });
  const installed = Bun.which(name);
  if (installed === null) throw new Error(`${name} cannot be installed: ${err}`);
  return installed;
}
