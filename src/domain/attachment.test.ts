import { expect, test } from "bun:test";
import { attachmentName, distinctNames, isPicture, mediaTypeOf } from "./attachment.ts";

test.each([
  ["photo.png", "photo.png"],
  ["../../etc/passwd", "passwd"],
  ["C:\\Users\\ada\\shot 1.png", "shot 1.png"],
  [".bashrc", "bashrc"],
  ["--help", "help"],
  ["..", "file"],
  ["", "file"],
  ["a\u0000b\nc\u202etxt.exe", "ab ctxt.exe"],
  ["\ud800x.png", "x.png"],
  ["two\n\nlines  .txt", "two lines.txt"],
  ["folder/", "file"],
])("the name %j is kept as %j", (given, name) => {
  expect(attachmentName(given)).toBe(name);
});

test("a long name keeps its ending, and is cut between characters, by bytes", () => {
  expect(attachmentName(`${"x".repeat(300)}.tar.gz`)).toBe(`${"x".repeat(97)}.gz`);
  const wide = attachmentName(`${"雪".repeat(90)}.png`);
  expect(wide).toBe(`${"雪".repeat(32)}.png`);
  expect(Buffer.byteLength(wide)).toBeLessThanOrEqual(100);
});

test("a name that was made plain once stays as it is", () => {
  for (const name of ["-.-x", "a .", ". .x", `${"é".repeat(80)}.jpeg`, "x/.-y"]) {
    expect(attachmentName(attachmentName(name))).toBe(attachmentName(name));
  }
});

test("the bytes say what a file is, and nothing else does", () => {
  const of = (text: string) => mediaTypeOf(Buffer.from(text, "latin1"));
  expect(of("\x89PNG\r\n\x1a\n....")).toBe("image/png");
  expect(of("\xff\xd8\xff\xe0")).toBe("image/jpeg");
  expect(of("GIF89a")).toBe("image/gif");
  expect(of("RIFF\x0a\x00\x00\x00WEBPVP8 ")).toBe("image/webp");
  expect(of("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")).toBe("text/plain");
  expect(of("<!doctype html><script>alert(1)</script>")).toBe("text/plain");
  expect(of("a\x00b")).toBe("application/octet-stream");
  expect(of("\xff\xfe\xfa")).toBe("application/octet-stream");
  expect(mediaTypeOf(Buffer.from(`${"x".repeat(4095)}é`))).toBe("text/plain");
  expect([isPicture("image/png"), isPicture("image/svg+xml"), isPicture("text/plain")]).toEqual([
    true,
    false,
    false,
  ]);
});

test("no two files of a prompt have one name", () => {
  expect(distinctNames(["a.png", "A.png", "a.png", "a-2.png", "b"])).toEqual([
    "a.png",
    "A-2.png",
    "a-3.png",
    "a-2-2.png",
    "b",
  ]);
  const long = `${"雪".repeat(32)}.png`;
  const [, second = ""] = distinctNames([long, long]);
  expect(second).toEndWith("-2.png");
  expect(Buffer.byteLength(second)).toBeLessThanOrEqual(100);
});
