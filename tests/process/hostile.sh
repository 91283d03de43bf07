#!/usr/bin/env bash
# A hub with few descriptors and a crowd that takes up connections: half of them silent, half stopping in the midst of TLS, all coming back
# when they are sent away; and another crowd that wants all that the board for browsers has. Who behaves must be served meanwhile, keep its
# stream, and be served as ever when the crowds have gone.
#
#   tests/process/hostile.sh [BIN] [--seconds 30] [--connections 1000] [--away 5] [--descriptors 256]
#
#   BIN            folder of the binaries (default build/release/bin)
#   --seconds      how long the crowd stays
#   --connections  its number
#   --away         seconds until one that was sent away comes back
#   --descriptors  the hub's limit of open files
#
# Every question is a process and a connection of its own; one that is sent away asks again, and 2 s are its time. The canary must stay green, and the descriptors come back to what they were.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" seconds=30 connections=1000 away=5 descriptors=256
while (($#)); do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --connections) connections=$2; shift ;;
    --away) away=$2; shift ;;
    --descriptors) descriptors=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open hostile "$folder"
crowd=$bin/hub_hostile_crowd
[[ -x $crowd ]] || fail "$bin has no hub_hostile_crowd"

mapfile -t members < <(swarm_principals | head -n 5)
make_identities "${members[@]}" dot-diu/analyst-1 dot-diu/analyst-2
hub_descriptors=$descriptors
hub_settings=(listen.board_address=127.0.0.1:0)
start_hub
until_true 60 "a hub that is ready" hub_ready
metric() { # NAME{LABELS}: from the ops port
  local line value=0
  exec 3<>"/dev/tcp/${ops/://}" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  while read -r line <&3; do [[ $line != "$1 "* ]] || value=${line##* }; done
  exec 3>&-
  printf '%.0f\n' "${value%$'\r'}"
}
hub_files() { find "/proc/$hub_pid/fd" -mindepth 1 -printf . 2>/dev/null | wc -c; }
again=0
ask() { # appends the milliseconds it took to $work/$1, or "failed"
  local since
  since=$(now_ms)
  until as dot-diu/analyst-1 digest >"$work/answer" 2>"$work/answer.err"; do
    (($(now_ms) - since < 2000)) || { echo failed >>"$work/$1"; return; }
    ((++again))
    pause 0.05
  done
  echo $(($(now_ms) - since)) >>"$work/$1"
}

"$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --stakeholders 5 \
  --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
swarm=$!
keep_pid "$swarm"
all_connected() { [[ $(in_file "$work/swarm.json" connected) == 5 ]]; }
until_true 30 "connected subscribers" all_connected
for _ in {1..5}; do ask before; done
files_before=$(hub_files)
room=$(metric fraudhub_connections_max)
say "$files_before descriptors of $descriptors in use, room for $room connections"
# Two of each, and the board's 64.
((files_before + 2 * room + 64 <= descriptors)) || fail "more connections are let in than there are descriptors for"

"$crowd" "${server##*:}" "$connections" "$seconds" "$away" >"$work/crowd.json" &
crowd_pid=$!
keep_pid "$crowd_pid"
# And one that takes all that the board for browsers has.
board=$(sed -n 's/.* hub_serves .*board_port=\([0-9]*\).*/\1/p' "$work/hub.log")
"$crowd" "$board" 100 "$seconds" 1 >"$work/crowd-board.json" &
keep_pid $!
files_most=0 not_ready=0
while kill -0 "$crowd_pid" 2>/dev/null; do
  ask during
  now=$(hub_files)
  ((now <= files_most)) || files_most=$now
  hub_ready || ((++not_ready))
  pause 0.2
done
wait "$crowd_pid"
gone_at=$(now_ms)
ask after
first_after=$(($(now_ms) - gone_at))
for _ in {1..4}; do ask after; done
hub_ready || fail "not ready after the crowd has gone"
as_before() { (($(hub_files) <= files_before + 4)); }
until_true 10 "as many descriptors as before" as_before
hub_lives || fail "hub-all ended"
all_connected || fail "a subscriber is not connected"
reconnects=$(in_file "$work/swarm.json" reconnects)
failed_probes=$(metric 'fraudhub_listener_probes_total{result="failed"}')
evicted=$(metric 'fraudhub_connections_ended_total{why="made room"}')
refused=$(metric 'fraudhub_connections_refused_total{why="full"}')
kill -TERM "$swarm"
wait "$swarm" || true
drain_hub

answered() { grep -cv failed "$work/$1" || true; }
spread() { grep -v failed "$work/$1" | sort -n | awk '{ v[NR] = $1 } END { printf "%d, %d, %d", v[int((NR + 1) / 2)], v[int(NR * .95 + .5)], v[NR] }'; }
row "the crowd: connects, sent away, held at most" "$(in_file "$work/crowd.json" connects), $(in_file "$work/crowd.json" sent_away), $(in_file "$work/crowd.json" held_most)"
row "hub: reset for want of room, ended to make room" "$refused, $evicted"
row "hub's descriptors before, most, limit" "$files_before, $files_most, $descriptors"
row "answered before" "$(answered before) of $(wc -l <"$work/before"), ms median, p95, most: $(spread before)"
row "answered during" "$(answered during) of $(wc -l <"$work/during"), ms median, p95, most: $(spread during)"
row "answered after" "$(answered after) of $(wc -l <"$work/after"), ms median, p95, most: $(spread after)"
row "asked again after being sent away" "$again"
row "first answer after, ms" "$first_after"
row "streams lost, canary failed, times not ready" "$reconnects, $failed_probes, $not_ready"
[[ $(answered during) == "$(wc -l <"$work/during")" ]] || fail "a question was not answered during"
[[ $(answered after) == 5 ]] || fail "a question was not answered after"
((first_after <= 2000)) || fail "the first answer after took more than 2 s"
((reconnects == 0)) || fail "a stream was lost"
((failed_probes == 0 && not_ready == 0)) || fail "the canary was not always green"
((files_most <= descriptors)) || fail "more descriptors than there are"
say "hostile: ok"
