import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { enginesUnderTest, until } from "./appliance.ts";
import {
  decide as decideRequest,
  edit as editEnvironment,
  requestFor as findRequest,
  statusOf,
} from "./egress-acts.ts";
import { curl, openWorld, originAddress, type Sandbox, sandboxOf, type World } from "./egress-world.ts";

/** What a sandbox reaches, and how it is told of what it does not: the executable, real containers, real tools. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ engine });
  });
  afterEach(() => world.endTasks());
  afterAll(() => world?.close());

  const status = statusOf;
  const requestFor = (box: Sandbox, host: string, port?: number) => findRequest(world, box, host, port);
  const decide = (request: { id: number }, ...argv: string[]) => decideRequest(world, request, ...argv);
  const edit = (box: Sandbox, ...argv: string[]) => editEnvironment(world, box, ...argv);

  describe("access levels", () => {
    test("custom: what is listed, by name, port and method; the rest is refused in words and headers", async () => {
      const allow = ["open.test", "*.wild.test", "api.test methods=GET path=/v1"];
      const box = await world.sandbox({ access: "custom", egress: { allow } });
      expect(await status(box, "http://open.test/")).toBe("200");
      expect(await status(box, "https://open.test/")).toBe("200");
      expect(await status(box, "https://a.wild.test/")).toBe("200");
      expect(await status(box, "https://wild.test/")).toBe("403");
      expect(await status(box, "https://api.test/v1/x")).toBe("200");
      expect(await status(box, "https://api.test/v2")).toBe("403 path-not-allowed");
      expect(await status(box, "https://api.test/v1/x", "-X", "DELETE")).toBe("403 method-not-allowed");
      expect(await status(box, "https://open.test:8443/")).toBe("403");
      expect(await status(box, "https://pypi.org/simple/")).toBe("403");

      const refused = await box.sh(`${curl} -i http://other.test/path`);
      expect(refused.out).toContain("HTTP/1.1 403 Forbidden");
      expect(refused.out).toContain("X-Deny-Reason: host-not-allowed");
      expect(refused.out).toContain("X-Deny-Host: other.test:80");
      expect(refused.out).toContain("X-Access-Request: asked");
      expect(refused.out).toContain(
        "ccw-server refused other.test:80: other.test is not on this environment's list.",
      );
      expect(refused.out).toContain("A person was asked to allow it.");
    });

    test("limited: the default list, read only where anybody can publish", async () => {
      const box = await world.sandbox({ access: "limited" });
      expect(await status(box, "https://files.pythonhosted.org/")).toBe("200");
      expect(await status(box, "https://pypi.org/simple/")).toBe("200");
      expect(await status(box, "https://pypi.org/legacy/", "-d", "x=1")).toBe("403 read-only");
      expect(await status(box, "https://open.test/")).toBe("403");
    });

    test("full: any name that leads to the internet, and no address", async () => {
      const box = await world.sandbox({ access: "full" });
      expect(await status(box, "https://third.test/")).toBe("200");
      expect(await status(box, "https://third.test/", "-d", "x=1")).toBe("200");
      expect(await status(box, "https://pypi.org/legacy/", "-d", "x=1")).toBe("403 read-only");
      expect(await status(box, `http://${originAddress}/`)).toBe("403 host-not-allowed");
      for (const name of ["inside.test", "meta.test", "self.test"])
        expect(await status(box, `http://${name}/`)).toBe("403 address-not-allowed");
    });

    test("none: nothing at all, and nobody is asked", async () => {
      const box = await world.sandbox({ access: "none", egress: { allow: ["open.test"] } });
      const answer = await box.sh(`${curl} -i http://open.test/`);
      expect(answer.out).toContain("X-Deny-Reason: no-egress");
      expect(answer.out).not.toContain("X-Access-Request: asked");
      expect(await status(box, "https://files.pythonhosted.org/")).toBe("403");
      expect((await box.sh("curl -sS -m 5 --noproxy '*' https://open.test/")).code).not.toBe(0);
      expect(await world.json("egress", "requests", "--all", "--task", box.taskId)).toEqual([]);
    });
  });

  describe("a refused host", () => {
    test("becomes a request; granted for the task it passes", async () => {
      const box = await world.sandbox({ access: "custom" });
      await box.start(
        "while :; do curl -s -m 5 -o /dev/null https://open.test/ && touch through && break; sleep 0.1; done",
      );
      const request = await requestFor(box, "open.test");
      expect(request).toMatchObject({ state: "pending", reason: "host-not-allowed" });
      expect((await world.ccw("egress", "requests")).out).toContain("open.test:443");
      await decide(request, "allow", "--task");
      await until("it passes", async () => (await box.sh("ls through")).code === 0);
      expect(await status(box, "https://other.test/")).toBe("403");
      expect(await box.transcript()).toContain("access_granted");
    });

    test("granted once, it passes once", async () => {
      const box = await world.sandbox({ access: "custom" });
      expect(await status(box, "https://open.test/")).toBe("403");
      await decide(await requestFor(box, "open.test"), "allow", "--once");
      expect(await status(box, "https://open.test/")).toBe("200");
      expect(await status(box, "https://open.test/")).toBe("403");
      expect(await status(box, "http://third.test/")).toBe("403 host-not-allowed");
      await decide(await requestFor(box, "third.test", 80), "allow", "--once");
      expect(await status(box, "http://third.test/")).toBe("200");
      expect(await status(box, "http://third.test/")).toBe("403 host-not-allowed");
    });

    test("granted for the environment, it passes for the next task, too", async () => {
      const box = await world.sandbox({ access: "custom" });
      expect(await status(box, "https://open.test/")).toBe("403");
      await decide(await requestFor(box, "open.test"), "allow", "--env");
      expect(await status(box, "https://open.test/")).toBe("200");
      const [environment] = (
        await world.json<{ name: string; egress: { allow: string[] } }[]>("env", "list")
      ).filter(({ name }) => name === box.environment);
      expect(environment?.egress.allow).toEqual(["open.test"]);
      const next = await sandboxOf(world, box.environment);
      expect(await status(next, "https://open.test/")).toBe("200");
    });

    test("denied, the refusal says so to the agent", async () => {
      const box = await world.sandbox({ access: "custom" });
      expect(await status(box, "http://open.test/")).toBe("403 host-not-allowed");
      await decide(await requestFor(box, "open.test", 80), "deny");
      const { out } = await box.sh(`${curl} -i http://open.test/`);
      expect(out).toContain("X-Access-Request: denied");
      expect(out).toContain("Do not try again");
      expect(await world.json("egress", "requests", "--task", box.taskId)).toEqual([]);
    });

    test("taken back: a download through a tunnel is cut, and so is a plain and an inspected one", async () => {
      const allow = ["open.test", "api.test inspect", "other.test"];
      const box = await world.sandbox({ access: "custom", egress: { allow } });
      const targets = ["https://open.test/drip", "https://api.test/drip", "http://other.test/drip"];
      for (const [index, url] of targets.entries())
        await box.start(`curl -sS -N ${url} > got-${index} 2>&1; touch ended-${index}`);
      for (const index of targets.keys())
        await until("it runs", async () => Number((await box.sh(`grep -c drop got-${index}`)).out) > 3);
      const removals = allow.flatMap((rule) => ["--remove-allow", rule]);
      await edit(box, ...removals);
      for (const index of targets.keys())
        await until("it is cut", async () => (await box.sh(`ls ended-${index}`)).code === 0);
      const rows = await until("the ledger has it", async () => {
        const cut = await world.json<LedgerRow[]>("egress", "list", "--task", box.taskId, "--verdict", "cut");
        return cut.length >= 3 && cut;
      });
      expect(new Set(rows.map(({ reason }) => reason))).toEqual(new Set(["policy-changed"]));
    });
  });

  test("an inspected host: its authority is trusted as things are; what is written needs a rule that says so", async () => {
    const box = await world.sandbox({ access: "custom", egress: { allow: ["api.test inspect"] } });
    const tools = [
      "curl -fsS https://api.test/curl",
      "wget -qO- https://api.test/wget",
      `python3 -c 'import urllib.request as u; print(u.urlopen("https://api.test/python").read().decode())'`,
      `node -e 'fetch("https://api.test/node").then((r) => r.text()).then(console.log)'`,
      `node -e 'require("https").get("https://api.test/https", (r) => r.pipe(process.stdout))'`,
    ];
    for (const tool of tools) expect((await box.sh(tool)).out).toContain("hello from api.test");
    const issuer = await box.sh("curl -sSv https://api.test/ 2>&1 | grep issuer");
    expect(issuer.out).toContain("ccw-server");

    const post = ["https://api.test/items", "-d", "text=written"];
    expect(await status(box, ...post)).toBe("403 read-only");
    const { out } = await box.sh(`${curl} ${post.join(" ")}`);
    expect(out).toContain("api.test may only be read from");
    await edit(box, "--remove-allow", "'api.test inspect'".slice(1, -1), "--allow", "api.test inspect write");
    expect(await status(box, ...post)).toBe("200");
    expect(world.seen.at(-1)).toMatchObject({ host: "api.test", method: "POST", body: "text=written" });
  });

  test("credentials: the sandbox's own is refused, the environment's reaches the origin and nothing else", async () => {
    const key = "kq7-Zw4tB9xLm2Rv8";
    const box = await world.sandbox({
      access: "custom",
      secrets: { API_KEY: key },
      egress: {
        allow: ["api.test inspect"],
        credentials: [{ host: "api.test", header: "X-Service-Key", template: `Key \${API_KEY}` }],
      },
    });
    expect(await status(box, "https://api.test/", "-H", "'Authorization: Bearer of-my-own'")).toBe(
      "403 foreign-credential",
    );
    const echoed = await box.sh("curl -sS -i --compressed https://api.test/echo");
    expect(world.seen.at(-1)?.headers["x-service-key"]).toBe(`Key ${key}`);
    expect(echoed.out).toContain("x-service-key");
    expect(echoed.out).toContain("*****");
    // One that the sandbox makes up is replaced; plain HTTP and other hosts get none.
    await box.sh("curl -sS -H 'X-Service-Key: mine' https://api.test/");
    expect(world.seen.at(-1)?.headers["x-service-key"]).toBe(`Key ${key}`);
    await box.sh("curl -sS http://api.test/plain");
    expect(world.seen.at(-1)).toMatchObject({ path: "/plain" });
    expect(world.seen.at(-1)?.headers["x-service-key"]).toBeUndefined();

    expect(echoed.out).not.toContain(key);
    // As a pattern that does not match itself in the command line of what searches.
    const pattern = `[${key[0]}]${key.slice(1)}`;
    const places = "/tmp /root /etc /run /var /home /opt /mnt";
    const hunt = `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -ac ${pattern}; grep -rsal ${pattern} ${places}`;
    expect((await box.sh(hunt)).out).toBe("0\n");
    await expectNowhere(world, box, key);
  });

  test("an attacker inside finds no other way", async () => {
    const box = await world.sandbox({ access: "full" });
    const port = new URL(world.appliance.url).port;
    expect((await box.sh("ls /sys/class/net")).out.trim()).toBe("lo");
    // Names are not looked up inside, by no means.
    expect((await box.sh("getent hosts open.test")).code).not.toBe(0);
    const datagram = `python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("192.0.2.53", 53))'`;
    expect((await box.sh(datagram)).out).toContain("Network is unreachable");
    const raw = `python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'`;
    expect((await box.sh(raw)).out).toContain("PermissionError");
    expect((await box.sh(`curl -sS -m 5 --noproxy '*' http://${originAddress}/`)).code).not.toBe(0);
    // The door is the one socket there is, and nobody else's lies beside it.
    const sockets = await box.sh("find / -xdev -type s 2>/dev/null; find /run -type s 2>/dev/null");
    expect(new Set(sockets.out.trim().split("\n")).size).toBeLessThanOrEqual(1);
    expect((await box.sh("ls /run/ccw/..; ls /run/ccw")).out).not.toContain("sbx_");
    for (const url of [
      `http://127.0.0.1:${port}/api/health`,
      `http://localhost:${port}/`,
      `http://[::1]:${port}/`,
      `http://0.0.0.0:${port}/`,
      `http://2130706433:${port}/`,
      `http://self.test:${port}/`,
      "http://169.254.169.254/latest/meta-data/",
      "http://metadata.google.internal/",
      "http://127.0.0.1:2375/version",
    ])
      expect(await status(box, "--noproxy", "''", `'${url}'`)).toMatch(/^(403|400|502) /);
    for (const target of [
      `127.0.0.1:${port}`,
      "127.0.0.1:2375",
      "localhost:22",
      "127.0.0.1:80",
      "169.254.169.254:443",
    ])
      expect(await status(box, "--noproxy", "''", "-p", `https://${target}/`)).toMatch(/^(403|400|502)/);
    // The engine's socket by name of a Unix socket, and protocols that are none of HTTP's.
    const speak = (text: string) =>
      `python3 -c 'import socket; s = socket.create_connection(("127.0.0.1", 3128)); s.settimeout(60); s.sendall(b"${text}"); print(s.recv(300))'`;
    for (const text of [
      "GET ftp://open.test/ HTTP/1.1\\r\\nHost: open.test\\r\\n\\r\\n",
      "CONNECT unix:/var/run/docker.sock HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n",
      "GET http://open.test/ HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n",
    ])
      expect((await box.sh(speak(text))).out).toContain("HTTP/1.1 400");
    expect(world.seen.filter(({ host }) => host.includes(port))).toEqual([]);
  }, 600_000);
});

/** Neither transcript nor ledger nor log nor the database file holds the value in clear. */
async function expectNowhere(world: World, box: Sandbox, value: string): Promise<void> {
  const ledger = await world.ccw("egress", "list", "--limit", "1000", "--json");
  expect(await box.transcript()).not.toContain(value);
  expect(ledger.out).not.toContain(value);
  expect(world.appliance.output()).not.toContain(value);
  const found = Bun.spawnSync(["grep", "-rlaF", value, world.folder], { stdout: "pipe" });
  expect(found.stdout.toString()).toBe("");
}

interface LedgerRow {
  reason: string;
}
