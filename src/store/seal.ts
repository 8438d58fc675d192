import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CcwError } from "../domain/errors.ts";

/** AES-256-GCM for what stands encrypted in the database: the file alone, a back-up say, gives no secret away. */
export interface Seal {
  seal(plain: string): string;
  open(sealed: string): string;
  /** 32 bytes for deriving scoped credentials. */
  key: Uint8Array;
}

export function createSeal(key: Uint8Array): Seal {
  return {
    key,
    seal(plain) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const body = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64");
    },
    open(sealed) {
      const bytes = Buffer.from(sealed, "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString("utf8");
      } catch (cause) {
        throw new CcwError(
          "unavailable",
          "A value in the database cannot be decrypted: it was not written with this data folder's secret.key.",
          "Put back the secret.key that belongs to this database.",
          { cause },
        );
      }
    },
  };
}

/** Reads `secret.key` of the data folder, or makes it, readable by its owner alone. */
export function loadSealKey(dataFolder: string): Uint8Array {
  const path = join(dataFolder, "secret.key");
  if (!existsSync(path)) {
    writeFileSync(path, randomBytes(32), { mode: 0o600, flag: "wx" });
  }
  chmodSync(path, 0o600);
  const key = new Uint8Array(readFileSync(path));
  if (key.length !== 32) {
    throw new CcwError(
      "invalid",
      `${path} is not a key of 32 bytes.`,
      "Put it back from a back-up of the data folder.",
    );
  }
  return key;
}
