import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { bytesText } from "../domain/amounts.ts";
import { CcwError, messageOf } from "../domain/errors.ts";
import type { GitServer } from "../domain/git-server.ts";
import { isId, type TaskId } from "../domain/ids.ts";
import type { Log } from "../domain/ports.ts";
import { snapshotRef } from "../domain/session.ts";
import type { SnapshotPlace, SnapshotRepositories } from "../domain/snapshots.ts";
import { alternatesOf } from "./alternates.ts";
import { makeBorrowing } from "./borrowing-repository.ts";
import { createGit } from "./git.ts";
import { dropped, endingWith, type Fault, faultAnswer } from "./git-answers.ts";
import { makeWhole, removeUnfinished, removeWhole } from "./made-whole.ts";
import { endpointAt } from "./repositories.ts";
import { createSnapshotReading } from "./snapshot-reading.ts";
import { createSnapshotRepacking } from "./snapshot-repacking.ts";

export interface SnapshotsOptions {
  folder: string;
  git: GitServer;
  log: Log;
  /** From here on one task may push no more; default 2 GiB. */
  maxBytes?: number;
  /** So many snapshots of one repository; default 5000. */
  maxSnapshots?: number;
  /** Made anew as one when there are more packs than this; default 50. */
  manyPacks?: number;
}

/**
 * `<task>/<index>.git` and `<task>/session.git`, made when they are first asked for. They see the objects of the mirror or
 * hosted repository that the sandbox borrowed, which is held for as long (`borrowed`), so that a turn costs what it changed.
 */
