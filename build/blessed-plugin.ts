import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BunPlugin } from "bun";

/**
 * Makes blessed 0.1.81 fit into one executable. Three things in it read files beside its source at run time, which
 * in a compiled executable means the folder of whoever built it:
 *
 * - `lib/widget.js` requires its widgets by computed names: written out here.
 * - `lib/tput.js` reads a terminfo file, or the copies in `usr/`: here it always takes blessed's own description of
 *   xterm-256color, so that a machine without terminfo shows the same as one with.
 * - `lib/widgets/terminal.js` requires `term.js` and `pty.js`, which are not installed and not used: left out.
 */
export const blessedPlugin: BunPlugin = {
  name: "blessed",
  setup(build) {
    build.onResolve({ filter: /^(term|pty)\.js$/ }, ({ path }) => ({ path, external: true }));

    build.onLoad({ filter: /blessed[\\/]lib[\\/]widget\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const names = [...(source.match(/widget\.classes = \[([^\]]*)\]/)?.[1] ?? "").matchAll(/'(\w+)'/g)];
      const lines = names.map(([, name = ""]) => {
        const file = name.toLowerCase();
        return `widget[${JSON.stringify(name)}] = widget[${JSON.stringify(file)}] = require("./widgets/${file}");`;
      });
      return {
        contents: replaceOnce(source, /widget\.classes\.forEach\([\s\S]*?\n\}\);/, lines.join("\n")),
        loader: "js",
      };
    });

    build.onLoad({ filter: /blessed[\\/]lib[\\/]tput\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const terminfo = await readFile(join(dirname(path), "..", "usr", "xterm-256color"));
      const embedded = `file = "xterm-256color";\n  data = Buffer.from(${JSON.stringify(terminfo.toString("base64"))}, "base64");`;
      const contents = replaceOnce(
        source,
        /file = path\.normalize\(this\._prefix\(term\)\);\s*data = fs\.readFileSync\(file\);/,
        embedded,
      );
      return { contents: nowhere(contents), loader: "js" };
    });

    build.onLoad({ filter: /blessed[\\/]lib[\\/]widgets[\\/]bigtext\.js$/ }, async ({ path }) => ({
      contents: nowhere(await readFile(path, "utf8")),
      loader: "js",
    }));
  },
};

/** What is not used reads nothing either, and no path of the builder's machine goes into the executable. */
function nowhere(source: string): string {
  return source.replaceAll("__dirname", '"/nonexistent/blessed/lib"');
}

/** Another version of blessed may read otherwise: then the build must fail, not the executable. */
function replaceOnce(source: string, pattern: RegExp, replacement: string): string {
  if (source.match(new RegExp(pattern, "g"))?.length !== 1) {
    throw new Error(`blessed's source has changed: ${pattern} is not in it exactly once.`);
  }
  return source.replace(pattern, () => replacement);
}
