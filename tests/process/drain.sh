#!/usr/bin/env bash
# One fan-out node of three is drained under load, then the next; both come back, and the last goes. Nobody may miss an event, and those who
# are sent away come back spread as they were told.
#
#   HUB_DEPLOYMENT=cluster tests/process/drain.sh [BIN] [--rate 200] [--settle 10] [--factor 1.2] [--window 2]
#
#   BIN       folder of the binaries (default build/release/bin)
#   --rate    reports per second, throughout
#   --settle  seconds between two drains
#   --factor  how much the most opens in a second may be above an even spread
#   --window  seconds over which the hub paces its farewells (services/hub/hub_app.cc); it must have ended 10 s after them
#
# An even spread: those of the node, over a hundredth of a second each or the window, whichever is longer. hub-swarm judges every stream.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rate=200 settle=10 factor=1.2 window=2
while (($#)); do
  case $1 in
    --rate) rate=$2; shift ;;
    --settle) settle=$2; shift ;;
    --factor) factor=$2; shift ;;
    --window) window=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
deployment=cluster
common_open drain "$folder"
load=$bin/bench_p07_load
[[ -x $load ]] || fail "$bin has no bench_p07_load"

mapfile -t members < <(swarm_principals)
reporter=bank-psb-01/main
make_identities "${members[@]}" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2
start_hub
of() { local value; value=$(in_file "$work/swarm.json" "$1"); echo "${value:-0}"; }
"$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --check --compacted --status-file "$work/swarm.json" \
  >"$work/swarm.log" 2>&1 &
swarm=$!
keep_pid "$swarm"
all_connected() { (($(of stakeholders) > 0 && $(of connected) == $(of stakeholders))); }
until_true 120 "connected subscribers" all_connected
total=$(of stakeholders)
"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 5 --in-flight 8 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
pause 5
say "$total streams on three nodes, $rate reports per second"

new_figures() {
  local before
  before=$(of figures)
  kill -USR1 "$swarm"
  started_anew() { (($(of figures) > before)); }
  until_true 30 "new figures" started_anew
}
drain() { # NAME
  local before since took left peak even
  new_figures
  before=$(of reconnects)
  since=$(now_ms)
  common_cluster stop "$1" >/dev/null
  took=$(($(now_ms) - since))
  until_true 60 "everybody back after $1" all_connected
  pause 1
  left=$(($(of reconnects) - before)) peak=$(of opens_peak)
  even=$(awk -v n="$left" -v w="$window" 'BEGIN { s = n / 100; if (s < w) s = w; printf "%.0f", n / s }')
  echo "$1 $took $left $peak $even $(of p99)" >>"$work/drains"
  say "$1: gone in $took ms; $left streams moved, at most $peak in a second, evenly spread $even; p99 $(of p99) ms"
  pause "$settle"
}
drain fanout-1
drain fanout-2
common_cluster start fanout-1 fanout-2 >"$work/start.log" 2>&1 || { cat "$work/start.log" >&2; fail "the nodes did not come back"; }
drain fanout-3

kill -TERM "$load_pid"
wait "$load_pid" 2>/dev/null || true
came=-1
quiet() {
  local before=$came
  came=$(of deliveries)
  pause 2
  all_connected && [[ $came == "$before" ]]
}
until_true 60 "subscribers that have everything" quiet
kill -TERM "$swarm"
status=0
wait "$swarm" || status=$?
((status == 0)) || cat "$work/swarm.log" >&2
drain_hub

column() { awk -v c="$1" '{ printf "%s%s", (NR > 1 ? ", " : ""), $c }' "$work/drains"; }
row "streams, reports per second" "$total, $rate"
row "ms until the node had ended" "$(column 2)"
row "streams that moved" "$(column 3)"
row "most opens in a second; evenly spread" "$(column 4); $(column 5)"
row "p99 around the drain, ms" "$(column 6)"
row "opened without a token" "$(of opened_without_token)"
row "views equal" "$(of views_equal) of $(of views_compared)"
((status == 0)) || fail "hub-swarm found something"
[[ $(of views_compared) == "$total" && $(of views_equal) == "$total" ]] || fail "not every view was compared and equal"
awk -v limit=$(((window + 10) * 1000)) -v f="$factor" '$2 > limit { print "took too long: " $0; bad = 1 } $4 > f * $5 { print "too fast: " $0; bad = 1 }
  $3 == 0 { print "nobody moved: " $0; bad = 1 } END { exit bad }' "$work/drains" >&2 || fail "a drain was not as it should be"
[[ $(of opened_without_token) == $((total + 1)) ]] || fail "somebody began anew"
say "drain: ok"
