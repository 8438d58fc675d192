import { expect, test } from "bun:test";
import { asOffered } from "./offered-tools.ts";

const edit = { name: "Edit", input: { file_path: "/a", old_string: "x", new_string: "y" } };

test("a tool is called as the agent spells it, its fields too", () => {
  const tools = new Map([["edit", ["filePath", "oldString", "newString", "replaceAll"]]]);
  expect(asOffered(edit, tools)).toEqual({
    name: "edit",
    input: { filePath: "/a", oldString: "x", newString: "y" },
  });
});

test("one that is offered as it is, or not at all, is left as it is", () => {
  expect(
    asOffered(
      edit,
      new Map([
        ["Edit", ["file_path"]],
        ["edit", ["filePath"]],
      ]),
    ),
  ).toEqual(edit);
  expect(asOffered(edit, new Map([["write", ["filePath"]]]))).toEqual(edit);
});
