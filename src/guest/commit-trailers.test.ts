import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeGitTemplate } from "./commit-trailers.ts";

const trailers = ["Co-authored-by: Claude O'Neil <noreply@example.org>", "Task: http://box:7080/tasks/tsk_1"];
let folder: string;
let repository: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "trailers-"));
  repository = join(folder, "work");
  writeGitTemplate(join(folder, "template"), trailers);
  git(folder, "init", "--quiet", repository);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function git(cwd: string, ...args: string[]): string {
  const settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
  const template = ["-c", `init.templateDir=${join(folder, "template")}`];
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, GIT_CONFIG_NOSYSTEM: "1" };
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", ...settings, ...template, ...args], {
    cwd,
    env,
  });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString();
}
const message = () => git(repository, "log", "-1", "--format=%B").trimEnd();

test("a commit ends with the trailers, with --no-verify too", () => {
  git(repository, "commit", "--quiet", "--allow-empty", "-m", "First");
  expect(message()).toBe(`First\n\n${trailers.join("\n")}`);
  git(repository, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "Second", "-m", "With a body.");
  expect(message()).toBe(`Second\n\nWith a body.\n\n${trailers.join("\n")}`);
});

test("a message that has them already, and one that is amended, gets them once", () => {
  git(repository, "commit", "--quiet", "--allow-empty", "-m", `Third\n\n${trailers[0]}`);
  git(repository, "commit", "--quiet", "--allow-empty", "--amend", "--no-edit");
  expect(message()).toBe(`Third\n\n${trailers.join("\n")}`);
});

test("a project's own hooks run as ever", async () => {
  await Bun.write(
    join(repository, ".git/hooks/pre-commit"),
    "#!/bin/sh\necho refused by the project >&2\nexit 1\n",
  );
  Bun.spawnSync(["chmod", "+x", join(repository, ".git/hooks/pre-commit")]);
  expect(() => git(repository, "commit", "--quiet", "--allow-empty", "-m", "Fourth")).toThrow(
    "refused by the project",
  );
});

test("without trailers there is no hook", async () => {
  writeGitTemplate(join(folder, "plain"), []);
  expect(await Bun.file(join(folder, "plain/hooks/prepare-commit-msg")).exists()).toBe(false);
});
