import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { GitServer } from "../domain/git-server.ts";
import { isId, type TicketId } from "../domain/ids.ts";
import type { TeleportRepositories } from "../domain/teleport.ts";
import { alternatesOf } from "./alternates.ts";
import { makeBorrowing } from "./borrowing-repository.ts";
import { createGit } from "./git.ts";
import { endpointAt } from "./repositories.ts";

/** A person waits for it. */
const rootsMs = 10_000;
/** So far a branch is looked back on for the commit that took up what was uncommitted. */
const maxLookedBack = 1000;

/** `<ticket>/<index>.git` and `<ticket>/session.git`. */
export function createTeleportRepositories({
  folder,
  git,
}: {
  folder: string;
  git: GitServer;
}): TeleportRepositories {
  const local = createGit();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const folderOf = (ticket: TicketId) => {
    if (!isId("TicketId", ticket)) throw new Error("no id of a ticket");
    return join(folder, ticket);
  };
  const placeOf = (ticket: TicketId, place: number | "session") => join(folderOf(ticket), `${place}.git`);

  async function make(ticket: TicketId, place: number | "session", lenders: readonly string[]) {
    const path = placeOf(ticket, place);
    mkdirSync(folderOf(ticket), { recursive: true, mode: 0o700 });
    await makeBorrowing(local, path, lenders[0]);
    const alternates = lenders.map((lender) => `${join(lender, "objects")}\n`).join("");
    await Bun.write(join(path, "objects/info/alternates"), alternates);
    const run = async (...args: string[]) => {
      const { exitCode, stdout } = await local.run([`--git-dir=${path}`, ...args]);
      return exitCode === 0 ? Buffer.from(stdout).toString().trim() : undefined;
    };
    const held = async (commit: string | undefined) =>
      commit === undefined ? undefined : run("rev-parse", "--verify", "--quiet", `${commit}^{commit}`);
    const point = (ref: string, commit: string) =>
      local.must([`--git-dir=${path}`, "update-ref", "--", ref, commit]);
    return { path, run, held, point };
  }

  return {
    async makeWork(ticket, { index, name, branch, lenders, tip: pushed, snapshot }) {
      if (lenders.length === 0) return undefined;
      const { path, run, held, point } = await make(ticket, index, lenders);
      const treeOf = (commit: string) => run("rev-parse", "--verify", `${commit}^{tree}`);
      const isIn = async (older: string, newer: string) =>
        (await run("merge-base", "--is-ancestor", older, newer)) !== undefined;

      const tip = await held(pushed);
      const head = await held(snapshot?.head);
      const files = await held(snapshot?.commit);
      let found: { target: string; files: string; moved: string } | undefined;
      if (head === undefined || files === undefined)
        found = tip === undefined ? undefined : { target: tip, files: tip, moved: "" };
      else if (tip === undefined || (await isIn(tip, head))) found = { target: head, files, moved: "" };
      else if ((await isIn(head, tip)) && (await took(head, tip, files)))
        found = { target: tip, files: tip, moved: "" };
      else found = { target: head, files, moved: tip };
      if (found === undefined) return undefined;

      if ((await treeOf(found.files)) === (await treeOf(found.target))) found.files = found.target;

      /** Whether one of the commits behind `from` took up all of these files. */
      async function took(from: string, to: string, commit: string): Promise<boolean> {
        const tree = await treeOf(commit);
        const trees = await run("log", `--max-count=${maxLookedBack}`, "--format=%T", `${from}..${to}`);
        return tree !== undefined && (trees ?? "").split("\n").includes(tree);
      }

      await point(`refs/heads/${branch}`, found.target);
      await point("refs/ccw/files", found.files);
      const roots = await local
        .run([`--git-dir=${path}`, "rev-list", "--first-parent", "--max-parents=0", found.target], {
          timeoutMs: rootsMs,
        })
        .then(
          ({ stdout }) => Buffer.from(stdout).toString().split("\n").filter(Boolean),
          () => [],
        );
      return { index, name, branch, ...found, roots };
    },

    async makeSession(ticket, { lender, commit }) {
      const { held, run, point } = await make(ticket, "session", [lender]);
      const found = await held(commit);
      const listed = await run("ls-tree", `${commit}:conversation`);
      const id = /^100[0-7]{3} blob [0-9a-f]+\t([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl$/m.exec(
        listed ?? "",
      )?.[1];
      if (found === undefined || id === undefined) return undefined;
      await point("refs/ccw/session", found);
      return id;
    },

    endpointOf(ticket, place) {
      const path = placeOf(ticket, place);
      if (!existsSync(path)) return undefined;
      const endpoint = endpointAt(git, path);
      return {
        ...endpoint,
        // In version 2 git hands out whatever object is asked for, of all that are borrowed; before, what a ref reaches.
        serve: (call) =>
          endpoint.serve({
            ...call,
            right: { kind: "none" },
            headers: { ...call.headers, gitProtocol: undefined },
          }),
      };
    },

    remove: (ticket) => rm(folderOf(ticket), { recursive: true, force: true }),
    tickets: () => readdirSync(folder).filter((name): name is TicketId => isId("TicketId", name)),
    borrowed: () =>
      readdirSync(folder).flatMap((ticket) =>
        namesIn(join(folder, ticket)).flatMap((name) => alternatesOf(join(folder, ticket, name))),
      ),
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
