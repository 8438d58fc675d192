ccw_tmp=
ccw_staging=
ccw_made_home=
ccw_made_projects=
ccw_placed_file=
ccw_placed_folder=
ccw_index=
ccw_index_saved=
ccw_stash_files=yes
ccw_moving=
ccw_stashing=
ccw_finished=
branch_ref=

# Whatever ends the script before it has finished: everything is put back as it was. What is done is found by looking, so
# that it does not matter between which two steps it ended; and what an interrupt cuts off is done again.
ccw_end() {
  ccw_code=$?
  trap - EXIT
  trap '' HUP INT TERM PIPE
  if [ -z "$ccw_finished" ]; then
    [ "$ccw_code" != 0 ] || ccw_code=1
    [ -z "$ccw_placed_file" ] || rm -f "$ccw_placed_file"
    [ -z "$ccw_placed_folder" ] || rm -rf "$ccw_placed_folder"
    [ -z "$ccw_staging" ] || rm -rf "$ccw_staging"
    if [ -n "$ccw_moving$ccw_stashing" ]; then
      if ccw_put_back || ccw_put_back || ccw_put_back; then
        ccw_say "Your checkout is as it was."
      else
        ccw_say "Your checkout could not be put back as it was. It was at ${orig_ref:-$orig_commit} ($orig_commit)."
        ccw_say "Local changes, where you had any, are in the stash named \"$ccw_marker\": git stash list"
        ccw_keep_tmp=yes
      fi
    else
      ccw_say "Nothing of your checkout was changed."
    fi
  fi
  [ -z "$ccw_staging" ] || rm -rf "$ccw_staging"
  if [ -z "$ccw_finished" ]; then
    [ -z "$ccw_made_home" ] || rmdir "$ccw_made_home" 2>/dev/null
    [ -z "$ccw_made_projects" ] || rmdir "$ccw_made_projects" 2>/dev/null
  fi
  [ -z "$ccw_tmp" ] || [ -n "${ccw_keep_tmp:-}" ] || rm -rf "$ccw_tmp"
  exit "$ccw_code"
}

# With an index of the script's own: the disk may be full, and the checkout's is put back as it was.
ccw_with_copy() {
  ccw_with_index "$ccw_tmp/copy.index" "$@"
}

# These files, whatever lies on the disk.
ccw_copy_has() {
  ccw_with_copy read-tree "$1" || return 1
  ccw_with_copy update-index -q --refresh >/dev/null 2>&1
  return 0
}

ccw_put_back() {
  if [ -n "$ccw_moving" ]; then
    if [ -n "$orig_ref" ]; then
      ccw_git symbolic-ref HEAD "$orig_ref" || return 1
    else
      ccw_git update-ref --no-deref HEAD "$orig_commit" || return 1
    fi
    # As if all of the task's files were there, whatever was written of them; none of them was before.
    ccw_copy_has "$files" || return 1
    ccw_with_copy reset -q --hard "$orig_commit" || return 1
    if [ "$branch_ref" != "$orig_ref" ]; then
      if [ -n "$branch_before" ]; then
        ccw_git update-ref "$branch_ref" "$branch_before" || return 1
      elif ccw_git show-ref --verify --quiet "$branch_ref"; then
        ccw_git update-ref -d "$branch_ref" || return 1
      fi
    fi
  fi
  if [ -n "$ccw_stashing" ]; then
    ccw_ask rev-parse --quiet --verify refs/stash || return 1
    ccw_stash=$ccw_answer
    if [ -n "$ccw_stash" ] && [ "$ccw_stash" != "$stash_before" ]; then
      ccw_subject=$(git log -1 --format=%s "$ccw_stash") || return 1
      case $ccw_subject in
        *"$ccw_marker"*)
          # Step by step, each of which may have been done already: what was removed, what was changed, what was untracked.
          ccw_copy_has "$orig_commit" || return 1
          git diff-tree -r -z --name-only --no-renames --diff-filter=D "$orig_commit" "$ccw_stash" >"$ccw_tmp/removed" ||
            return 1
          if [ -s "$ccw_tmp/removed" ]; then
            ccw_with_copy --literal-pathspecs rm -q -f --ignore-unmatch --pathspec-from-file="$ccw_tmp/removed" \
              --pathspec-file-nul
          fi
          ccw_copy_has "$ccw_stash" || return 1
          ccw_with_copy checkout-index --all --force --quiet --index || return 1
          if git rev-parse --quiet --verify "$ccw_stash^3" >/dev/null; then
            ccw_with_index "$ccw_tmp/untracked.index" read-tree "$ccw_stash^3" || return 1
            ccw_with_index "$ccw_tmp/untracked.index" checkout-index --all --force --quiet || return 1
          fi
          ccw_stashed=$ccw_stash
          ;;
      esac
    fi
  fi
  # There was none, so it is of a git that was killed.
  rm -f "$ccw_index.lock"
  [ -n "$ccw_stash_files" ] || rm -f "$ccw_index".stash.*
  if [ -n "$ccw_index_saved" ]; then
    cp "$ccw_tmp/index" "$ccw_index.ccw" && mv -f "$ccw_index.ccw" "$ccw_index" || return 1
    git update-index -q --refresh >/dev/null 2>&1
  fi
  if [ -n "${ccw_stashed:-}" ] && [ "$(git rev-parse --quiet --verify refs/stash)" = "$ccw_stashed" ]; then
    ccw_git stash drop -q || return 1
  fi
  return 0
}

