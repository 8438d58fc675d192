export const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/**
 * A script that asks the program itself for each completion: it prints lines of `value<TAB>description`. So a script
 * that was installed once knows the commands of every later version.
 */
export function completionScript(shell: Shell, program: string): string {
  const name = `_${program.replaceAll("-", "_")}_complete`;
  switch (shell) {
    case "bash":
      // `default`: file names, where the program knows nothing.
      return `${name}() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F ${name} ${program}
`;
    case "zsh":
      return `#compdef ${program}
${name}() {
  local line
  local -a candidates
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#candidates} )); then _describe ${program} candidates; else _files; fi
}
if [[ $funcstack[1] = _${program} ]]; then ${name} "$@"; else compdef ${name} ${program}; fi
`;
    case "fish":
      return `function ${name}
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c ${program} -a '(${name})'
`;
  }
}
