import type { DenyCode } from "../../domain/egress.ts";
import type { Host } from "../../domain/host.ts";
import type { Deadlines } from "../wire/deadlines.ts";
import { joined } from "../wire/joined.ts";
import type { Wire } from "../wire/wire.ts";
import { noServerName, readClientHello } from "./client-hello.ts";

type Hello = { ok: true; bytes: Uint8Array } | { ok: false; verdict: "refused" | "failed"; reason: string };

/**
 * A client's first words in a tunnel, held until they are whole: a ClientHello that names the tunnel's host in the
 * clear. Whoever waits for it sets the wire's listener in the same turn.
 */
export function readHello(
  client: Wire,
  deadlines: Deadlines,
  first: Uint8Array,
  host: Host,
  withinMs: number,
): Promise<Hello> {
  return new Promise((resolve) => {
    let bytes = first;
    let done = false;
    const finish = (code: DenyCode | "sandbox-closed" | undefined) => {
      if (done) return;
      done = true;
      deadline.clear();
      if (code === undefined) resolve({ ok: true, bytes });
      else resolve({ ok: false, verdict: code === "sandbox-closed" ? "failed" : "refused", reason: code });
    };
    const deadline = deadlines.add(() => finish("too-slow"));
    const look = () => {
      const read = readClientHello(bytes);
      if (read.kind === "more") return;
      // RFC 6066, section 3: an address is never sent as a server name.
      const unnamed = host.kind === "address" && read.kind === "bad" && read.why === noServerName;
      if (read.kind === "bad") return finish(unnamed ? undefined : "not-tls");
      finish(read.serverName.replace(/\.$/, "") === host.text ? undefined : "sni-mismatch");
    };
    deadline.set(withinMs);
    client.listener = {
      data(more) {
        bytes = joined(bytes, more);
        if (!done) look();
      },
      drain() {},
      end: () => finish(bytes.length === 0 ? "sandbox-closed" : "not-tls"),
      close: () => finish("sandbox-closed"),
    };
    client.resume();
    if (bytes.length > 0) look();
  });
}
