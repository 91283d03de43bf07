# Sourced after common.sh by scripts that tell stories: who reports what, what others hear of it, what they are told when they ask.
#
# Set before the first story: analyst, whose word on an indicator name_it and why take.

listen() { # NAME STAKEHOLDER/PRINCIPAL OPTIONS...
  local name=$1 who=$2
  shift 2
  "$bin/hubctl" "${servers[@]}" --identity "$work/pki/$who" --output json watch --from earliest "$@" >"$work/watch-$name" 2>"$work/watch-$name.log" &
  keep_pid $!
}
story() { printf '%s\n' "$*"; }
expect() { # WHAT TEXT PATTERN...: every pattern (extended regular expression) is in the text; !PATTERN: it is not
  local what=$1 text=$2 pattern problem=""
  shift 2
  ((++checks))
  for pattern in "$@"; do
    if [[ $pattern == '!'* ]]; then
      [[ ! $text =~ ${pattern#!} ]] || problem="$problem $pattern"
    else
      [[ $text =~ $pattern ]] || problem="$problem $pattern"
    fi
  done
  if [[ -z $problem ]]; then printf '  ok    %s\n' "$what"; return; fi
  ((++failures))
  printf '  FAIL  %s: want%s in\n        %s\n' "$what" "$problem" "$text"
}
# Waits for an event of the indicator of $number in what NAME heard, then checks as above.
hears() { # WHAT NAME PATTERN...
  local what=$1 name=$2
  shift 2
  until_true 10 "$what" heard "$name" "$@" 2>/dev/null || true
  expect "$what" "$(about "$name" | tail -n 1)" "$@"
}
about() { grep -F "\"$indicator\"" "$work/watch-$1" || true; }
heard() {
  local text pattern
  text=$(about "$1" | tail -n 1)
  shift
  [[ -n $text ]] || return 1
  for pattern in "$@"; do [[ $pattern == '!'* || $text =~ $pattern ]] || return 1; done
}
# The newest of what NAME heard about it was heard before: once everything later has reached NAME, there is no more.
hears_nothing() { # WHAT NAME: of the indicator
  expect "$1" "$(about "$2")" '^$'
}
about_number() { about_the MOBILE "$1"; } # what the next lines are about
about_the() { type=$1 number=$2 indicator=none; } # TYPE VALUE
report() { # WHO KIND OPTIONS...: its answer, which comes when the report is decided
  local who=$1 kind=$2
  shift 2
  as "$who" report "$kind" "$type" "$number" --wait 10s "$@"
}
why() { as "$analyst" why "$type:$number"; }
lookup() { as "$1" lookup "$type:$number"; }
name_it() { indicator=$(why | json indicatorId); [[ -n $indicator ]] || fail "no indicator for the number of this story"; }
level() { echo "\"level\":\"LEVEL_$1\""; }
# The same of an answer that comes to be so soon: counters reach lookups up to a second after the decision.
soon() { # WHAT COMMAND... -- PATTERN...
  local what=$1 command=()
  shift
  while [[ $1 != -- ]]; do command+=("$1"); shift; done
  shift
  until_true 10 "$what" matches "$@" 2>/dev/null || true
  expect "$what" "$("${command[@]}")" "$@"
}
matches() { # of command, by soon
  local text pattern
  text=$("${command[@]}")
  for pattern in "$@"; do
    if [[ $pattern == '!'* ]]; then [[ ! $text =~ ${pattern#!} ]] || return 1; else [[ $text =~ $pattern ]] || return 1; fi
  done
}
merged='"outcome":"OUTCOME_MERGED"'
left='"leftView":true'
