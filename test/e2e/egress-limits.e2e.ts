import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Authority, openAuthority } from "../../src/gateway/egress/authority.ts";
import { enginesUnderTest, until } from "./appliance.ts";
import { decide, edit, requestFor, statusOf } from "./egress-acts.ts";
import { curl, ledgerOf, openWorld, type Sandbox, sandboxOf, type World } from "./egress-world.ts";

/**
 * Bounds as they are met from inside: limits, switched-off groups, denials, options of a rule, and a database that
 * cannot be written. The executable, real containers, real tools.
 */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))(
  "on %s a sandbox that meets a limit is told which and what to do, and its neighbour notices nothing:",
  (_, engine) => {
    let world: World;
    let box: Sandbox;
    let neighbour: Sandbox;
    beforeAll(async () => {
      world = await openWorld({ engine });
      const limits = { requestsPerMinute: 60, connections: 3, namesPerMinute: 2, requestBytes: 1024 };
      const allow = ["open.test", "*.wild.test"];
      box = await world.sandbox({ access: "custom", egress: { allow, limits } });
      neighbour = await sandboxOf(world, box.environment);
    });
    afterAll(() => world?.close());

    test("new names a minute", async () => {
      expect(await statusOf(box, "http://a.wild.test/")).toBe("200");
      expect(await statusOf(box, "http://b.wild.test/")).toBe("502 name-not-found");
      const { out } = await box.sh(`${curl} -i http://c.wild.test/`);
      expect(out).toContain("HTTP/1.1 429 Too Many Requests");
      expect(out).toContain("X-Deny-Reason: too-many-names");
      expect(out).toMatch(
        /may reach 2 new names a minute that no rule names .*\*\.wild\.test.*Try again in \d+ s\./,
      );
      expect(await statusOf(box, "https://d.wild.test/")).toBe("429");
      // What it has reached goes on, and so does everybody else.
      expect(await statusOf(box, "https://a.wild.test/")).toBe("200");
      expect(await statusOf(neighbour, "https://a.wild.test/")).toBe("200");
      expect(await refusalOf(world, box, "too-many-names")).toMatchObject({
        host: "d.wild.test",
        bytesUp: 0,
      });
    });

    test("a body over the maximum, announced or not", async () => {
      await box.sh(
        "head -c 1024 /dev/zero > fits; head -c 1025 /dev/zero > over; head -c 90000 /dev/zero > big",
      );
      expect(await statusOf(box, "--data-binary @fits http://open.test/fits")).toBe("200");
      const announced = await box.sh(`${curl} -i --data-binary @over http://open.test/over`);
      const streamed = await box.sh(`cat big | ${curl} -i -T - http://open.test/over`);
      for (const { out } of [announced, streamed]) {
        expect(out).toContain("HTTP/1.1 413 Content Too Large");
        expect(out).toContain("X-Deny-Reason: body-too-large");
        expect(out).toMatch(/one request may carry 1(\.0)? ?KiB, and its body has .*: send it in parts/);
      }
      expect(world.seen.find(({ path, body }) => path === "/over" && body.length > 1024)).toBeUndefined();
      expect(await refusalOf(world, box, "body-too-large")).toMatchObject({ host: "open.test", port: 80 });
    });

    test("connections at once", async () => {
      for (const url of ["http://open.test/drip", "https://open.test/drip", "http://open.test/drip"])
        await box.start(`exec curl -sN ${url}`);
      await until("they are", () => world.seen.filter(({ path }) => path === "/drip").length >= 3);
      const refused = await until("all three are open", async () => {
        const { out } = await box.sh(`${curl} -i http://open.test/fourth`);
        return out.includes("HTTP/1.1 429") && out;
      });
      expect(refused).toContain("X-Deny-Reason: too-many-connections");
      expect(refused).toContain(
        "may have 3 connections open at once, and has. Try again when one has ended.",
      );
      expect(await statusOf(box, "https://open.test/")).toBe("429");
      expect(await statusOf(neighbour, "http://open.test/")).toBe("200");
      expect(await refusalOf(world, box, "too-many-connections")).toMatchObject({
        method: "CONNECT",
        port: 443,
      });
      await box.sh("pkill curl");
      await until("there is room again", async () => (await statusOf(box, "http://open.test/")) === "200");
    });

    test("requests a minute", async () => {
      // One a second is allowed again, so that not every one after the sixtieth is refused.
      const { out } = await box.sh(`${curl} -i 'http://open.test/[1-400]'`);
      expect(out).toContain("HTTP/1.1 200");
      expect(out).toContain("X-Deny-Reason: too-many-requests");
      expect(out).toMatch(/may make 60 requests a minute\. Try again in \d+ s\./);
      expect(await statusOf(neighbour, "http://open.test/")).toBe("200");
      expect(await refusalOf(world, box, "too-many-requests")).toMatchObject({
        host: "open.test",
        method: "GET",
      });
      // No limit is a question to a person, who would be asked without end.
      expect(await world.json("egress", "requests", "--all", "--task", box.taskId)).toEqual([]);
      await edit(world, box, "--requests-per-minute", "600");
      expect(await statusOf(box, "http://open.test/")).toBe("200");
    });
  },
);

