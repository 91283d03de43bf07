#!/usr/bin/env bash
# Kills hub-all with -9 at random moments while files are imported and 50 stakeholders listen; nothing acknowledged may be lost or count
# twice, and every stakeholder must end with the view that its filter and rights give.
#
#   tests/process/kill9.sh [BIN] [--kills 50] [--log local|kafka] [--subscribers 50] [--rows 1000] [--seed N]
#
#   BIN     folder of the binaries (default build/release/bin)
#   --log   kafka: on the broker of HUB_TEST_KAFKA=host:port, under topic names of its own; without it, one of its own is started and ended.
#           HUB_TEST_KAFKA_SKIP=1 leaves the run out, aloud.
#   --rows  of each file; files follow each other for as long as there are kills
#
# The judge: the digest of the state (keys, versions, levels, counts) against that of a fresh hub that got the same files once, undisturbed;
# the number of reports in it against the rows acknowledged; all files once more, which must change nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" kills=50 log=local subscribers=50 rows=1000 seed=$((SRANDOM % 32768))
while (($#)); do
  case $1 in
    --kills) kills=$2; shift ;;
    --log) log=$2; shift ;;
    --subscribers) subscribers=$2; shift ;;
    --rows) rows=$2; shift ;;
    --seed) seed=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
[[ $log == local || $log == kafka ]] || { echo "kill9.sh: --log: want local or kafka" >&2; exit 2; }
if [[ $log == kafka && -z ${HUB_TEST_KAFKA:-} && ${HUB_TEST_KAFKA_SKIP:-} == 1 ]]; then
  echo "SKIPPED: HUB_TEST_KAFKA_SKIP=1"
  exit 0
fi
common_open kill9 "$folder"
if [[ $log == kafka && -z ${HUB_TEST_KAFKA:-} ]]; then
  at_close() { deploy/kafka.sh stop --dir "$work/kafka" >/dev/null; }
  broker=$(deploy/kafka.sh start --dir "$work/kafka" --port auto | tail -n 1)
  HUB_TEST_KAFKA=${broker#bootstrap=}
fi
RANDOM=$seed
say "seed $seed: $kills kills on the $log log, $subscribers subscribers"

use_log() { # RUN: settings of a log that no other run has
  hub_settings=()
  [[ $log == local ]] ||
    hub_settings=(log.kind=kafka "log.kafka_bootstrap=$HUB_TEST_KAFKA" "log.kafka_topic_prefix=kill9-$$-$(date +%s)-$1.")
}

# File number $1. A reporter's rows about one identifier count once per file, but each re-verification and each NOT_MY_CONNECTION counts:
# there a report counted twice shows. All rows of a file about one identifier say the same, so versions do not depend on their order.
reporters=(bank-psb-02/main bank-pvt-01/main police-mh/main tsp-01/main tsp-01/main portal-01/main)
write_file() {
  local number=$1 day
  day=$(date -u -d "@$((started - 86400 + number))" +%FT%TZ) # a later file is observed later
  awk -v number="$number" -v rows="$rows" -v day="$day" -v seed=$((seed * 10007 + number)) 'BEGIN {
    srand(seed)
    kind = number % 6
    lap = int(number / 120) # an identifier keeps 64 contributions apart; with more lists than that, a row listed twice counts twice
    if (kind == 2) rows = int(rows / 10) # the police have a small quota
    split("FINANCIAL_FRAUD FINANCIAL_FRAUD FINANCIAL_FRAUD DISCONNECTED REVERIFIED NOT_MY_CONNECTION", kinds, " ")
    print "kind,type,identifier,observed_at,reason,operator"
    for (i = 0; i < rows; i++) {
      if (kind == 0) phone = 5000000 + (number / 6 * rows + i) % 5000000 # never seen before
      else if (kind < 3) phone = 3000000 + lap * 500 + int(rand() * 500)
      else if (kind < 5) phone = 4000000 + lap * 300 + int(rand() * 300)
      else phone = 4500000 + lap * 300 + int(rand() * 300)
      printf "%s,MOBILE,555%07d,%s,%s,%s\n", kinds[kind + 1], phone, day, kind == 3 ? "FAILED_REVERIFICATION" : "", kind == 5 ? "tsp-01" : ""
    }
  }' >"$work/file-$number.csv"
}
sent_of() { echo $(($(wc -l <"$work/file-$1.csv") - 1)); }
# Rows of file $1 that count in the state, told from the file alone.
counting_of() { if (($1 % 6 >= 4)); then sent_of "$1"; else sed 1d "$work/file-$1.csv" | cut -d, -f3 | sort -u | wc -l; fi; }
# How to send file $1: sets command.
command_of() { command=("$bin/hubctl" --server "$server" --identity "$work/pki/${reporters[$1 % ${#reporters[@]}]}" --output json import csv "$work/file-$1.csv"); }
import() { # NUMBER RESULT OPTIONS...
  local number=$1 result=$2
  shift 2
  command_of "$number"
  "${command[@]}" "$@" >"$work/$result-$number.json" 2>>"$work/$result.log"
}
# Until $work/enough: file after file, each until every row is acknowledged; hubctl outlives the hub, or is started again.
importer() {
  local number=0 tries child=""
  trap '[[ -z $child ]] || kill -TERM "$child" 2>/dev/null; exit 143' TERM
  while [[ ! -e $work/enough ]] || ((number < 12)); do
    write_file "$number"
    command_of "$number"
    for ((tries = 1; ; tries++)); do
      "${command[@]}" --no-status >"$work/import-$number.json" 2>>"$work/import.log" &
      child=$!
      if wait "$child"; then break; fi
      child=""
      echo "$number" >>"$work/import-again"
      ((tries < 1000)) || exit 1
      pause 0.2
    done
    child=""
    echo $((++number)) >"$work/files"
  done
}

