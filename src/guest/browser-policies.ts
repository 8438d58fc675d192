/**
 * Browsers that are made from Chromium, told what they need behind the door. They read every file of a folder of
 * managed policies, each product its own, and ignore what they do not know.
 */
export const browserPolicyFolders = [
  "etc/chromium/policies/managed",
  "etc/chromium-browser/policies/managed",
  "etc/opt/chrome/policies/managed",
  "etc/opt/chrome_for_testing/policies/managed",
  "etc/opt/edge/policies/managed",
];

/**
 * The file's text. `certificates` in base64 of their DER form: these browsers believe no list of the system's, but those
 * of this policy (Chromium 128 on). Without ECH they send no decoy of it either, which the door refuses, since nobody
 * can tell it from a real one. https://chromeenterprise.google/policies/ says what each name means.
 */
export function browserPolicy(certificates: readonly string[]): string {
  const policy = { CACertificates: certificates, EncryptedClientHelloEnabled: false };
  return `${JSON.stringify(policy, null, 2)}\n`;
}
