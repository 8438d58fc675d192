import { afterAll, beforeAll, expect, test } from "bun:test";
import { lookup } from "node:dns/promises";
import { existsSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { readAuthorities } from "../../src/gateway/egress/authorities.ts";
import { openUpstreamTrust } from "../../src/gateway/egress/upstream-tls.ts";
import {
  type Appliance,
  bodiesOf,
  enginesUnderTest,
  freshFolder,
  startAppliance,
  submit,
  taskOf,
  until,
} from "./appliance.ts";

/**
 * The tools that fetch things, each for real against its real registry, in a sandbox of the compiled executable: what
 * they need to know of proxy and authorities, the sandbox has told them. What this machine cannot reach is skipped.
 *
 * One set-up script runs them all, since most have to be installed first, which is a test of apt in itself. On the
 * default list npm, PyPI and Go's proxy are inspected and the others pass unread, so both kinds of TLS occur.
 */

/** Debian keeps its own list here; elsewhere the runtime's list and the machine's are enough. */
const systemBundle = "/etc/ssl/certs/ca-certificates.crt";
const caFile = existsSync(systemBundle) ? systemBundle : undefined;
const trust = openUpstreamTrust(readAuthorities(caFile));

const hosts = [
  "deb.debian.org",
  "security.debian.org",
  "registry.npmjs.org",
  "pypi.org",
  "files.pythonhosted.org",
  "index.crates.io",
  "static.crates.io",
  "proxy.golang.org",
  "sum.golang.org",
  "repo.maven.apache.org",
  "repo1.maven.org",
  "github.com",
] as const;
type HostName = (typeof hosts)[number];

/** Where each host that answers is; on a machine with a mirror this may be a private address. */
const addresses = new Map<HostName, string>();
await Promise.all(
  hosts.map(async (host) => {
    try {
      const { address } = await lookup(host, { family: 4 });
      await (host.endsWith(".debian.org") ? answersHttp(address) : answersTls(address, host));
      addresses.set(host, address);
    } catch {
      // not in reach: its tests are skipped
    }
  }),
);

async function answersTls(address: string, host: string): Promise<void> {
  (await trust.connect({ over: { address, port: 443 }, host, withinMs: 5000 })).destroy();
}

function answersHttp(address: string): Promise<void> {
  const socket = connect({ host: address, port: 80, timeout: 5000 });
  return new Promise<void>((resolve, reject) => {
    socket.on("connect", resolve);
    socket.on("timeout", () => reject(new Error("no answer")));
    socket.on("error", reject);
  }).finally(() => socket.destroy());
}

const misses = (...needed: HostName[]): string[] => needed.filter((host) => !addresses.has(host));
const debian = ["deb.debian.org", "security.debian.org"] as const;

/** Shell commands of one tool, and what its output shows where it has worked. */
interface Tool {
  name: string;
  needs: readonly HostName[];
  commands: string;
  shows: RegExp;
}

const javaProgram = `import java.net.*; import java.net.http.*;
public class Fetch { public static void main(String[] a) throws Exception {
  var uri = new URI("https://repo1.maven.org/maven2/junit/junit/4.13.2/junit-4.13.2.pom");
  System.out.println("URLConnection " + ((HttpURLConnection) uri.toURL().openConnection()).getResponseCode());
  var request = HttpRequest.newBuilder(uri).build();
  System.out.println("HttpClient " + HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode());
} }`;

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>a</groupId><artifactId>b</artifactId><version>1</version><dependencies><dependency>
<groupId>org.hamcrest</groupId><artifactId>hamcrest</artifactId><version>2.2</version>
</dependency></dependencies></project>`;

const tools: readonly Tool[] = [
  {
    name: "curl and wget",
    needs: ["registry.npmjs.org"],
    commands: `curl -fsS https://registry.npmjs.org/is-odd/3.0.1 | jq -r .name
      wget -qO- https://registry.npmjs.org/is-number/6.0.0 | jq -r .name`,
    shows: /^is-odd\nis-number$/m,
  },
  {
    name: "a program without any variable but the proxy's, by the system's own list",
    needs: ["pypi.org"],
    commands: `env -i PATH="$PATH" https_proxy="$https_proxy" curl -fsS -o /dev/null -w 'curl %{http_code}\\n' https://pypi.org/simple/six/
      env -i PATH="$PATH" https_proxy="$https_proxy" python3 -c 'import urllib.request as u; print("python", u.urlopen("https://pypi.org/simple/six/").status)'`,
    shows: /^curl 200\npython 200$/m,
  },
  {
    name: "npm",
    needs: ["registry.npmjs.org"],
    commands: `npm init -y > /dev/null; npm install is-odd@3.0.1; node -p 'require("is-odd")(3)'`,
    shows: /^true$/m,
  },
  {
    name: "Node's fetch and https",
    needs: ["registry.npmjs.org"],
    commands: `node -e 'fetch("https://registry.npmjs.org/is-odd").then((r) => console.log("fetch", r.status))'
      node -e 'require("https").get("https://registry.npmjs.org/is-odd", (r) => { console.log("https", r.statusCode); r.resume(); })'`,
    shows: /^fetch 200\nhttps 200$/m,
  },
  {
    name: "pip, and requests by way of it",
    needs: ["pypi.org", "files.pythonhosted.org"],
    commands: `pip install -q --no-cache-dir requests
      python3 -c 'import requests; print("requests", requests.get("https://pypi.org/simple/six/").status_code)'`,
    shows: /^requests 200$/m,
  },
  {
    name: "Python's urllib",
    needs: ["pypi.org"],
    commands: `python3 -c 'import urllib.request as u; print("urllib", u.urlopen("https://pypi.org/simple/six/").status)'`,
    shows: /^urllib 200$/m,
  },
  {
    // No host of git repositories may be in reach: that one says "not found" shows proxy and TLS at work.
    name: "git over HTTPS, as far as the server's word that there is no such repository",
    needs: ["pypi.org"],
    commands: "git ls-remote https://pypi.org/none.git || true",
    shows: /repository 'https:\/\/pypi\.org\/none\.git\/' not found/,
  },
  {
    name: "git over HTTPS, a clone",
    needs: ["github.com"],
    commands: "git clone -q --depth 1 https://github.com/octocat/Hello-World hello; ls hello",
    shows: /^README$/m,
  },
  {
    name: "apt-get",
    needs: debian,
    // The image has no folder for manual pages, which a JDK's packages link into.
    commands: `apt-get update -qq
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cargo golang-go maven default-jdk-headless > apt.log 2>&1 || tail -n 20 apt.log
      dpkg-query -W -f '\${Package} \${Status}\\n' cargo golang-go maven default-jdk-headless`,
    shows: /^(\S+ install ok installed\n?){4}/m,
  },
  {
    // An inspected host wants the appliance's authority believed, one that passes unread a hello without ECH.
    name: "Chromium, to a host that is inspected and to one that passes unread",
    needs: [...debian, "pypi.org", "index.crates.io"],
    commands: `DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > apt.log 2>&1 || tail -n 20 apt.log
      open() { timeout 300 chromium --headless --no-sandbox --dump-dom "$1" 2> /dev/null; }
      open https://pypi.org/simple/six/ | grep -o -m 1 'Links for six'
      open https://index.crates.io/config.json | grep -o -m 1 '"dl":'`,
    shows: /^Links for six\n"dl":$/m,
  },
  {
    name: "cargo",
    needs: [...debian, "index.crates.io", "static.crates.io"],
    commands: `cargo init -q --name fetch .; cargo add -q itoa
      echo 'fn main() { println!("itoa {}", itoa::Buffer::new().format(42)); }' > src/main.rs; cargo run -q`,
    shows: /^itoa 42$/m,
  },
  {
    name: "go",
    needs: [...debian, "proxy.golang.org"],
    // Where the database of checksums is out of reach, go is told to do without; it is never asked to go elsewhere.
    commands: `export GOPROXY=https://proxy.golang.org GOTOOLCHAIN=local${misses("sum.golang.org").length > 0 ? " GONOSUMDB='*'" : ""}
      go mod init example.org/fetch; go get rsc.io/quote@v1.5.2
      printf 'package main\\nimport "rsc.io/quote"\\nfunc main() { println(quote.Go()) }\\n' > main.go; go run .`,
    shows: /Don't communicate by sharing memory/,
  },
  {
    name: "mvn",
    needs: [...debian, "repo.maven.apache.org"],
    commands: `echo '${pom}' > pom.xml; mvn -q -B dependency:copy-dependencies; ls target/dependency`,
    shows: /^hamcrest-2\.2\.jar$/m,
  },
  {
    name: "Java's URLConnection and HttpClient",
    needs: [...debian, "repo1.maven.org"],
    commands: `echo '${javaProgram}' > Fetch.java; java Fetch.java`,
    shows: /^URLConnection 200\nHttpClient 200$/m,
  },
];

