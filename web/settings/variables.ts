/** Variables as people type them, one `NAME=value` a line: `#` comments, `export`, and quotes around a value. */
export function parseVariables(source: string): { variables: Record<string, string>; problems: string[] } {
  const variables: Record<string, string> = {};
  const problems: string[] = [];
  source.split(/\r?\n/).forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return;
    const match = trimmed.match(/^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/);
    if (match === null) problems.push(`Line ${index + 1} is not NAME=value: ${trimmed.slice(0, 60)}`);
    else variables[match[1] ?? ""] = unquoted(match[2] ?? "");
  });
  return { variables, problems };
}

function unquoted(text: string): string {
  const double = text.match(/^"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$/);
  if (double !== null) return (double[1] ?? "").replace(/\\(.)/g, (_, next) => (next === "n" ? "\n" : next));
  const single = text.match(/^'([^']*)'\s*(?:#.*)?$/);
  if (single !== null) return single[1] ?? "";
  return text.replace(/\s+#.*$/, "").trim();
}
