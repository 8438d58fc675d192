import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { demoRepositoryFiles } from "./demo/demo-repository.ts";
import { environmentSchema } from "./domain/environment.ts";
import { CcwError, messageOf } from "./domain/errors.ts";
import type { IdSource, PersonId } from "./domain/ids.ts";
import type { Store } from "./domain/store.ts";
import type { HostedRepositories } from "./forge/hosted.ts";

/** Makes the folder and what lies in it readable by this user alone. Throws `unavailable` where it cannot be made. */
export function prepareDataFolder(folder: string): void {
  try {
    for (const path of [folder, join(folder, "repositories")])
      mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new CcwError(
      "unavailable",
      `The data folder ${folder} cannot be made: ${messageOf(thrown)}.`,
      "Start with --data and a folder that this user may write to.",
      { cause: thrown },
    );
  }
}

/** What a new appliance begins with: one environment, and for the demo model a repository to work on. */
export async function furnish(
  store: Store,
  host: HostedRepositories,
  withDemo: boolean,
  ids: IdSource,
): Promise<void> {
  if (store.environments.list().length === 0)
    store.environments.save(environmentSchema.parse({ name: "default" }));
  if (!withDemo || store.repositories.list().length > 0) return;
  const name = "demo";
  // A folder without a row is left of a start that was broken off in here.
  if (existsSync(host.pathOf(name))) rmSync(host.pathOf(name), { recursive: true });
  await host.create(name, { defaultBranch: "main" });
  await host.commitFiles(name, {
    branch: "main",
    message: "A small program with a failing test",
    author: { name: "ccw-server", email: "demo@ccw.invalid" },
    files: Object.entries(demoRepositoryFiles).map(([path, content]) => ({ path, content })),
  });
  store.repositories.add({
    ...{ name, kind: "hosted", defaultBranch: "main", createdAt: ids.now() },
    push: { force: false, delete: false },
  });
}

/** Tells the commands on this machine where the server is, and gives them a token, readable by this user alone. */
export function announce(store: Store, dataFolder: string, operator: PersonId, url: string): void {
  const tokenFile = join(dataFolder, "cli-token");
  const secret = existsSync(tokenFile) ? readFileSync(tokenFile, "utf8").trim() : "";
  if (store.tokens.find(secret) === undefined) {
    rmSync(tokenFile, { force: true });
    writeFileSync(
      tokenFile,
      store.tokens.create({ kind: "api", name: "commands on this machine", person: operator }),
      {
        mode: 0o600,
        flag: "wx",
      },
    );
  }
  writeFileSync(join(dataFolder, "server.json"), `${JSON.stringify({ url, pid: process.pid })}\n`);
}

/** The user that runs the server; some containers have a user id and no name. */
export function operatorName(): string {
  const { username } = userInfo();
  return /^[A-Za-z0-9._-]{1,64}$/.test(username) && username !== "unknown" ? username : "operator";
}
