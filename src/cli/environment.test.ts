import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environmentSchema } from "../domain/environment.ts";
import { editInEditor, fromToml, toToml } from "./environment-editor.ts";
import { editOf } from "./environment-flags.ts";

const folder = mkdtempSync(join(tmpdir(), "ccw-env-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("options become a change of exactly what they name", async () => {
  writeFileSync(join(folder, ".env"), "# comment\nA=from file\nB='x y'\nexport C=3\n");
  writeFileSync(join(folder, "setup.sh"), "#!/bin/sh\nmake\n");
  expect(
    await editOf({
      varsFile: join(folder, ".env"),
      var: ["A=a=b", "EMPTY="],
      unset: ["C", "OLD"],
      setupFile: join(folder, "setup.sh"),
      memory: "8GiB",
      minutes: 30,
    }),
  ).toEqual({
    variables: { A: "a=b", B: "x y", C: null, EMPTY: "", OLD: null },
    setupScript: "#!/bin/sh\nmake\n",
    limits: { memoryBytes: 8 * 1024 ** 3, minutes: 30 },
  });
  expect(await editOf({})).toEqual({});
});

test("a variable without a name is refused, and its text is not repeated", async () => {
  await expect(editOf({ var: ["s3cret"] })).rejects.toThrow(/^A value of --var is given without a name\.$/);
});

test("numbers that are none are refused", async () => {
  await expect(editOf({ cpus: Number("many") })).rejects.toMatchObject({ code: "invalid" });
  await expect(editOf({ memory: "a lot" })).rejects.toMatchObject({ code: "invalid" });
});

const shown = {
  ...environmentSchema.parse({ name: "node" }),
  variables: ["TOKEN"],
  secrets: ["API_KEY"],
  egress: environmentSchema.parse({
    name: "node",
    secrets: { API_KEY: "0123456789" },
    egress: {
      allow: ["api.example.com write", "internal.example port=8443"],
      deny: ["*.zip"],
      credentials: [{ host: "api.example.com", header: "Authorization", template: `Bearer \${API_KEY}` }],
    },
  }).egress,
  setupScript: "apt-get install -y jq\necho 'done \"now\"'\n",
};

test("the editor's file says the environment as it is, and comes back the same", () => {
  const text = toToml(shown);
  expect(text).not.toContain("\\n");
  expect(fromToml(text)).toEqual({
    image: "slim",
    access: "none",
    setupScript: shown.setupScript,
    limits: {
      ...{ memoryBytes: 4 * 1024 ** 3, cpus: 2, pids: 2048, minutes: 240 },
      ...{ turns: 0, tokens: 0, usd: 0 },
    },
    egress: shown.egress,
    variables: {},
    secrets: {},
  });
});

test.each(["'''", "a'", "x\u0007", "", "\n\nleading", "\\d \\"])(
  "a set-up script %j survives the editor",
  (setupScript) => {
    expect(fromToml(toToml({ ...shown, setupScript })).setupScript).toBe(setupScript);
  },
);

test("variables are set and removed in the file; a mistake in it changes nothing", () => {
  expect(fromToml('[variables]\nA = "1"\nN = 2\nB = false\n').variables).toEqual({ A: "1", N: "2", B: null });
  expect(() => fromToml("image = ")).toThrow(/not TOML/);
  expect(() => fromToml("imgae = 'x'")).toThrow(/imgae/);
});

test("the editor's file is the person's alone and is gone afterwards", async () => {
  const seen = join(folder, "seen");
  const edit = await editInEditor(shown, {
    EDITOR: `f() { stat -c '%a %n' "$1" > ${seen}; echo 'B = "2"' >> "$1"; }; f`,
  });
  const [mode, path = ""] = (await Bun.file(seen).text()).trim().split(" ");
  expect(mode).toBe("600");
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  expect(edit?.variables).toEqual({ B: "2" });
  expect(await editInEditor(shown, { EDITOR: "true" })).toBeUndefined();
  await expect(editInEditor(shown, { EDITOR: "false" })).rejects.toThrow(/exit code 1/);
});
