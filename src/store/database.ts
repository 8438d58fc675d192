import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { CcwError, messageOf } from "../domain/errors.ts";
import { migrations } from "./migrations.ts";

/**
 * Its tables stand in schema/. Times are milliseconds since the epoch, and `sealed` columns hold ciphertext of seal.ts.
 * `$client` is for the one statement that is run thousands of times a second.
 */
export type Db = BunSQLiteDatabase & { $client: Database };

/** How long a write waits for another process that holds the database; everything waits with it. */
export const busyTimeoutMs = 1000;

/** Above this size a check of every page would delay the start for too long. */
const checkedAtStart = 64 * 1024 * 1024;

/**
 * Opens the database, checks it, and brings it to the newest schema. `path` may be `:memory:`.
 * Throws `unavailable` for a file that is no database or is damaged, or that a newer version has written.
 */
export function openDatabase(path: string): { db: Db; close(): void } {
  let sqlite: Database | undefined;
  try {
    // Transcripts are for this user's eyes; SQLite gives its side files the same mode.
    if (path !== ":memory:") closeSync(openSync(path, "a", 0o600));
    sqlite = new Database(path, { create: true, strict: true });
    // FULL: what was acknowledged to a guest survives a power cut, since the guest then forgets it.
    sqlite.run("PRAGMA journal_mode = WAL");
    sqlite.run("PRAGMA synchronous = FULL");
    sqlite.run("PRAGMA foreign_keys = ON");
    sqlite.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    check(sqlite);
    migrate(sqlite);
  } catch (thrown) {
    sqlite?.close();
    throw asOpenError(path, thrown);
  }
  const opened = sqlite;
  let closed = false;
  return {
    db: drizzle(opened),
    close: () => {
      if (closed) return;
      closed = true;
      opened.run("PRAGMA wal_checkpoint(TRUNCATE)"); // one file is left behind, whole, to copy
      opened.close();
    },
  };
}

function check(sqlite: Database): void {
  const pages = sqlite.query<{ page_count: number }, []>("PRAGMA page_count").get()?.page_count ?? 0;
  if (pages * 4096 > checkedAtStart) return;
  const result = sqlite.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
  if (result !== "ok") throw new Error(`database disk image is malformed: ${result}`);
}

/** One transaction a migration; a migration that ran is known by name and content, and never changes. */
export function migrate(sqlite: Database, list = migrations): void {
  sqlite.run(
    "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, hash TEXT NOT NULL, at INTEGER NOT NULL)",
  );
  const ran = new Map(
    sqlite
      .query<{ name: string; hash: string }, []>("SELECT name, hash FROM migrations")
      .all()
      .map((row) => [row.name, row.hash]),
  );
  for (const { name, sql } of list) {
    const hash = new Bun.CryptoHasher("sha256").update(sql).digest("hex");
    const before = ran.get(name);
    if (before === hash) continue;
    if (before !== undefined) throw new Error(`migration ${name} ran in another wording`);
    sqlite.transaction(() => {
      for (const statement of sql.split("--> statement-breakpoint")) sqlite.run(statement);
      sqlite.query("INSERT INTO migrations VALUES (?, ?, ?)").run(name, hash, Date.now());
    })();
  }
  const unknown = [...ran.keys()].find((name) => !list.some((migration) => migration.name === name));
  if (unknown !== undefined) throw new Error(`it was written by a newer version (migration ${unknown})`);
}

function asOpenError(path: string, thrown: unknown): CcwError {
  const message = messageOf(thrown);
  if (/not a database|malformed|corrupt/i.test(message)) {
    return new CcwError(
      "unavailable",
      `The database ${path} is damaged: ${message}.`,
      "Nothing was changed. Put back a copy of the data folder, or move the file away to begin with an empty database.",
      { cause: thrown },
    );
  }
  if (/disk.*full|ENOSPC/i.test(message)) {
    return new CcwError(
      "no_space",
      `The disk that holds ${path} is full.`,
      "Free some space and start again.",
      { cause: thrown },
    );
  }
  if (/newer version/.test(message)) {
    return new CcwError(
      "unavailable",
      `The database ${path} cannot be used: ${message}.`,
      "Start the newer version again.",
      { cause: thrown },
    );
  }
  return new CcwError(
    "unavailable",
    `The database ${path} cannot be opened: ${message}.`,
    "Check that the folder exists and that this user may write to it.",
    { cause: thrown },
  );
}

/** Maps what SQLite says at run time to an expected failure; returns what it cannot map. */
export function asStoreError(thrown: unknown): unknown {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  if (code.startsWith("SQLITE_FULL") || code.startsWith("SQLITE_IOERR")) {
    return new CcwError(
      "no_space",
      "The appliance's disk is full: nothing was written.",
      "Free some space on the disk of the data folder and try again.",
      { cause: thrown },
    );
  }
  if (code.startsWith("SQLITE_BUSY")) {
    return new CcwError(
      "unavailable",
      "Another program holds the appliance's database locked.",
      "End it (an open `sqlite3` shell, a back-up), then try again.",
      { cause: thrown },
    );
  }
  if (code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB")) {
    return new CcwError(
      "unavailable",
      "The appliance's database is damaged.",
      "Stop the server and put back a copy of the data folder.",
      { cause: thrown },
    );
  }
  return thrown;
}
