#!/usr/bin/env bash
# Many stakeholders take a snapshot of everything at once, while many others follow live: one scan per class, the live ones hardly notice.
#
#   tests/process/snapshot_storm.sh [BIN] [--indicators 1000000] [--live 500] [--clients 50] [--rate 200] [--warm-up 120] [--seconds 30] [--factor 1.5] [--memory-mb 100]
#
#   BIN           folder of the binaries (default build/release/bin)
#   --indicators  rows of a revocation list that is imported first
#   --live        stakeholders that follow what happens from now on
#   --clients     stakeholders that come for a snapshot, all at once
#   --rate        reports per second, throughout
#   --warm-up     seconds of reports before: the hub keeps two minutes of encoded events, and grows until it has them
#   --seconds     how long the time without snapshots is that the time with them is compared with
#   --factor      how much the live ones' p99 may be above that of the time without
#   --memory-mb   how much more memory the hub may take than in the time without
#
# Scans are counted by the hub: parts scanned first and again, and those that came from memory. Views of those who came are judged. What is not
# durable is not told: a disk that stalls is in both figures, by chance more in the one or the other, so the log's slow writes are printed beside
# them; TMPDIR=/dev/shm measures the hub without its disk.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" indicators=1000000 live=500 clients=50 rate=200 warm_up=120 seconds=30 factor=1.5 memory_mb=100
while (($#)); do
  case $1 in
    --indicators) indicators=$2; shift ;;
    --live) live=$2; shift ;;
    --clients) clients=$2; shift ;;
    --rate) rate=$2; shift ;;
    --warm-up) warm_up=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --factor) factor=$2; shift ;;
    --memory-mb) memory_mb=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open snapshot_storm "$folder"
