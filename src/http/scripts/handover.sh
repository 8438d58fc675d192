ccw_tmp=

# Nothing of the checkout is ever changed: what is made lies in a folder of its own, which goes.
ccw_end() {
  ccw_code=$?
  trap - EXIT
  trap '' HUP INT TERM PIPE
  [ -z "$ccw_tmp" ] || rm -rf "$ccw_tmp"
  exit "$ccw_code"
}

# Posts a file to the appliance; its answer stands in `answer` then. The token goes by the standard input.
ccw_post() {
  ccw_status=$(printf 'header = "Authorization: Bearer %s"\n' "$ccw_token" |
    curl -sS -K - --connect-timeout 20 --speed-limit 1 --speed-time 120 -o "$ccw_tmp/answer" -w '%{http_code}' \
      -H 'Content-Type: text/plain' --data-binary "@$2" "$ccw_base/handover/$1") || return 2
  [ "$ccw_status" = 200 ]
}

ccw_refused() {
  [ "$1" != 2 ] || ccw_fail "The appliance could not be reached at $ccw_base." "Nothing was handed over."
  ccw_say "Error: $(cat "$ccw_tmp/answer")"
  exit 1
}

# What the answer says of this.
ccw_told() {
  sed -n "s/^$1 //p" "$ccw_tmp/answer" | head -n 1
}

# With an index and a place for objects beside the checkout's own.
ccw_beside() (
  GIT_OBJECT_DIRECTORY=$ccw_tmp/objects
  export GIT_OBJECT_DIRECTORY
  ccw_with_index "$ccw_tmp/index" "$@"
)

ccw_commit() (
  GIT_AUTHOR_NAME=ccw-server
  GIT_AUTHOR_EMAIL=ccw-server@ccw.invalid
  GIT_COMMITTER_NAME=ccw-server
  GIT_COMMITTER_EMAIL=ccw-server@ccw.invalid
  export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
  "$@"
)

ccw_snapshot() {
  ccw_objects=$(git rev-parse --git-path objects) && ccw_objects=$(cd "$ccw_objects" && pwd -P) ||
    ccw_fail "The objects of this checkout cannot be found."
  mkdir -p "$ccw_tmp/objects/info" && printf '%s\n' "$ccw_objects" >"$ccw_tmp/objects/info/alternates" ||
    ccw_fail "Nothing can be written to $ccw_tmp."
  ccw_index=$(git rev-parse --git-path index) || ccw_fail "$top could not be read."
  if [ -f "$ccw_index" ]; then
    cp "$ccw_index" "$ccw_tmp/index" || ccw_fail "Nothing can be written to $ccw_tmp."
  fi
  ccw_beside -c advice.addEmbeddedRepo=false add --all . || ccw_fail "Your files could not be read."
  ccw_tree=$(ccw_beside write-tree) || ccw_fail "Your files could not be written down."
  work=$(ccw_commit ccw_beside commit-tree --no-gpg-sign -p "$head" -m "Handed over" "$ccw_tree") ||
    ccw_fail "Your files could not be written down."
}

ccw_is_session() {
  printf '%s\n' "$1" | grep -Eqx '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
}

# The newest conversation of the folder that this was called in, or of the checkout's; or the one that was asked for.
ccw_find_session() {
  conversation=
  ccw_own=$(ccw_folder_name "$(cd "$ccw_started" && pwd -P)")
  ccw_whole=$(ccw_folder_name "$top")
  for ccw_each in "$ccw_own" "$ccw_whole"; do
    ccw_each=$(ccw_projects)/$ccw_each
    if [ -n "$session" ]; then
      [ -f "$ccw_each/$session.jsonl" ] || continue
    else
      # shellcheck disable=SC2012 # the names that pass are UUIDs
      session=$(ls -t "$ccw_each" 2>/dev/null | sed -n 's/\.jsonl$//p' | while read -r ccw_name; do
        if ccw_is_session "$ccw_name"; then
          printf '%s\n' "$ccw_name"
          break
        fi
      done)
      [ -n "$session" ] || continue
    fi
    conversation=$ccw_each
    return 0
  done
  [ -z "$session" ] || ccw_fail "There is no conversation $session of $top." "They lie in $(ccw_projects)."
  ccw_fail "There is no conversation of $top." "Hand over from the folder that \`claude\` was started in, or with --no-session the files alone."
}

