import { expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { credentialIn, isPathBelow, methodOverride, whyNotReading } from "./request-reading.ts";

/** How servers differ: some decode once, some twice, before they resolve dot segments; some know `\` and `;x`. */
const readings: readonly ((path: string) => string)[] = [
  (path) => path,
  decode,
  (path) => decode(decode(path)),
  (path) => decode(path).replaceAll("\\", "/"),
  (path) => decode(decode(path)).replaceAll("\\", "/"),
  (path) => decode(path.replace(/;[^/]*/g, "")),
  (path) => decode(path).replace(/;[^/]*/g, ""),
];

function decode(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** RFC 3986, 5.2.4. */
function resolveDots(path: string): string {
  const out: string[] = [];
  for (const segment of path.split("/").slice(1)) {
    if (segment === "..") out.pop();
    else if (segment !== ".") out.push(segment);
  }
  return `/${out.join("/")}`;
}

test("what counts as below a path is below it however a server reads it", () => {
  const piece = fc.constantFrom(
    ..."/ a b ab . .. ; \\ %2f %2F %5c %2e %2E %252e %252f %25 %00 %61 %c0%ae %u002e %3b ? x".split(" "),
  );
  const target = fc.array(piece, { maxLength: 10 }).map((pieces) => `/a${pieces.join("")}`);
  let below = 0;
  fc.assert(
    fc.property(target, (text) => {
      if (!isPathBelow("/a", text)) return;
      below++;
      const path = text.split("?", 1)[0] ?? "";
      for (const read of readings) expect(resolveDots(read(path))).toMatch(/^\/a(?:\/|$)/);
    }),
    { numRuns: 10_000 },
  );
  expect(below).toBeGreaterThan(500);
});

test("a git fetch with two content types is none", () => {
  const type = ["content-type", "application/x-git-upload-pack-request"] as const;
  const fetch = { method: "POST", target: "/a.git/git-upload-pack" };
  expect(whyNotReading({ ...fetch, headers: [type] })).toBeUndefined();
  expect(whyNotReading({ ...fetch, headers: [type, ["content-type", "application/json"]] })).toBe(
    "POST writes",
  );
});

test("any head is judged without an error", () => {
  const names = fc.constantFrom("cookie", "authorization", "upgrade", "content-length", "content-type", "x");
  const head = fc.record({
    method: fc.constantFrom("GET", "POST", "OPTIONS"),
    target: fc.string({ unit: "binary" }).map((text) => `/${text}`),
    headers: fc.array(fc.tuple(names, fc.string())),
  });
  fc.assert(
    fc.property(head, (request) => {
      for (const verdict of [whyNotReading(request), credentialIn(request, true), methodOverride(request)]) {
        expect(verdict === undefined || verdict.length > 0).toBe(true);
      }
      isPathBelow("/a", request.target);
    }),
    { numRuns: 2000 },
  );
});

test("a long hostile path is judged at once", () => {
  const fetch = [["content-type", "application/x-git-upload-pack-request"]] as const;
  const before = performance.now();
  for (const bit of ["%20", "/a", "a", ";", "%25", "/..a"]) {
    const target = `/a${bit.repeat(20_000)}!/git-upload-pack`;
    isPathBelow("/a", target);
    whyNotReading({ method: "POST", target, headers: fetch });
    whyNotReading({ method: "GET", target: `/info/refs?${bit.repeat(20_000)}`, headers: [] });
    credentialIn({ method: "GET", target: `/?${bit.repeat(20_000)}`, headers: [["cookie", target]] }, false);
  }
  // A pattern that backtracks would take hours; a busy machine takes its time.
  expect(performance.now() - before).toBeLessThan(20_000);
});