# Which of the task's repositories this is a checkout of: by its remotes, or else by the first commit of its history.
ccw_find_repository() {
  ccw_own=$(ccw_keys)
  ccw_found=
  ccw_at=0
  while [ "$ccw_at" -lt "$ccw_repositories" ]; do
    ccw_repository "$ccw_at"
    for ccw_each in $keys; do
      if printf '%s\n' "$ccw_own" | grep -Fqx -e "$ccw_each"; then
        ccw_found=$ccw_at
        return 0
      fi
    done
    ccw_at=$((ccw_at + 1))
  done
  ccw_at=0
  while [ "$ccw_at" -lt "$ccw_repositories" ]; do
    ccw_repository "$ccw_at"
    for ccw_each in $roots; do
      if git cat-file -e "$ccw_each^{commit}" 2>/dev/null; then
        ccw_found=$ccw_at
        return 0
      fi
    done
    ccw_at=$((ccw_at + 1))
  done
}

ccw_names() {
  ccw_at=0
  while [ "$ccw_at" -lt "$ccw_repositories" ]; do
    ccw_repository "$ccw_at"
    [ "$ccw_at" = "$1" ] || ccw_say "  $name   $clone"
    ccw_at=$((ccw_at + 1))
  done
}

ccw_wrong_place() {
  ccw_say "Error: $1"
  ccw_say "The task works on:"
  ccw_names none
  ccw_say "Go into a checkout of it (git clone makes one), and paste the command there."
  exit 1
}

ccw_fetch_conversation() {
  ccw_say "Fetching the conversation."
  ccw_bare=$ccw_tmp/session.git
  ccw_git init -q --bare --template= "$ccw_bare" || ccw_fail "No room could be made in $ccw_tmp."
  ccw_remote_git --git-dir="$ccw_bare" fetch -q --depth=1 --no-tags --no-write-fetch-head \
    "$ccw_base/teleport/git/session.git" refs/ccw/session ||
    ccw_fail "The conversation could not be fetched." "$ccw_expiry"
  projects=$(ccw_projects)
  home=$projects/$(ccw_folder_name "$top")
  [ -d "$projects" ] || ccw_made_projects=$projects
  mkdir -p "$projects" || ccw_fail "$projects cannot be made."
  ccw_staging=$(mktemp -d "$projects/.ccw-teleport.XXXXXX") || ccw_fail "Nothing can be written to $projects."
  # It comes out of a sandbox: its files are taken as they are, by no filter, and no link of it is followed.
  if ! mkdir -p "$ccw_bare/info" || ! echo "* -text -filter -ident -working-tree-encoding" >"$ccw_bare/info/attributes"; then
    ccw_fail "Nothing can be written to $ccw_tmp."
  fi
  ccw_from() {
    ccw_with_index "$ccw_tmp/session.index" --git-dir="$ccw_bare" --work-tree="$ccw_staging" \
      -c core.symlinks=false -c core.bare=false -c core.autocrlf=false "$@"
  }
  if ! ccw_from read-tree "$ccw_session_commit:conversation" || ! ccw_from checkout-index --all --force --quiet ||
    [ ! -f "$ccw_staging/$ccw_session.jsonl" ]; then
    ccw_fail "The conversation could not be written to $projects."
  fi
}

ccw_place_conversation() {
  if [ ! -d "$home" ]; then
    ccw_made_home=$home
    mkdir "$home" || ccw_fail "$home cannot be made."
  fi
  session=$ccw_session
  if [ -e "$home/$session.jsonl" ] && cmp -s "$ccw_staging/$session.jsonl" "$home/$session.jsonl"; then
    return 0
  fi
  # One that went on here stays what it is; the task's stands beside it under a name of its own.
  if [ -e "$home/$session.jsonl" ] || [ -e "$home/$session" ]; then
    session=$ccw_spare
    if [ -e "$home/$session.jsonl" ] || [ -e "$home/$session" ]; then
      ccw_fail "The conversation was put into $home already, and has changed since." "Ask for a new command."
    fi
    ccw_say "An earlier state of the conversation went on here: it stays as it is, and this one is put beside it."
  fi
  if [ -d "$ccw_staging/$ccw_session" ]; then
    ccw_placed_folder=$home/$session
    mv "$ccw_staging/$ccw_session" "$ccw_placed_folder" || ccw_fail "The conversation could not be put into $home."
  fi
  ccw_placed_file=$home/$session.jsonl
  mv "$ccw_staging/$ccw_session.jsonl" "$ccw_placed_file" || ccw_fail "The conversation could not be put into $home."
}