/** Runs each tool in a folder of its own; what one of them does wrong is no matter to the others. */
const setupScript = tools
  .flatMap(({ needs, commands }, index) =>
    misses(...needs).length > 0
      ? []
      : [`echo "== ${index}"\n( cd "$(mktemp -d)"; ${commands}\n) 2>&1 | tail -n 40`],
  )
  .join("\n");

const dataFolder = freshFolder();
const engine = enginesUnderTest().find(({ name }) => name === "podman");
if (engine === undefined) throw new Error("there is no Podman under test");
let appliance: Appliance | undefined;
let output = "";

beforeAll(async () => {
  // Every address that answers is listed: a public one needs no leave, a mirror's private one does.
  const ranges = [...new Set(addresses.values())].map((address) => `${address}/32`);
  await Bun.write(
    join(dataFolder, "ccw.toml"),
    `[egress]\nallowed_ranges = ${JSON.stringify(ranges)}\n${caFile === undefined ? "" : `ca_file = ${JSON.stringify(caFile)}\n`}`,
  );
  appliance = await startAppliance({ engine, dataFolder });
  await appliance.client.read(
    appliance.client.api.environments.$post({
      json: {
        name: "toolchains",
        access: "limited",
        setupScript,
      },
    }),
  );
  const task = await submit(appliance, { prompt: "demo: fix-test", environment: "toolchains" });
  const running = appliance;
  const ended = ["completed", "failed"];
  await until("the set-up is done", async () => ended.includes((await taskOf(running, task.id)).state), 840);
  const said = await bodiesOf(appliance, task.id, "step_output");
  output = said
    .filter(({ step }) => step === "setup")
    .map(({ text }) => text)
    .join("\n")
    .replace(/\n+/g, "\n");
}, 15 * 60_000);

afterAll(async () => {
  await appliance?.stop();
  rmSync(dataFolder, { recursive: true, force: true });
});

for (const [index, { name, needs, shows }] of tools.entries()) {
  const missing = misses(...needs);
  const title = missing.length === 0 ? name : `${name} (not in reach: ${missing.join(", ")})`;
  test.skipIf(missing.length > 0)(`works with no configuration: ${title}`, () => {
    const section = output.split(/^== /m).find((part) => part.startsWith(`${index}\n`));
    expect(section).toMatch(shows);
  });
}
