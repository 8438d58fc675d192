import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { recipeNamed, referenceOf } from "../../src/sandbox/recipe.ts";
import type { EngineUnderTest } from "./appliance.ts";

/** An npm package with an agent of the Agent Client Protocol, and what of it is run. */
export interface AcpPackage {
  name: string;
  version: string;
  /** Left out of it. */
  omitOptional: boolean;
  bin: { as: string; path: string };
}

export const claudeAcp: AcpPackage = {
  name: "@agentclientprotocol/claude-agent-acp",
  version: "0.100.0",
  // The image has the CLI that it drives.
  omitOptional: true,
  bin: { as: "claude-agent-acp", path: "@agentclientprotocol/claude-agent-acp/dist/index.js" },
};

export const opencode: AcpPackage = {
  name: `opencode-linux-${process.arch}`,
  version: "1.18.33",
  omitOptional: true,
  bin: { as: "opencode", path: `opencode-linux-${process.arch}/bin/opencode` },
};

/** `slim` with the agent, as README.md tells operators to make one; packages are fetched here, once, by the runtime. */
export async function buildAcpImage({ docker }: EngineUnderTest, agent: AcpPackage): Promise<string> {
  const slim = recipeNamed("slim");
  if (slim === undefined) throw new Error("there is no recipe named slim");
  const base = referenceOf(slim);
  const reference = `localhost/ccw-test/${agent.bin.as}:${agent.version}-${base.split(":").at(-1)}`;
  const isThere = await docker
    .getImage(reference)
    .inspect()
    .then(() => true)
    .catch(() => false);
  if (isThere) return reference;
  const folder = await fetchAcpPackage(agent);
  const tar = Bun.spawn(["tar", "-C", folder, "-c", "Containerfile", "node_modules"], { stdout: "pipe" });
  const answer = await docker.buildImage(Readable.from(tar.stdout), {
    ...{ t: reference, dockerfile: "Containerfile", networkmode: "host", buildargs: { BASE: base } },
  });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(answer, (error) => (error === null ? resolve() : reject(error)));
  });
  return reference;
}

/** A folder with it, as a package's user has it. */
export async function fetchAcpPackage({ name, version, omitOptional, bin }: AcpPackage): Promise<string> {
  const folder = join(homedir(), ".cache/ccw-server", `acp-${bin.as}-${version}`);
  if (!existsSync(join(folder, "done"))) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: { [name]: version } }));
    const argv = ["install", ...(omitOptional ? ["--omit=optional"] : [])];
    const child = Bun.spawn([process.execPath, ...argv], {
      cwd: folder,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if ((await child.exited) !== 0) throw new Error(`${name} could not be installed from npm`);
    writeFileSync(join(folder, "done"), "");
  }
  const text = [
    "ARG BASE",
    "FROM $" + "{BASE}",
    "COPY node_modules /opt/agent/node_modules",
    `RUN chmod 0755 /opt/agent/node_modules/${bin.path} && ln -s /opt/agent/node_modules/${bin.path} /usr/local/bin/${bin.as}`,
    "",
  ].join("\n");
  writeFileSync(join(folder, "Containerfile"), text);
  return folder;
}