export function createSnapshots(
  options: SnapshotsOptions,
): SnapshotRepositories & { borrowed(): string[]; close(): Promise<void> } {
  const { folder, git, log, maxBytes = 2 * 1024 ** 3, maxSnapshots = 5000, manyPacks = 50 } = options;
  const local = createGit();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  removeUnfinished(folder);
  const folderOf = (taskId: TaskId) => {
    if (!isId("TaskId", taskId)) throw new CcwError("not_found", "There is no such task.");
    return join(folder, taskId);
  };
  const placeOf = (taskId: TaskId, place: SnapshotPlace) => join(folderOf(taskId), `${place}.git`);
  const inTurn = createTurns();
  const repacking = createSnapshotRepacking({ manyPacks, log });
  const closing = new AbortController();
  const sweeping = sweepAll();

  async function make(taskId: TaskId, place: SnapshotPlace, objects: string | undefined): Promise<string> {
    const path = placeOf(taskId, place);
    if (existsSync(path)) return path;
    mkdirSync(folderOf(taskId), { recursive: true, mode: 0o700 });
    await makeWhole(folder, path, async (fresh) => {
      await makeBorrowing(local, fresh, objects);
      await Bun.write(join(fresh, "info/attributes"), plainAttributes);
    });
    return path;
  }

  return {
    ...createSnapshotReading(local, placeOf),

    endpointOf: (taskId, place, objects) => ({
      async serve(call) {
        const path = await make(taskId, place, objects);
        const endpoint = endpointAt(git, path);
        if (call.service !== "git-receive-pack" || call.body === undefined) return endpoint.serve(call);
        // One at a time: the pushes of a task have one limit together.
        const release = await inTurn(taskId, call.signal);
        try {
          await sweep(path);
          const room = maxBytes - (await bytesIn(folderOf(taskId)));
          const fault = await faultOf(path, room);
          if (fault !== undefined) {
            await dropped(call.push?.pack ?? call.body);
            release();
            return faultAnswer(call, fault);
          }
          const answer = await endpoint.serve({
            ...call,
            maxPackBytes: Math.min(room, call.maxPackBytes ?? room),
          });
          call.signal.addEventListener("abort", release, { once: true });
          const done = async () => {
            await sweep(path);
            release();
            repacking.look(path);
          };
          return { ...answer, body: endingWith(answer.body, done) };
        } catch (thrown) {
          release();
          throw thrown;
        }
      },
      isSymbolicRef: async () => false,
    }),

    async copy(from, to, commits) {
      for (const { place, commit } of commits) {
        const source = placeOf(from, place);
        const [objects] = alternatesOf(source);
        const path = await make(to, place, objects);
        const ref = snapshotRef(`from${commit}`);
        const fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"];
        await local.must([`--git-dir=${path}`, ...fetch, "--", `file://${source}`, `${commit}:${ref}`], {
          timeoutMs: copyMs,
        });
      }
    },

    folderOf(taskId, place) {
      const path = placeOf(taskId, place);
      return existsSync(path) ? path : undefined;
    },

    async remove(taskId) {
      await repacking.leave(folderOf(taskId));
      await removeWhole(folder, folderOf(taskId));
    },

    tasks: () => readdirSync(folder).filter((name): name is TaskId => isId("TaskId", name)),

    borrowed: () =>
      readdirSync(folder).flatMap((task) =>
        foldersIn(join(folder, task)).flatMap((name) => alternatesOf(join(folder, task, name))),
      ),
    async close() {
      closing.abort();
      await Promise.all([repacking.close(), sweeping]);
    },
  };

  /** After a death of this process: what it left, in the turn of each task, since new pushes may come already. */
  async function sweepAll(): Promise<void> {
    for (const taskId of readdirSync(folder).filter((name): name is TaskId => isId("TaskId", name))) {
      if (closing.signal.aborted) return;
      const release = await inTurn(taskId, closing.signal).catch(() => () => {});
      for (const name of foldersIn(folderOf(taskId)))
        if (name.endsWith(".git")) await sweep(join(folderOf(taskId), name));
      release();
    }
  }

  /**
   * Removes what pushes that were cut off have left; one git of a server that has died may be at it still, and its push is
   * refused then, which nobody waits for. Never rejects: what cannot be removed now is looked for again.
   */
  async function sweep(path: string): Promise<void> {
    for (const name of foldersIn(join(path, "objects")).filter((each) => each.startsWith(quarantine)))
      await rm(join(path, "objects", name), { recursive: true, force: true }).catch((thrown: unknown) =>
        log.warn("what a push has left cannot be removed", { folder: path, reason: messageOf(thrown) }),
      );
  }

  async function faultOf(path: string, room: number): Promise<Fault | undefined> {
    const full = (text: string): Fault => ({
      status: 413,
      reason: "too many snapshots are kept",
      lines: [`Push refused: the appliance keeps no more than ${text}.`],
    });
    if (room <= 0) return full(`${bytesText(maxBytes)} of one task's snapshots`);
    return (await refsIn(path)) >= maxSnapshots
      ? full(`${maxSnapshots} snapshots of one repository`)
      : undefined;
  }
}

/** What comes in with a push lies in a folder of this name until git has found it to be good (git-receive-pack(1)). */
const quarantine = "tmp_objdir-incoming-";

const copyMs = 10 * 60_000;

/** An archive is to hold what the agent had before it, whatever the repository says of archives (gitattributes(5)). */
const plainAttributes = "* -export-ignore -export-subst\n";

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Of all files below the folder; those that go meanwhile do not count. */
async function bytesIn(path: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    sum += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return sum;
}

/** By name: while they are packed some stand in both places. */
async function refsIn(path: string): Promise<number> {
  const loose = await readdir(join(path, snapshotRef(""))).catch(() => []);
  const packed = await readFile(join(path, "packed-refs"), "latin1").catch(() => "");
  const names = packed.split("\n").flatMap((line) => line.split(snapshotRef(""))[1] ?? []);
  return new Set([...loose, ...names]).size;
}

/** Lets one of each task go on after the other: call what it resolves to when done. */
function createTurns() {
  const last = new Map<TaskId, Promise<void>>();
  return async (taskId: TaskId, signal: AbortSignal): Promise<() => void> => {
    const before = last.get(taskId);
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = Promise.all([before, promise]).then(() => {
      if (last.get(taskId) === mine) last.delete(taskId);
    });
    last.set(taskId, mine);
    await before;
    if (!signal.aborted) return resolve;
    resolve();
    throw new CcwError("unavailable", "The client went away.");
  };
}
