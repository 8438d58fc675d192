/** `name` or `name@branch`; a name has no `@`. */
export function repositoryAndBranch(text: string): { name: string; baseBranch?: string } {
  const at = text.indexOf("@");
  return at === -1 ? { name: text } : { name: text.slice(0, at), baseBranch: text.slice(at + 1) };
}
