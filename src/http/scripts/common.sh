set -uf
ccw_started=$(pwd)

ccw_say() {
  printf '%s\n' "$*" >&2
}

# What went wrong, and what to do about it.
ccw_fail() {
  ccw_say "Error: $1"
  shift
  for ccw_line in "$@"; do ccw_say "$ccw_line"; done
  exit 1
}

# Sets ccw_answer to what git says, or to nothing where it says, by status 1, that there is none. Fails where git does otherwise.
ccw_ask() {
  ccw_answer=$(git "$@") && return 0
  ccw_status=$?
  ccw_answer=
  [ "$ccw_status" = 1 ]
}

# For a shell that a person pastes it into.
ccw_quote() {
  printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

# Nothing of the checkout's own set-up runs, git asks for nothing and does no housekeeping.
ccw_git() {
  GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=4 \
    GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null \
    GIT_CONFIG_KEY_1=gc.auto GIT_CONFIG_VALUE_1=0 \
    GIT_CONFIG_KEY_2=maintenance.auto GIT_CONFIG_VALUE_2=false \
    GIT_CONFIG_KEY_3=advice.detachedHead GIT_CONFIG_VALUE_3=false \
    git "$@"
}

# A variable that is set before the call of a function stays set in some shells, so it is set in a shell of its own.
ccw_with_index() (
  GIT_INDEX_FILE=$1
  export GIT_INDEX_FILE
  shift
  ccw_git "$@"
)

# The same towards the appliance. The token stands in no argument and in no file.
ccw_remote_git() {
  GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=10 \
    GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null \
    GIT_CONFIG_KEY_1=gc.auto GIT_CONFIG_VALUE_1=0 \
    GIT_CONFIG_KEY_2=maintenance.auto GIT_CONFIG_VALUE_2=false \
    GIT_CONFIG_KEY_3=credential.helper GIT_CONFIG_VALUE_3='' \
    GIT_CONFIG_KEY_4=http.extraHeader GIT_CONFIG_VALUE_4='' \
    GIT_CONFIG_KEY_5=http.extraHeader GIT_CONFIG_VALUE_5="Authorization: Bearer $ccw_token" \
    GIT_CONFIG_KEY_6=http.followRedirects GIT_CONFIG_VALUE_6=false \
    GIT_CONFIG_KEY_7=http.lowSpeedLimit GIT_CONFIG_VALUE_7=1 \
    GIT_CONFIG_KEY_8=http.lowSpeedTime GIT_CONFIG_VALUE_8=120 \
    GIT_CONFIG_KEY_9=push.pushOption GIT_CONFIG_VALUE_9='' \
    git "$@"
}

ccw_need_git() {
  command -v git >/dev/null 2>&1 || ccw_fail "git is not installed on this machine."
  ccw_probe=$(GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=ccw.probe GIT_CONFIG_VALUE_0=yes git config --get ccw.probe 2>/dev/null)
  [ "$ccw_probe" = yes ] || ccw_fail "This git is too old: 2.31 or later is needed. You have: $(git version)."
  # A hook or an alias of git that this was called from would speak of another repository.
  for ccw_variable in $(git rev-parse --local-env-vars); do unset "$ccw_variable"; done
}

# How one and the same repository is written in its several forms: host/path in lower case, without user and `.git`; with
# the port where the address is one of HTTP and has one. See remote-key.ts.
ccw_key() {
  ccw_url=$1
  case $ccw_url in
    http://* | https://* | ssh://* | git://* | git+ssh://* | ssh+git://*)
      ccw_scheme=${ccw_url%%://*}
      ccw_url=${ccw_url#*://}
      case $ccw_url in */*) ;; *) return 0 ;; esac
      ccw_host=${ccw_url%%/*}
      ccw_path=${ccw_url#*/}
      ccw_host=${ccw_host##*@}
      case $ccw_scheme in
        http) ccw_host=${ccw_host%:80} ;;
        https) ccw_host=${ccw_host%:443} ;;
        *) case $ccw_host in *:*[!0-9]*) ;; *) ccw_host=${ccw_host%%:*} ;; esac ;;
      esac
      ;;
    *://* | /* | .* | *\\*) return 0 ;;
    *:*)
      ccw_host=${ccw_url%%:*}
      ccw_path=${ccw_url#*:}
      case $ccw_host in */*) return 0 ;; esac
      ccw_host=${ccw_host##*@}
      ;;
    *) return 0 ;;
  esac
  ccw_path=${ccw_path#/}
  while :; do
    case $ccw_path in
      */) ccw_path=${ccw_path%/} ;;
      *) break ;;
    esac
  done
  ccw_path=${ccw_path%.git}
  printf '%s\n' "$ccw_host/$ccw_path" | tr '[:upper:]' '[:lower:]'
}

# The checkout's remotes, one key a line.
ccw_keys() {
  git config --get-regexp '^remote\..*\.url$' 2>/dev/null | while read -r ccw_name ccw_url; do
    ccw_key "$ccw_url"
  done
}

# Where the CLI keeps the conversations of a folder: every character of its path but letters and digits is a `-`. It
# counts as JavaScript does: one for a character, two for one beyond the first plane of Unicode.
ccw_projects() {
  printf '%s' "${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects"
}
ccw_folder_name() {
  ccw_mark=$(printf '\001')
  printf '%s' "$1" | LC_ALL=C tr '\001' '-' | LC_ALL=C tr '\360-\367' '\001' | LC_ALL=C tr -d '\200-\277' |
    LC_ALL=C tr -c 'A-Za-z0-9\001' '-' | LC_ALL=C sed "s/$ccw_mark/--/g"
}
