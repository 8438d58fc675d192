import { afterEach, expect, test } from "bun:test";
import { openInspected as openReadOnly } from "./attacks.fixture.ts";
import { closeEgress } from "./egress.fixture.ts";
import { openInspected, reading, soon } from "./inspected.fixture.ts";

afterEach(closeEgress);

/** Servers behind CGI or WSGI take `_` in a header's name, some also `.`, for `-`. */
const sent: [name: string, line: string, reason: string][] = [
  ["a credential", "X_Api_Key: of-my-own", "foreign-credential"],
  ["another credential", "PRIVATE_TOKEN: of-my-own", "foreign-credential"],
  ["a credential with dots", "X.Api.Key: of-my-own", "foreign-credential"],
  ["another method", "X_HTTP_Method_Override: DELETE", "read-only"],
  ["a body's length", "Content_Length: 5", "read-only"],
];
for (const [name, line, reason] of sent) {
  test(`ATTACKS 40: ${name} under a name that a server may read with hyphens is refused: ${line}`, async () => {
    const { door, origin, inside } = await openReadOnly("ok.test");
    const answer = await inside(`GET / HTTP/1.1\r\nHost: $HOST\r\n${line}\r\n\r\n`);
    expect(answer).toContain(`X-Deny-Reason: ${reason}\r\n`);
    expect(origin.received).toBe("");
    expect(door.rows.at(-1)).toMatchObject({ verdict: "refused", reason });
  });
}

test("ATTACKS 41: an injected credential replaces the sandbox's own header, however the name's words are joined", async () => {
  for (const header of ["X-Service-Key", "X_Service_Key"]) {
    const { origin, authority, open } = await openInspected({
      credentials: [{ host: "ok.test", header, value: "the-real-one" }],
    });
    const tls = await open();
    const seen = reading(tls);
    const own = "X-Service-Key: mine\r\nx_service_key: mine\r\nX-Service_Key: mine";
    tls.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n${own}\r\n\r\n`);
    await soon(() => seen.text.includes("hello"));
    expect(origin.received).toContain(`${header}: the-real-one\r\n`);
    expect(origin.received).not.toContain("mine");
    tls.destroy();
  }
});
