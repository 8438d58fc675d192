import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BunPlugin } from "bun";

/** What is served as it stands. */
const files = ["index.html", "icon.svg", "manifest.webmanifest"];

/**
 * Builds the page into `outFolder`: `app.js` and `app.css`, the files that they are named in, and `part-….js` for what
 * is loaded when it is opened; nothing from elsewhere.
 */
export async function buildWeb(outFolder: string): Promise<void> {
  await mkdir(outFolder, { recursive: true });
  await Bun.build({
    entrypoints: [join(import.meta.dir, "main.tsx"), join(import.meta.dir, "app.css")],
    outdir: outFolder,
    target: "browser",
    minify: true,
    plugins: [parsingAlone],
    splitting: true,
    naming: { entry: "app.[ext]", chunk: "part-[hash].[ext]" },
    define: { "process.env.NODE_ENV": '"production"' },
  });
  for (const file of files) await Bun.write(join(outFolder, file), Bun.file(join(import.meta.dir, file)));
}

/**
 * What the page uses of Zod. It leaves out what only describes: the writer of JSON Schema, which every schema has as a
 * method and which is therefore never seen to be unused, and the words for what is wrong, which the page shows nobody;
 * that is a seventh of the first load. And Zod compiles parsers with `new Function` where it may, which the content
 * security policy forbids, and the mere attempt is reported; so it is told before any schema is made.
 */
const parsingAlone: BunPlugin = {
  name: "parsing-alone",
  setup(build) {
    const described = /\/zod\/v4\/(core\/(to-json-schema|json-schema-processors)|locales\/en)\.js$/;
    build.onLoad({ filter: described }, async ({ path }) => {
      const { exports } = new Bun.Transpiler({ loader: "js" }).scan(await Bun.file(path).text());
      const names = exports.map((name) => `none as ${name}`);
      return { contents: `const none = () => {}; export { ${names} };`, loader: "js" };
    });
    build.onLoad({ filter: /\/zod\/v4\/core\/core\.js$/ }, async ({ path }) => ({
      contents: `globalThis.__zod_globalConfig = { jitless: true };${await Bun.file(path).text()}`,
      loader: "js",
    }));
  },
};
