import { expect, test } from "bun:test";
import { CcwError } from "../domain/errors.ts";
import { createWriteRights } from "./write-rights.ts";

test("a crowd of strangers is looked up a few at a time, and hides nobody who may write", async () => {
  const asked: string[] = [];
  const rights = createWriteRights({
    now: () => 0,
    ask: async (_, who) => {
      asked.push(who);
      if (who.startsWith("stranger")) throw new CcwError("not_found", "no such member");
      return who === "dev";
    },
  });
  const crowd = Array.from({ length: 100 }, (_, n) => `stranger-${n}`);
  async function look() {
    asked.splice(0);
    const may = rights.look("acme/widget");
    const answers = [];
    for (const who of [...crowd, "dev", "dev"]) answers.push(await may(who));
    return { asked: asked.length, said: answers.filter(Boolean).length, member: await may("member", true) };
  }
  expect(await look()).toEqual({ asked: 30, said: 0, member: false });
  expect(asked).toContain("member");
  expect((await look()).asked).toBe(30);
  expect((await look()).asked).toBe(30);
  expect(await look()).toEqual({ asked: 11, said: 2, member: false });
  expect(await look()).toEqual({ asked: 0, said: 2, member: false });
});

test("a forge that cannot be asked is no stranger's answer", async () => {
  const rights = createWriteRights({
    now: () => 0,
    ask: () => Promise.reject(new CcwError("unavailable", "away")),
  });
  await expect(rights.look("a/b")("dev")).rejects.toMatchObject({ code: "unavailable" });
});
