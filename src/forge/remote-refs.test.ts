import { afterEach, expect, test } from "bun:test";
import { askForRefs } from "./remote-refs.ts";

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
    ...{ authorities: [], proxy: undefined, signal: new AbortController().signal },
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
