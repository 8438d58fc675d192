import { afterEach, expect, test } from "bun:test";
import { answerTo, open, openInspected } from "./attacks.fixture.ts";
import { closeEgress, connectTo, get } from "./egress.fixture.ts";

afterEach(closeEgress);

test("ATTACKS 39: each sandbox has the policy of its own door, whatever it says of itself", async () => {
  const { door, origin, port } = await open();
  const other = await door.neighbour({ allow: [] });
  const claims = [
    "Proxy-Authorization: Basic c2J4XzAxbTd5cDdwdjY0em41NnR0bjVmOng=",
    `X-Sandbox-Id: ${door.rows[0]?.sandboxId ?? "sbx_01m7yp7pv64zn56ttn5f"}`,
    "X-Forwarded-For: 10.0.0.1",
    "Forwarded: for=sbx_01m7yp7pv64zn56ttn5f",
  ];
  const url = `http://ok.test:${port}/`;
  expect(await answerTo(door.socket, get(url))).toContain("hello");
  for (const bytes of [
    get(url, ...claims),
    connectTo(`ok.test:${port}`).replace("\r\n\r\n", `\r\n${claims.join("\r\n")}\r\n\r\n`),
  ]) {
    expect(await answerTo(other.socket, bytes)).toMatch(/^HTTP\/1\.1 403 [\s\S]*host-not-allowed/);
  }
  expect(origin.connections).toBe(1);
  const own = door.rows.filter(({ sandboxId }) => sandboxId === other.id);
  expect(own.map(({ verdict }) => verdict)).toEqual(["refused", "refused"]);
  expect(door.rows.filter(({ sandboxId }) => sandboxId !== other.id).map(({ verdict }) => verdict)).toEqual([
    "allowed",
  ]);
});

test("ATTACKS 39: limits, kept connections and budgets of one sandbox are not another's", async () => {
  const { door, origin, port } = await open({ limits: { uploadBytes: 400 } });
  const url = `http://ok.test:${port}/`;
  const other = await door.neighbour({ allow: [`ok.test port=${port}`], limits: { uploadBytes: 400 } });
  for (let i = 0; i < 8; i++) await answerTo(door.socket, get(url, `X-Fill: ${"x".repeat(60)}`));
  expect(await answerTo(door.socket, get(url, `X-Fill: ${"x".repeat(60)}`))).toContain("upload-budget");
  const { connections } = origin;
  expect(await answerTo(other.socket, get(url))).toContain("hello");
  expect(origin.connections).toBe(connections + 1);
});

test("ATTACKS 39: Proxy-Authorization is neither asked for nor passed on", async () => {
  const { door, origin, port } = await open();
  const header = "Proxy-Authorization: Bearer another-sandbox";
  expect(
    await answerTo(door.socket, get(`http://ok.test:${port}/`, header, "Proxy_Authorization: x")),
  ).toContain("hello");
  expect(origin.received).not.toMatch(/proxy|another-sandbox/i);
  const inspected = await openInspected("ok.test");
  expect(await inspected.inside(`GET / HTTP/1.1\r\nHost: $HOST\r\n${header}\r\n\r\n`)).toContain("hello");
  expect(inspected.origin.received).not.toMatch(/proxy|another-sandbox/i);
});

