import { expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { compressed } from "../../build/compressed.ts";
import { type Asset, assetResponse } from "./assets.ts";

const script = new TextEncoder().encode("console.log(1);\n".repeat(200));
const { etag, ...bodies } = compressed(script);
const asset: Asset = { type: "text/javascript; charset=utf-8", etag, bodies };
const ask = (acceptEncoding?: string, ifNoneMatch?: string) =>
  assetResponse(asset, { acceptEncoding, ifNoneMatch });

test.each([
  [undefined, null],
  ["", null],
  ["gzip, deflate", "gzip"],
  ["gzip, deflate, br, zstd", "br"],
  ["gzip;q=1.0, br;q=0.5", "gzip"],
  ["gzip;q=0, br;q=0.0", null],
  ["*", "br"],
  ["*;q=0.2, br;q=0", "gzip"],
  ["identity, gzip;q=0.5", null],
  ["GZIP ; Q=0.8", "gzip"],
  ["gzip;q=lots", "gzip"],
  ["zstd, deflate", null],
])("who takes %p gets %p", async (accepted, coding) => {
  const answer = ask(accepted);
  expect([answer.status, answer.headers.get("content-encoding")]).toEqual([200, coding]);
  expect(answer.headers.get("vary")).toBe("Accept-Encoding");
  const length = (await answer.bytes()).length;
  if (coding === null) expect(length).toBe(script.length);
  else expect(length).toBeLessThan(script.length / 10);
});

test("what is sent compressed is the file", async () => {
  expect(gunzipSync(await ask("gzip").bytes())).toEqual(Buffer.from(script));
});

test("who has it already gets nothing but that word; in another encoding it is another thing", async () => {
  const tag = ask("gzip").headers.get("etag") ?? "";
  expect(tag).toMatch(/^"[\w-]{22}-gzip"$/);
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const answer = ask("gzip", known);
    expect([answer.status, await answer.text()]).toEqual([304, ""]);
    expect([answer.headers.get("etag"), answer.headers.get("vary")]).toEqual([tag, "Accept-Encoding"]);
  }
  expect([ask("br", tag).status, ask(undefined, tag).status, ask("gzip", '"other"').status]).toEqual([
    200, 200, 200,
  ]);
});

test("what does not get smaller is sent as it is", () => {
  const noise = crypto.getRandomValues(new Uint8Array(4096));
  const { etag, ...bodies } = compressed(noise);
  const answer = assetResponse(
    { type: "image/png", etag, bodies },
    { acceptEncoding: "gzip, br", ifNoneMatch: undefined },
  );
  expect(answer.headers.get("content-encoding")).toBeNull();
});
