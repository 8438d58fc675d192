import { expect, test } from "bun:test";
import { checkEgress } from "./egress-check.ts";
import { compileEgressPolicy } from "./egress-policy.ts";
import { CcwError } from "./errors.ts";

const policy = compileEgressPolicy({
  access: "limited",
  allow: ["db.example port=5432 raw", "app.example path=/api"],
  deny: ["evil.example"],
  groupsOff: [],
  grants: [],
});

const verdictOf = (url: string, method = "GET") => {
  const { verdict } = checkEgress(policy, url, method);
  return verdict.allowed ? verdict.treatment : verdict.code;
};

const faultOf = (url: string): CcwError | undefined => {
  try {
    checkEgress(policy, url, "GET");
    return undefined;
  } catch (thrown) {
    if (thrown instanceof CcwError) return thrown;
    throw thrown;
  }
};

test("a check says what would happen, step by step", () => {
  const { verdict, steps } = checkEgress(policy, "https://GitHub.com/a/b", "POST");
  expect(verdict).toMatchObject({ allowed: false, code: "read-only" });
  expect(steps).toEqual([
    "The name is github.com, the port 443; the environment's access is limited.",
    "A connection is let through by: github.com (default list).",
    "The appliance ends TLS with its own certificate authority and reads each request.",
    "It is refused (read-only): github.com may only be read from unless a rule of the environment says write, and POST writes.",
  ]);
  expect(checkEgress(policy, "https://unknown.example", "GET").steps.at(-1)).toBe(
    "It is refused (host-not-allowed): unknown.example is not on this environment's list. A person can grant it.",
  );
});

test("a check gives the verdict that the door would give", () => {
  expect(verdictOf("https://nodejs.org/dist")).toBe("pass");
  expect(verdictOf("http://nodejs.org", "POST")).toBe("pass");
  expect(verdictOf("http://nodejs.org", "TRACE")).toBe("method-not-supported");
  expect(verdictOf("https://db.example:5432")).toBe("raw");
  expect(verdictOf("https://app.example/api?x#y")).toBe("inspect");
  expect(verdictOf("http://app.example?/api")).toBe("path-not-allowed");
  expect(verdictOf("https://evil.example/")).toBe("host-denied");
  expect(verdictOf("https://0x7f.1/")).toBe("host-not-allowed");
});

test.each([
  ["", "begin with http:// or https://"],
  ["nodejs.org", "begin with http:// or https://"],
  ["ftp://nodejs.org/", "begin with http:// or https://"],
  ["https:nodejs.org", "begin with http:// or https://"],
  ["https://evil@nodejs.org/", "a user name or password has no place before a host"],
  ["https://nodejs.org\\evil.example/", "a backslash"],
  ["https://nodejs.org:0/", "a port is a number from 1 to 65535"],
  ["https:///nodejs.org", "begin with http:// or https:// and a host"],
])("what the door could not read is not mended: %j says what is wrong with it", (url, why) => {
  const fault = faultOf(url);
  expect(fault).toMatchObject({ code: "invalid" });
  expect(fault?.message).toContain(why);
});
