import { expect, test } from "bun:test";
import { createConditionalFetch } from "./forge-memory.ts";

test("what was answered to one credential is never shown to another", async () => {
  const asked: (string | null)[] = [];
  const fetch = createConditionalFetch(async (_, init) => {
    const headers = new Headers(init?.headers);
    asked.push(headers.get("if-none-match"));
    // A server that makes its tags of the address alone.
    if (headers.get("if-none-match") === '"1"') return new Response(null, { status: 304 });
    return new Response(`for ${headers.get("authorization")}`, { headers: { etag: '"1"' } });
  });
  const as = async (authorization: string) =>
    (await fetch("https://forge.example/list", { headers: { authorization } })).text();
  expect(await as("Bearer one")).toBe("for Bearer one");
  expect(await as("Bearer two")).toBe("for Bearer two");
  expect(await as("Bearer one")).toBe("for Bearer one");
  expect(asked).toEqual([null, null, '"1"']);
});
