#!/usr/bin/env bash
# Every identity that a policy knows, as deploy/dev_pki.sh --stakeholders-from takes them: one stakeholder/principal a line, in the
# policy's order. A principal with a URI of its own is left out: dev_pki.sh issues fraudhub:// names only.
#
#   deploy/config/list_principals.sh [POLICY.textproto]     without: the policy beside this script
set -euo pipefail

policy=${1:-$(dirname "${BASH_SOURCE[0]}")/policy.textproto}
[[ -r $policy && ! -d $policy ]] || { echo "list_principals.sh: cannot read '$policy'" >&2; exit 1; }

awk '
  function unquote(token) { return substr(token, 2, length(token) - 2) }
  function finish(   i) {
    if (id == "") return
    if (principals == 0) print id "/main"
    for (i = 1; i <= principals; i++) if (uri[i] == "") print id "/" (name[i] == "" ? "main" : name[i])
    found++
  }
  # One token: a quoted text, a word, or a single character. The path of braces says where we are.
  function take(token) {
    if (token == "{" || token == "<") {
      path[++depth] = word
      if (depth == 1 && word == "stakeholders") { id = ""; principals = 0 }
      if (depth == 2 && path[1] == "stakeholders" && word == "principals") { name[++principals] = ""; uri[principals] = "" }
    } else if (token == "}" || token == ">") {
      if (depth == 1 && path[1] == "stakeholders") finish()
      depth--
    } else if (token ~ /^["\047]/) {
      if (depth == 1 && path[1] == "stakeholders" && word == "id") id = unquote(token)
      if (depth == 2 && path[1] == "stakeholders" && path[2] == "principals") {
        if (word == "name") name[principals] = unquote(token)
        if (word == "uri") uri[principals] = unquote(token)
      }
    } else if (token ~ /^[A-Za-z_]/) {
      word = token
    }
  }
  {
    rest = $0
    while (match(rest, /"[^"]*"|\047[^\047]*\047|[A-Za-z_][A-Za-z_0-9.]*|#.*|[^ \t]/)) {
      token = substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
      if (token ~ /^#/) break
      take(token)
    }
  }
  END { if (found == 0) { print "list_principals.sh: no stakeholders in there" > "/dev/stderr"; exit 1 } }
' "$policy"
