#!/usr/bin/env bash
# A revocation list, imported twice: how fast, in how much memory, and that the second time changes nothing.
#
#   tests/process/import_twice.sh [BIN] [--rows 1000000]
#
#   BIN   folder of the binaries (default build/release/bin)
#
# Memory of hubctl (VmHWM, the most it ever had) is compared with that of a list of a tenth of the rows: it must be flat. The regulator that
# sends the list is not held to its quota here, so the rate is what the hub takes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rows=1000000
while (($#)); do
  case $1 in
    --rows) rows=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open import_twice "$folder"
sed 's/reports_per_second: 20000$/reports_per_second: 1000000/' "$policy" >"$work/policy.textproto"
policy=$work/policy.textproto
sender=regulator-bank-01/main
make_identities "$sender" dot-diu/analyst-1

tenth=$((rows / 10))
say "lists of $tenth and $rows rows"
"$bin/hubctl" sample mnrl --rows "$tenth" --seed 2 --out "$work/tenth.json"
"$bin/hubctl" sample mnrl --rows "$rows" --seed 1 --out "$work/whole.json"
start_hub
until_true 30 "a ready hub" hub_ready

# Imports FILE; the answer goes to $work/RESULT.json, its memory at the end to most_kb.
import() { # FILE RESULT
  local now child
  most_kb=0
  "$bin/hubctl" "${servers[@]}" --identity "$work/pki/$sender" --output json import mnrl-json "$work/$1.json" --status-wait 60s \
    >"$work/$2.json" 2>"$work/$2.log" &
  child=$!
  keep_pid "$child"
  while kill -0 "$child" 2>/dev/null; do
    now=$(memory_kb "$child" VmHWM)
    most_kb=${now:-$most_kb}
    pause 0.1
  done
  wait "$child" || { cat "$work/$2.log" >&2; fail "import of $1: hubctl ended with $?"; }
}
rate_of() { awk -v rows="$2" -v seconds="$(in_file "$work/$1.json" seconds)" 'BEGIN { printf "%d", rows / (seconds > 0.001 ? seconds : 0.001) }'; }

import tenth small
small_kb=$most_kb
say "the list"
hub_before_kb=$(hub_memory_kb VmRSS)
import whole first
first_kb=$most_kb
read -r digest reports indicators <<<"$(settled_digest)"
say "the list again"
import whole second
second_kb=$most_kb
read -r digest_again reports_again indicators_again <<<"$(settled_digest)"
hub_after_kb=$(hub_memory_kb VmRSS)
drain_hub

merged=$(in_file "$work/first.json" MERGED)
merged_again=$(in_file "$work/second.json" MERGED)
duplicates=$(in_file "$work/second.json" DUPLICATE)
row "rows per second: first time, second time" "$(rate_of first "$rows"), $(rate_of second "$rows")"
row "hubctl at most, KB: a tenth, whole, again" "$small_kb, $first_kb, $second_kb"
row "hub now, KB: before the list, after both" "$hub_before_kb, $hub_after_kb"
row "first time: MERGED" "${merged:-0}"
row "second time: MERGED, DUPLICATE" "${merged_again:-0}, ${duplicates:-0}"
row "indicators, reports" "$indicators, $reports; again $indicators_again, $reports_again"
row "digest" "$digest"
row "digest after the second time" "$digest_again"
for result in first second; do
  [[ $(in_file "$work/$result.json" accepted) == "$rows" && $(in_file "$work/$result.json" undecided) == 0 ]] ||
    fail "$result time: not every row was accepted and decided: $(<"$work/$result.json")"
done
[[ $merged == "$rows" ]] || fail "not every row was MERGED the first time: $(<"$work/first.json")"
[[ -z $merged_again && $duplicates == "$rows" ]] || fail "the second time merged something: $(<"$work/second.json")"
[[ $digest_again == "$digest" && $reports_again == "$reports" && $indicators_again == "$indicators" ]] || fail "the state changed"
# A tenth of a short list does not fill the reporter's window: that much more is no growth.
for most in "$first_kb" "$second_kb"; do
  ((most <= small_kb * 5 / 4 + 16384)) || fail "hubctl's memory grows with the list: $small_kb KB for a tenth, $most KB for all"
done
say "import_twice: ok"
