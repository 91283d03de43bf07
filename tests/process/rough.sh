#!/usr/bin/env bash
# Of many streams a twentieth stands still, a twentieth breaks again and again, a twentieth sits behind 64 kbit/s; the others must not notice, and
# corrections reach every stream that is up, the slow ones too.
#
#   tests/process/rough.sh [BIN] [--rounds 5] [--seconds 60] [--rate 2000] [--factor 1.2] [--correction-ms 5000] [--memory-mb 900] [--part 100]
#
#   BIN              folder of the binaries (default build/release/bin)
#   --rounds         each has a time in peace and a rough time, in turns which of them first
#   --seconds        how long each of these is
#   --rate           reports per second throughout; each leads to one event
#   --factor         how much the healthy streams' median p99 may be above that of the times in peace
#   --correction-ms  p99.9 of corrections, from their acceptance to each healthy or slow stream that held the flag
#   --memory-mb      the most that the hub may take at any time
#   --part           percent of the policy's stakeholders that take part
#
# Who stands still is a process that is stopped; who breaks and who is slow sits behind a fault-proxy. Who breaks does so by itself, after a
# megabyte on average, which is some seconds. The slow ones lose their line and come back over one of 64 kbit/s. (Were the line to become so much
# slower under an open stream, what is under way would come first, up to a second's bytes of the line as it was.) A time's p99 is the worse of
# the two healthy processes'. At the end every view is compared and the check of each stream (hub-swarm --check) must have found nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rounds=5 seconds=60 rate=2000 factor=1.2 correction_ms=5000 memory_mb=900 part=100
while (($#)); do
  case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --rate) rate=$2; shift ;;
    --factor) factor=$2; shift ;;
    --correction-ms) correction_ms=$2; shift ;;
    --memory-mb) memory_mb=$2; shift ;;
    --part) part=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open rough "$folder"
load=$bin/bench_p07_load
for tool in bench_p07_load fault-proxy; do [[ -x $bin/$tool ]] || fail "$bin has no $tool"; done

mapfile -t members < <(swarm_principals)
reporter=bank-psb-01/main
make_identities "${members[@]}" "$reporter" police-mh/main dot-diu/analyst-1 dot-diu/analyst-2
start_hub

start_proxy flapping
start_proxy slow

# Parts of a hundred, five of them for each harm; the healthy are the rest, in two processes. With --part fewer of the healthy take part.
names=(stalled flapping slow healthy1 healthy2)
slices=("0 5" "5 5" "10 5" "15 42" "57 43")
((part == 100)) || slices=("0 5" "5 5" "10 5" "15 $((part / 3))" "57 $((part / 3))")
servers_of=("$stream_server" "$proxy_flapping" "$proxy_slow" "$stream_server" "$stream_server")
steady="--check --auditor-server $stream_server" # who judges has a good line
options_of=("--check" "$steady" "$steady --heartbeat-max 60" "" "")
swarms=()
for i in 0 1 2 3 4; do
  read -r first count <<<"${slices[i]}"
  # shellcheck disable=SC2086
  "$bin/hub-swarm" --server "${servers_of[i]}" --identities "$work/pki" --policy "$policy" --slices 100 --slice "$first" --slice-count "$count" \
    ${options_of[i]} --urgent --seed "$i" --status-file "$work/swarm-${names[i]}.json" >"$work/swarm-${names[i]}.log" 2>&1 &
  swarms+=($!)
  keep_pid $!
done
stalled_pid=${swarms[0]}
of() { local value; value=$(in_file "$work/swarm-$1.json" "$2"); echo "${value:-0}"; } # SWARM NAME
all_connected() {
  local name
  for name in "${names[@]}"; do (($(of "$name" stakeholders) > 0 && $(of "$name" connected) == $(of "$name" stakeholders))) || return 1; done
}
until_true 120 "connected subscribers" all_connected
total=0
for name in "${names[@]}"; do total=$((total + $(of "$name" stakeholders))); done
say "$total connected: $(of stalled stakeholders) to be stopped, $(of flapping stakeholders) to break, $(of slow stakeholders) to be slow; $rate reports per second"

# What is to be corrected: flagged by the police, so that everybody holds it.
corrections=$((rounds * seconds * 4 + 60)) # two a second at most
awk -v n="$corrections" -v day="$(date -u -d '1 hour ago' +%FT%TZ)" 'BEGIN {
  print "kind,type,identifier,observed_at"
  for (i = 0; i < n; i++) printf "FINANCIAL_FRAUD,MOBILE,555%07d,%s\n", 1000 + i, day }' >"$work/flagged.csv"
as police-mh/main import csv "$work/flagged.csv" --no-status >"$work/flagged.json" 2>"$work/flagged.log" || fail "the flags to be corrected were not taken"

"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 20 --in-flight 8 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
pause 3

