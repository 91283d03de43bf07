#!/usr/bin/env bash
# The files of earlier releases: this release starts on what they stored, knows everything they knew, and goes on from there.
#
#   tests/process/old_format.sh [BIN]              for each tests/process/formats/*.tar.gz
#   tests/process/old_format.sh [BIN] --make NAME  packs tests/process/formats/NAME.tar.gz: the data of the hub in BIN, before its formats change
#
# An archive holds data/, keys/ (made for it, worth nothing elsewhere), policy and rules, token (of a stream that had everything) and
# expected: reports, indicators, and the id of a report that was merged. Flags lapse while an archive ages, so levels are not compared.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
folder="" make=""
while (($#)); do
  case $1 in
    --make) make=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open old_format "$folder"
formats=$root/tests/process/formats
analyst=dot-diu/analyst-1 bank=bank-psb-02/main
make_identities "$analyst" "$bank" bank-psb-03/main
watch() { as bank-psb-03/main watch --token-file "$work/token" --until-quiet 2s "$@"; }

if [[ -n $make ]]; then
  hub_settings=(log.partitions=2)
  start_hub
  for ((i = 0; i < 200; i++)); do echo "$((5550000000 + i * 7919))"; done >"$work/numbers"
  id=$(cat /proc/sys/kernel/random/uuid)
  as "$bank" report FINANCIAL_FRAUD UPI_ADDRESS 5550001234@testpsp --report-id "$id" >/dev/null
  for number in $(head -n 60 "$work/numbers"); do as "$bank" report FINANCIAL_FRAUD MOBILE "$number" --wait 0s >/dev/null; done
  as "$analyst" correct "MOBILE:$(head -n 1 "$work/numbers")" --to CLEARED --reason WRONG_NUMBER >/dev/null
  watch --from earliest >/dev/null
  read -r _ reports indicators <<<"$(settled_digest)"
  drain_hub
  echo "$reports $indicators $id" >"$work/expected"
  cp "$policy" "$work/policy.textproto"
  cp "$rules" "$work/rules.textproto"
  mkdir -p "$formats"
  tar -C "$work" -czf "$formats/$make.tar.gz" data keys token expected policy.textproto rules.textproto
  say "made $formats/$make.tar.gz: $(stat -c %s "$formats/$make.tar.gz") bytes, $reports reports"
  exit
fi

archives=("$formats"/*.tar.gz)
[[ -e ${archives[0]} ]] || fail "no archives in $formats"
for archive in "${archives[@]}"; do
  rm -rf "$work/data" "$work/keys"
  tar -C "$work" -xzf "$archive"
  policy=$work/policy.textproto rules=$work/rules.textproto
  hub_settings=(log.partitions=2)
  read -r reports_then indicators_then id <"$work/expected"
  start_hub
  read -r _ reports indicators <<<"$(settled_digest)"
  status=$(as "$bank" report status "$id")
  row "$(basename "$archive"): reports, indicators" "$reports, $indicators"
  [[ "$reports $indicators" == "$reports_then $indicators_then" ]] || fail "$archive: want $reports_then reports, $indicators_then indicators"
  [[ $status == *MERGED* ]] || fail "$archive: a report that was merged is $status"
  # The token of then is understood: it resumes, or it is older than the window; nothing else.
  if ! resumed=$(watch 2>&1) && [[ $resumed != *CURSOR_TOO_OLD* ]]; then fail "$archive: the token of then: $resumed"; fi
  as "$bank" report FINANCIAL_FRAUD MOBILE 5559998887 >/dev/null
  read -r _ reports _ <<<"$(settled_digest)"
  [[ $reports == $((reports_then + 1)) ]] || fail "$archive: a new report does not count"
  drain_hub
done
say "old_format: ok"
