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
