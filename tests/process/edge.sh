#!/usr/bin/env bash
# A bank's own replica, as the bank meets it: it answers as the hub does, hears of a correction, goes on while the hub is away until its data is too
# old, and survives its own kill -9, files that are damaged, and another hub.
#
#   tests/process/edge.sh [BIN] [--kills N] [--rows N]
#
#   BIN       folder of the binaries (default build/release/bin)
#   --kills   of the edge, while the hub takes reports (default 20)
#   --rows    of the sample that is imported (default 5000)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
kills=20 rows=5000 folder=""
while (($#)); do
  case $1 in
    --kills) kills=$2; shift 2 ;;
    --rows) rows=$2; shift 2 ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1; shift ;;
  esac
done
common_open edge "$folder"
[[ -x $bin/hub-edge ]] || fail "$bin has no hub-edge"

hub_settings=(registry.tick_ms=200)
analyst=dot-diu/analyst-1 bank=bank-psb-03/main police=police-mh/main reporter=regulator-bank-01/main
make_identities "$bank" "$police" "$reporter" "$analyst"
start_hub


edge_pid="" edge_port=0 edge=""
start_edge() { # [path=value...]
  local setting more=()
  for setting in "$@"; do more+=(--set "$setting"); done
  [[ ! -e $work/edge.log ]] || cat "$work/edge.log" >>"$work/edge-before.log"
  : >"$work/edge.log"
  "$bin/hub-edge" --config deploy/config/edge.textproto --set data_dir="$work/edge" --set hub.address="$stream_server" \
    --set hub.identity_dir="$work/pki/$bank" --set listen.address=127.0.0.1:"$edge_port" --set listen.ops_address=127.0.0.1:0 \
    --set allow_test_range=true --set lookup_max_age_seconds=4 "${more[@]}" >"$work/edge.log" 2>&1 &
  edge_pid=$!
  keep_pid "$edge_pid"
  until_true 20 "an edge that serves" grep -q ' edge_serves ' "$work/edge.log" || fail "hub-edge did not start: $(tail -n 3 "$work/edge.log")"
  edge_port=$(sed -n 's/.* edge_serves .* port=\([0-9]*\).*/\1/p' "$work/edge.log")
  edge_ops=127.0.0.1:$(sed -n 's/.* edge_serves .*ops_port=\([0-9]*\).*/\1/p' "$work/edge.log")
  edge=127.0.0.1:$edge_port
}
kill_edge() {
  kill -KILL "$edge_pid"
  wait "$edge_pid" 2>/dev/null || true
}
page() { ops_page "$edge_ops" "$1"; } # PATH
edge_ready() { [[ $(page /readyz 2>/dev/null) == *" 200 "* ]]; }
metric() { page /metrics | awk -v name="$1" '$1 == name {printf "%.0f", $2}'; } # NAME{LABELS}
at_edge() { "$bin/hubctl" --server "$edge" --insecure --output json lookup "$@" 2>/dev/null || true; } # ID...
at_hub() { as "$bank" lookup "$@" 2>/dev/null || true; }
# One line per result: verdict, level, version, event; what differs by age alone is left out.
facts() { sed 's/}}*,{"verdict"/\n"verdict"/g' | sed 's/"completeUntil":"[^"]*",\{0,1\}//g;s/"lastSeen":"[^"]*",\{0,1\}//g' | tr -d '{}[]'; }
verdict() { [[ $(at_edge "MOBILE:$1") == *"LOOKUP_VERDICT_$2\""* ]]; } # NUMBER VERDICT
same() { [[ $(at_edge "$@" | facts) == "$(at_hub "$@" | facts)" ]]; }
flag() { as "$police" report FINANCIAL_FRAUD MOBILE "$1" --wait 10s >/dev/null; }

