#!/usr/bin/env bash
# Streams under `hub-swarm --check` while reports go on: a time in peace, drains that come back, one kill -9, an idle time.
#
#   tests/process/judged.sh [BIN] [--subscribers 50] [--rate 200] [--drains 2] [--idle 12]
#
#   BIN            folder of the binaries (default build/release/bin)
#   --subscribers  simulated stakeholders, of every role
#   --rate         reports per second
#   --drains       how often the hub ends by SIGTERM and starts again
#   --idle         seconds without a report, longer than the longest silence that a stream may have
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" subscribers=50 rate=200 drains=2 idle=12
while (($#)); do
  case $1 in
    --subscribers) subscribers=$2; shift ;;
    --rate) rate=$2; shift ;;
    --drains) drains=$2; shift ;;
    --idle) idle=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open judged "$folder"
load=$bin/bench_p07_load
[[ -x $load ]] || fail "$bin has no bench_p07_load"
reporter=bank-psb-01/main
mapfile -t members < <(swarm_principals | awk -v n="$subscribers" 'NR % 11 == 1 && ++taken <= n') # as --slices 11 takes them
make_identities "${members[@]}" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2
start_hub

"$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --slices 11 --stakeholders "$subscribers" \
  --check --require no_gap,progress,order,once,monotone,rows,fields,resume,no_phantom,snapshot,age,dense,heartbeat,drain,recovery \
  --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
swarm=$!
keep_pid "$swarm"
of() { local value; value=$(in_file "$work/swarm.json" "$1"); echo "${value:-0}"; }
all_connected() { [[ $(of connected) == "$subscribers" ]]; }
until_true 60 "connected subscribers" all_connected

load_pid=""
start_load() {
  "$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 5 --in-flight 4 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
  load_pid=$!
  keep_pid "$load_pid"
}
stop_load() {
  kill -TERM "$load_pid" 2>/dev/null || true
  wait "$load_pid" 2>/dev/null || true
}
flowing() { (($(of deliveries) > before)); }
flow() { # for so many seconds, once events come
  before=$(of deliveries)
  until_true 60 "events" flowing
  pause "$1"
}
start_load
flow 4
for ((drain = 1; drain <= drains; drain++)); do
  say "drain $drain"
  drain_hub
  start_hub
  until_true 60 "connected subscribers after a drain" all_connected
  flow 3
done
say "kill -9"
kill_hub
start_hub
until_true 60 "connected subscribers after the kill" all_connected
flow 3
stop_load
say "idle for $idle s"
pause "$idle"
came=-1
quiet() {
  local last=$came
  came=$(of deliveries)
  pause 2
  all_connected && [[ $came == "$last" ]]
}
until_true 60 "subscribers that have everything" quiet
status=0
kill -TERM "$swarm"
wait "$swarm" || status=$?
drain_hub
row "deliveries, reconnects" "$(of deliveries), $(of reconnects)"
row "views equal" "$(of views_equal) of $(of views_compared)"
swarm_check_rows "$work/swarm.json"
((status == 0)) || { grep -a '^check: \|hub-swarm: ' "$work/swarm.log"; fail "the check found problems"; }
say "judged: ok"
