import { expect, test } from "bun:test";
import type { EgressLimits } from "../../domain/egress.ts";
import { createTrafficLimits } from "./limits.ts";

const limits: EgressLimits = {
  uploadBytes: 1000,
  requestBytes: 1000,
  requestsPerMinute: 3,
  connections: 2,
  namesPerMinute: 2,
};

function setUp(changes: Partial<EgressLimits> = {}) {
  const clock = { ms: 1_000_000 };
  const traffic = createTrafficLimits({ ...limits, ...changes }, 100, () => clock.ms);
  /** Begins and ends a request at once. */
  const request = () => {
    const verdict = traffic.begin();
    if (verdict.ok) verdict.release();
    return verdict.ok ? "ok" : verdict.text;
  };
  return { clock, traffic, request };
}

test("a minute's requests may come at once, then one each time there is room again", () => {
  const { clock, request } = setUp();
  expect([request(), request(), request()]).toEqual(["ok", "ok", "ok"]);
  expect(request()).toBe("This sandbox may make 3 requests a minute. Try again in 20 s.");
  clock.ms += 15_000;
  expect(request()).toContain("in 5 s");
  clock.ms += 5_000;
  expect([request(), request()]).toEqual(["ok", expect.stringContaining("in 20 s")]);
  clock.ms += 3_600_000;
  expect([request(), request(), request(), request()].filter((text) => text === "ok")).toHaveLength(3);
});

test("of refusals two thousand may come at once, then fifty a second", () => {
  const { clock, traffic } = setUp();
  let count = 0;
  const exhaust = () => {
    for (count = 0; traffic.mayAsk; count++) traffic.refused();
    return count;
  };
  expect(exhaust()).toBe(2000);
  clock.ms += 10;
  expect(traffic.mayAsk).toBe(false);
  clock.ms += 990;
  expect(exhaust()).toBe(50);
  clock.ms -= 3_600_000;
  expect(traffic.mayAsk).toBe(false);
  clock.ms += 3_600_000;
  expect(exhaust()).toBe(2000);
});

test("only so many requests are open at once; each makes room once", () => {
  const { traffic } = setUp({ requestsPerMinute: 100 });
  const [first, second] = [traffic.begin(), traffic.begin()];
  expect(traffic.begin()).toMatchObject({
    ok: false,
    code: "too-many-connections",
    text: expect.stringContaining("2 connections open"),
  });
  if (!first.ok || !second.ok) throw new Error("refused too early");
  first.release();
  first.release();
  expect(traffic.begin().ok).toBe(true);
  expect(traffic.begin().ok).toBe(false);
});

test("a request that is refused for open connections does not count against the rate", () => {
  const { traffic, request } = setUp();
  const open = [traffic.begin(), traffic.begin()];
  for (let i = 0; i < 10; i++) expect(traffic.begin().ok).toBe(false);
  for (const verdict of open) if (verdict.ok) verdict.release();
  expect(request()).toBe("ok");
});

test("new names below wildcards are limited in any minute, known ones are not", () => {
  const { clock, traffic } = setUp();
  expect(traffic.name("*.x.com", "a.x.com").ok).toBe(true);
  clock.ms += 30_000;
  expect(traffic.name("*.x.com", "b.x.com").ok).toBe(true);
  expect(traffic.name("*.y.com", "c.y.com")).toEqual({
    ok: false,
    code: "too-many-names",
    text: "This sandbox may reach 2 new names a minute that no rule names one by one; this one would be let by: *.y.com. Try again in 30 s.",
  });
  expect(traffic.name("*.x.com", "a.x.com").ok).toBe(true);
  clock.ms += 30_000;
  expect(traffic.name("*.y.com", "c.y.com").ok).toBe(true);
  expect(traffic.name("*.y.com", "d.y.com").ok).toBe(false);
});

test("names are limited in a sandbox's life too", () => {
  const { clock, traffic } = setUp();
  const passed = Array.from({ length: 100 }, (_, index) => {
    clock.ms += 60_000;
    return traffic.name("*.x.com", `${index}.x.com`).ok;
  });
  expect(passed.filter(Boolean)).toHaveLength(20);
  expect(traffic.name("*.x.com", "100.x.com")).toMatchObject({
    text: expect.stringContaining("20 different names"),
  });
  expect(traffic.name("*.x.com", "3.x.com").ok).toBe(true);
});

test("the budget of bytes counts what was uploaded before a restart", () => {
  const { traffic } = setUp();
  expect(traffic.upload(800)).toBe(true);
  expect(traffic.upload(100)).toBe(true);
  expect(traffic.uploaded).toBe(1000);
  expect(traffic.upload(1)).toBe(false);
});

test("a budget that did not suffice once is spent, until there is a larger one", () => {
  const { traffic } = setUp();
  expect(traffic.upload(10_000)).toBe(false);
  expect(traffic.uploaded).toBe(1000);
  expect(traffic.upload(1)).toBe(false);
  traffic.update({ ...limits, uploadBytes: 1500 });
  expect(traffic.upload(500)).toBe(true);
});

test("new limits hold at once and forget nothing", () => {
  const { clock, traffic, request } = setUp({ connections: 10 });
  expect([request(), request()]).toEqual(["ok", "ok"]);
  traffic.upload(800);
  traffic.name("*.x.com", "a.x.com");
  traffic.name("*.x.com", "b.x.com");
  traffic.update({ ...limits, connections: 10, requestsPerMinute: 4, uploadBytes: 950, namesPerMinute: 1 });
  expect([request(), request(), request()].map((text) => text === "ok")).toEqual([true, true, false]);
  expect(traffic.upload(100)).toBe(false);
  expect(traffic.name("*.x.com", "c.x.com").ok).toBe(false);
  clock.ms += 60_000;
  expect(traffic.name("*.x.com", "c.x.com").ok).toBe(true);
  traffic.update({ ...limits, connections: 10, requestsPerMinute: 1 });
  expect([request(), request()].map((text) => text === "ok")).toEqual([true, false]);
});

test("a limit of none refuses without promising a time", () => {
  const { traffic, request } = setUp({ requestsPerMinute: 0, namesPerMinute: 0 });
  expect(request()).toBe("This sandbox may make 0 requests a minute. It is switched off.");
  expect(traffic.name("*.x.com", "a.x.com").ok).toBe(false);
});

test("a clock that jumps back gives nothing away and takes nothing", () => {
  const { clock, request } = setUp();
  expect([request(), request(), request()]).toEqual(["ok", "ok", "ok"]);
  clock.ms -= 3_600_000;
  expect(request()).toContain("in 20 s");
  clock.ms += 20_000;
  expect(request()).toBe("ok");
});