echo "a bank that begins"
flag 5550000301
"$bin/hubctl" sample mnrl --rows "$rows" --seed 1 --out "$work/list.json"
as "$reporter" import mnrl-json "$work/list.json" --status-wait 60s >"$work/import.log" 2>&1 || { cat "$work/import.log" >&2; fail "the sample was not imported"; }
settled_digest >/dev/null
numbers=($(grep -o '555[0-9]\{7\}' "$work/list.json" | sort -u | head -n 300 | sed 's/^/MOBILE:/'))
# Its age bound is seconds here, and a busy machine may have the set a moment late: hence `soon`, of what holds again with the next set.
# Nobody listens where its stream should come from, so no snapshot begins: what it knows is the compact set.
start_edge hub.address="127.0.0.1:1" hub.query_address="$query_server"
soon "without a stream it answers from the compact set" verdict 5550000301 INDICATOR
soon "and says that the details are still to come" eval '[[ $(at_edge MOBILE:5550000301) == *detailsPending* ]]'
soon "what nobody knows is no indicator" verdict 5550000399 NO_INDICATOR
check "what the set can't tell is UNKNOWN" eval '[[ $(at_edge UPI_ADDRESS:somebody@testpsp) == *UNKNOWN* ]]'
levels() { grep -o '"verdict":"[A-Z_]*"\|"level":"[A-Z_]*"'; }
soon "of ${#numbers[@]} numbers it has the hub's verdicts and levels" eval '[[ $(at_edge "${numbers[@]}" | levels) == "$(at_hub "${numbers[@]}" | levels)" ]]'
soon "it is ready" edge_ready
check "and began no snapshot" eval '[[ $(metric fraudhub_edge_snapshots_total) == 0 ]]'
flag 5550000303
soon "the set is renewed before it is too old" verdict 5550000303 INDICATOR
as "$analyst" correct MOBILE:5550000303 --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
soon "with what was corrected" verdict 5550000303 NO_INDICATOR
kill_edge
start_edge
soon "it is ready" edge_ready
check "and its answers are whole" eval '[[ $(at_edge MOBILE:5550000301) != *detailsPending* ]]'
check "what was corrected stays away" verdict 5550000303 NO_INDICATOR
check "it tells what the hub tells" same MOBILE:5550000301
check "of what was imported, too: ${#numbers[@]} numbers" same "${numbers[@]}"
check "most of which are flagged" eval '(($(at_edge "${numbers[@]}" | grep -o VERDICT_INDICATOR | wc -l) > ${#numbers[@]} / 2))'
check "of what nobody knows, too" same MOBILE:5550000399
check "what is no identifier is INVALID, the others are answered" eval '[[ $(at_edge MOBILE:123 MOBILE:5550000301) == *INVALID*INDICATOR* ]]'
check "its own files are its bank's alone: loopback or TLS" eval '! "$bin/hub-edge" --config deploy/config/edge.textproto --check --set data_dir="$work/edge" --set hub.identity_dir="$work/pki/$bank" --set listen.address=0.0.0.0:7446 >/dev/null 2>&1'
check "a good configuration is one" eval '"$bin/hub-edge" --config deploy/config/edge.textproto --check --set data_dir="$work/edge" --set hub.identity_dir="$work/pki/$bank" >/dev/null'

echo "what changes reaches it"
flag 5550000302
soon "a flag" verdict 5550000302 INDICATOR
as "$analyst" correct MOBILE:5550000302 --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
soon "a correction takes it away" verdict 5550000302 NO_INDICATOR
check "as at the hub" same MOBILE:5550000302
# From the hub's word that it is done until the edge's answer has changed, the asking included.
slowest=0
for ((n = 1; n <= 8; ++n)); do
  number=$((5550000310 + n))
  flag "$number"
  until_true 10 "a flag" verdict "$number" INDICATOR || fail "a flag did not come"
  as "$analyst" correct "MOBILE:$number" --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
  began=$(now_ms)
  until_true 10 "its correction" verdict "$number" NO_INDICATOR || fail "a correction did not come"
  took=$(($(now_ms) - began))
  ((took <= slowest)) || slowest=$took
done
check "eight corrections, the slowest after $slowest ms" test "$slowest" -le 1000

echo "killed $kills times while the hub goes on"
for ((n = 1; n <= kills; ++n)); do
  kill_edge
  number=$((5550000400 + n))
  flag "$number"
  start_edge
  until_true 20 "kill $n: what came while it was away" verdict "$number" INDICATOR || fail "kill $n lost an event"
  verdict 5550000302 NO_INDICATOR || fail "kill $n: a flag that was withdrawn is back"
done
check "nothing was lost" same MOBILE:5550000301 MOBILE:5550000302 MOBILE:5550000401 "MOBILE:$((5550000400 + kills))"
check "it went on from its own disk" eval '[[ $(metric fraudhub_edge_snapshots_total) == 0 ]]'

echo "the hub is away"
kill_hub
check "lookups go on" verdict 5550000301 INDICATOR
soon "until the data is too old: UNKNOWN, not \"no indicator\"" verdict 5550000301 UNKNOWN
check "of what nobody knows, too" verdict 5550000399 UNKNOWN
check "and /readyz says so" eval '! edge_ready'
kill_edge
start_edge
check "started again without a hub, it does not take old data for new" verdict 5550000301 UNKNOWN
start_hub
soon "the hub is back, and so is the answer" verdict 5550000301 INDICATOR

echo "files that are damaged"
kill_edge
for file in "$work"/edge/replica/*.sst; do
  size=$(stat -c %s "$file")
  printf 'damagedamagedamage' | dd of="$file" bs=1 seek=$((size / 4)) conv=notrunc 2>/dev/null
  printf 'damage' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
done
start_edge
soon "it says so" eval '[[ $(cat "$work/edge.log") == *replica_damaged* ]]'
soon "and has it all again" verdict 5550000301 INDICATOR
check "with the damaged copy aside" eval 'compgen -G "$work/edge/replica.damaged-*" >/dev/null'
soon "as at the hub" same MOBILE:5550000301 MOBILE:5550000302 MOBILE:5550000401

echo "another hub in the old one's place"
drain_hub
mv "$work/data" "$work/data-before"
start_hub
flag 5550000501
soon "it has what the other one knows" verdict 5550000501 INDICATOR
check "and nothing of the first" verdict 5550000301 NO_INDICATOR

kill -TERM "$edge_pid"
status=0
wait "$edge_pid" || status=$?
check "SIGTERM drains" test "$status" == 0
drain_hub
end_checks
