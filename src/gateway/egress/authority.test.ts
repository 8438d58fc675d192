import { afterAll, afterEach, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuthority } from "./authority.ts";

const day = 24 * 3600_000;
const start = Date.UTC(2026, 10, 21, 12);
const parent = mkdtempSync(join(tmpdir(), "ccw-authority-"));
const folder = join(parent, "authority");
const file = join(folder, "authority.pem");
const at = async (now: number) => await openAuthority({ folder, now: () => now });

afterEach(() => rmSync(folder, { recursive: true, force: true }));
afterAll(() => rmSync(parent, { recursive: true, force: true }));

test("the authority is made once, for its owner alone, and is the same after a restart", async () => {
  const made = await at(start);
  const certificate = new X509Certificate(made.certificatePem);
  expect(certificate.subject).toMatch(/^CN=ccw-server [0-9a-f]{8}$/);
  expect(certificate.ca).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.validToDate.getTime() - start).toBe(3650 * day);
  expect(certificate.serialNumber).toMatch(/^[0-9A-F]{28,32}$/);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["authority.pem"]);
  chmodSync(file, 0o644);
  expect((await at(start + day)).certificatePem).toBe(made.certificatePem);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(made.certificatePem).not.toContain("PRIVATE KEY");
});

test("what a write that was broken off has left does not stand in the way", async () => {
  await at(start);
  rmSync(file);
  writeFileSync(`${file}.new`, "half", { mode: 0o644 });
  await at(start);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["authority.pem"]);
});

test("an authority that cannot be used is refused with its reason, and never replaced", async () => {
  await at(start);
  const good = readFileSync(file, "utf8");
  const certificate = good.slice(0, good.indexOf("-----BEGIN PRIVATE"));
  const other = mkdtempSync(join(parent, "other-"));
  await openAuthority({ folder: other, now: () => start });
  const otherText = readFileSync(join(other, "authority.pem"), "utf8");
  const cases: [string, RegExp][] = [
    ["", /does not hold a whole/],
    [good.slice(0, -40), /does not hold a whole/],
    [certificate, /does not hold a whole/],
    [good.replace(/CATE-----\n.{64}\n/, "CATE-----\nAAAA\n"), /cannot be decoded/],
    [certificate + otherText.slice(otherText.indexOf("-----BEGIN PRIVATE")), /do not match/],
  ];
  for (const [text, why] of cases) {
    writeFileSync(file, text);
    await expect(at(start)).rejects.toThrow(why);
    expect(readFileSync(file, "utf8")).toBe(text);
  }
  writeFileSync(file, good);
  await expect(at(start + 3651 * day)).rejects.toThrow(/expired on 2036-11-18.*/);
  await expect(at(start - 2 * day)).rejects.toThrow(/valid from 2026-11-20, and it is 2026-11-19/);
  rmSync(file);
  writeFileSync(join(parent, "file"), "");
  await expect(openAuthority({ folder: join(parent, "file"), now: () => start })).rejects.toThrow(
    /cannot be written/,
  );
  expect(existsSync(file)).toBe(false);
});

test("a leaf is for one host alone, signed by the authority, and lives for a week", async () => {
  const authority = await at(start);
  const root = new X509Certificate(authority.certificatePem);
  for (const [host, names] of [
    ["api.example.com", "DNS:api.example.com"],
    [`${"a".repeat(63)}.${"b".repeat(63)}.example`, `DNS:${"a".repeat(63)}.${"b".repeat(63)}.example`],
    ["192.0.2.7", "IP Address:192.0.2.7"],
    ["2001:db8::1", "IP Address:2001:DB8:0:0:0:0:0:1"],
  ] as const) {
    const { cert, key } = await authority.leafFor(host);
    const leaf = new X509Certificate(cert);
    expect(leaf.subjectAltName).toBe(names);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.validFromDate.getTime()).toBe(start - 3600_000);
    expect(leaf.validToDate.getTime()).toBe(start + 7 * day);
  }
});

test("leaves are kept, made again before they expire, and no more than a thousand", async () => {
  let now = start;
  const authority = await openAuthority({ folder, now: () => now });
  const first = await authority.leafFor("a.example");
  now += 5 * day;
  expect(await authority.leafFor("a.example")).toBe(first);
  now += day + 1;
  const second = await authority.leafFor("a.example");
  expect(second).not.toBe(first);
  now = start;
  const third = await authority.leafFor("a.example"); // the clock was set back
  expect(third).not.toBe(second);
  const used = await authority.leafFor("used.example");
  for (let i = 0; i < 999; i++) {
    await authority.leafFor(`h${i}.example`);
    await authority.leafFor("used.example");
  }
  expect(await authority.leafFor("used.example")).toBe(used);
  expect(await authority.leafFor("h998.example")).toBe(await authority.leafFor("h998.example"));
  expect(await authority.leafFor("a.example")).not.toBe(third);
});

test("no leaf outlives the authority, and none is made after it", async () => {
  let now = start;
  const authority = await openAuthority({ folder, now: () => now });
  now = start + 3649 * day;
  const leaf = new X509Certificate((await authority.leafFor("a.example")).cert);
  expect(leaf.validToDate).toEqual(new X509Certificate(authority.certificatePem).validToDate);
  now = start + 3651 * day;
  await expect(authority.leafFor("a.example")).rejects.toThrow(/expired/);
});
