import type { Client } from "../client.ts";

/** What the command line needs of the rest of the house, which it may not import. `main.ts` fills it in. */
export interface CliWiring {
  version: string;
  /** Runs the server until a signal ends it. Returns the exit code. */
  start(options: StartOptions): Promise<number>;
  /** The first process of a sandbox. Returns the exit code. */
  guest(): Promise<number>;
  doctor(options: { data: string }): Promise<DoctorCheck[]>;
  /** The git door as a relay, until a signal ends it. Returns the exit code. */
  gitProxy(options: GitProxyOptions): Promise<number>;
  /** On the container engine of this machine, as the settings in the data folder name it. */
  images(data: string): ImageCommands;
  /** The terminal view, until the person leaves it. Returns the exit code. */
  tui(options: { client: Client; url: string }): Promise<number>;
}

/** What was said on the command line; what is left out comes from the environment, `ccw.toml` or the default. */
export interface StartOptions {
  data: string;
  port?: number;
  host?: string;
  /** A file in the place of `ccw.toml` in the data folder. */
  config?: string;
  /** Use the built-in demo model, whatever else is set. */
  demo: boolean;
}

export interface GitProxyOptions {
  hostname: string;
  /** 0 lets the system choose. */
  port: number;
  /** Without a slash at its end. */
  upstream: string;
  policy: { kind: "allow-all" } | { kind: "task"; branch: string | undefined };
  /** PEM. */
  caFile: string | undefined;
  onListening(url: string): void;
}

export interface DoctorCheck {
  name: string;
  status: "ok" | "warning" | "failed";
  /** What was found. */
  text: string;
  /** What to do about it; empty where nothing is to be done. */
  hint: string;
}

export interface ImageCommands {
  build(
    name: string,
    options: { force: boolean; onProgress(line: string): void },
  ): Promise<{ reference: string; built: boolean }>;
  list(): Promise<ImageRow[]>;
  /** Loads images from a tar archive, as `podman save` and `docker save` write it. Returns their names. */
  import(file: string): Promise<string[]>;
}

export interface ImageRow {
  /** The recipe's name, as environments use it; empty for an image that no recipe made. */
  name: string;
  reference: string;
  present: boolean;
  bytes?: number;
  /** Milliseconds since the epoch. */
  createdAt?: number;
}
