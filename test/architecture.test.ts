import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

/** Layer → layers it may import. The table in ARCHITECTURE.md, as code. */
const allowed: Record<string, readonly string[]> = {
  domain: [],
  store: ["domain"],
  sandbox: ["domain"],
  forge: ["domain"],
  demo: ["domain"],
  guest: ["domain"],
  notify: ["domain"],
  gateway: ["gateway/wire", "domain"],
  "gateway/control": ["domain"],
  "gateway/model": ["domain"],
  "gateway/git": ["domain"],
  "gateway/egress": ["gateway/wire", "domain"],
  "gateway/wire": [],
  runs: ["domain"],
  http: ["domain", "runs"],
  client: ["domain"],
  cli: ["client", "domain"],
  tui: ["client", "domain"],
  web: ["client", "domain"],
  log: ["domain"],
  config: ["domain"],
  server: ["*"],
  "data-folder": ["config", "domain", "demo", "forge"],
  "engine-connection": ["config", "domain", "sandbox"],
  "git-proxy": ["cli", "domain", "forge", "gateway", "gateway/git", "gateway/egress"],
  listen: ["config", "domain"],
  "open-notifications": ["config", "domain", "forge", "network", "notify"],
  "open-repositories": ["config", "domain", "forge", "network"],
  network: ["config", "domain", "forge", "gateway/egress"],
  main: ["*"],
};
const allowedTypes: Record<string, readonly string[]> = { client: ["http"] };

const root = join(import.meta.dir, "..");

function layerOf(path: string): string {
  const parts = path.split("/");
  if (parts[0] !== "src") return parts[0] ?? "";
  const name = (parts[1] ?? "").replace(/\.ts$/, "");
  return name === "gateway" && parts.length > 3 ? `gateway/${parts[2]}` : name;
}

const isTest = (file: string) => /\.(test|fixture)\.tsx?$/.test(file);

interface Edge {
  from: string;
  to: string;
  typeOnly: boolean;
}

async function edges(): Promise<Edge[]> {
  const found: Edge[] = [];
  for await (const file of new Glob("{src,web,tui}/**/*.{ts,tsx}").scan(root)) {
    if (isTest(file)) continue;
    const source = await Bun.file(join(root, file)).text();
    const statement =
      /^\s*(?:import|export)\s(type\s)?[^"';]*?from\s*["'](\.[^"']+)["']|^\s*import\s*["'](\.[^"']+)["']|import\(\s*["'](\.[^"']+)["']\s*\)/gm;
    for (const match of source.matchAll(statement)) {
      const target = match[2] ?? match[3] ?? match[4];
      // Program text in a string may look like an import; a real one names a file, or the types would not check.
      if (target !== undefined && existsSync(join(root, dirname(file), target))) {
        found.push({
          from: file,
          to: normalize(join(dirname(file), target)),
          typeOnly: match[1] !== undefined,
        });
      }
    }
  }
  return found;
}

test("imports follow the layers", async () => {
  const all = await edges();
  const crossing = all.filter((edge) => layerOf(edge.from) !== layerOf(edge.to));
  expect(crossing.length).toBeGreaterThan(20);

  const wrong = crossing.filter(({ from, to, typeOnly }) => {
    const target = layerOf(to);
    if (!/^(src|web|tui)\//.test(to)) return false; // recipes, migrations, assets
    const layers = allowed[layerOf(from)] ?? [];
    return !(
      layers.includes("*") ||
      layers.includes(target) ||
      (typeOnly && allowedTypes[layerOf(from)]?.includes(target))
    );
  });
  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

test("every source folder has a layer", async () => {
  const unknown: string[] = [];
  for await (const file of new Glob("{src,web,tui}/**/*.{ts,tsx}").scan(root)) {
    if (!isTest(file) && !(layerOf(file) in allowed)) unknown.push(file);
  }
  expect(unknown).toEqual([]);
});

test("the environment is read in one place", async () => {
  const readers: string[] = [];
  for await (const file of new Glob("src/**/*.ts").scan(root)) {
    if (/process\.env|Bun\.env/.test(await Bun.file(join(root, file)).text())) readers.push(file);
  }
  // The guest and the client-side commands run in environments of their own; the server reads only config.ts.
  expect(readers.filter((file) => !/^src\/(config|main)\.ts$|^src\/(guest|cli)\//.test(file))).toEqual([]);
});
