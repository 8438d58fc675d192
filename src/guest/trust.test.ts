import { afterEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { installTrust } from "./trust.ts";

const [appliance = "", company = "", ...publicOnes] = rootCertificates.map((pem) => pem.trim());
const certificate = `${appliance}\n${company}\n`;
const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function image(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "ccw-trust-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const install = (root: string) =>
  installTrust({ certificate, root, publicAuthorities: () => publicOnes.slice(0, 5) });
const bodies = (text: string) =>
  [...text.matchAll(/BEGIN CERTIFICATE-----([^-]+)/g)].map(([, body = ""]) => body.replace(/\s/g, ""));
const read = (...path: string[]) => readFileSync(join(...path), "utf8");
const debian = "etc/ssl/certs/ca-certificates.crt";

test("the image's authorities stay, the appliance's join them, and a second start changes nothing", () => {
  const root = image({ [debian]: `# comment\n${publicOnes[0]}` });
  const files = install(root);
  expect(files.bundle).toBe(join(root, debian));
  expect(bodies(read(files.bundle))).toEqual(bodies(`${publicOnes[0]}\n${certificate}`));
  expect(read(files.bundle)).toStartWith("# comment\n");
  expect(bodies(read(files.own))).toEqual(bodies(certificate));
  const anchors = join(root, "usr/local/share/ca-certificates");
  const names = readdirSync(anchors);
  expect(names.join()).toMatch(/^ccw-server-[0-9a-f]{16}\.crt,ccw-server-[0-9a-f]{16}\.crt$/);
  expect(names.flatMap((name) => bodies(read(anchors, name))).sort()).toEqual(bodies(certificate).sort());

  const before = [files.bundle, files.own, files.javaStore].map((path) => statSync(path).mtimeMs);
  expect(install(root)).toEqual(files);
  expect([files.bundle, files.own, files.javaStore].map((path) => statSync(path).mtimeMs)).toEqual(before);
  expect(readdirSync(anchors)).toEqual(names);
});

test("browsers are told to believe the appliance's and to send no encrypted hello, beside other policies", () => {
  const root = image({ [debian]: "", "etc/opt/chrome/policies/managed/theirs.json": "{}" });
  install(root);
  for (const product of [
    "chromium",
    "chromium-browser",
    "opt/chrome",
    "opt/chrome_for_testing",
    "opt/edge",
  ]) {
    const policy = JSON.parse(read(root, "etc", product, "policies/managed/ccw-server.json"));
    expect(policy).toEqual({ CACertificates: bodies(certificate), EncryptedClientHelloEnabled: false });
  }
  expect(read(root, "etc/opt/chrome/policies/managed/theirs.json")).toBe("{}");
});

test("a bundle that was made anew without the appliance's is mended at the next start", () => {
  const root = image({ [debian]: `${publicOnes[0]}\n` });
  install(root);
  writeFileSync(join(root, debian), `${publicOnes[1]}\n`);
  install(root);
  expect(bodies(read(root, debian))).toEqual(bodies(`${publicOnes[1]}\n${certificate}`));
});

test("other families of systems: links are followed, each file gets each authority once", () => {
  const root = image({
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": `${publicOnes[0]}\n`,
    "etc/pki/ca-trust/source/anchors/README": "",
  });
  mkdirSync(join(root, "etc/pki/tls/certs"), { recursive: true });
  mkdirSync(join(root, "etc/ssl"), { recursive: true });
  const target = join(root, "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
  symlinkSync(target, join(root, "etc/pki/tls/certs/ca-bundle.crt"));
  symlinkSync(target, join(root, "etc/ssl/cert.pem"));
  const { bundle } = install(root);
  expect(bundle).toBe(join(root, "etc/pki/tls/certs/ca-bundle.crt"));
  expect(bodies(read(target))).toEqual(bodies(`${publicOnes[0]}\n${certificate}`));
  expect(readdirSync(join(root, "etc/pki/ca-trust/source/anchors")).length).toBe(3);
});

test("an image without any authorities gets those of the public internet, and the appliance's", () => {
  const root = image({});
  const { bundle, javaStore } = install(root);
  expect(bodies(read(bundle))).toEqual(bodies([...publicOnes.slice(0, 5), certificate].join("\n")));
  // Magic, version and count of the JKS format.
  expect(readFileSync(javaStore).subarray(0, 12).toString("hex")).toBe("feedfeed0000000200000007");
});

test("an authority that the image knows already is not installed a second time", () => {
  const root = image({ [debian]: `${company}\n${publicOnes[0]}\n` });
  install(root);
  expect(bodies(read(root, debian))).toEqual(bodies([company, publicOnes[0], appliance].join("\n")));
  expect(readdirSync(join(root, "usr/local/share/ca-certificates")).length).toBe(1);
});
