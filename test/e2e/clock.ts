import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

/** A server's wall clock that can be set while it runs; its timers, which have another one, stay as they are. */
export interface Clock {
  /** For the server. */
  env: Record<string, string>;
  /** Seconds from the machine's clock. */
  offset(): number;
  /** Holds, when it returns, for a server that runs and for those that are started later. */
  set(offset: number): Promise<void>;
}

/** The library reads its file again when the last time was over one whole second ago, by the seconds of the clock: two at most. */
const readAgainMs = 2100;

/** Undefined where libfaketime is not installed (`apt-get install faketime`). */
export function clockIn(folder: string): Clock | undefined {
  const [library] = [
    ...new Glob("*/faketime/libfaketimeMT.so.1").scanSync({ cwd: "/usr/lib", absolute: true }),
  ];
  if (library === undefined) return undefined;
  const file = join(folder, "clock");
  let offset = 0;
  const write = () => {
    // Never half of it: the server reads it at any time.
    writeFileSync(`${file}.part`, `${offset < 0 ? "-" : "+"}${Math.abs(offset)}\n`);
    renameSync(`${file}.part`, file);
  };
  write();
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    offset: () => offset,
    async set(seconds) {
      offset = seconds;
      write();
      await Bun.sleep(readAgainMs);
    },
  };
}