started=$(date +%s)
mapfile -t members < <(swarm_principals | awk -v n="$subscribers" 'NR % 11 == 1 && ++taken <= n') # as --slices 11 takes them
make_identities "${members[@]}" "${reporters[@]}" dot-diu/analyst-1 dot-diu/analyst-2
use_log killed
start_hub
"$bin/hub-swarm" --server "$server" --identities "$work/pki" --policy "$policy" --slices 11 --stakeholders "$subscribers" --seed "$seed" \
  --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
swarm=$!
keep_pid "$swarm"
all_connected() { [[ $(in_file "$work/swarm.json" connected) == "$subscribers" ]]; }
until_true 60 "$subscribers connected subscribers" all_connected
importer &
importer=$!
keep_pid "$importer"

# Moments from shortly after a start, still on its way, to well into serving.
longest=$([[ $log == local ]] && echo 3000 || echo 6000)
for ((kill = 1; kill <= kills; kill++)); do
  after=$((200 + (RANDOM * 32768 + RANDOM) % (longest - 200)))
  pause "$((after / 1000)).$(printf %03d $((after % 1000)))"
  kill -0 "$hub_pid" 2>/dev/null || { tail -n 5 "$work/hub.log" >&2; fail "hub-all ended by itself before kill $kill"; }
  grep -q ' hub_serves ' "$work/hub.log" && while_serving=$((${while_serving:-0} + 1))
  kill_hub
  launch_hub
done
await_hub
touch "$work/enough"
say "killed $kills times, ${while_serving:-0} while serving; the rest of the import"
importer_ended() { ! kill -0 "$importer" 2>/dev/null; }
until_true 120 "the end of the import" importer_ended
wait "$importer" || fail "the importer gave up; see import.log"
again=0
[[ ! -e $work/import-again ]] || again=$(wc -l <"$work/import-again")

files=$(<"$work/files")
acknowledged=0 must_count=0
for ((number = 0; number < files; number++)); do
  sent=$(sent_of "$number")
  [[ $(in_file "$work/import-$number.json" accepted) == "$sent" ]] || fail "file $number: not all of its $sent rows were acknowledged"
  acknowledged=$((acknowledged + sent))
  must_count=$((must_count + $(counting_of "$number")))
done
say "$files files, $acknowledged rows acknowledged"
read -r digest reports indicators <<<"$(settled_digest)"

# What the swarm holds, once all are connected and nothing more comes.
came=-1
quiet() { local before=$came; came=$(in_file "$work/swarm.json" deliveries); pause 2; all_connected && [[ $came == "$before" ]]; }
until_true 90 "subscribers that have everything" quiet
kill -TERM "$swarm"
views=0
wait "$swarm" || views=$?
compared=$(in_file "$work/swarm.json" views_compared)
equal=$(in_file "$work/swarm.json" views_equal)

# To be told what became of the rows takes a second or two per file: for a dozen files.
say "every file once more"
asked=0 duplicates=0
for ((number = 0; number < files; number++)); do
  ask=--no-status
  if ((number % (files / 12 + 1) == 0)); then
    ask=--status-wait=30s
    asked=$((asked + $(sent_of "$number")))
  fi
  import "$number" again "$ask" || fail "file $number once more: hubctl ended with $?"
  known=$(in_file "$work/again-$number.json" DUPLICATE)
  duplicates=$((duplicates + ${known:-0}))
done
read -r digest_again _ <<<"$(settled_digest)"
drain_hub

say "the same files into a fresh hub"
rm -rf "$work/data"
use_log fresh
start_hub
for ((number = 0; number < files; number++)); do
  import "$number" fresh --no-status || fail "file $number into the fresh hub: hubctl ended with $?"
done
read -r digest_fresh reports_fresh indicators_fresh <<<"$(settled_digest)"
drain_hub

row "kills, while serving" "$kills, ${while_serving:-0}"
row "rows acknowledged, imports started again" "$acknowledged, $again"
row "reports that count: by the files, killed, fresh" "$must_count, $reports, $reports_fresh"
row "indicators: killed, fresh" "$indicators, $indicators_fresh"
row "digest after the kills" "$digest"
row "digest of the fresh hub" "$digest_fresh"
row "digest after every file once more" "$digest_again"
row "rows once more: asked about, DUPLICATE" "$asked, $duplicates"
row "subscribers: reconnects, duplicates dropped" "$(in_file "$work/swarm.json" reconnects), $(in_file "$work/swarm.json" duplicates)"
row "views equal" "$equal of $compared"
((views == 0)) || { cat "$work/swarm.log" >&2; fail "views differ"; }
[[ $compared == "$subscribers" && $equal == "$compared" ]] || fail "not every view was compared and equal"
(($(in_file "$work/swarm.json" reconnects) > 0)) || fail "nobody had to reconnect: the kills hit nothing"
[[ $reports == "$must_count" ]] || fail "$must_count reports must count, $reports do"
[[ $digest == "$digest_fresh" && $indicators == "$indicators_fresh" && $reports == "$reports_fresh" ]] ||
  fail "the state is not what the files give"
[[ $digest_again == "$digest" && $duplicates == "$asked" ]] || fail "an acknowledged report was not in the state"
say "kill9: ok"