corrected=0
correct_one() {
  as dot-diu/analyst-1 correct "MOBILE:555$(printf %07d $((1000 + corrected)))" --to CLEARED --reason WRONG_NUMBER --wait 0s >"$work/correct.log" 2>&1 ||
    { cat "$work/correct.log" >&2; fail "a correction was not taken"; }
  corrected=$((corrected + 1))
}
new_figures() { # SWARM...
  local name i
  declare -A before=()
  for name in "$@"; do
    before[$name]=$(of "$name" figures)
    for i in 0 1 2 3 4; do [[ ${names[i]} != "$name" ]] || kill -USR1 "${swarms[i]}"; done
  done
  for name in "$@"; do
    started_anew() { (($(of "$name" figures) > before[$name])); }
    until_true 60 "new figures of $name" started_anew
  done
}
# One time of $seconds; appends "P99 MEMORY CORRECTION-HEALTHY CORRECTION-SLOW" to $work/$1.
measure() { # peace|rough
  local until most=0 now
  if [[ $1 == rough ]]; then
    proxy_says slow "rules down=8000 up=8000"
    proxy_says slow reset
    proxy_says flapping "rules reset=1 after=2000000"
    proxy_says flapping reset
    kill -STOP "$stalled_pid"
    pause 2
  fi
  new_figures healthy1 healthy2 slow
  until=$(($(now_ms) + seconds * 1000))
  while (($(now_ms) < until)); do
    now=$(hub_memory_kb VmRSS)
    [[ -n $now ]] || fail "the hub ended"
    ((now <= most)) || most=$now
    correct_one
    pause 0.5
  done
  pause 2 # corrections on their way
  local p99 slow healthy
  p99=$(for name in healthy1 healthy2; do in_file "$work/swarm-$name.json" p99; done | sort -n | tail -n 1)
  healthy=$(for name in healthy1 healthy2; do of "$name" correction_p999_ms; done | sort -n | tail -n 1)
  slow=$(of slow correction_p999_ms)
  echo "$p99 $most $healthy $slow $(of slow corrections_told)" >>"$work/$1"
  if [[ $1 == rough ]]; then
    proxy_says slow "rules down=0 up=0"
    proxy_says flapping "rules reset=0 after=65536"
    kill -CONT "$stalled_pid"
    until_true 120 "all connected again" all_connected
    caught_up() { new_figures slow stalled && pause 1.5 && awk -v a="$(of slow p99)" -v b="$(of stalled p99)" 'BEGIN { exit !(a > 0 && b > 0 && a < 1000 && b < 1000) }'; }
    until_true 180 "slow and stopped ones that caught up" caught_up
  fi
  say "$1: p99, memory KB, corrections p99.9 healthy and slow, told to slow: $(tail -n 1 "$work/$1")"
}
for ((round = 1; round <= rounds; round++)); do
  if ((round % 2)); then measure peace; measure rough; else measure rough; measure peace; fi
done

kill -TERM "$load_pid"
wait "$load_pid" 2>/dev/null || true
came=-1
quiet() {
  local before=$came name
  came=0
  for name in "${names[@]}"; do came=$((came + $(of "$name" deliveries))); done
  pause 2
  all_connected && [[ $came == "$before" ]]
}
until_true 120 "subscribers that have everything" quiet
compared=0 equal=0 bad=0
for i in 0 1 2 3 4; do
  kill -TERM "${swarms[i]}"
  wait "${swarms[i]}" || { bad=1; grep -a '^check: \|hub-swarm: ' "$work/swarm-${names[i]}.log" >&2 || true; }
  compared=$((compared + $(of "${names[i]}" views_compared)))
  equal=$((equal + $(of "${names[i]}" views_equal)))
done
peak=$(hub_memory_kb VmHWM)
drain_hub

median() { cut -d ' ' -f "$2" "$work/$1" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
most() { cut -d ' ' -f "$2" "$work/$1" | sort -n | tail -n 1; }
all_of() { cut -d ' ' -f "$2" "$work/$1" | paste -sd ' '; }
at_most() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; }
p99_ratio=$(awk -v a="$(median rough 1)" -v b="$(median peace 1)" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 1) }')
row "healthy p99, ms, in peace" "$(all_of peace 1)"
row "healthy p99, ms, rough" "$(all_of rough 1)"
row "median rough / peace" "$p99_ratio"
row "corrections p99.9, ms, healthy, rough" "$(all_of rough 3)"
row "corrections p99.9, ms, slow, rough" "$(all_of rough 4)"
row "corrections told to slow ones, rough" "$(all_of rough 5)"
row "hub's memory, KB, peace / rough" "$(all_of peace 2) / $(all_of rough 2)"
row "most memory, cap, KB" "$peak, $((memory_mb * 1024))"
row "held back by the slow line, connections cut" "$(in_file "$work/slow.json" held_back), $(in_file "$work/flapping.json" resets)"
row "views equal" "$equal of $compared"
for name in stalled flapping slow; do
  say "check of the $name ones"
  swarm_check_rows "$work/swarm-$name.json"
done
(($(in_file "$work/slow.json" held_back) > 0 && $(in_file "$work/flapping.json" resets) > 0)) || fail "the network was not rough"
((bad == 0)) && [[ $compared == "$total" && $equal == "$compared" ]] || fail "a view or a stream is not what it must be"
at_most "$p99_ratio" "$factor" || fail "the healthy streams' p99 rose by $p99_ratio, more than $factor"
for column in 3 4; do at_most "$(most rough $column)" "$correction_ms" || fail "corrections took $(most rough $column) ms, more than $correction_ms"; done
((peak <= memory_mb * 1024)) || fail "the hub took $peak KB, more than $((memory_mb * 1024))"
say "rough: ok"