# The branch's own name; another one where that holds other commits, or stands in another working tree.
ccw_choose_branch() {
  ccw_wanted=$branch
  ccw_number=1
  while :; do
    branch_ref=refs/heads/$ccw_wanted
    ccw_ask rev-parse --quiet --verify "$branch_ref" || ccw_fail "The branches could not be read."
    branch_before=$ccw_answer
    if [ -z "$branch_before" ]; then
      git check-ref-format "$branch_ref" || ccw_fail "The branch $branch cannot be made here."
      break
    fi
    if git merge-base --is-ancestor "$branch_before" "$target" 2>/dev/null; then
      [ "$branch_ref" != "$orig_ref" ] || break
      git worktree list --porcelain | grep -Fqx -e "branch $branch_ref" || break
    fi
    ccw_number=$((ccw_number + 1))
    [ "$ccw_number" -lt 1000 ] || ccw_fail "There are too many branches named like $branch."
    ccw_wanted=$branch-$ccw_number
  done
  [ "$ccw_wanted" = "$branch" ] ||
    ccw_say "The branch $branch has other commits here and stays as it is; the work goes to $ccw_wanted."
}

ccw_main() {
  ccw_run=yes
  for ccw_argument; do
    case $ccw_argument in
      --print) ccw_run= ;;
      *) ccw_fail "$ccw_argument is not understood here." "--print: do not start the CLI." ;;
    esac
  done
  trap ccw_end EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
  ccw_expiry="The command is good for 10 minutes; the task's page and \`ccw-server task teleport\` give a new one."

  ccw_say "$ccw_title"
  [ -n "${HOME:-}" ] || ccw_fail "HOME is not set."
  ccw_need_git
  top=$(git rev-parse --show-toplevel 2>/dev/null) || top=
  if [ -z "$top" ] || ! cd "$top"; then ccw_wrong_place "$ccw_started is not in a checkout of a git repository."; fi
  top=$(pwd -P)
  ccw_find_repository
  [ -n "$ccw_found" ] || ccw_wrong_place "$top is a checkout of another repository."
  ccw_repository "$ccw_found"
  orig_commit=$(git rev-parse --quiet --verify 'HEAD^{commit}') || ccw_fail "$top has no commit checked out."
  ccw_ask symbolic-ref --quiet HEAD || ccw_fail "What $top has checked out could not be read."
  orig_ref=$ccw_answer
  for ccw_each in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG rebase-merge rebase-apply sequencer; do
    ccw_path=$(git rev-parse --git-path "$ccw_each") || ccw_fail "$top could not be read."
    [ ! -e "$ccw_path" ] ||
      ccw_fail "A merge, rebase or the like is under way in $top." "Finish it, or abort it, then paste the command again."
  done
  if [ -n "$ccw_session_commit" ]; then
    ccw_length=$(ccw_folder_name "$top")
    [ "${#ccw_length}" -le 200 ] || ccw_fail "The path of $top is too long for the CLI to find the conversation."
  fi
  if [ "$ccw_repositories" -gt 1 ]; then
    ccw_say "The task has $ccw_repositories repositories; this brings the work in $name. Left out:"
    ccw_names "$ccw_found"
  fi

  ccw_tmp=$(mktemp -d "${TMPDIR:-/tmp}/ccw-teleport.XXXXXX") || ccw_fail "Nothing can be written to ${TMPDIR:-/tmp}."
  ccw_say "Fetching $branch of $name."
  ccw_repository "$ccw_found"
  ccw_remote_git fetch -q --no-tags --no-write-fetch-head --no-recurse-submodules \
    "$ccw_base/teleport/git/$index.git" "refs/heads/$branch" refs/ccw/files ||
    ccw_fail "The task's work could not be fetched." "$ccw_expiry"
  if ! git cat-file -e "$target^{commit}" || ! git cat-file -e "$files^{commit}"; then
    ccw_fail "The appliance did not send the task's work."
  fi
  [ -z "$ccw_session_commit" ] || ccw_fetch_conversation

  # From here on the checkout is changed.
  ccw_marker="ccw-server teleport $ccw_task $$ $(date +%s)"
  ccw_index=$(git rev-parse --git-path index) || ccw_fail "$top could not be read."
  [ ! -e "$ccw_index.lock" ] || ccw_fail "Another git is at work in $top." "If none is, remove $ccw_index.lock."
  # A stash writes an index of its own beside, and leaves it there when it is killed.
  ccw_stash_files=
  for ccw_each in "$ccw_index".stash.*; do
    [ ! -e "$ccw_each" ] || ccw_stash_files=yes
  done
  ccw_ask rev-parse --quiet --verify refs/stash || ccw_fail "The stash could not be read."
  stash_before=$ccw_answer
  stashed=
  if [ -f "$ccw_index" ]; then
    cp "$ccw_index" "$ccw_tmp/index" || ccw_fail "Nothing can be written to $ccw_tmp."
    ccw_index_saved=yes
  fi
  # What is not known to be clean is never written over; and a git that only looks leaves no lock behind when it is killed.
  ccw_changes=$(git --no-optional-locks status --porcelain --untracked-files=normal --ignore-submodules=all) ||
    ccw_fail "Your local changes could not be looked for."
  if [ -n "$ccw_changes" ]; then
    ccw_say "Stashing your local changes."
    ccw_stashing=yes
    ccw_git stash push -q -u -m "$ccw_marker" || ccw_fail "Your local changes could not be stashed."
    ccw_ask rev-parse --quiet --verify refs/stash || ccw_fail "Your local changes could not be stashed."
    stashed=$ccw_answer
    [ "$stashed" != "$stash_before" ] || stashed=
  fi
  # Files that git ignores were not stashed, and are overwritten by nothing.
  if ! git ls-files --others >"$ccw_tmp/there" || ! git diff-tree -r --name-only --no-renames --diff-filter=A \
    "$orig_commit" "$files" >"$ccw_tmp/added"; then
    ccw_fail "The files could not be compared."
  fi
  ccw_both=$(LC_ALL=C sort "$ccw_tmp/there" "$ccw_tmp/added" | LC_ALL=C uniq -d | head -n 10)
  [ -z "$ccw_both" ] ||
    ccw_fail "Files that git ignores here would be overwritten by the task's:" "$ccw_both" "Move them away, then paste the command again."
  ccw_choose_branch
  ccw_moving=yes
  ccw_git checkout -q --no-overwrite-ignore --detach "$files" -- || ccw_fail "The task's files could not be checked out."
  ccw_git update-ref -m "ccw-server teleport" "$branch_ref" "$target" "$branch_before" || ccw_fail "The branch could not be made."
  ccw_git symbolic-ref -m "ccw-server teleport" HEAD "$branch_ref" || ccw_fail "The branch could not be checked out."
  if [ "$files" != "$target" ]; then
    ccw_git reset -q --mixed || ccw_fail "The index could not be written."
  fi
  [ -z "$ccw_session_commit" ] || ccw_place_conversation
  trap '' HUP INT TERM PIPE
  ccw_finished=yes

  ccw_say "Now on branch ${branch_ref#refs/heads/}."
  [ "$files" = "$target" ] || ccw_say "What the task had not committed is uncommitted here, too: see git status."
  [ -z "$behind" ] || ccw_say "The branch was moved meanwhile, to $behind: git pull brings that."
  if [ -n "$stashed" ]; then
    ccw_where=$orig_commit
    [ -z "$orig_ref" ] || ccw_where=${orig_ref#refs/heads/}
    ccw_say "Your local changes are in the stash, as \"$ccw_marker\". To get them back:"
    ccw_say "  git checkout $(ccw_quote "$ccw_where") && git stash pop --index"
  fi
  trap - HUP INT TERM PIPE
  if [ -z "$ccw_session_commit" ]; then
    ccw_say "The task has no conversation that could be resumed here."
    exit 0
  fi
  ccw_here=$(cd "$ccw_started" 2>/dev/null && pwd -P)
  if [ -n "$ccw_run" ] && [ -t 1 ] && command -v claude >/dev/null 2>&1 && (: </dev/tty) 2>/dev/null; then
    ccw_say "claude --resume $session"
    rm -rf "$ccw_staging" "$ccw_tmp"
    trap - EXIT
    exec claude --resume "$session" </dev/tty
  fi
  ccw_say "To go on with the conversation:"
  if [ "$ccw_here" = "$top" ]; then
    printf '%s\n' "claude --resume $session"
  else
    printf '%s\n' "cd $(ccw_quote "$top") && claude --resume $session"
  fi
  command -v claude >/dev/null 2>&1 || ccw_say "The CLI is not on this machine's PATH: install Claude Code first."
  exit 0
}