describe("in force at once", () => {
  let world: World;
  beforeAll(async () => {
    const [engine] = enginesUnderTest().toReversed();
    if (engine === undefined) throw new Error("no engine");
    world = await openWorld({ engine, ranges: ["::1"] });
  });
  let database: Database | undefined;
  afterEach(async () => {
    // Held, it would let no task be ended.
    database?.close();
    await world.endTasks();
  });
  afterAll(() => world?.close());

  test("a group that is switched off and on again is gone and back for a task that runs", async () => {
    const box = await world.sandbox({ access: "limited" });
    expect(await statusOf(box, "https://pypi.org/simple/")).toBe("200");
    await edit(world, box, "--groups-off", "Package Managers - Python");
    const { out } = await box.sh(`${curl} -i http://pypi.org/simple/`);
    expect(out).toContain("X-Deny-Reason: host-not-allowed");
    expect(out).toContain("pypi.org is in the group Package Managers - Python of the default list");
    expect(out).toContain("which is switched off");
    expect(await statusOf(box, "https://files.pythonhosted.org/")).toBe("403");
    // Other groups stay.
    expect(await statusOf(box, "https://registry.npmjs.org/left-pad")).toBe("200");
    await edit(world, box, "--groups-on", "Package Managers - Python");
    expect(await statusOf(box, "https://pypi.org/simple/")).toBe("200");
    expect(await statusOf(box, "https://files.pythonhosted.org/")).toBe("200");
  });

  test("publishing to a host of the default list is refused in words a developer understands; reading passes", async () => {
    const box = await world.sandbox({ access: "limited" });
    expect(await statusOf(box, "https://registry.npmjs.org/left-pad")).toBe("200");
    const files = `mkdir -p p && cd p && echo '{"name":"left-pad","version":"9.9.9"}' > package.json`;
    const token = "npm config set //registry.npmjs.org/:_authToken of-my-own";
    const published = await box.sh(`${files} && ${token} && npm publish --no-provenance`);
    expect(published.code).not.toBe(0);
    expect(published.out).toContain(
      "403 Forbidden (ccw-server: read-only) - PUT https://registry.npmjs.org/left-pad",
    );
    const put = await box.sh(`${curl} -X PUT -d '{}' https://registry.npmjs.org/left-pad`);
    expect(put.out).toContain(
      "registry.npmjs.org may only be read from unless a rule of the environment says write, and PUT writes",
    );
    expect(
      world.seen.filter(({ host, method }) => host === "registry.npmjs.org" && method === "PUT"),
    ).toEqual([]);
    expect(await refusalOf(world, box, "read-only")).toMatchObject({
      host: "registry.npmjs.org",
      method: "PUT",
    });
    expect(await box.transcript()).toContain("registry.npmjs.org:443");
  });

  test("what the operator denies is refused though it was granted, and live tunnels are cut; so is a grant that is taken back", async () => {
    const box = await world.sandbox({ access: "custom", egress: { allow: ["other.test"] } });
    const drip = (name: string, url: string) => box.start(`curl -sN ${url} > ${name}; touch ${name}-ended`);
    const runs = (name: string) =>
      until("it runs", async () => Number((await box.sh(`grep -c drop ${name}`)).out) > 1);
    const ends = (name: string) =>
      until("it is cut", async () => (await box.sh(`ls ${name}-ended`)).code === 0);
    for (const url of ["https://open.test/", "http://open.test/"])
      expect(await statusOf(box, url)).toStartWith("403");
    const grant = await requestFor(world, box, "open.test");
    await decide(world, grant, "allow", "--task");
    await decide(world, await requestFor(world, box, "open.test", 80), "allow", "--env");
    await drip("granted", "https://open.test/drip");
    await drip("plain", "http://open.test/drip");
    await drip("listed", "https://other.test/drip");
    for (const name of ["granted", "plain", "listed"]) await runs(name);

    await edit(world, box, "--deny-host", "open.test");
    for (const name of ["granted", "plain"]) await ends(name);
    expect(await statusOf(box, "http://open.test/")).toBe("403 host-denied");
    expect(await statusOf(box, "https://open.test/")).toBe("403");
    const { out } = await box.sh(`${curl} -i http://open.test/`);
    expect(out).toContain("open.test is forbidden in this environment (deny open.test)");
    // No grant would help, so nobody is asked.
    expect(out).not.toContain("X-Access-Request");
    const rows = await until("the ledger has both", async () => {
      const cut = await ledgerOf(world, box, "--verdict", "cut");
      return cut.length >= 2 && cut;
    });
    expect(rows.map(({ host, reason }) => [host, reason])).toEqual([
      ["open.test", "policy-changed"],
      ["open.test", "policy-changed"],
    ]);
    expect((await box.sh("ls listed-ended")).code).not.toBe(0);

    await edit(world, box, "--remove-deny-host", "open.test", "--remove-allow", "open.test");
    expect(await statusOf(box, "https://open.test/")).toBe("200");
    await drip("again", "https://open.test/drip");
    await runs("again");
    await decide(world, grant, "deny");
    await ends("again");
    expect(await statusOf(box, "https://open.test/")).toBe("403");
    expect(await box.transcript()).toContain("access_denied");
  });

  test("rules for an IPv6 address and for a host of one's own, with port, method, path and inspect", async () => {
    const authority = await openAuthority({ folder: join(world.folder, "authority"), now: Date.now });
    const [plain, secure] = await originsOnIpv6(authority);
    const port = new URL(world.appliance.url).port;
    const allow = [
      `[::1] port=${plain.port} methods=GET path=/v1`,
      `::1 port=${secure.port} inspect methods=GET,POST`,
      `::1 port=${port}`,
      "api.test port=443 inspect methods=GET path=/v1",
    ];
    try {
      const box = await world.sandbox({ access: "custom", egress: { allow } });
      // An address of loopback goes to the sandbox's own, unless it is asked for through the proxy.
      const through = (...argv: string[]) => statusOf(box, "-g", "--noproxy ''", ...argv);
      expect(await through(`http://[::1]:${plain.port}/v1/x`)).toBe("200");
      expect(await through(`http://[0:0:0:0:0:0:0:1]:${plain.port}/v1/x`)).toBe("200");
      expect(await through(`http://[::1]:${plain.port}/v2`)).toBe("403 path-not-allowed");
      expect(await through(`http://[::1]:${plain.port}/v1/../v2 --path-as-is`)).toBe("403 path-not-allowed");
      expect(await through(`-d x=1 http://[::1]:${plain.port}/v1`)).toBe("403 method-not-allowed");
      expect(await through("http://[::1]/v1")).toBe("403 port-not-allowed");
      expect(await through(`http://[::1%25lo]:${plain.port}/v1`)).toStartWith("400");
      expect(await through(`http://[::ffff:127.77.0.2]:${plain.port}/v1`)).toBe("403 host-not-allowed");
      // The appliance's own port is nobody's, whatever a rule and a range say.
      expect(await through(`http://[::1]:${port}/api/health`)).toBe("403 address-not-allowed");

      const tls = `https://[::1]:${secure.port}/items`;
      expect(await through(tls)).toBe("200");
      expect(await through("-d x=1", tls)).toBe("200");
      expect(await through("-X DELETE", tls)).toBe("403 method-not-allowed");
      expect(await through("-H 'Authorization: Bearer of-my-own'", tls)).toBe("403 foreign-credential");
      const issuer = await box.sh(`curl -sSv -g --noproxy '' ${tls} 2>&1 | grep issuer`);
      expect(issuer.out).toContain("ccw-server");
      expect(await through("https://api.test/v1")).toBe("200");
      expect(await through("https://api.test/v2")).toBe("403 path-not-allowed");
      expect(await through("http://api.test/v1")).toBe("403 port-not-allowed");
      const row = (await ledgerOf(world, box)).find(
        ({ path, verdict }) => path === "/items" && verdict === "allowed",
      );
      expect(row).toMatchObject({ host: "::1", address: "::1", port: secure.port });
    } finally {
      await plain.stop(true);
      await secure.stop(true);
    }
  });

  test("a database that somebody else holds stops no traffic; what needs it is refused; the rows are written afterwards", async () => {
    const box = await world.sandbox({
      access: "custom",
      egress: { allow: ["open.test", "api.test inspect"] },
    });
    expect(await statusOf(box, "http://open.test/")).toBe("200");
    database = new Database(join(world.folder, "data/ccw.sqlite"));
    database.run("BEGIN IMMEDIATE");
    const many = `${curl} -o /dev/null -w '%{http_code}\\n' --rate 20/s 'http://open.test/held-[1-30]'`;
    expect((await box.sh(many)).out).toBe("200\n".repeat(30));
    expect(await statusOf(box, "https://open.test/held-tls")).toBe("200");
    // Refused though the refusal cannot be kept; who cannot be asked lets nothing through.
    expect(await statusOf(box, "-d x=1 https://api.test/")).toBe("403 read-only");
    const unasked = await box.sh(`${curl} -i http://other.test/`);
    expect(unasked.out).toContain("X-Deny-Reason: host-not-allowed");
    expect(unasked.out).toContain("X-Access-Request: not-asked");
    const log = world.appliance.output();
    expect(log).toContain("the egress ledger cannot be written; trying again");
    expect(log).toContain("the transcript lacks a refusal");
    expect(log).toContain("an access request cannot be written");
    database.run("ROLLBACK");

    const rows = await until("the ledger catches up", async () => {
      const found = await ledgerOf(world, box);
      return found.some(({ host }) => host === "other.test") && found;
    });
    expect(rows.filter(({ path }) => path.startsWith("/held-"))).toHaveLength(30);
    expect(rows.find(({ reason }) => reason === "read-only")).toMatchObject({ host: "api.test" });
    expect(await world.json<{ lost: number }>("egress", "stats")).toMatchObject({ lost: 0 });
    // And now somebody is asked.
    expect((await box.sh(`${curl} -i http://other.test/`)).out).toContain("X-Access-Request: asked");
  });
});

/** The newest row of a refusal for this reason. */
const refusalOf = (world: World, box: Sandbox, reason: string) =>
  until(`a row for ${reason}`, async () =>
    (await ledgerOf(world, box, "--verdict", "refused")).find((row) => row.reason === reason),
  );

/** In the clear, and with a certificate of the authority that the appliance was told of. */
async function originsOnIpv6(authority: Authority) {
  const answer = { hostname: "::1", port: 0, fetch: () => new Response("hello\n") };
  const leaf = await authority.leafFor("::1");
  return [Bun.serve(answer), Bun.serve({ ...answer, tls: leaf })] as const;
}
