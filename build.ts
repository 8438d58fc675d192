import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { type BunPlugin, Glob } from "bun";
import { blessedPlugin } from "./build/blessed-plugin.ts";
import { compressed } from "./build/compressed.ts";
import packageJson from "./package.json" with { type: "json" };
import { buildWeb } from "./web/build.ts";

/** Builds dist/ccw-server: one executable with the web interface, migrations and image recipes inside. */
const root = import.meta.dir;
const outfile = join(root, "dist/ccw-server");

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webmanifest": "application/manifest+json",
  ".json": "application/json",
};

/** `import assets from "ccw:assets"`: the built web interface, compressed as it is sent. */
async function assetsPlugin(): Promise<BunPlugin> {
  const folder = await mkdtemp(join(tmpdir(), "ccw-web-"));
  try {
    await buildWeb(folder);
    const entries: typeof import("ccw:assets").default = [];
    for (const file of [...new Glob("**/*").scanSync(folder)].sort()) {
      const type = types[extname(file)];
      if (type === undefined) throw new Error(`no content type for ${file}`);
      const { etag, identity, gzip, br } = compressed(await readFile(join(folder, file)));
      const bodies = {
        identity: base64(identity),
        ...(gzip !== undefined && { gzip: base64(gzip) }),
        ...(br !== undefined && { br: base64(br) }),
      };
      entries.push({ path: `/${file}`, type, etag, bodies });
    }
    return {
      name: "ccw-assets",
      setup(build) {
        build.onResolve({ filter: /^ccw:assets$/ }, () => ({ path: "assets", namespace: "ccw" }));
        build.onLoad({ filter: /.*/, namespace: "ccw" }, () => ({
          contents: `export default ${JSON.stringify(entries)}`,
          loader: "js",
        }));
      },
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

const began = performance.now();
const result = await Bun.build({
  entrypoints: [join(root, "src/main.ts")],
  plugins: [await assetsPlugin(), blessedPlugin],
  define: { "process.env.NODE_ENV": '"production"', CCW_VERSION: JSON.stringify(packageJson.version) },
  minify: true,
  format: "esm",
  bytecode: true,
  // Native parts of ssh2, which dockerode uses for ssh:// engines alone and does without where they are missing.
  external: ["cpu-features", "*.node"],
  compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
});
for (const log of result.logs) console.error(String(log));
if (!result.success) process.exit(1);
console.error(`built dist/ccw-server in ${((performance.now() - began) / 1000).toFixed(1)} s`);
