import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesText } from "../domain/amounts.ts";
import { CcwError } from "../domain/errors.ts";
import type { GitServer } from "../domain/git-server.ts";
import { isId } from "../domain/ids.ts";
import type { KeptWork } from "../domain/ports.ts";
import type { RemoteRepository } from "../domain/repository.ts";
import { makeBorrowing, refFileIn } from "./borrowing-repository.ts";
import { createGit } from "./git.ts";
import { dropped, faultAnswer } from "./git-answers.ts";
import { makeWhole, removeUnfinished, removeWhole } from "./made-whole.ts";
import type { RemotePush } from "./remote-push.ts";
import { endpointAt } from "./repositories.ts";

export interface KeptWorkOptions {
  folder: string;
  git: GitServer;
  remotePush: RemotePush;
  /** From here on one task may keep no more; default 2 GiB. */
  maxBytes?: number;
  /** What nobody has pushed may be removed so many days after its task's end; 0: never. */
  keepDays: number;
  /** The repository as it is now: it may have been renamed on its forge since. Rejects where the forge does not show it. */
  freshly(name: string, signal: AbortSignal): Promise<{ repository: RemoteRepository }>;
}

const dayMs = 24 * 3600 * 1000;

/**
 * A bare repository for each repository of a task whose forge took no push, with what the task has added; the rest of
 * the objects is the mirror's, which is held for as long (`borrowed`).
 */
export function createKeptWork(options: KeptWorkOptions): KeptWork & { borrowed(): string[] } {
  const { folder, git, remotePush, freshly, keepDays, maxBytes = 2 * 1024 ** 3 } = options;
  const local = createGit();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  removeUnfinished(folder);
  const pushing = new Set<string>();
  const placeOf = (taskId: string, repository: string) =>
    join(folder, `${taskId}-${createHash("sha256").update(repository).digest("hex").slice(0, 16)}.git`);

  /** A sandbox may push here as often as it likes, and nothing is ever removed but with all of it. */
  async function bytesIn(place: string): Promise<number> {
    const { stdout } = await local.must([`--git-dir=${place}`, "count-objects", "-v"]);
    const kibibytes = Buffer.from(stdout)
      .toString()
      .matchAll(/^size(?:-pack)?: (\d+)$/gm);
    return [...kibibytes].reduce((sum, [, count]) => sum + Number(count) * 1024, 0);
  }

  return {
    endpointOf(taskId, repository, objects) {
      const place = placeOf(taskId, repository);
      return {
        async serve(call) {
          if (!existsSync(place))
            await makeWhole(folder, place, (fresh) => makeBorrowing(local, fresh, objects));
          else if (call.service === "git-receive-pack" && (await bytesIn(place)) > maxBytes) {
            await dropped(call.push?.pack ?? call.body);
            const lines = [
              `Push refused: the appliance keeps no more than ${bytesText(maxBytes)} of one task.`,
            ];
            return faultAnswer(call, { status: 413, reason: "too much is kept", lines });
          }
          return endpointAt(git, place).serve(call);
        },
        isSymbolicRef: (ref) => (existsSync(place) ? git.isSymbolicRef(place, ref) : Promise.resolve(false)),
      };
    },

    async push(taskId, name, { workBranch, branch }, signal) {
      const place = placeOf(taskId, name);
      const commit = refFileIn(place, workBranch);
      if (commit === undefined) return undefined;
      if (pushing.has(place)) throw new CcwError("conflict", `The work in ${name} is being pushed just now.`);
      pushing.add(place);
      try {
        const { repository } = await freshly(name, signal);
        if ((await remotePush.push(repository, { folder: place, commit, branch }, signal)) === "moved") {
          throw new CcwError(
            "conflict",
            `${branch} of ${name} was moved on its forge meanwhile, and the task's work does not build on what is there now. It stays kept.`,
            `Push it to another branch: ccw-server task push ${taskId} --branch NAME`,
          );
        }
        await removeWhole(folder, place);
        return commit;
      } finally {
        pushing.delete(place);
      }
    },

    of: ({ id, repositories, updatedAt }) =>
      repositories.flatMap(({ name, workBranch }) => {
        const commit = refFileIn(placeOf(id, name), workBranch);
        const until = keepDays === 0 ? undefined : updatedAt + keepDays * dayMs;
        return commit === undefined ? [] : [{ repository: name, branch: workBranch, commit, until }];
      }),

    tasks: () => [
      ...new Set(
        readdirSync(folder).flatMap((name) => {
          const id = name.slice(0, name.lastIndexOf("-"));
          return isId("TaskId", id) ? [id] : [];
        }),
      ),
    ],

    async remove(taskId, repository) {
      const place = placeOf(taskId, repository);
      if (pushing.has(place)) return false;
      await removeWhole(folder, place);
      return true;
    },

    borrowed: () =>
      readdirSync(folder).flatMap((name) => {
        try {
          const lines = readFileSync(join(folder, name, "objects/info/alternates"), "utf8").split("\n");
          return lines.filter((line) => line !== "").map((line) => line.replace(/\/objects$/, ""));
        } catch {
          return [];
        }
      }),
  };
}
