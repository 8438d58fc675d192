import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { type Appliance, enginesUnderTest, executable, freshFolder, startAppliance } from "./appliance.ts";

/** The page's files as the compiled executable has them inside. */

const [engine] = enginesUnderTest();
if (engine === undefined) throw new Error("There is no engine.");
const dataFolder = freshFolder();
let appliance: Appliance;
beforeAll(async () => {
  appliance = await startAppliance({ engine, dataFolder });
}, 600_000);
afterAll(async () => {
  await appliance?.stop();
  rmSync(dataFolder, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string>) =>
  fetch(appliance.url + path, {
    headers: { authorization: `Bearer ${appliance.token}`, ...headers },
    decompress: false,
  });

test("every file of the first load comes compressed, and is the same whichever way it comes", async () => {
  const html = await (await get("/", { "accept-encoding": "identity" })).text();
  const files = [...html.matchAll(/(?:src|href)="(\/[\w.-]+)"/g)].map(([, path = ""]) => path);
  expect(files).toContain("/app.js");
  expect(files).toContain("/app.css");
  for (const path of ["/", ...files]) {
    const plain = await get(path, { "accept-encoding": "identity" });
    const whole = Buffer.from(await plain.bytes());
    expect([plain.status, plain.headers.get("content-encoding")]).toEqual([200, null]);
    for (const [coding, undo] of [
      ["gzip", gunzipSync],
      ["br", brotliDecompressSync],
    ] as const) {
      const answer = await get(path, { "accept-encoding": coding });
      const sent = await answer.bytes();
      const told = answer.headers.get("content-encoding");
      expect(answer.headers.get("vary")).toBe("Accept-Encoding");
      expect(answer.headers.get("content-type")).toBe(plain.headers.get("content-type"));
      if (/\.(js|css)$/.test(path)) expect([path, told]).toEqual([path, coding]);
      expect(Buffer.from(told === null ? sent : undo(sent)).equals(whole)).toBe(true);
      if (path === "/app.js")
        console.log(`${executable}: app.js ${whole.length} bytes, ${coding} ${sent.length}`);
      const tag = answer.headers.get("etag") ?? "";
      expect((await get(path, { "accept-encoding": coding, "if-none-match": tag })).status).toBe(304);
    }
  }
});
