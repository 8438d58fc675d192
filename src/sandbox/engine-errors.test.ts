import { expect, test } from "bun:test";
import { CcwError } from "../domain/errors.ts";
import { engineError } from "./engine-errors.ts";

const answered = (statusCode: number, message: string) => Object.assign(new Error(message), { statusCode });
const codeAndHint = (thrown: unknown) => {
  const { code, hint } = engineError(thrown, "podman 4.3.1", "start the sandbox");
  return { code, hint };
};

test("an engine that does not answer, a full disk and a runtime's refusal are told apart", () => {
  expect(codeAndHint(new Error("connect ECONNREFUSED"))).toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining("podman 4.3.1 runs"),
  });
  expect(codeAndHint(answered(500, "write /x: no space left on device"))).toMatchObject({ code: "no_space" });
  expect(codeAndHint(answered(500, "runc: error setting rlimit type 8"))).toMatchObject({
    hint: expect.stringContaining("LimitNOFILE"),
  });
  expect(codeAndHint(answered(500, "crun: unknown version specified for cgroup"))).toMatchObject({
    hint: expect.stringContaining("Install runc"),
  });
});

test("an engine's words are bounded and printable, and an error of ours passes unchanged", () => {
  const { message } = engineError(answered(500, `\u001b[31m${"x".repeat(5000)}`), "docker 28", "list");
  expect(message.length).toBeLessThan(700);
  expect(message).not.toContain("\u001b");
  const own = new CcwError("not_found", "no image");
  expect(engineError(own, "docker 28", "list")).toBe(own);
});
