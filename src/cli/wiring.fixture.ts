import type { CliIo } from "./io.ts";
import { runCli } from "./program.ts";
import type { CliWiring } from "./wiring.ts";

const none = () => Promise.reject(new Error("not in this test"));

/** For a command line that only speaks to a server. */
export const noWiring: CliWiring = {
  version: "1.2.3",
  start: none,
  guest: none,
  doctor: none,
  gitProxy: none,
  images: () => ({ build: none, list: none, import: none }),
  tui: none,
};

export interface Written {
  code: number;
  out: string;
  err: string;
}

/** Begins one command line against the server of that data folder; what it writes stands in `written` at once. */
export function beginCli(
  dataFolder: string,
  argv: readonly string[],
  stdin = "",
): { written: Written; ended: Promise<Written> } {
  const written: Written = { code: 0, out: "", err: "" };
  const sink = (name: "out" | "err") => ({
    isTty: false,
    columns: undefined,
    async write(text: string | Uint8Array) {
      written[name] += typeof text === "string" ? text : Buffer.from(text).toString();
    },
  });
  const io: CliIo = {
    env: { CCW_DATA: dataFolder },
    in: {
      isTty: false,
      echo() {},
      async *chunks() {
        if (stdin !== "") yield new TextEncoder().encode(stdin);
      },
    },
    out: sink("out"),
    err: sink("err"),
  };
  const ended = runCli(argv, noWiring, io).then((code) => {
    written.code = code;
    return written;
  });
  return { written, ended };
}
