import { afterAll, beforeAll, expect, test } from "bun:test";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { connectEngine, type EngineConnection } from "../../src/sandbox/connect.ts";
import { createImages, type Images } from "../../src/sandbox/images.ts";
import { enginesUnderTest } from "./engines.ts";

/** The built-in image: built on the first engine, carried to the others as an archive, used without a network. */

const path = process.env["PATH"] ?? "";
const log = { info() {}, warn() {}, error() {} };
const lines: string[] = [];
const how = { onProgress: (line: string) => void lines.push(line), signal: new AbortController().signal };

let folder: string;
const engines: { name: string; connection: EngineConnection; images: Images }[] = [];

beforeAll(async () => {
  folder = await mkdtemp("/tmp/ccw-image-");
  for (const { name, socket } of enginesUnderTest()) {
    const connection = await connectEngine({ socket, dataFolder: folder, path, log });
    const { docker, traits } = connection;
    const images = createImages({ docker, traits, cacheFolder: "/tmp/ccw-test-cache", path });
    engines.push({ name, connection, images });
  }
});
afterAll(async () => {
  for (const { connection } of engines) await connection.close();
  await rm(folder, { recursive: true, force: true });
});

test("slim is built once, with progress, and then found again", async () => {
  const [first] = engines;
  if (first === undefined) throw new Error("no engine");
  const { reference, built } = await first.images.buildImage("slim", how);
  expect(reference).toBe(first.images.resolveImage("slim"));
  if (built) expect(lines.length).toBeGreaterThan(10);

  expect(await first.images.buildImage("slim", how)).toEqual({ reference, built: false });
  const listed = (await first.images.listImages()).find((image) => image.recipe === "slim");
  expect(listed).toMatchObject({ reference, state: { kind: "present" } });
}, 600_000);

test("an archive of it brings the same image to any engine", async () => {
  const [first] = engines;
  if (first === undefined) throw new Error("no engine");
  const reference = first.images.resolveImage("slim");
  const file = join(folder, "slim.tar");
  await pipeline(await first.connection.docker.getImage(reference).get(), createWriteStream(file));
  for (const { images } of engines) {
    expect(await images.importImage(file, how)).toEqual([reference]);
    expect(await images.buildImage("slim", how)).toEqual({ reference, built: false });
  }
  expect(process.memoryUsage().rss).toBeLessThan(400 * 1024 ** 2);
}, 600_000);

test("a root file system becomes an image, and anything else is refused in words", async () => {
  const [first] = engines;
  if (first === undefined) throw new Error("no engine");
  const { images, connection } = first;
  const root = await mkdtemp(join(folder, "root-"));
  await Bun.write(join(root, "etc", "hello"), "hello");
  const archive = join(folder, "My root.tar");
  await Bun.spawn(["tar", "-C", root, "-cf", archive, "."]).exited;
  expect(await images.importImage(archive, how)).toEqual(["localhost/ccw/imported:My-root"]);
  await connection.docker.getImage("localhost/ccw/imported:My-root").remove();

  const text = join(folder, "notes.tar");
  await writeFile(text, "not an archive");
  expect(images.importImage(text, how)).rejects.toMatchObject({ code: "invalid" });
  expect(images.importImage(join(folder, "nowhere.tar"), how)).rejects.toMatchObject({ code: "not_found" });
  expect(images.buildImage("nonesuch", how)).rejects.toMatchObject({ code: "not_found" });
}, 600_000);

test("the tools work in it with no network", async () => {
  for (const { connection, images } of engines) {
    const container = await connection.docker.createContainer({
      Image: images.resolveImage("slim"),
      Cmd: [
        "sh",
        "-ec",
        `claude --version; node -p process.version; npm --version; npm prefix -g; python3 --version; pip --version
        git --version; rg --version | head -1; jq --version; curl --version | head -1; echo 'a: 1' | grep a
        python3 -m venv /tmp/venv; /tmp/venv/bin/python -c 'import ssl, sqlite3; print("venv works")'
        cd /tmp; git init -q r; cd r; printf 'all:\\n\\techo made\\n' > Makefile; make -s`,
      ],
      Env: ["DISABLE_AUTOUPDATER=1"],
      HostConfig: {
        NetworkMode: "none",
        Ulimits: Object.entries(connection.traits.ulimits).map(([Name, value]) => ({
          Name,
          Soft: value,
          Hard: value,
        })),
      },
    });
    try {
      await container.start();
      const { StatusCode: status } = await container.wait();
      const output = (await container.logs({ stdout: true, stderr: true })).toString("latin1");
      expect(output).toContain("2.1.197 (Claude Code)");
      expect(output).toContain("v24.");
      expect(output).toContain("/usr/local");
      expect(output).toContain("venv works");
      expect(output).toContain("made");
      expect(status).toBe(0);
    } finally {
      await container.remove({ force: true });
    }
  }
}, 600_000);
