import { afterAll, afterEach, expect, test } from "bun:test";
import { flushPkt, pktLine } from "../domain/pkt-line.ts";
import { askForRefs } from "./remote-refs.ts";
import { createUpstreamHttp } from "./upstream-http.ts";

const http = createUpstreamHttp();
afterAll(http.close);
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function ask(answer: (origin: string) => Response) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => answer(new URL(url).origin),
  });
  closers.push(() => server.stop(true));
  return askForRefs({
    ...{ cloneUrl: `http://127.0.0.1:${server.port}/acme/widget.git`, authorization: "Basic c2VjcmV0" },
    ...{ http, signal: new AbortController().signal },
  });
}
const redirect = (location: string) => new Response(null, { status: 301, headers: { location } });

test("a renamed repository is found, and only by a plain address on the same origin", async () => {
  expect(
    await ask((origin) => redirect(`${origin}/acme/gadget.git/info/refs?service=git-upload-pack`)),
  ).toEqual({
    kind: "moved",
    cloneUrl: expect.stringMatching(/\/acme\/gadget\.git$/),
  });
  for (const path of [
    "/acme/%2e%2e%2fother.git/info/refs",
    "/acme%2Fgadget.git/info/refs",
    "/acme//gadget.git/info/refs",
    "/acme/gad%0aget/info/refs",
    "/info/refs",
  ]) {
    await expect(ask((origin) => redirect(origin + path))).rejects.toMatchObject({ code: "unavailable" });
  }
  await expect(
    ask((origin) => redirect(`${origin.replace("//", "//u:p@")}/acme/gadget.git/info/refs`)),
  ).rejects.toMatchObject({ code: "unavailable" });
});

const ids = { main: "1".repeat(40), tag: "2".repeat(40), peeled: "3".repeat(40) };
const version0 = [
  pktLine("# service=git-upload-pack\n"),
  flushPkt,
  pktLine(`${ids.main} HEAD\0multi_ack symref=HEAD:refs/heads/main object-format=sha1 agent=git/1.8\n`),
  pktLine(`${ids.main} refs/heads/main\n`),
  pktLine(`${ids.main} refs/pull/7/head\n`),
  pktLine(`${ids.tag} refs/tags/v1\n`),
  pktLine(`${ids.peeled} refs/tags/v1^{}\n`),
  flushPkt,
];
const advertisement = (...parts: Uint8Array[]) =>
  new Response(Buffer.concat(parts), {
    headers: { "content-type": "application/x-git-upload-pack-advertisement" },
  });

test("a server that knows no version 2 tells branches and tags, and what HEAD names", async () => {
  expect(await ask(() => advertisement(...version0))).toEqual({
    kind: "refs",
    found: {
      ...{ objectFormat: "sha1", defaultBranch: "main" },
      refs: new Map([
        ["refs/heads/main", ids.main],
        ["refs/tags/v1", ids.tag],
      ]),
    },
  });
});

test.each([
  ["half a list, cut between two lines, is none", version0.slice(0, 5), "it gave half an answer"],
  ["nor cut within one", [...version0.slice(0, 5), Buffer.from("003f22")], "it gave half an answer"],
  ["nor nothing at all", [], "it gave an empty answer"],
  ["a server says why not", [pktLine("ERR out of order\n")], "cannot be used now: out of order."],
  ["what is no list is told as such", [Buffer.from("<html>")], "is not one that git writes"],
])("%s", async (_, parts, words) => {
  await expect(ask(() => advertisement(...parts))).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(words),
  });
});

test("a page in the place of a list, and one that says not found, are told apart", async () => {
  await expect(ask(() => new Response("<html>"))).rejects.toThrow("no server of git's smart HTTP protocol");
  expect(await ask(() => new Response("", { status: 404 }))).toEqual({ kind: "refused", status: 404 });
  await expect(ask(() => new Response("", { status: 500 }))).rejects.toThrow("HTTP status 500");
});
