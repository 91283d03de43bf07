#!/usr/bin/env bash
# A bank with two edges side by side, one on loopback, one on a socket file: while each in turn is killed, is silent, and comes back, no lookup
# fails and none is answered "unknown".
#
#   tests/process/two_edges.sh [BIN] [--rounds 10] [--lookups 4000] [--patience 1]
#
#   BIN        folder of the binaries (default build/release/bin)
#   --rounds   in each, one edge is killed -9 and started again, and the other is stopped for as long as a call's patience
#   --lookups  per second, in calls of 20 by eight callers, each with both addresses
#   --patience seconds that a call has; a busy machine wants more
set -euo pipefail
# shellcheck source=tests/process/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rounds=10 lookups=4000 patience=1 known=2000
while (($#)); do
  case $1 in
    --rounds) rounds=$2; shift ;;
    --lookups) lookups=$2; shift ;;
    --patience) patience=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open two_edges "$folder"
for name in hub-edge bench_p07_load bench_lookup_load; do [[ -x $bin/$name ]] || fail "$bin has no $name"; done

bank=bank-psb-03/main reporter=bank-psb-01/main analyst=dot-diu/analyst-1
make_identities "$bank" "$reporter" "$analyst"
start_hub
"$bin/bench_p07_load" --server "$server" --identity "$work/pki/$reporter" --reports "$known" --in-order >"$work/fill.json" || fail "the hub was not filled"
settled_digest >/dev/null

port=$(free_port) socket=$work/lookup.sock
edge_at=("127.0.0.1:$port" "unix:$socket") edge_pids=("" "") edge_ops=("" "")
start_edge() { # 0|1
  local log=$work/edge-$1.log
  : >"$log"
  "$bin/hub-edge" --config deploy/config/edge.textproto --set data_dir="$work/edge-$1" --set hub.address="$stream_server" \
    --set hub.identity_dir="$work/pki/$bank" --set listen.address="${edge_at[$1]}" --set listen.ops_address=127.0.0.1:0 \
    --set node_name="edge-$1" --set allow_test_range=true >"$log" 2>&1 &
  edge_pids[$1]=$!
  keep_pid "$!"
  until_true 20 "an edge that serves" grep -q ' edge_serves ' "$log" || fail "hub-edge did not start: $(tail -n 3 "$log")"
  edge_ops[$1]=127.0.0.1:$(sed -n 's/.* edge_serves .*ops_port=\([0-9]*\).*/\1/p' "$log")
}
has_all() { # 0|1
  [[ $(ops_page "${edge_ops[$1]}" /readyz 2>/dev/null) == *" 200 "* ]] &&
    (($(ops_page "${edge_ops[$1]}" /metrics | awk '$1 == "fraudhub_edge_indicators" {printf "%.0f", $2}') >= known))
}
start_edge 0
start_edge 1
soon "both edges have everything" eval 'has_all 0 && has_all 1'
check "the socket file is for the owner and its group" test "$(stat -c %a "$socket")" == 660
check "hubctl asks over it" eval '[[ $("$bin/hubctl" --server "${edge_at[1]}" --output json lookup MOBILE:5551000000) == *VERDICT_INDICATOR* ]]'
check "a second edge on it is refused" eval '! timeout 20 "$bin/hub-edge" --config deploy/config/edge.textproto --set data_dir="$work/edge-2" --set hub.address="$stream_server" --set hub.identity_dir="$work/pki/$bank" --set listen.address="${edge_at[1]}" --set listen.ops_address=127.0.0.1:0 2>"$work/refused.log"'
# A third one, whose folder is cleaned away under it: by the end of the rounds it has noticed.
mkdir "$work/run"
edge_at[3]=unix:$work/run/third.sock
start_edge 3
rm -r "$work/run"
check "in words" grep -q 'another process listens there' "$work/refused.log"

"$bin/bench_lookup_load" --server "${edge_at[0]},${edge_at[1]}" --numbers "$((known * 2))" --batch 20 --in-flight 8 --rate "$lookups" --timeout "$patience" \
  --seconds 100000 >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
for ((n = 1; n <= rounds; ++n)); do
  for gone in 0 1; do
    other=$((1 - gone))
    pause 0.5
    kill -KILL "${edge_pids[gone]}"
    wait "${edge_pids[gone]}" 2>/dev/null || true
    pause 0.5
    start_edge "$gone"
    until_true 20 "round $n: an edge that is back" has_all "$gone" || fail "an edge did not come back"
    kill -STOP "${edge_pids[other]}"
    pause "$patience"
    kill -CONT "${edge_pids[other]}"
    kill -0 "$load_pid" 2>/dev/null || { cat "$work/load.log" >&2; fail "the load ended"; }
  done
done
kill -TERM "$load_pid"
wait "$load_pid" || true
told() { [[ $(ops_page "${edge_ops[3]}" /readyz) == *" 503 "*"$1"* ]]; }
soon "an edge whose socket was cleaned away says that nobody reaches it" told listener:
mkdir "$work/run"
soon "and has it back with its folder" test -S "$work/run/third.sock"
load() { sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p" "$work/load.json"; }
row "calls, failed; worst ms" "$(load calls), $(load failed); $(load call_ms_max)"
row "flagged, not flagged, unknown" "$(load indicator), $(load no_indicator), $(load unknown)"
check "there were lookups all the time" test "$(load calls)" -gt "$((rounds * 100))"
check "none failed" test "$(load failed)" == 0
check "none was answered with \"unknown\"" test "$(load unknown)" == 0
kill -TERM "${edge_pids[1]}"
wait "${edge_pids[1]}" || true
check "at its end an edge takes its socket file with it" test ! -e "$socket"
end_checks
