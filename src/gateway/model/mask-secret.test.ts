import { expect, test } from "bun:test";
import { createSecretMask } from "./mask-secret.ts";

const secret = "sk-secret-sk-secret-1";

test("a secret is overwritten wherever the bytes are split", () => {
  const text = `sk-secret-${secret} and ${secret}${secret} sk-sec ä sk-secret-sk-`;
  const bytes = Buffer.from(text);
  const expected = text.replaceAll(secret, "*".repeat(secret.length));
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second += 5) {
      const mask = createSecretMask(secret);
      const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      const out = Buffer.concat([...parts.map((part) => Buffer.from(mask.write(part))), mask.end()]);
      expect(out.toString()).toBe(expected);
    }
  }
});

test("bytes that cannot begin the secret are not held back", () => {
  const mask = createSecretMask(secret);
  expect(mask.write(Buffer.from("data: x\n\n")).toString()).toBe("data: x\n\n");
  expect(mask.write(Buffer.from("data: sk-")).toString()).toBe("data: ");
  expect(mask.write(Buffer.from("other")).toString()).toBe("sk-other");
});
