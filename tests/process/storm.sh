#!/usr/bin/env bash
# All streams break at once while reports go on, and some seconds later all come back at once, with their tokens.
#
#   tests/process/storm.sh [BIN] [--copies 1] [--away 10] [--rate 200] [--within 10]
#
#   BIN       folder of the binaries (default build/release/bin)
#   --copies  streams of each of the 560 stakeholders; 9 make 5,000 (then --rate 20 --within 60: each stream has a view of its own)
#   --away    seconds until they come back
#   --rate    reports per second, throughout
#   --within  seconds, from coming back, until each stream has all that there was when it opened
#
# Everybody must resume with a token, none begin anew or with a snapshot; the hub stays ready; at the end every view is judged.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" copies=1 away=10 rate=200 within=10
while (($#)); do
  case $1 in
    --copies) copies=$2; shift ;;
    --away) away=$2; shift ;;
    --rate) rate=$2; shift ;;
    --within) within=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open storm "$folder"
load=$bin/bench_p07_load
[[ -x $load ]] || fail "$bin has no bench_p07_load"

if ((copies > 4)); then # more streams than the sample policy grants
  sed "s/^  role: ROLE_[A-Z_]*\$/&\n  streams_max: $((copies + 32))/;/^  streams_max: 32\$/d" "$policy" >"$work/policy.textproto"
  policy=$work/policy.textproto
fi
mapfile -t members < <(swarm_principals)
reporter=bank-psb-01/main
make_identities "${members[@]}" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2
hub_settings=(fanout.streams_max=10000)
start_hub
metric() { # NAME{LABELS}: from the ops port
  local line value=0
  exec 3<>"/dev/tcp/${ops/://}" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  while read -r line <&3; do [[ $line != "$1 "* ]] || value=${line##* }; done
  exec 3>&-
  printf '%.0f\n' "${value%$'\r'}"
}
of() { local value; value=$(in_file "$work/swarm.json" "$1"); echo "${value:-0}"; }

"$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --copies "$copies" --storm-away "$away" \
  --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
swarm=$!
keep_pid "$swarm"
all_connected() { (($(of stakeholders) > 0 && $(of connected) == $(of stakeholders))); }
until_true 300 "connected subscribers" all_connected
total=$(of stakeholders)
"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 5 --in-flight 8 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
pause 5
begun=$(of opened_without_token) resumed=$(metric fraudhub_fanout_streams_resumed_total)
say "$total streams, $rate reports per second; all break"

kill -USR2 "$swarm"
not_ready=0
gone() { (($(of storms) == 1 && $(of connected) == 0)); }
until_true 10 "streams that broke" gone
all_live() { hub_ready || ((++not_ready)); (($(of storm_live_ms) >= 0)); }
until_true $((away + 3 * within)) "live streams" all_live
live_ms=$(of storm_live_ms)
kill -USR1 "$swarm"
pause 5
p99=$(of p99)
resumed=$(($(metric fraudhub_fanout_streams_resumed_total) - resumed))
begun=$(($(of opened_without_token) - begun))
memory=$(hub_memory_kb VmHWM)

kill -TERM "$load_pid"
wait "$load_pid" 2>/dev/null || true
came=-1
quiet() {
  local before=$came
  came=$(of deliveries)
  pause 2
  all_connected && [[ $came == "$before" ]]
}
until_true 120 "subscribers that have everything" quiet
kill -TERM "$swarm"
wait "$swarm" || cat "$work/swarm.log" >&2
drain_hub

row "streams, reports per second" "$total, $rate"
row "ms from coming back until all were live" "$live_ms"
row "resumed with a token, begun anew" "$resumed, $begun"
row "times the hub was not ready, p99 after, ms" "$not_ready, $p99"
row "hub's memory at most, KB" "$memory"
row "views equal" "$(of views_equal) of $(of views_compared)"
[[ $(of views_compared) == "$total" && $(of views_equal) == "$total" ]] || fail "not every view was compared and equal"
((live_ms <= within * 1000)) || fail "not all were live within $within s"
((resumed >= total && begun == 0)) || fail "not everybody resumed with a token"
((not_ready == 0)) || fail "the hub was not ready at times"
say "storm: ok"