load=$bin/bench_p07_load
[[ -x $load ]] || fail "$bin has no bench_p07_load"
sed 's/reports_per_second: 20000$/reports_per_second: 1000000/' "$policy" >"$work/policy.textproto"
policy=$work/policy.textproto
mapfile -t members < <(swarm_principals)
((live + clients <= ${#members[@]})) || fail "the policy has ${#members[@]} stakeholders, want --live and --clients for no more"
sender=regulator-bank-01/main reporter=bank-psb-01/main
make_identities "${members[@]}" "$sender" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2

say "a list of $indicators rows"
"$bin/hubctl" sample mnrl --rows "$indicators" --seed 1 --out "$work/list.json"
start_hub
until_true 30 "a ready hub" hub_ready
"$bin/hubctl" "${servers[@]}" --identity "$work/pki/$sender" --output json import mnrl-json "$work/list.json" --status-wait 60s \
  >"$work/import.json" 2>"$work/import.log" || { tail -n 3 "$work/import.log" >&2; fail "the import ended with $?"; }
settled_digest >/dev/null

# Every stakeholder has a number; those that come are spread over them as evenly as those that live.
parts=$((live + clients))
swarm() { # NAME FIRST COUNT ARGUMENTS...: parts of the stakeholders
  local name=$1 first=$2 count=$3
  shift 3
  "$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --slices "$parts" --slice "$first" --slice-count "$count" \
    --stakeholders "$count" --status-file "$work/$name.json" "$@" >"$work/$name.log" 2>&1 &
  swarm_pid=$!
  keep_pid "$swarm_pid"
}
of() { local value; value=$(in_file "$work/$1.json" "$2"); echo "${value:-0}"; } # NAME FIELD
connected() { (($(of "$1" connected) == $2)); }
swarm live "$clients" "$live" --from-now
live_pid=$swarm_pid
until_true 120 "connected live subscribers" connected live "$live"
"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 100000000 --batch 5 --in-flight 8 --rate "$rate" >"$work/load.json" 2>"$work/load.log" &
load_pid=$!
keep_pid "$load_pid"
# Their reference reads the log from its start: that is not what is measured.
swarm came 0 "$clients" --snapshots --come-later
came_pid=$swarm_pid
chrt --all-tasks --idle --pid 0 "$came_pid" # in earnest they have machines of their own: it is the hub that the live ones are to wait for
reference_has_all() { (($(of came indicators) >= indicators)); }
until_true 300 "a reference" reference_has_all
pause "$warm_up"

new_figures() {
  local before
  before=$(of live figures)
  kill -USR1 "$live_pid"
  started_anew() { (($(of live figures) > before)); }
  until_true 30 "new figures" started_anew
}
most_kb=0
look_at_memory() {
  local now
  now=$(hub_memory_kb VmRSS)
  [[ -n $now ]] || fail "hub-all ended"
  ((now <= most_kb)) || most_kb=$now
}
page() { # the hub's figures
  exec 3<>"/dev/tcp/${ops/://}" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3
  exec 3>&-
}
metric() { page | awk -v name="$1" '$1 == name { printf "%d", $2 }' || true; } # NAME{LABELS}
slow_writes() { # synced writes of the log, so far, that took above 50 ms
  page | awk '/^fraudhub_eventlog_commit_seconds_count/ { all += $2 } /^fraudhub_eventlog_commit_seconds_bucket.*le="0.05"/ { quick += $2 } END { print all - quick }' || true
}
new_figures
slow_at_first=$(slow_writes)
until=$(($(now_ms) + seconds * 1000))
while (($(now_ms) < until)); do look_at_memory; pause 0.5; done
without_p99=$(in_file "$work/live.json" p99) without_kb=$most_kb
slow_without=$(($(slow_writes) - slow_at_first))
say "without: p99 $without_p99 ms, $without_kb KB"

say "$clients come"
new_figures
since=$(now_ms)
kill -USR1 "$came_pid"
until_true 120 "connected newcomers" connected came "$clients"
snapshots_left() { as dot-diu/analyst-1 streams | grep -c 'STREAM_MODE_SNAPSHOT\|STREAM_MODE_PARKED' || true; }
ended() { # hubctl is asked last, and seldom: ten times a second it takes more of a core than the live streams
  look_at_memory
  pause 0.4
  (($(metric fraudhub_fanout_snapshots_total) >= clients)) && (($(snapshots_left) == 0))
}
until_true 1200 "snapshots that end" ended
took=$(($(now_ms) - since))
with_p99=$(in_file "$work/live.json" p99) with_kb=$most_kb
slow_with=$(($(slow_writes) - slow_at_first - slow_without))
say "with: p99 $with_p99 ms, $with_kb KB, $took ms"

kill -TERM "$load_pid"
wait "$load_pid" 2>/dev/null || true
came=-1
quiet() {
  local before=$came
  came=$(of came deliveries)
  pause 2
  connected came "$clients" && [[ $came == "$before" ]]
}
until_true 300 "newcomers that have everything" quiet
kill -TERM "$came_pid"
wait "$came_pid" || cat "$work/came.log" >&2
kill -TERM "$live_pid"
wait "$live_pid" 2>/dev/null || true
runs=$(metric fraudhub_fanout_snapshot_runs_total)
first=$(metric 'fraudhub_fanout_snapshot_parts_total{how="first"}')
again=$(metric 'fraudhub_fanout_snapshot_parts_total{how="again"}')
shared=$(metric 'fraudhub_fanout_snapshot_parts_total{how="shared"}')
drain_hub

ratio=$(awk -v a="$with_p99" -v b="$without_p99" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 1) }')
more_mb=$(((with_kb - without_kb) / 1024))
row "live p99, ms: without, with" "$without_p99, $with_p99 ($ratio)"
row "slow writes of the log: without, with" "$slow_without in $seconds s, $slow_with in $((took / 1000)) s"
row "hub's memory, KB: without, with" "$without_kb, $with_kb (+$more_mb MB)"
row "ms until the last snapshot had ended" "$took"
row "scans begun, one per class" "$runs"
row "parts: scanned, scanned again, from memory" "$first, $again, $shared"
row "views equal" "$(of came views_equal) of $(of came views_compared)"
[[ $(of came views_compared) == "$clients" && $(of came views_equal) == "$clients" ]] || fail "not every view was compared and equal"
((again * 20 <= first)) || fail "$again of $first parts were scanned again: not one scan per class"
awk -v a="$ratio" -v b="$factor" 'BEGIN { exit !(a <= b) }' || fail "the live ones' p99 rose by $ratio, more than $factor"
((more_mb <= memory_mb)) || fail "the hub's memory rose by $more_mb MB, more than $memory_mb"
say "snapshot_storm: ok"
