import { expect, test } from "bun:test";
import { parseRange } from "./domain/ip-address.ts";
import { createReach, vetAddresses } from "./network.ts";

const names: Record<string, string[]> = {
  "public.example": ["93.184.216.34"],
  "inside.example": ["10.1.2.3"],
  "both.example": ["93.184.216.34", "127.0.0.1"],
  "metadata.example": ["169.254.169.254"],
  "listed.example": ["10.9.0.1"],
};
const listed = parseRange("10.9.0.0/16");
const whyNot = vetAddresses({
  allowedRanges: listed.ok ? [listed.value] : [],
  ownPort: () => 7000,
  now: Date.now,
});
const reach = (url: string, proxyResolves = false) =>
  createReach({ whyNot, proxyResolves, lookup: async (name) => names[name] ?? [] })(new URL(url));

test("an address that a server names is dialled where it was judged", async () => {
  expect(await reach("https://public.example/x")).toBe("93.184.216.34");
  expect(await reach("https://listed.example:9000/x")).toBe("10.9.0.1");
  expect(await reach("https://93.184.216.34/x")).toBe("93.184.216.34");
});

test.each([
  "https://inside.example/",
  "https://both.example/",
  "http://metadata.example/latest/meta-data",
  "http://127.0.0.1:7000/",
  "http://127.1/",
  "http://2130706433/",
  "http://[::1]/",
  "http://[::ffff:10.1.2.3]/",
  "http://10.1.2.3/",
])("%s is not reached", async (url) => {
  await expect(reach(url)).rejects.toMatchObject({ code: "forbidden" });
});

test("a name that nobody knows is told as such, but to a proxy that looks it up itself", async () => {
  await expect(reach("https://nowhere.example/")).rejects.toMatchObject({ code: "unavailable" });
  expect(await reach("https://nowhere.example/", true)).toBeUndefined();
  await expect(reach("https://127.0.0.1/", true)).rejects.toMatchObject({ code: "forbidden" });
});
