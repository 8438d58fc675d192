import { afterEach, expect, test } from "bun:test";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { flushPkt, pktLine } from "../domain/pkt-line.ts";
import { relayEndpoint } from "./git-relay.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

test("the relay reads a server's refs though its client takes packed answers", async () => {
  const tip = "a".repeat(40);
  const server = createServer((request, response) => {
    const asked = request.method === "GET" ? "advertisement" : "result";
    const plain =
      asked === "result"
        ? Buffer.concat([pktLine(`${tip} refs/heads/x symref-target:refs/heads/main\n`), flushPkt])
        : Buffer.concat([pktLine("version 2\n"), pktLine("ls-refs\n"), flushPkt]);
    const packed = (request.headers["accept-encoding"] ?? "").includes("gzip");
    response.writeHead(200, {
      "content-type": `application/x-git-upload-pack-${asked}`,
      ...(packed && { "content-encoding": "gzip" }),
    });
    response.end(packed ? gzipSync(plain) : plain);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const http = createUpstreamHttp();
  closers.push(
    () => server.close(),
    () => http.close(),
  );
  const address = server.address();
  const never = () => Promise.reject(new Error("nothing is pushed here"));
  const endpoint = relayEndpoint({
    http,
    upstream: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    path: "/x.git",
    headers: { "accept-encoding": "deflate, gzip, br" },
    quarantine: { judge: never },
    base: { folderWith: never },
  });
  expect(await endpoint.isSymbolicRef("refs/heads/x")).toBe(true);
});
