import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, rootCertificates } from "node:tls";
import { readAuthorities } from "./authorities.ts";
import { openAuthority } from "./authority.ts";

const folder = mkdtempSync(join(tmpdir(), "ccw-authorities-"));
afterAll(() => rmSync(folder, { recursive: true }));
const { certificatePem } = await openAuthority({ folder: join(folder, "company"), now: Date.now });
const bodyOf = (pem: string) => pem.replace(/\s/g, "");

test("trusted are the public ones, the machine's, and those of the operator's file, each once", () => {
  const file = join(folder, "company.pem");
  writeFileSync(file, `${certificatePem}\n${rootCertificates[0]}\r\n${certificatePem}`);
  const trusted = readAuthorities(file).trusted.map(bodyOf);
  for (const pem of [...getCACertificates("bundled"), ...getCACertificates("system"), certificatePem])
    expect(trusted).toContain(bodyOf(pem));
  expect(new Set(trusted).size).toBe(trusted.length);
  expect(readAuthorities(undefined).trusted.map(bodyOf)).not.toContain(bodyOf(certificatePem));
});

test("sandboxes are told of the operator's authorities, not of the public ones, and a file without any is refused", () => {
  const file = join(folder, "both.pem");
  writeFileSync(file, `${certificatePem}\n${rootCertificates[0]}\n${certificatePem}`);
  const told = readAuthorities(file).local.join("");
  expect(told.split(certificatePem.trim()).length).toBe(2);
  expect(told).not.toContain(rootCertificates[0]?.trim() ?? "");
  const empty = join(folder, "empty.pem");
  writeFileSync(empty, "nothing");
  expect(() => readAuthorities(empty)).toThrow(/holds no certificate/);
  expect(() => readAuthorities(join(folder, "missing"))).toThrow(/cannot be read/);
});