ccw_send_session() {
  if [ "$(wc -c <"$conversation/$session.jsonl")" -gt "$ccw_max_conversation" ]; then
    ccw_fail "The conversation is over $((ccw_max_conversation / 1048576)) MiB, which is the most that is taken." "Hand over with --no-session the files alone."
  fi
  ccw_bare=$ccw_tmp/session.git
  ccw_git init -q --bare --template= "$ccw_bare" && mkdir -p "$ccw_bare/info" &&
    echo "* -text -filter -ident -working-tree-encoding" >"$ccw_bare/info/attributes" ||
    ccw_fail "Nothing can be written to $ccw_tmp."
  ccw_of_session() {
    ccw_with_index "$ccw_tmp/session.index" --git-dir="$ccw_bare" --work-tree="$conversation" \
      -c core.bare=false -c core.autocrlf=false "$@"
  }
  cd "$conversation" && ccw_of_session add -f -- "$session.jsonl" || ccw_fail "The conversation could not be read."
  if [ -d "$session" ]; then
    ccw_of_session add -f -- "$session" || ccw_fail "The conversation could not be read."
  fi
  ccw_tree=$(ccw_of_session write-tree) &&
    ccw_tree=$(printf '040000 tree %s\tconversation\n' "$ccw_tree" | ccw_of_session mktree) &&
    said=$(ccw_commit ccw_of_session commit-tree --no-gpg-sign -m "Handed over" "$ccw_tree") ||
    ccw_fail "The conversation could not be written down."
  cd "$top" || ccw_fail "$top is gone."
  ccw_remote_git --git-dir="$ccw_bare" push -q --no-verify --no-signed --no-follow-tags \
    "$ccw_base/handover/git/session.git" "$said:refs/ccw/snapshots/$ccw_ref" ||
    ccw_fail "The conversation could not be sent." "Nothing was handed over."
}

ccw_main() {
  trap ccw_end EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
  session=
  repository=
  with_session=yes
  prompt=
  while [ $# -gt 0 ]; do
    case $1 in
      --session | --repo)
        [ $# -gt 1 ] || ccw_fail "$1 needs a value."
        if [ "$1" = --repo ]; then repository=$2; else session=$2; fi
        shift
        ;;
      --no-session) with_session= ;;
      --)
        shift
        break
        ;;
      -*) ccw_fail "$1 is not understood here." "There are: --session ID, --no-session, --repo NAME, and the prompt." ;;
      *) break ;;
    esac
    shift
  done
  prompt=${*-}
  [ -z "$session" ] || ccw_is_session "$session" || ccw_fail "$session is no name of a conversation."
  case $repository in *"$(printf '\nx')"*) ccw_fail "That is no name of a repository." ;; esac
  [ -n "${HOME:-}" ] || ccw_fail "HOME is not set."
  command -v curl >/dev/null 2>&1 || ccw_fail "curl is not installed on this machine."
  ccw_need_git
  top=$(git rev-parse --show-toplevel 2>/dev/null) || top=
  if [ -z "$top" ] || ! cd "$top"; then ccw_fail "$ccw_started is not in a checkout of a git repository."; fi
  top=$(pwd -P)
  head=$(git rev-parse --quiet --verify 'HEAD^{commit}') || ccw_fail "$top has no commit yet."
  ccw_ask symbolic-ref --quiet --short HEAD || ccw_fail "What $top has checked out could not be read."
  ccw_at=$ccw_answer
  [ -z "$with_session" ] || ccw_find_session
  ccw_tmp=$(mktemp -d "${TMPDIR:-/tmp}/ccw-handover.XXXXXX") || ccw_fail "Nothing can be written to ${TMPDIR:-/tmp}."
  ccw_ref=h$(date +%s)x$$

  {
    printf 'repository %s\nbranch %s\n' "$repository" "$ccw_at"
    ccw_keys | sed 's/^/key /' | head -n 50
  } >"$ccw_tmp/checkout" || ccw_fail "Nothing can be written to $ccw_tmp."
  ccw_post begin "$ccw_tmp/checkout" || ccw_refused $?
  ccw_say "Handing over $(ccw_told repository)${ccw_at:+, branch $ccw_at}${session:+, conversation $session}."
  ccw_snapshot
  ccw_say "Sending the files: all but those that git ignores."
  (
    GIT_OBJECT_DIRECTORY=$ccw_tmp/objects
    export GIT_OBJECT_DIRECTORY
    ccw_remote_git push -q --no-verify --no-signed --no-follow-tags \
      --recurse-submodules=no "$ccw_base/handover/git/0.git" "$work:refs/ccw/snapshots/$ccw_ref"
  ) ||
    ccw_fail "The files could not be sent." "Nothing was handed over."
  said=
  if [ -n "$with_session" ]; then
    ccw_say "Sending the conversation."
    ccw_send_session
  fi
  printf '%s' "$prompt" >"$ccw_tmp/prompt" || ccw_fail "Nothing can be written to $ccw_tmp."
  ccw_finish="finish?work=$work&head=$head&session=$said"
  # An answer that got lost is asked for again; the task is the same.
  ccw_post "$ccw_finish" "$ccw_tmp/prompt" || [ $? = 1 ] || { sleep 2; ccw_post "$ccw_finish" "$ccw_tmp/prompt"; } ||
    [ $? = 1 ] || { sleep 5; ccw_post "$ccw_finish" "$ccw_tmp/prompt"; } || ccw_refused $?
  [ "$ccw_status" = 200 ] || ccw_refused 1
  ccw_say "The appliance goes on with it; your checkout and your conversation are as they were."
  ccw_say "  $(ccw_told url)"
  ccw_told task
  exit 0
}
