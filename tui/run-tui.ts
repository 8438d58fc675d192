import blessed from "blessed";
import type { Client } from "../src/client.ts";
import { createController } from "./controller.ts";
import { mendBlessed } from "./mend-blessed.ts";
import type { Model } from "./model.ts";
import { draw } from "./views.ts";

/** Not more often than this, however fast an agent writes. */
const drawMs = 50;
/** Ages move by the second. */
const tickMs = 1000;

/** Shows the appliance in the terminal until the person leaves or a signal ends it. Returns the exit code. */
export async function runTui({ client, url }: { client: Client; url: string }): Promise<number> {
  mendBlessed();
  const screen = blessed.screen({
    // The description that is built in; every terminal of today understands it.
    terminal: "xterm-256color",
    fullUnicode: true,
    forceUnicode: true,
    title: "ccw-server",
    warnings: false,
  });
  const box = blessed.box({
    parent: screen,
    top: 0,
    left: 0,
    width: "100%",
    height: "100%",
    tags: false,
    wrap: false,
  });
  const model: Model = {
    url,
    tasks: [],
    requests: [],
    status: undefined,
    connection: "connecting",
    page: { kind: "list" },
    selectedId: undefined,
    top: 0,
    filter: "",
    help: false,
    asking: undefined,
    message: undefined,
  };

  let waiting: Timer | undefined;
  const drawNow = () => {
    clearTimeout(waiting);
    waiting = undefined;
    box.setContent(draw(model, Number(screen.width), Number(screen.height), Date.now()).join("\n"));
    screen.render();
  };
  const drawSoon = () => {
    waiting ??= setTimeout(drawNow, drawMs);
  };

  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const controller = createController({
    client,
    model,
    changed: drawSoon,
    redraw() {
      screen.realloc();
      drawNow();
    },
    pageRows: () => Math.max(1, Number(screen.height) - 5),
    leave: () => end(0),
  });

  screen.on("keypress", (ch: string | undefined, key: { full?: string; name?: string }) => {
    // blessed reports the return key twice, as `return` and as `enter`.
    if (key.name !== "return") controller.key({ ch, full: key.full ?? ch ?? "" });
  });
  screen.on("resize", drawNow);
  const ticking = setInterval(drawSoon, tickMs);
  // 128 and the signal's number, as shells count.
  const signals = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 } as const;
  const onSignal = (signal: keyof typeof signals) => end(signals[signal]);
  const names = ["SIGTERM", "SIGHUP", "SIGINT"] as const;
  for (const name of names) process.on(name, onSignal);
  const crashed = Promise.withResolvers<never>();
  process.on("uncaughtException", crashed.reject);
  process.on("unhandledRejection", crashed.reject);

  drawNow();
  try {
    return await Promise.race([ended, crashed.promise]);
  } finally {
    // The terminal first: whatever else fails, the person has it back.
    clearInterval(ticking);
    clearTimeout(waiting);
    screen.destroy();
    controller.close();
    for (const name of names) process.off(name, onSignal);
    process.off("uncaughtException", crashed.reject);
    process.off("unhandledRejection", crashed.reject);
  }
}
