import type { DocumentFormat, DocumentPart } from "./task-document.ts";

/**
 * One page that needs nothing else: no script, nothing that is loaded, and a policy that forbids both, in case a viewer
 * thinks otherwise. Everything that people and agents wrote is text.
 */
export const htmlFormat: DocumentFormat = {
  begin: ({ title, facts }) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<dl>
${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>\n`).join("")}</dl>
`,
  part,
  end: () => "</main>\n</body>\n</html>\n",
};

function part(one: DocumentPart): string {
  switch (one.kind) {
    case "prompt": {
      const at = new Date(one.at).toISOString();
      const who = escaped(one.person === "" ? "ccw-server" : one.person);
      return `<section class="prompt"><h2>${who} <time datetime="${at}">${at.slice(0, 16).replace("T", " ")}</time></h2><div>${escaped(one.text.trim())}</div></section>\n`;
    }
    case "text":
      return `<div class="text">${escaped(one.text.trim())}</div>\n`;
    case "thinking":
      return folded("thinking", "Thinking", one.text.trim());
    case "tool":
      return folded("tool", `${one.name} ${firstLine(one.input)}`, one.input);
    case "output": {
      const left = one.omitted > 0 ? `\n… ${one.omitted} characters left out` : "";
      const text = `${one.text}${left}`;
      return text === ""
        ? ""
        : folded(one.isError ? "output bad" : "output", one.isError ? "Failed" : "Output", text);
    }
    case "line":
      return `<p class="line ${one.tone}">${escaped(one.text)}</p>\n`;
    case "diff":
      return `<h2>Changes in ${escaped(one.repository)}</h2>\n<pre class="diff">${one.text.split("\n").map(diffLine).join("\n")}</pre>\n${one.truncated ? `<p class="line warning">The diff is cut: it is too long.</p>\n` : ""}`;
  }
}

function folded(kind: string, title: string, text: string): string {
  return `<details class="${kind}"><summary>${escaped(title)}</summary><pre>${escaped(text)}</pre></details>\n`;
}

function firstLine(text: string): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > 120 ? `${line.slice(0, 120).toWellFormed()}…` : line;
}

function diffLine(line: string): string {
  const text = escaped(line);
  if (line.startsWith("diff ")) return `<b>${text}</b>`;
  if (line.startsWith("+")) return `<ins>${text}</ins>`;
  if (line.startsWith("-")) return `<del>${text}</del>`;
  return text;
}

/** Good between tags and in a quoted attribute. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const style = `
:root{color-scheme:light dark;--ink:#1d2430;--dim:#5b6675;--line:#d9dee6;--soft:#f4f6f9;--good:#176b38;--bad:#a4262c;--warn:#8a5300;--back:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#9aa5b4;--line:#343c48;--soft:#1f252e;--good:#6fcf97;--bad:#ff8f8f;--warn:#f0b866;--back:#14181f}}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:54rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}h2{font-size:1rem;margin:0 0 .4rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0 0 1.5rem;padding-bottom:1rem;border-bottom:1px solid var(--line)}
dt,time,.dim,.thinking{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}time{font-weight:400;margin-left:.5rem}
.prompt{background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;margin:1.5rem 0 1rem}
.prompt div,.text{white-space:pre-wrap;overflow-wrap:anywhere}.text{margin:1rem 0}
details{margin:.3rem 0}summary{cursor:pointer;color:var(--dim);overflow-wrap:anywhere}
pre{font:13px/1.45 ui-monospace,monospace;background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.line{margin:.25rem 0;overflow-wrap:anywhere}.good,ins{color:var(--good)}.bad,.bad summary,del{color:var(--bad)}.warning{color:var(--warn)}.strong{font-weight:600}
ins,del{text-decoration:none}.diff{white-space:pre}
`;
