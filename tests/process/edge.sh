#!/usr/bin/env bash
# A bank's own replica, as the bank meets it: it answers as the hub does, hears of a correction, goes on while the hub is away until its data is too
# old, and survives its own kill -9, files that are damaged, and another hub.
#
#   tests/process/edge.sh [BIN] [--kills N] [--rows N]
#
# edge_long.sh is the same at ten million flags, under load.
#
#   BIN       folder of the binaries (default build/release/bin)
#   --kills   of the edge, while the hub takes reports (default 20)
#   --rows    of the sample that is imported (default 5000)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/edge_common.sh"
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
# An idle stream tells every five seconds up to when it is complete; an edge that hears of it in time never answers UNKNOWN.
edge_settings=(lookup_max_age_seconds=12)
analyst=dot-diu/analyst-1 police=police-mh/main reporter=regulator-bank-01/main
make_identities "$bank" "$police" "$reporter" "$analyst" tsp-01/main
start_hub
flag() { as "$police" report FINANCIAL_FRAUD MOBILE "$1" --wait 10s >/dev/null; }

echo "a bank that begins"
flag 5550000301
"$bin/hubctl" sample mnrl --rows "$rows" --seed 1 --out "$work/list.json"
as "$reporter" import mnrl-json "$work/list.json" --status-wait 60s >"$work/import.log" 2>&1 || { cat "$work/import.log" >&2; fail "the sample was not imported"; }
settled_digest >/dev/null
numbers=($(grep -o '555[0-9]\{7\}' "$work/list.json" | sort -u | sed -n '1,300s/^/MOBILE:/p'))
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
soon "and its answers are whole" eval '[[ $(at_edge MOBILE:5550000301) != *detailsPending* ]]'
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
# Each within a second, for 99 of 100.
"$bin/hub_edge_changes" --hub "$server" --pki "$work/pki" --edge "$edge" --first 2000 >"$work/changes.json" || fail "flags did not come, or did not go"
for kind in correction recycled expiry; do
  figures=$(sed -n "s/.*\"$kind\":{\([^}]*\)}.*/\1/p" "$work/changes.json")
  p99=$(json ms_p99 <<<"$figures")
  check "$kind: of $(json count <<<"$figures") flags 99 % are gone after $p99 ms, the last after $(json ms_max <<<"$figures") ms" test "$p99" -le 1000
  check "and none came back" test "$(json back <<<"$figures")" == 0
done

echo "killed $kills times while the hub goes on"
for ((n = 1; n <= kills; ++n)); do
  kill_edge
  number=$((5550000400 + n))
  flag "$number"
  start_edge
  until_true 20 "kill $n: what came while it was away" verdict "$number" INDICATOR || fail "kill $n lost an event"
  verdict 5550000302 NO_INDICATOR || fail "kill $n: a flag that was withdrawn is back"
done
# Killed again and again it may not have heard yet up to when it is complete, and what follows takes its time on a busy machine.
soon "it is told up to when it is complete" eval '[[ $(metric fraudhub_edge_age_seconds) =~ ^[01]$ ]]'
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
damage_edge
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
