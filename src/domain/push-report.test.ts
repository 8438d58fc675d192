import { expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { createPushReportReader, refusalBody } from "./push-report.ts";

const push = {
  lines: ["Push refused."],
  report: {
    unpack: "ok",
    refused: [
      { ref: "refs/heads/main", reason: "not yours" },
      { ref: "refs/tags/v1", reason: "not yours" },
    ],
  },
};

for (const band of ["side-band-64k", "side-band", "no-side-band"]) {
  test(`a refusal is read back as it was written, with ${band}, however it is split`, () => {
    const capabilities = ["report-status", band];
    const body = refusalBody(push, capabilities);
    if (body === undefined) throw new Error("no body");
    fc.assert(
      fc.property(fc.nat(body.length), fc.nat(body.length), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const reader = createPushReportReader(capabilities);
        for (const chunk of [body.subarray(0, from), body.subarray(from, to), body.subarray(to)])
          reader.read(chunk);
        expect(reader.report()).toEqual({ ...push.report, taken: [] });
      }),
    );
  });
}

test("a client that takes no report is not answered with one", () => {
  expect(refusalBody(push, ["side-band-64k"])).toBeUndefined();
});

test("a ten-thousand-ref refusal over the small side-band keeps to its packet size", () => {
  const refused = Array.from({ length: 10_000 }, (_, index) => ({
    ref: `refs/heads/${index}`,
    reason: "no",
  }));
  const body = refusalBody({ lines: [], report: { unpack: "ok", refused } }, ["report-status", "side-band"]);
  expect(
    Buffer.from(body ?? [])
      .subarray(0, 4)
      .toString(),
  ).toBe("03e8");
});

test("an answer that is no report is passed over", () => {
  const reader = createPushReportReader(["report-status", "side-band-64k"]);
  reader.read(Buffer.from("HTTP nonsense, no packet at all"));
  expect(reader.report().refused).toEqual([]);
});
