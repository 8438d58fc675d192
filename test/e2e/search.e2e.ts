import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Appliance,
  containersOf,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";

/** Search, archive, deletion and export with the executable: real sandboxes, the real agent, a server that is killed. */
describe.each(enginesUnderTest().map((engine) => [engine.name, engine] as const))("on %s", (_, engine) => {
  test("what was said is found, exported, put away, and removed with all that belongs to it, across a kill", async () => {
    const dataFolder = freshFolder();
    let appliance = await startAppliance({ engine, dataFolder });
    const cli = (...argv: string[]) => run([executable, ...argv, "--data", dataFolder], { cwd: dataFolder });
    try {
      const { id } = await submit(appliance, { prompt: "demo: fix-test" });
      const other = await submit(appliance, { prompt: "demo: slow 1" });
      await reaches(appliance, id, "idle", "completed");
      await reaches(appliance, other.id, "idle", "completed");
      const page = await until("it can be found", async () => {
        const found = await search(appliance, "fix-test");
        return found.behind === 0 && found.results.length > 0 ? found : undefined;
      });
      expect(page.results.map(({ task }) => task.id)).toEqual([id]);

      const short = id.slice(-6);
      const found = await cli("search", "fix-test");
      expect(found.out).toContain(short);
      const exported = await cli("task", "export", short, "--format", "html", "-o", "task.html");
      expect([exported.code, await Bun.file(join(dataFolder, "task.html")).text()]).toEqual([
        0,
        expect.stringContaining("Changes in demo"),
      ]);
      expect((await cli("task", "export", short, "-o", "task.tar.gz")).code).toBe(0);
      const names = await run(["tar", "-tzf", join(dataFolder, "task.tar.gz")]);
      expect(names.out).toMatch(/1-demo\.patch[\s\S]*events\.ndjson/);

      expect((await containersOf(engine, id)).length).toBe(1);
      expect((await cli("task", "archive", short)).code).toBe(0);
      expect((await cli("task", "list")).out).not.toContain(short);
      expect((await cli("task", "list", "--archived")).out).toContain(short);
      await until("its container is removed", async () => (await containersOf(engine, id)).length === 0);

      const { client } = appliance;
      await client.read(
        client.api.tasks[":id"].prompts.$post({ param: { id }, json: { text: "demo: slow 1" } }),
      );
      await reaches(appliance, id, "idle", "completed");
      expect((await cli("task", "list")).out).toContain(short);

      expect((await cli("task", "delete", short, "--now")).code).toBe(0);
      await appliance.killHard();
      appliance = await startAppliance({ engine, dataFolder });
      await until("it is removed", () => rowsOf(dataFolder, id) === 0);
      expect((await search(appliance, "fix-test")).results).toEqual([]);
      await until("its container is removed", async () => (await containersOf(engine, id)).length === 0);
      await until("its door is removed", () => readdirSync(join(dataFolder, "doors")).length <= 1);
      const branches = await run([
        "git",
        "-C",
        join(dataFolder, "repositories/demo.git"),
        "branch",
        "--list",
        "claude/*",
      ]);
      expect(branches.out).toContain(short);
      expect(existsSync(join(dataFolder, "snapshots", id))).toBe(false);
      expect((await search(appliance, "slow")).results.map(({ task }) => task.id)).toEqual([other.id]);
    } finally {
      await appliance.stop();
      rmSync(dataFolder, { recursive: true, force: true });
    }
  }, 600_000);
});

function search({ client }: Appliance, q: string) {
  return client.read(client.api.search.$get({ query: { q } }));
}

/** In every table that names tasks, but for the sums of usage. */
function rowsOf(dataFolder: string, id: string): number {
  const db = new Database(join(dataFolder, "ccw.sqlite"), { readonly: true });
  try {
    const tables = db
      .query<{ name: string }, []>(
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'task_id' AND m.name NOT LIKE 'usage%'",
      )
      .all()
      .map(({ name }) => `SELECT count(*) AS n FROM ${name} WHERE task_id = ?1`);
    const sql = ["SELECT count(*) AS n FROM tasks WHERE id = ?1", ...tables].join(" UNION ALL ");
    return db
      .query<{ n: number }, [string]>(sql)
      .all(id)
      .reduce((sum, { n }) => sum + n, 0);
  } finally {
    db.close();
  }
}
