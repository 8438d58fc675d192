import { mkdir } from "node:fs/promises";
import { join } from "node:path";

/** What is served as it stands. */
const files = ["index.html", "icon.svg", "manifest.webmanifest"];

/** Builds the page into `outFolder`: `app.js`, `app.css` and the files that they are named in; nothing from elsewhere. */
export async function buildWeb(outFolder: string): Promise<void> {
  await mkdir(outFolder, { recursive: true });
  await Bun.build({
    entrypoints: [join(import.meta.dir, "main.tsx"), join(import.meta.dir, "app.css")],
    outdir: outFolder,
    target: "browser",
    minify: true,
    naming: "app.[ext]",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  for (const file of files) await Bun.write(join(outFolder, file), Bun.file(join(import.meta.dir, file)));
}
