import type { CliWiring, DoctorCheck, ImageCommands, StartOptions } from "./cli/wiring.ts";
import type { Config } from "./config.ts";
import type { ApplianceLog } from "./log.ts";
import type { Images } from "./sandbox/images.ts";

/** Longer than closing takes, shorter than a service manager waits before it kills. */
const closeMs = 8000;

/**
 * argv → command. Everything heavy is imported by the command that needs it, so that `--help` and the guest start
 * quickly.
 */
const wiring: CliWiring = {
  version: CCW_VERSION,
  start,
  async guest() {
    const { runGuest } = await import("./guest/guest.ts");
    return runGuest();
  },
  doctor,
  async gitProxy(options) {
    const { runGitProxy } = await import("./git-proxy.ts");
    return runGitProxy(options, await standardLog());
  },
  images: imageCommands,
  async tui(options) {
    const { runTui } = await import("../tui/run-tui.ts");
    return runTui(options);
  },
};

const { runCli } = await import("./cli/program.ts");
process.exitCode = await runCli(process.argv.slice(2), wiring);
// A kept-alive connection must not hold back a command that is done.
process.exit();

async function start(options: StartOptions): Promise<number> {
  const [{ startServer }, { default: assets }] = await Promise.all([
    import("./server.ts"),
    import("ccw:assets"),
  ]);
  // A command ends when its words cannot be written; a server goes on without them, with its log on a full disk, say.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners("error").on("error", () => {});
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const server = await startServer({
    config: await configOf(options),
    log: await standardLog(),
    version: CCW_VERSION,
    assets: new Map(
      assets.map(({ path, bodies: { identity, gzip, br }, ...asset }) => {
        const bodies = {
          identity: Buffer.from(identity, "base64"),
          ...(gzip !== undefined && { gzip: Buffer.from(gzip, "base64") }),
          ...(br !== undefined && { br: Buffer.from(br, "base64") }),
        };
        return [path, { ...asset, bodies }];
      }),
    ),
    guestExecutable: process.execPath,
    demo: options.demo,
  });
  process.stdout.write(server.welcome);
  await stopped;
  process.stderr.write("Stopping. Tasks that run go on in their sandboxes.\n");
  // An engine that hangs holds up what waits for it; nothing is lost by not waiting (runs/ goes on from the database).
  await Promise.race([server.close(), Bun.sleep(closeMs)]);
  return 0;
}

async function doctor({ data }: { data: string }): Promise<DoctorCheck[]> {
  const [{ diagnose }, { engineOptions }, { idSource }] = await Promise.all([
    import("./sandbox/doctor-probes.ts"),
    import("./engine-connection.ts"),
    import("./server.ts"),
  ]);
  const checks = await diagnose({
    ...engineOptions(await configOf({ data }), await standardLog()),
    idSource,
  });
  return checks.map(({ name, state, detail, fix }) => ({ name, status: state, text: detail, hint: fix }));
}

/** The engine's images, with or without a server. */
function imageCommands(data: string): ImageCommands {
  const { signal } = new AbortController();
  const withImages = async <Result>(work: (images: Images) => Promise<Result>): Promise<Result> => {
    const { connectAppliance } = await import("./engine-connection.ts");
    const { images, connection } = await connectAppliance(await configOf({ data }), await standardLog());
    try {
      return await work(images);
    } finally {
      await connection.close();
    }
  };
  return {
    build: (name, how) => withImages((images) => images.buildImage(name, { ...how, signal })),
    import: (file) => withImages((images) => images.importImage(file, { onProgress() {}, signal })),
    list: () =>
      withImages(async (images) =>
        (await images.listImages()).map(({ reference, recipe, state }) => ({
          name: recipe ?? "",
          reference,
          present: state.kind === "present",
          ...(state.kind === "present" && { bytes: state.bytes, createdAt: state.createdAt }),
        })),
      ),
  };
}

async function configOf({
  data,
  port,
  host,
  config,
}: Partial<StartOptions> & { data: string }): Promise<Config> {
  const { loadConfig } = await import("./config.ts");
  return loadConfig({ data, host, config, ...(port !== undefined && { port: String(port) }) }, process.env);
}

/** Whoever sits at a terminal is told what needs them; a file or a journal gets everything. */
async function standardLog(): Promise<ApplianceLog> {
  const { createLog } = await import("./log.ts");
  const log = createLog((line) => void process.stderr.write(line), Date.now);
  return process.stderr.isTTY ? { ...log, info() {} } : log;
}
