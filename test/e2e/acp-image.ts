import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { recipeNamed, referenceOf } from "../../src/sandbox/recipe.ts";
import type { EngineUnderTest } from "./appliance.ts";

/** An npm package with an agent of the Agent Client Protocol, and what of it is run. */
export interface AcpPackage {
  name: string;
  version: string;
  bin: { as: string; path: string };
}

export const claudeAcp: AcpPackage = {
  name: "@agentclientprotocol/claude-agent-acp",
  version: "0.100.0",
  bin: { as: "claude-agent-acp", path: "@agentclientprotocol/claude-agent-acp/dist/index.js" },
};

export const opencode: AcpPackage = {
  name: `opencode-linux-${process.arch}`,
  version: "1.18.33",
  bin: { as: "opencode", path: `opencode-linux-${process.arch}/bin/opencode` },
};

const folderName = ({ bin, version }: AcpPackage) => `acp-${bin.as}-${version}`;
const cache = join(homedir(), ".cache/ccw-server");

/**
 * `slim` with the agents. README.md tells operators to have npm put them there; here they are fetched once for all engines,
 * and one layer is copied, with no command run in it.
 */
export async function buildAcpImage(
  { docker }: EngineUnderTest,
  agents: readonly AcpPackage[],
): Promise<string> {
  const slim = recipeNamed("slim");
  if (slim === undefined) throw new Error("there is no recipe named slim");
  const base = referenceOf(slim);
  const content = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([agents, base, layout, moved]))
    .digest("hex")
    .slice(0, 12);
  const reference = `localhost/ccw-test/acp:${content}`;
  const isThere = await docker
    .getImage(reference)
    .inspect()
    .then(() => true)
    .catch(() => false);
  if (isThere) return reference;
  const beside = mkdtempSync(join(tmpdir(), "ccw-acp-image-"));
  try {
    writeFileSync(join(beside, "Containerfile"), layout);
    mkdirSync(join(beside, "root/usr/local/bin"), { recursive: true });
    for (const agent of agents) {
      await fetchAcpPackage(agent);
      const { as, path } = agent.bin;
      symlinkSync(`/opt/${folderName(agent)}/node_modules/${path}`, join(beside, "root/usr/local/bin", as));
    }
    const fetched = ["-C", cache, ...agents.map((agent) => `${folderName(agent)}/node_modules`)];
    const tar = Bun.spawn(
      ["tar", "-c", "--transform", moved, "-C", beside, "Containerfile", "root", ...fetched],
      {
        stdout: "pipe",
      },
    );
    const answer = await docker.buildImage(Readable.from(tar.stdout), {
      ...{ t: reference, dockerfile: "Containerfile", networkmode: "host", buildargs: { BASE: base } },
    });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(answer, (error) => (error === null ? resolve() : reject(error)));
    });
  } finally {
    rmSync(beside, { recursive: true });
  }
  return reference;
}

/** The packages' place; what symbolic links name stays. */
const moved = "s,^acp-,root/opt/acp-,S";
const layout = ["ARG BASE", "FROM $" + "{BASE}", "COPY root /", ""].join("\n");

/** A folder with it in `node_modules`. Whoever fetches it at the same time gets the same. */
export async function fetchAcpPackage(agent: AcpPackage): Promise<string> {
  const folder = join(cache, folderName(agent));
  if (existsSync(join(folder, "done"))) return folder;
  const { name, version, bin } = agent;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, "fetching-"));
  writeFileSync(join(fresh, "package.json"), JSON.stringify({ dependencies: { [name]: version } }));
  // What is optional is the CLI that it drives, which is there already.
  const child = Bun.spawn([process.execPath, "install", "--omit=optional"], {
    cwd: fresh,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if ((await child.exited) !== 0) throw new Error(`${name} could not be installed from npm`);
  chmodSync(join(fresh, "node_modules", bin.path), 0o755);
  writeFileSync(join(fresh, "done"), "");
  try {
    renameSync(fresh, folder);
  } catch (thrown) {
    rmSync(fresh, { recursive: true });
    if (!existsSync(join(folder, "done"))) throw thrown;
  }
  return folder;
}
