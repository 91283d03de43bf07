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
# The files, and how the result is judged: workload.sh. With HUB_DEPLOYMENT=cluster one part after the other is killed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/workload.sh"

folder="" kills=50 log=local
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

use_log killed
workload_start

# Moments from shortly after a start, still on its way, to well into serving.
longest=$([[ $log == local ]] && echo 3000 || echo 6000)
for ((kill = 1; kill <= kills; kill++)); do
  after=$((200 + (RANDOM * 32768 + RANDOM) % (longest - 200)))
  pause "$((after / 1000)).$(printf %03d $((after % 1000)))"
  hub_lives || { tail -n 5 "$work/hub.log" >&2; fail "the hub ended by itself before kill $kill"; }
  hub_serves && while_serving=$((${while_serving:-0} + 1))
  kill_hub
  launch_hub
done
await_hub
say "killed $kills times, ${while_serving:-0} while serving; the rest of the import"
workload_finish
workload_judge
(($(in_file "$work/swarm.json" reconnects) > 0)) || fail "nobody had to reconnect: the kills hit nothing"
row "kills, while serving" "$kills, ${while_serving:-0}"
say "kill9: ok"
