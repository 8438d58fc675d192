import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { demoRepositoryFiles } from "../../src/demo/demo-repository.ts";
import { type GithubStandIn, startGithub } from "../fixtures/forge/github.ts";
import {
  type Appliance,
  bodiesOf,
  type EngineUnderTest,
  executable,
  freshFolder,
  run,
  startAppliance,
} from "./appliance.ts";

/** An appliance that is connected to a stand-in for GitHub, over HTTPS with an authority of its own. */
export interface RemoteWorld {
  github: GithubStandIn;
  appliance: Appliance;
  /** The real credential, and it as it goes into git's requests. */
  secrets: { token: string; basic: string };
  /** Of `acme/widget` on the appliance. */
  name: string;
  /** The command line of this appliance; rejects where it fails. */
  ccw(...argv: string[]): Promise<string>;
  ccwTold(...argv: string[]): Promise<{ code: number; out: string; err: string }>;
  environment(name: string, setupScript: string): Promise<void>;
  /** What the task's steps printed. */
  outputOf(task: string, step?: string): Promise<string>;
  /** Git at the forge itself. */
  gitAt(path: string, ...argv: string[]): Promise<string>;
  /** Bytes that git's servers have sent in answer to fetches, from the request `from` of `github.seen` on. */
  fetchedBytes(from: number): number;
  /** Pushes that have reached the forge, as statuses. */
  pushes(from: number): number[];
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Random text of about this many bytes (at most 87 KB): git cannot make it smaller than three quarters of it. */
export const noise = (bytes: number): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(Math.floor(bytes * 0.75)))).toString("base64");

export async function openRemoteWorld(engine: EngineUnderTest): Promise<RemoteWorld> {
  const folder = freshFolder();
  const github = await startGithub();
  const noisy = Array.from({ length: 24 }, (_, n) => [`data/${n}.txt`, `${noise(80_000)}\n`]);
  await github.addRepository("acme/widget", {
    people: { ada: "write" },
    files: { ...demoRepositoryFiles, ...Object.fromEntries(noisy) },
  });
  const token = github.addToken("ada");
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const settings = write("ccw.toml", `[egress]\nca_file = "${write("ca.pem", github.authority)}"\n`);
  const dataFolder = join(folder, "data");
  const start = () =>
    startAppliance({
      ...{ engine, dataFolder, argv: ["--config", settings] },
      env: { CCW_PARALLEL: "3" },
    });
  const ccwTold = (...argv: string[]) => run([executable, ...argv], { env: { CCW_DATA: dataFolder } });
  const ccw = async (...argv: string[]) => {
    const { code, out, err } = await ccwTold(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${err}`);
    return out.trim();
  };
  const world: RemoteWorld = {
    github,
    appliance: await start(),
    secrets: { token, basic: Buffer.from(`x-access-token:${token}`).toString("base64") },
    name: "",
    ...{ ccw, ccwTold },
    async environment(name, setupScript) {
      const { client } = world.appliance;
      await client.read(client.api.environments.$post({ json: { name, setupScript } }));
    },
    async outputOf(task, step) {
      const said = await bodiesOf(world.appliance, task, "step_output");
      return said
        .filter((each) => step === undefined || each.step === step)
        .map(({ text }) => text)
        .join("");
    },
    async gitAt(path, ...argv) {
      const identity = ["-c", "user.name=Eve", "-c", "user.email=eve@example.org"];
      const { code, out, err } = await run([
        "git",
        `--git-dir=${github.bare.pathOf(path)}`,
        ...identity,
        ...argv,
      ]);
      if (code !== 0) throw new Error(`git ${argv.join(" ")}: ${err}`);
      return out.trim();
    },
    fetchedBytes: (from) =>
      github.seen
        .slice(from)
        .filter(({ method, path }) => method === "POST" && path.endsWith("/git-upload-pack"))
        .reduce((sum, { bytes }) => sum + bytes, 0),
    pushes: (from) =>
      github.seen
        .slice(from)
        .filter(({ method, path }) => method === "POST" && path.endsWith("/git-receive-pack"))
        .map(({ status }) => status),
    async restart() {
      await world.appliance.stop();
      world.appliance = await start();
    },
    async close() {
      await world.appliance.stop();
      await github.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await ccw("forge", "add", "work", github.url, "--kind", "github", "--token-file", write("token", token));
  rmSync(join(folder, "token"));
  world.name = await ccw("repo", "add", `${github.url}/acme/widget`);
  return world;
}
