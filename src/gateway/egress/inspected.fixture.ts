import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { until } from "../../../test/until.ts";
import { openAuthority } from "./authority.ts";
import {
  type Behaviour,
  type EgressFixture,
  type EgressFixtureOptions,
  type Origin,
  openEgress,
  startTlsOrigin,
  tlsThrough,
} from "./egress.fixture.ts";

interface Inspected {
  door: EgressFixture;
  origin: Origin;
  /** `ok.test:PORT`, which is inspected. */
  authority: string;
  /** TLS through the door, as a client that trusts the appliance. */
  open(): Promise<TLSSocket>;
}

/** A door that reads what goes to one origin, whose certificate the appliance trusts. */
export async function openInspected(
  options: EgressFixtureOptions = {},
  behave?: Behaviour,
): Promise<Inspected> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-origin-"));
  try {
    const signer = await openAuthority({ folder: join(folder, "authority"), now: Date.now });
    const caFile = join(folder, "ca.pem");
    await Bun.write(caFile, signer.certificatePem);
    const origin = await startTlsOrigin(await signer.leafFor("ok.test"), behave);
    const allow = [`ok.test port=${origin.port} inspect write`, ...(options.allow ?? [])];
    const door = await openEgress({ names: { "ok.test": ["127.0.0.1"] }, ...options, caFile, allow });
    const authority = `ok.test:${origin.port}`;
    const trusted = { servername: "ok.test", ca: door.authority.certificatePem };
    return { door, origin, authority, open: () => tlsThrough(door.socket, authority, trusted) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All that came so far, and whether the connection is over. */
export function reading(tls: TLSSocket): { readonly text: string; readonly over: boolean } {
  const seen = { text: "", over: false };
  tls.on("data", (bytes: Buffer) => {
    seen.text += bytes.toString("latin1");
  });
  for (const event of ["end", "close", "error"]) {
    tls.on(event, () => {
      seen.over = true;
    });
  }
  return seen;
}

/** Waits until it is so; fails after a long while. */
export async function soon(what: () => boolean): Promise<void> {
  await until(String(what), what);
}
