#!/usr/bin/env bash
# One of four swarm processes, with a twentieth of the stakeholders, is stopped while reports go on; the others must not notice.
#
#   tests/process/stalled.sh [BIN] [--rounds 5] [--seconds 60] [--rate 500] [--factor 1.2] [--floor-ms 0]
#
#   BIN        folder of the binaries (default build/release/bin)
#   --rounds   each has a time without and a time with the stop, in turns which of them first
#   --seconds  how long each of these is
#   --rate     reports per second, throughout
#   --factor   how much the others' median p99 and the hub's median memory may be above those of the times without
#   --floor-ms a p99 without of less counts as this: one of a few quiet seconds is as much chance as measure
#
# A time's p99 is the worst of the three running processes'; its memory is the most VmRSS of the hub during it. After SIGCONT the stopped
# ones have caught up when a second's deliveries reached them with a p99 under half a second. At the end every stakeholder's view is judged.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rounds=5 seconds=60 rate=500 factor=1.2 floor=0
while (($#)); do
  case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --rate) rate=$2; shift ;;
    --factor) factor=$2; shift ;;
    --floor-ms) floor=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open stalled "$folder"
load=$bin/bench_p07_load
[[ -x $load ]] || fail "$bin has no bench_p07_load"

mapfile -t members < <(swarm_principals)
reporter=bank-psb-01/main
make_identities "${members[@]}" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2
start_hub

# Slice 0 is the one to be stopped: 4 of 80 parts. The others share the rest.
slices=("0 4" "4 25" "29 25" "54 26")
swarms=()
for slice in 0 1 2 3; do
  read -r first count <<<"${slices[slice]}"
  "$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --slices 80 --slice "$first" --slice-count "$count" \
    --status-file "$work/swarm-$slice.json" >"$work/swarm-$slice.log" 2>&1 &
  swarms+=($!)
  keep_pid $!
done
stopped=${swarms[0]}
of() { local value; value=$(in_file "$work/swarm-$1.json" "$2"); echo "${value:-0}"; } # SLICE NAME
all_connected() {
  local slice
  for slice in 0 1 2 3; do (($(of "$slice" stakeholders) > 0 && $(of "$slice" connected) == $(of "$slice" stakeholders))) || return 1; done
}
until_true 60 "connected subscribers" all_connected
held=$(of 0 stakeholders)
total=$((held + $(of 1 stakeholders) + $(of 2 stakeholders) + $(of 3 stakeholders)))
say "$total connected, $held of them to be stopped; $rate reports per second"

"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 5 --in-flight 8 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
pause 3 # classes, caches and connections are warm

new_figures() { # SLICE...: from now on
  local slice before=()
  for slice in "$@"; do
    before[slice]=$(of "$slice" figures)
    kill -USR1 "${swarms[slice]}"
  done
  for slice in "$@"; do
    started_anew() { (($(of "$slice" figures) > before[slice])); }
    until_true 30 "new figures of slice $slice" started_anew
  done
}
# One time of $seconds; appends "P99 MEMORY" to $work/$1.
measure() { # without|with
  local until most=0 now
  [[ $1 == without ]] || kill -STOP "$stopped"
  new_figures 1 2 3
  until=$(($(now_ms) + seconds * 1000))
  while (($(now_ms) < until)); do
    now=$(hub_memory_kb VmRSS)
    [[ -n $now ]] || fail "hub-all ended"
    ((now <= most)) || most=$now
    pause 0.5
  done
  kill -0 "$load_pid" 2>/dev/null || { cat "$work/load.log" >&2; fail "the load ended"; }
  echo "$(for slice in 1 2 3; do in_file "$work/swarm-$slice.json" p99; done | sort -n | tail -n 1) $most" >>"$work/$1"
  [[ $1 == without ]] || catch_up
  say "$1: p99 and memory $(tail -n 1 "$work/$1")"
}
caught_up() {
  new_figures 0
  pause 1.5
  [[ $(of 0 connected) == "$held" ]] && awk -v n="$(of 0 count)" -v p99="$(of 0 p99)" 'BEGIN { exit !(n > 0 && p99 < 500) }'
}
catch_up() {
  local since
  since=$(now_ms)
  kill -CONT "$stopped"
  until_true 60 "stopped subscribers that caught up" caught_up
  echo $(($(now_ms) - since)) >>"$work/caught"
}
for ((round = 1; round <= rounds; round++)); do
  if ((round % 2)); then measure without; measure with; else measure with; measure without; fi
done

kill -TERM "$load_pid"
wait "$load_pid" 2>/dev/null || true
came=-1
quiet() {
  local before=$came
  came=$(($(of 0 deliveries) + $(of 1 deliveries) + $(of 2 deliveries) + $(of 3 deliveries)))
  pause 2
  all_connected && [[ $came == "$before" ]]
}
until_true 60 "subscribers that have everything" quiet
compared=0 equal=0 duplicates=0 reconnects=0 deliveries=$came
for slice in 0 1 2 3; do
  kill -TERM "${swarms[slice]}"
  wait "${swarms[slice]}" || cat "$work/swarm-$slice.log" >&2
  compared=$((compared + $(of "$slice" views_compared)))
  equal=$((equal + $(of "$slice" views_equal)))
  duplicates=$((duplicates + $(of "$slice" duplicates)))
  reconnects=$((reconnects + $(of "$slice" reconnects)))
done
drain_hub

median() { cut -d ' ' -f "$2" "$work/$1" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
all_of() { cut -d ' ' -f "$2" "$work/$1" | paste -sd ' '; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 1) }'; }
p99_ratio=$(ratio "$(median with 1)" "$(median without 1 | awk -v floor="$floor" '{ print $1 < floor ? floor : $1 }')")
memory_ratio=$(ratio "$(median with 2)" "$(median without 2)")
row "others' p99, ms, without" "$(all_of without 1)"
row "others' p99, ms, with" "$(all_of with 1)"
row "median with / without" "$p99_ratio"
row "hub's memory, KB, without" "$(all_of without 2)"
row "hub's memory, KB, with" "$(all_of with 2)"
row "median with / without" "$memory_ratio"
row "ms until the stopped had caught up" "$(paste -sd ' ' <"$work/caught")"
row "deliveries, reconnects, duplicates dropped" "$deliveries, $reconnects, $duplicates"
row "views equal" "$equal of $compared"
[[ $compared == "$total" && $equal == "$compared" ]] || fail "not every view was compared and equal"
at_most() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; }
at_most "$p99_ratio" "$factor" || fail "the others' p99 rose by $p99_ratio, more than $factor"
at_most "$memory_ratio" "$factor" || fail "the hub's memory rose by $memory_ratio, more than $factor"
say "stalled: ok"
