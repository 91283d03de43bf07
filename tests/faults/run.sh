#!/usr/bin/env bash
# Does one harm after the other to a cluster (deploy/cluster.sh) under import, and judges it: nothing acknowledged lost, nothing counted
# twice, every view equal, the state the same as that of a hub that got the same reports undisturbed (tests/process/workload.sh).
#
#   tests/faults/run.sh FAULT [BIN] [--nodes 1|3] [--subscribers N] [--rows N] [--min-rows N] [--times N] [--seconds S] [--seed N]
#
#   FAULT   each     kill -9 of each process of the hub and each broker in turn, --times times (2); recovery per kill in a table
#           owner    SIGSTOP of a registry for --seconds (70) under import, another takes over, SIGCONT; with compaction that doesn't wait
#           broker   the brokers stopped for --seconds (60); lookups and streams go on, ingest refuses
#           disk     a registry's disk deleted
#           network  delay, little bandwidth, silence and resets between the subscribers and the hub, --times (12) of them drawn by --seed
#           random   --times (20) harms drawn by --seed: kill -9, SIGSTOP of 1 and 12 s, a broker stopped and started
#   BIN     folder of the binaries (default build/release/bin)
#   --rows  of each file; files follow each other, and go on until --min-rows were acknowledged
set -euo pipefail
HUB_DEPLOYMENT=cluster
source "$(dirname "${BASH_SOURCE[0]}")/../process/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../process/workload.sh"

fault="" folder="" nodes="" min_rows=0 times="" seconds=""
subscribers=50
while (($#)); do
  case $1 in
    --nodes) nodes=$2; shift ;;
    --subscribers) subscribers=$2; shift ;;
    --rows) rows=$2; shift ;;
    --min-rows) min_rows=$2; shift ;;
    --times) times=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --seed) seed=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) if [[ $1 == */* ]]; then folder=$1; else fault=$1; fi ;;
  esac
  shift
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -n $fault && -r $here/$fault.sh ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
common_open "fault-$fault" "$folder"
RANDOM=$seed
cluster_arguments=()
[[ -z $nodes ]] || cluster_arguments=(--nodes "$nodes")

part_pid() { cat "$work/data/cluster/run/$1.pid"; }
part_port() { # of its ops pages
  common_cluster status | awk -v name="$1" '$1 == name { for (i = 3; i <= 4; i++) if ($i ~ /^127/) at = $i; sub(/.*:/, "", at); print at }'
}
page() { # NAME PATH
  local answer=""
  { exec 3<>"/dev/tcp/127.0.0.1/${ops_port[$1]}" && printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3 && answer=$(timeout 5 cat <&3); } 2>/dev/null || true
  { exec 3>&-; } 2>/dev/null || true
  echo "$answer"
}
# All partitions are served by this registry, and by no other.
serves_all() { local text; text=$(page "$1" /statusz); [[ $text == *": running"* && $text != *"another's"* && $text != *"taking over"* ]]; }
part_ready() { [[ $(page "$1" /readyz | head -n 1) == *" 200 "* ]]; }
# Of a metric, over all its labels that match the pattern.
metric() { # NAME METRIC [PATTERN]
  page "$1" /metrics | awk -v metric="$2" -v pattern="${3:-.}" 'index($1, metric) == 1 && $1 ~ pattern { sum += $NF } END { printf "%d", sum }'
}
declare -A ops_port=()
learn_ports() { local name; for name in "${parts[@]}"; do ops_port[$name]=$(part_port "$name"); done; }
brokers() { sed -n 's/^\([0-9]*\) .*/\1/p' "$work/data/cluster/kafka/cluster"; }
broker_pid() { cat "$work/data/cluster/kafka/node-$1/pid"; }
start_brokers() { deploy/kafka.sh start --dir "$work/data/cluster/kafka" >/dev/null; }
seconds_since() { awk -v ms=$(($(now_ms) - $1)) 'BEGIN { printf "%.1f", ms / 1000 }'; }
flows() { local now; now=$(delivered); [[ ${now:-0} != "$flow_from" ]]; }
new_flow() { flow_from=$(delivered); }

# shellcheck disable=SC1090
source "$here/$fault.sh"
say "fault $fault: seed $seed, $subscribers subscribers, files of $rows rows"
prepare
workload_start
learn_ports
harm
echo 0 >"$work/file_pause"
while (($(workload_rows) < min_rows)); do pause 0.5; done
workload_finish
calm
workload_judge
say "fault $fault: ok"
