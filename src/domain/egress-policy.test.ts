import { describe, expect, test } from "bun:test";
import fc from "../../test/properties.ts";
import { policyCases } from "./egress-policy.cases.ts";
import {
  compileEgressPolicy,
  decideConnection,
  decideRequest,
  type EgressPolicy,
  type EgressRequest,
  type EgressSource,
  withTakenGrant,
} from "./egress-policy.ts";
import { parseAuthority } from "./host.ts";

function policyOf(source: Partial<EgressSource>): EgressPolicy {
  return compileEgressPolicy({
    access: "custom",
    allow: [],
    deny: [],
    groupsOff: [],
    grants: [],
    ...source,
  });
}

function requestOf(text: string, headers: Readonly<Record<string, string>> = {}): EgressRequest {
  const [, method = "", scheme, authority = "", target = "/"] =
    /^(\S+) (https?):\/\/([^/]+)(.*)$/s.exec(text) ?? [];
  const parsed = parseAuthority(authority, scheme === "http" ? 80 : 443);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.why}`);
  return { ...parsed.value, method, target, headers: Object.entries(headers) };
}

for (const [title, { policy, cases }] of Object.entries(policyCases)) {
  describe(title, () => {
    const compiled = policyOf(policy);
    for (const [text, verdict, headers] of cases) {
      const shown = headers === undefined ? "" : ` with ${Object.keys(headers).join(", ")}`;
      test(`${text}${shown}: ${verdict}`, () => {
        const request = requestOf(text, headers);
        const connection = decideConnection(compiled, request.host, request.port);
        const decision = decideRequest(compiled, request);
        expect(decision.allowed ? decision.treatment : decision.code).toBe(verdict);
        if (decision.allowed)
          expect(connection).toMatchObject({ allowed: true, treatment: decision.treatment });
      });
    }
  });
}

describe("a refusal", () => {
  const refusal = (source: Partial<EgressSource>, text: string, headers?: Record<string, string>) => {
    const decision = decideRequest(policyOf(source), requestOf(text, headers));
    if (decision.allowed) throw new Error("it is allowed");
    return decision;
  };
  test("of a host whose group is switched off says which group", () => {
    const text = "is in the group Version Control of the default list, which is switched off here";
    const groupsOff = ["Version Control"];
    expect(refusal({ access: "limited", groupsOff }, "GET https://github.com/")).toEqual({
      allowed: false,
      code: "host-not-allowed",
      text: `github.com ${text}`,
      grantable: true,
    });
    // Elsewhere the list is not in force, so no group of it is missing.
    const custom = refusal({ access: "custom", groupsOff }, "GET https://github.com/");
    expect(custom.text).toBe("github.com is not on this environment's list");
  });
  test("says what a person could grant", () => {
    expect(refusal({ access: "limited" }, "GET https://evil.example/")).toEqual({
      allowed: false,
      code: "host-not-allowed",
      text: "evil.example is not on this environment's list",
      grantable: true,
    });
    expect(refusal({ access: "limited" }, "GET https://github.com:22/")).toMatchObject({
      text: "github.com may be reached on port 80, 443, not on 22",
      grantable: true,
    });
  });
  test("says what no grant would change", () => {
    const limited = { access: "limited" } as const;
    expect(refusal({ access: "none" }, "GET https://a.example/").grantable).toBe(false);
    expect(refusal({ ...limited, deny: ["a.example"] }, "GET https://a.example/")).toMatchObject({
      text: "a.example is forbidden in this environment (deny a.example)",
      grantable: false,
    });
    expect(refusal(limited, "POST https://github.com/")).toMatchObject({
      text: "github.com may only be read from unless a rule of the environment says write, and POST writes",
      grantable: false,
    });
    expect(refusal(limited, "GET https://github.com/", { authorization: "x" })).toMatchObject({
      text: "github.com takes no credential out of a sandbox, and the header authorization holds one; the appliance adds those that the environment has",
      grantable: false,
    });
  });
});

describe("a decision", () => {
  test("names the rule that let it", () => {
    const source = {
      access: "limited",
      allow: ["a.example path=/x write"],
      grants: [{ host: "b.example", port: 22, scope: "task" }],
    } as const;
    const rule = (text: string) => {
      const decision = decideRequest(policyOf(source), requestOf(text));
      return decision.allowed ? decision.rule : decision.code;
    };
    expect(rule("GET https://x.sentry.io/")).toBe("*.sentry.io (default list)");
    expect(rule("GET https://a.example/x")).toBe("a.example path=/x write (environment)");
    expect(rule("GET https://b.example:22/")).toBe("b.example port=22 (granted for this task)");
  });
  test("takes a grant for once only where nothing else lets the connection", () => {
    const grants = [{ host: "a.example", port: 443, scope: "once" }] as const;
    const { host, port } = requestOf("GET https://a.example/");
    expect(decideConnection(policyOf({ grants }), host, port)).toMatchObject({ once: true });
    const also = policyOf({ grants, allow: ["*.example"] });
    expect(decideConnection(also, host, port)).toMatchObject({ allowed: true, once: false });
  });
});

test("a taken grant holds for its connection, under what is denied since", () => {
  const asked = requestOf("GET https://a.example/");
  const { host, port } = asked;
  const now = policyOf({ access: "limited" });
  const taken = withTakenGrant(now, host, port);
  expect(decideRequest(now, asked).allowed).toBe(false);
  expect(decideRequest(taken, asked)).toMatchObject({ allowed: true, once: false });
  expect(decideRequest(taken, requestOf("GET https://b.a.example/")).allowed).toBe(false);
  expect(decideRequest(taken, requestOf("GET https://a.example:8443/")).allowed).toBe(false);
  for (const source of [{ access: "none" }, { deny: ["*.example"] }] as const) {
    expect(decideRequest(withTakenGrant(policyOf(source), host, port), asked).allowed).toBe(false);
  }
});

test("a grant for once is asked for where the lasting rules do not reach", () => {
  const policy = policyOf({
    allow: ["github.com path=/a"],
    grants: [{ host: "github.com", port: 443, scope: "once" }],
  });
  expect(decideRequest(policy, requestOf("GET https://github.com/a"))).toMatchObject({ once: false });
  expect(decideRequest(policy, requestOf("GET https://github.com/b"))).toMatchObject({ once: true });
});

test("a policy that cannot be read whole is none", () => {
  expect(() => policyOf({ allow: ["nodejs.org", "*.com"] })).toThrow(/\*\.com: anybody can register/);
  expect(() => policyOf({ deny: ["a b"] })).toThrow(/cannot be used/);
  expect(() => policyOf({ groupsOff: ["Version Controll"] })).toThrow(/no such group/);
});

describe("for any policy", () => {
  const names = ["a.example", "b.a.example", "c.b.a.example", "github.com", "x.sentry.io", "n.github.io"];
  const hosts = fc.constantFrom(...names, "192.0.2.1", "evil.test", "registry.npmjs.org");
  const pattern = fc.constantFrom(...names, "*.a.example", "*.github.io", "*.sentry.io", "*", "192.0.2.1");
  const options = fc.constantFrom(
    "",
    " port=443",
    " port=22 raw",
    " methods=GET,POST",
    " path=/a",
    " path=/a write",
    " write",
    " no-inspect",
    " raw",
  );
  const rule = fc.tuple(pattern, options).map(([host, rest]) => host + rest);
  const source = fc.record({
    access: fc.constantFrom("none", "limited", "custom", "full"),
    allow: fc.array(rule, { maxLength: 4 }),
    deny: fc.array(pattern, { maxLength: 1 }),
    groupsOff: fc.subarray(["Version Control", "Cloud Services & Monitoring"]),
    grants: fc.array(
      fc.record({ host: hosts, port: fc.constantFrom(22, 443), scope: fc.constantFrom("once", "task") }),
      { maxLength: 2 },
    ),
  }) satisfies fc.Arbitrary<EgressSource>;
  const request = fc
    .tuple(
      fc.constantFrom("GET", "POST", "PUT", "HEAD"),
      hosts,
      fc.constantFrom(":22", ":443", ":80"),
      fc.constantFrom("/", "/a", "/a/b", "/a/../b", "/ab"),
      fc.constantFrom<Record<string, string>>({}, { authorization: "x" }, { "content-length": "9" }),
    )
    .map(([method, host, port, target, headers]) =>
      requestOf(`${method} https://${host}${port}${target}`, headers),
    );
  const runs = { numRuns: 1500 };
  const isAllowed = (policy: EgressPolicy, asked: EgressRequest) => decideRequest(policy, asked).allowed;

  test("None allows nothing", () => {
    fc.assert(
      fc.property(source, request, (any, asked) => !isAllowed(policyOf({ ...any, access: "none" }), asked)),
      runs,
    );
  });
  test("what is denied is refused", () => {
    fc.assert(
      fc.property(source, request, (any, asked) => {
        const policy = policyOf({ ...any, deny: [...any.deny, asked.host.text] });
        return !isAllowed(policy, asked) && !decideConnection(policy, asked.host, asked.port).allowed;
      }),
      runs,
    );
  });
  test("no request passes where its connection would not", () => {
    fc.assert(
      fc.property(source, request, (any, asked) => {
        const policy = policyOf(any);
        return decideConnection(policy, asked.host, asked.port).allowed || !isAllowed(policy, asked);
      }),
      runs,
    );
  });
  // But for `inspect`, which is there to narrow.
  test("one more rule or grant takes nothing away", () => {
    fc.assert(
      fc.property(source, rule, request, (any, more, asked) => {
        if (!isAllowed(policyOf(any), asked)) return;
        expect(isAllowed(policyOf({ ...any, allow: [...any.allow, more] }), asked)).toBe(true);
        const grant = { host: asked.host.text, port: asked.port, scope: "once" } as const;
        expect(isAllowed(policyOf({ ...any, grants: [...any.grants, grant] }), asked)).toBe(true);
      }),
      runs,
    );
  });
  test("an address passes only where it is listed as such", () => {
    fc.assert(
      fc.property(source, (any) => {
        const asked = requestOf("GET https://192.0.2.7/");
        return !isAllowed(policyOf(any), asked);
      }),
      runs,
    );
  });
  test("a marked host takes no write and no foreign credential unless a rule says so", () => {
    fc.assert(
      fc.property(source, request, (any, asked) => {
        const quiet = {
          ...any,
          allow: any.allow.filter((text) => !/write|no-inspect|raw/.test(text)),
        };
        const marked = ["github.com", "x.sentry.io", "registry.npmjs.org"].includes(asked.host.text);
        const reads = asked.method === "GET" || asked.method === "HEAD";
        if (marked && (!reads || asked.headers.length > 0)) {
          expect(isAllowed(policyOf(quiet), asked)).toBe(false);
        }
      }),
      runs,
    );
  });
});
