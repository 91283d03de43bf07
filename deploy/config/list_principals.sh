#!/usr/bin/env bash
# The principals of a policy file that make_policy.sh wrote (one stakeholder a line), as deploy/dev_pki.sh --stakeholders-from takes them.
#
#   deploy/config/list_principals.sh POLICY
set -euo pipefail
awk '/^stakeholders \{ id: "/ {
  match($0, /id: "[^"]*"/); id = substr($0, RSTART + 5, RLENGTH - 6)
  rest = $0; any = 0
  while (match(rest, /principals \{ name: "[^"]*"/)) {
    print id "/" substr(rest, RSTART + 20, RLENGTH - 21); any = 1
    rest = substr(rest, RSTART + RLENGTH)
  }
  if (!any) print id "/main"
}' "${1:?want a policy file}"
