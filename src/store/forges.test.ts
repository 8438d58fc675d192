import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createSeal } from "./seal.ts";
import { openStore } from "./store.ts";

test("a forge is not moved to another address under the repositories that were added from it", () => {
  const store = openStore(":memory:", createSeal(randomBytes(32)), { now: Date.now, randomBytes });
  const at = (url: string) => ({ name: "work", kind: "git" as const, url, apiUrl: "" });
  store.forges.save(at("https://one.example"), { kind: "none" });
  store.forges.save(at("https://two.example"), { kind: "none" });
  store.repositories.add({
    ...{ kind: "remote", name: "two.example/a/b", forge: "work", path: "a/b", defaultBranch: "main" },
    ...{ cloneUrl: "https://two.example/a/b.git", webUrl: "", createdAt: 0 },
    push: { force: false, delete: false },
  });
  const secret = { kind: "token", token: "s3cret", username: "" } as const;
  expect(() => store.forges.save(at("https://three.example"), secret)).toThrow("repositories were added");
  expect(store.forges.get("work")?.url).toBe("https://two.example");
  expect(store.forges.credentialOf("work")).toEqual({ kind: "none" });
  expect(store.forges.save(at("https://two.example"), secret).credential).toBe("token");
  store.close();
});
