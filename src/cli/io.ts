import { exitCodes } from "./exit-codes.ts";

/** Where a command reads and writes. Only data goes to `out`; everything said to the person goes to `err`. */
export interface CliIo {
  env: Readonly<Record<string, string | undefined>>;
  in: {
    isTty: boolean;
    chunks(): AsyncIterable<Uint8Array>;
    /** Whether the terminal shows what is typed. Throws where that cannot be set. */
    echo(on: boolean): void;
  };
  out: Sink;
  err: Sink;
}

interface Sink {
  isTty: boolean;
  /** Undefined where nobody looks. */
  columns: number | undefined;
  /** Resolves when the reader has taken it: a slow reader slows the writer. */
  write(text: string | Uint8Array): Promise<void>;
}

/** The process's own streams. A reader that goes away (`| head`) ends the process without a word. */
export function processIo(): CliIo {
  return {
    env: process.env,
    in: { isTty: process.stdin.isTTY === true, chunks: () => process.stdin, echo },
    out: sink(process.stdout),
    err: sink(process.stderr),
  };
}

/** By stty(1), which leaves the terminal's lines, Ctrl-C and Ctrl-D as people know them; raw mode would not. */
function echo(on: boolean): void {
  const { exitCode } = Bun.spawnSync(["stty", on ? "echo" : "-echo"], {
    stdio: ["inherit", "ignore", "ignore"],
  });
  if (exitCode !== 0) throw new Error(`stty ended with exit code ${exitCode}`);
}

function sink(stream: NodeJS.WriteStream): Sink {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.noSpace);
  });
  return {
    isTty: stream.isTTY === true,
    columns: stream.isTTY === true ? stream.columns : undefined,
    // The callback comes when it is written out: then nothing is lost at the exit.
    write: (text) => new Promise((resolve) => stream.write(text, () => resolve())),
  };
}

/** Colours are for people who look on: https://no-color.org */
export function wantsColour({ env, out }: CliIo): boolean {
  return out.isTty && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}