/** Host, head without Host, and why it is refused; each with a credential of the attacker's own. */
const uploads: [what: string, host: string, head: string, reason: string][] = [
  [
    "the vendor's file API, upload",
    "api.anthropic.com",
    "POST /v1/files HTTP/1.1\r\nX-Api-Key: sk-ant-theirs\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "the vendor's file API, list",
    "api.anthropic.com",
    "GET /v1/files HTTP/1.1\r\nX-Api-Key: sk-ant-theirs\r\n",
    "foreign-credential",
  ],
  [
    "the vendor's API, bearer",
    "api.anthropic.com",
    "GET /v1/models HTTP/1.1\r\nAuthorization: Bearer theirs\r\n",
    "foreign-credential",
  ],
  [
    "a code host's API",
    "api.github.com",
    "GET /user HTTP/1.1\r\nAuthorization: token theirs\r\n",
    "foreign-credential",
  ],
  [
    "a new repository",
    "api.github.com",
    "POST /user/repos HTTP/1.1\r\nAuthorization: token theirs\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "a gist",
    "gist.github.com",
    "POST / HTTP/1.1\r\nCookie: user_session=theirs\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "a gist's page with a session",
    "gist.github.com",
    "GET / HTTP/1.1\r\nCookie: user_session=theirs\r\n",
    "foreign-credential",
  ],
  [
    "the beginning of a push",
    "github.com",
    "GET /them/x.git/info/refs?service=git-receive-pack HTTP/1.1\r\n",
    "read-only",
  ],
  [
    "a push",
    "github.com",
    "POST /them/x.git/git-receive-pack HTTP/1.1\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "a fetch from a private repository",
    "github.com",
    "GET /them/x.git/info/refs?service=git-upload-pack HTTP/1.1\r\nAuthorization: Basic dGhlaXJz\r\n",
    "foreign-credential",
  ],
  [
    "a merge request",
    "gitlab.com",
    "GET /api/v4/user HTTP/1.1\r\nPrivate-Token: theirs\r\n",
    "foreign-credential",
  ],
  [
    "a token in a query",
    "gitlab.com",
    "GET /api/v4/user?private_token=theirs HTTP/1.1\r\n",
    "foreign-credential",
  ],
  [
    "an object, signed",
    "storage.googleapis.com",
    "PUT /bucket/x?X-Goog-Signature=theirs HTTP/1.1\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "an object by POST",
    "bucket.storage.googleapis.com",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
    "read-only",
  ],
  [
    "an object, with a token",
    "storage.googleapis.com",
    "GET /bucket/x HTTP/1.1\r\nAuthorization: Bearer theirs\r\n",
    "foreign-credential",
  ],
  [
    "a package",
    "registry.npmjs.org",
    "PUT /theirs HTTP/1.1\r\nAuthorization: Bearer npm_theirs\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "telemetry",
    "o1.ingest.sentry.io",
    "POST /api/1/envelope/ HTTP/1.1\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "a GET with a body",
    "storage.googleapis.com",
    "GET /bucket/x HTTP/1.1\r\nContent-Length: 4\r\n",
    "read-only",
  ],
  [
    "another method in a header",
    "api.github.com",
    "GET /gists HTTP/1.1\r\nX-HTTP-Method-Override: POST\r\n",
    "read-only",
  ],
];

test.each(uploads)(
  "ATTACKS 40: the attacker's own credential is refused: %s",
  async (_what, host, head, reason) => {
    for (const access of ["limited", "full", "custom"] as const) {
      // The same hosts as at 443; a rule for another port, so that it needs no privilege to listen there.
      const { door, origin, inside } = await openInspected(host, { access, allow: [`${host} port=$PORT`] });
      const answer = await inside(`${head}Host: $HOST\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 403 /);
      expect(answer).toContain(`\r\nX-Deny-Reason: ${reason}\r\n`);
      expect(origin.connections).toBe(0);
      expect(door.rows.at(-1)).toMatchObject({ kind: "inspected", host, verdict: "refused", reason });
      expect(JSON.stringify([door.rows, door.lines])).not.toContain("sk-ant-theirs");
      const plain = `http://${host}:${origin.port}`;
      const absolute = `${head.replace(" /", ` ${plain}/`)}Host: ${host}:${origin.port}\r\n\r\n`;
      expect(await answerTo(door.socket, absolute)).toContain(`X-Deny-Reason: ${reason}`);
      expect(origin.connections).toBe(0);
    }
  },
  180_000,
);

test("ATTACKS 40: with leave to write, a marked host still takes no credential but the appliance's", async () => {
  const credentials = [
    { host: "api.github.com", header: "Authorization", value: "Bearer the-appliances-own" },
  ];
  const allow = ["api.github.com port=$PORT write"];
  const { origin, inside } = await openInspected("api.github.com", { allow, credentials });
  const post = (header: string) =>
    inside(`POST /gists HTTP/1.1\r\nHost: $HOST\r\n${header}Content-Length: 1\r\n\r\nx`);
  for (const header of [
    "X-Api-Key: theirs\r\n",
    "Private-Token: theirs\r\n",
    "Cookie: user_session=theirs\r\n",
  ]) {
    expect(await post(header)).toContain("X-Deny-Reason: foreign-credential");
  }
  expect(origin.connections).toBe(0);
  // Theirs in the place of the appliance's is not refused: it is replaced.
  expect(await post("Authorization: Bearer theirs\r\nauthorization: Bearer theirs\r\n")).toContain("hello");
  expect(origin.received.match(/^authorization:.*$/gim)?.join()).toBe(
    "Authorization: Bearer the-appliances-own",
  );
  expect(origin.received).not.toContain("theirs");
});
