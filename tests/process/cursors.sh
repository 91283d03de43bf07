#!/usr/bin/env bash
# Named cursors and receipts, as clients meet them: a client that is killed goes on where it was, also after the hub was; a second one takes the cursor
# over; a correction's receipts tell who was told, who has confirmed, who is away, and then has come back.
#
#   tests/process/cursors.sh [BIN]
#
#   BIN   folder of the binaries (default build/release/bin)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[[ ${1:-} != -* ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
common_open cursors "${1:-}"

hub_settings=(registry.tick_ms=200)
analyst=dot-diu/analyst-1
keeper=bank-psb-03/main away=bank-psb-04/main plain=bank-psb-02/main
make_identities "$keeper" "$away" "$plain" police-mh/main "$analyst"
start_hub

watch_pid=""
watch() { # FILE WHO OPTIONS...: in the background; what it prints is added to FILE
  local file=$work/$1 who=$2
  shift 2
  "$bin/hubctl" "${servers[@]}" --identity "$work/pki/$who" --output json watch --from earliest "$@" >>"$file" 2>>"$file.log" &
  watch_pid=$!
  keep_pid "$watch_pid"
}
flag() { as police-mh/main report FINANCIAL_FRAUD MOBILE "$1" --wait 10s >/dev/null; }
has() { [[ $(grep -c "+91$2" "$work/$1" || true) -ge ${3:-1} ]]; } # FILE NUMBER [TIMES]
cursor() { as "$1" cursors "$2" 2>/dev/null; }
up_to_date() { local state; state=$(cursor "$1" "$2") && [[ $state =~ ackedAt && $(json ackedAt <<<"$state") > $3 ]]; }
utc_now() { date -u +%FT%T.%NZ; }
ends() { ! kill -0 "$1" 2>/dev/null || [[ $(sed 's/.*) //;s/ .*//' "/proc/$1/stat" 2>/dev/null) == Z ]]; }

echo "a client that is killed"
watch core "$keeper" --cursor core
first=$watch_pid
flag 5550000201
soon "it hears the first" has core 5550000201
soon "the hub has its acknowledgement" up_to_date "$keeper" core "$(utc_now)"
soon "and another: the one before is written by then" up_to_date "$keeper" core "$(utc_now)"
kill -KILL "$first"
wait "$first" 2>/dev/null || true
flag 5550000202
check "what happens while it is away waits" eval '! has core 5550000202'
watch core "$keeper" --cursor core
soon "it hears what it missed" has core 5550000202
check "and not again what it had acknowledged" eval '! has core 5550000201 2'

echo "a hub that is killed under it, and again"
for number in 5550000203 5550000204; do
  kill_hub
  start_hub
  flag "$number"
  soon "it hears $number" has core "$number"
done
for number in 5550000201 5550000202 5550000203 5550000204; do
  check "nothing was lost: $number" has core "$number"
done

echo "a second one with the same name"
second_start=$(utc_now)
first=$watch_pid
watch core2 "$keeper" --cursor core
second=$watch_pid
soon "the first one ends" ends "$first"
check "and says why" grep -q 'another stream has attached' "$work/core.log"
flag 5550000205
soon "the second one hears what comes" has core2 5550000205
check "and nothing from before" eval '! has core2 5550000201'
soon "it is shown as connected" eval '[[ $(cursor "$keeper" core) =~ \"connected\":true ]]'
check "a cursor of another stakeholder is none" eval '! cursor "$away" core'
soon "all is acknowledged" up_to_date "$keeper" core "$second_start"

echo "who has a correction"
watch away "$away" --cursor desk
watcher=$watch_pid
watch plain "$plain"
soon "the other bank hears the first" has away 5550000201
soon "and has acknowledged it" up_to_date "$away" desk "$(utc_now)"
kill -KILL "$watcher"
wait "$watcher" 2>/dev/null || true
as "$analyst" correct MOBILE:5550000201 --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
received() { as "$analyst" received "MOBILE:${1:-5550000201}"; } # [NUMBER]
line() { grep -o "{\"stakeholder\":\"$1\"[^}]*}" <<<"$(received "${2:-}")" || true; } # STAKEHOLDER [NUMBER]
confirmed() { [[ $(line "$@") =~ sentAt.*confirmedAt ]]; }
soon "who is connected was told and has confirmed: with a cursor" confirmed bank-psb-03
soon "and without one" confirmed bank-psb-02
check "who is away was not told" eval '[[ $(line bank-psb-04) == "{\"stakeholder\":\"bank-psb-04\"}" ]]'
check "nor is who never came" eval '[[ $(line bank-psb-05) == "{\"stakeholder\":\"bank-psb-05\"}" ]]'
soon "two of all" eval '[[ $(received) =~ \"told\":2,\"confirmed\":2 ]]'
watch away "$away" --cursor desk
soon "it comes back and hears it" eval 'grep -q EVENT_KIND_CLEARED "$work/away"'
soon "and has confirmed it" confirmed bank-psb-04
kill_hub
start_hub
soon "three of all, also after the hub was killed" eval '[[ $(received) =~ \"told\":3,\"confirmed\":3 ]]'
check "a flag to VERY_HIGH has receipts, too" confirmed bank-psb-03 5550000202
check "and an earlier version of what was corrected" eval '[[ $(as "$analyst" received MOBILE:5550000201 --version 1) =~ confirmedAt ]]'
check "only analysts may ask" eval '! as "$keeper" received MOBILE:5550000201 >/dev/null 2>&1'

drain_hub
end_checks
