import { expect, test } from "bun:test";
import fc from "../../../../test/properties.ts";
import { redactTarget } from "./query-redaction.ts";
import { createRedaction } from "./redaction.ts";

const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

const table: [what: string, target: string, shown: string][] = [
  ["nothing secret", "/a/b?page=2&q=hello+world#x", "/a/b?page=2&q=hello+world#x"],
  ["a token", "/a?x=1&token=abc&y=2", "/a?x=1&token=***&y=2"],
  [
    "names in other spellings",
    "/a?access_token=a&apiKey=b&X-API-KEY=c&clientSecret=d&PASSWORD=e",
    "/a?access_token=***&apiKey=***&X-API-KEY=***&clientSecret=***&PASSWORD=***",
  ],
  ["an encoded name", "/a?%74oken=abc&to%6ben=def", "/a?%74oken=***&to%6ben=***"],
  [
    "harmless names",
    "/a?author=me&monkey=1&design=2&keyboard=3&encode=4&passage=5",
    "/a?author=me&monkey=1&design=2&keyboard=3&encode=4&passage=5",
  ],
  [
    "a signed AWS URL",
    "/b/o?X-Amz-Algorithm=AWS4&X-Amz-Credential=AK%2F2026&X-Amz-Security-Token=Fw&X-Amz-Signature=ab",
    "/b/o?X-Amz-Algorithm=AWS4&X-Amz-Credential=***&X-Amz-Security-Token=***&X-Amz-Signature=***",
  ],
  ["an Azure signature", "/c?sv=2024-01-01&se=2026&sig=a%2Bb%3D", "/c?sv=***&se=***&sig=***"],
  ["a URL in a parameter", "/r?to=https://h/?token=abc&z=1", "/r?to=https://h/?token=***&z=1"],
  [
    "an encoded URL in a parameter",
    "/r?to=https%3A%2F%2Fh%2F%3Fcode%3Dabc%26n%3D1&z=1",
    "/r?to=https%3A%2F%2Fh%2F%3Fcode%3D***&z=1",
  ],
  ["an equals sign in a value", "/r?token=a=b=c&z=1", "/r?token=***&z=1"],
  ["a session in the path", "/p;jsessionid=123?x=1", "/p;jsessionid=***?x=1"],
  ["no value", "/r?token=&token&z", "/r?token=&token&z"],
  ["a GitHub token in the path", "/x/ghp_0123456789abcdefghijABCDEFGHIJ456789/y", "/x/***/y"],
  ["a fine-grained token", "/x?q=github_pat_11ABCDEFG0123456789_abcdefghij", "/x?q=***"],
  ["a GitLab token", "/x/glpat-abcdefghij0123456789", "/x/***"],
  ["a model key", "/x/sk-ant-api03-abcdefghij0123456789/y", "/x/***/y"],
  ["a Slack token", "/x/xoxb-1234567890-abcdef", "/x/***"],
  ["an AWS key id", "/x/AKIAIOSFODNN7EXAMPLE", "/x/***"],
  ["a JWT", `/x/${jwt}?v=1`, "/x/***?v=1"],
  ["a bot's token", "/bot123456789:AAF-abcdefghijklmnopqrstuvwxyz0123456/send", "/bot***/send"],
  ["a random token", "/hook/kJ8sLq02PzXv7Bn4Mw9Rt6Yc3Df5Gh1A/run", "/hook/***/run"],
  ["credentials of a URL", "/proxy/http://user:pass@host/x", "/proxy/http://***@host/x"],
  [
    "a digest and a commit",
    `/v2/a/blobs/sha256:${"0f".repeat(32)}?c=${"a1".repeat(20)}`,
    `/v2/a/blobs/sha256:${"0f".repeat(32)}?c=${"a1".repeat(20)}`,
  ],
  [
    "a long file name",
    "/p/numpy-2.1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "/p/numpy-2.1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
  ],
  [
    "a long class name",
    "/org/AbstractSingletonProxyFactoryBeanConfigurationSupport.java",
    "/org/AbstractSingletonProxyFactoryBeanConfigurationSupport.java",
  ],
  [
    "control characters",
    "/a\r\nlevel=error \x1b[2Jü\u202e",
    "/a\\u{d}\\u{a}level=error \\u{1b}[2J\\u{fc}\\u{202e}",
  ],
];

for (const [what, target, shown] of table) {
  test(`a target with ${what} is shown without its secrets`, () => expect(redactTarget(target)).toBe(shown));
}

test("values that are known are blotted out in whatever form", () => {
  const known = createRedaction(["my own credential"]);
  const hidden = redactTarget(
    "/a/my%20own%20credential/b?q=my+own+credential&r=6d79206f776e2063726564656e7469616c",
    known,
  );
  expect(hidden).toMatch(/^\/a\/\*{21}\/b\?q=\*{17}&r=\*{34}$/);
});

test("a long target is cut after its secrets are blotted out", () => {
  const shown = redactTarget(`/${"a/".repeat(1500)}?token=abc`);
  expect(shown).toHaveLength(2000);
  expect(shown.endsWith("...")).toBe(true);
  expect(redactTarget(`/${"b/".repeat(985)}?token=${"s3cret".repeat(100)}`)).not.toContain("s3cret");
});

test("the value of a token never shows, and nothing but printable ASCII does", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ unit: fc.constantFrom("&", "=", "?", "%3D", "%26", "a", ";") }),
      (value, before) => {
        const shown = redactTarget(`/${before}?token=@@SECRET@@${value}`);
        expect(shown).toMatch(/^[\x20-\x7e]*$/);
        expect(shown).not.toContain("@@SECRET@@");
      },
    ),
  );
});

test("a hostile target takes no longer than its length", () => {
  const started = performance.now();
  for (const part of [
    "%",
    "%3",
    "=",
    "?",
    "&a",
    "//",
    "//a",
    "eyJ",
    "eyJaaaaaaaa.",
    "1",
    "a1",
    "%41",
    "0:",
    "-_",
  ]) {
    redactTarget(`/?${part.repeat((64 * 1024) / part.length)}`);
  }
  // A pattern that backtracks would take hours; a busy machine takes its time.
  expect(performance.now() - started).toBeLessThan(20_000);
});
