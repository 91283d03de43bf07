# P10: lookups over the network beside Redis. Sourced by run.sh, after fanout.sh, whose legs it uses.
#
# Each server has core 0 to itself, its callers the others: 50 connections, each with one call at a time. All numbers that are asked about are
# known, and Redis has as many keys. Ours is all of hub-all, which has nothing else to do meanwhile: over mTLS, with quota, audit record
# (durable before the answer) and redaction. hub-edge, which answers a bank on its own machine and needs none of that, is measured beside it.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # lib.sh, fanout.sh

p10_keys=100000 p10_value=200 p10_connections=50 p10_seconds=${HUB_BENCH_LOOKUP_SECONDS:-4}

p10_start() {
  local tries=300
  start_hub local
  taskset -acp 0 "$hub_pid" >/dev/null
  "$bin/bench_p07_load" --server "$server" --identity "$work/pki/bank-psb-01/main" --reports "$p10_keys" --in-order --in-flight 8 >/dev/null
  wait_for_registry
  start_one edge 's/.* edge_serves .* port=\([0-9]*\).*/\1/p' "$bin/hub-edge" --config deploy/config/edge.textproto --set "data_dir=$work/edge" \
    --set "hub.address=$server" --set "hub.identity_dir=$work/pki/bank-psb-02/main" --set listen.address=127.0.0.1:0 --set listen.ops_address=127.0.0.1:0 \
    --set allow_test_range=true
  p10_edge_ops=$(sed -n 's/.* edge_serves .* ops_port=\([0-9]*\).*/\1/p' "$work/edge.log")
  until (($(ops_port=$p10_edge_ops metric fraudhub_edge_indicators) >= p10_keys)); do
    ((--tries)) || { echo "bench/run.sh: P10: the edge did not get everything" >&2; exit 1; }
    read -rt 0.2 <> <(:) || true
  done
  start_redis
  awk -v keys="$p10_keys" -v size="$p10_value" 'BEGIN {
    value = sprintf("%0" size "d", 0)
    for (i = 0; i < keys; i++) printf "SET key:%012d %s\r\n", i, value}' |
    redis-cli -p "${leg_address[redis]##*:}" --pipe >/dev/null
}

# One leg: microseconds of server CPU per call, appended to $work/P10.NAME; and what the load says, to $work/P10.NAME.load.
p10_leg() { # NAME PID COMMAND...
  local name=$1 pid=$2 before line calls
  shift 2
  before=$(ticks "$pid" '')
  line=$(taskset -c "$others" "$@" 2>"$work/leg.err") || { echo "bench/run.sh: P10: the leg of $name broke: $(<"$work/leg.err")" >&2; exit 1; }
  calls=$(field calls <<<"$line")
  echo "$line" >>"$work/P10.$name.load"
  awk -v t="$(($(ticks "$pid" '') - before))" -v hz="$(getconf CLK_TCK)" -v n="${calls:-$p10_redis_calls}" 'BEGIN {printf "%.3f\n", t / hz * 1e6 / n}' >>"$work/P10.$name"
}
p10_ours() { # NAME PID SERVER BATCH [MORE]...
  local name=$1 pid=$2 at=$3 batch=$4
  shift 4
  p10_leg "$name" "$pid" "$bin/bench_lookup_load" --server "$at" --numbers "$p10_keys" --batch "$batch" --in-flight "$p10_connections" --seconds "$p10_seconds" \
    --timeout 10 --seed "$RANDOM" "$@"
}
p10_redis() { # NAME CALLS COMMAND...
  local name=$1
  p10_redis_calls=$2
  shift 2
  p10_leg "$name" "${leg_pid[redis]}" redis-benchmark -p "${leg_address[redis]##*:}" -c "$p10_connections" -n "$p10_redis_calls" -r "$p10_keys" --csv "$@"
}
p10_ratio() { paste -d ' ' "$work/P10.$1" "$work/P10.$2" | awk '$2 > 0 {printf "%.3f\n", $1 / $2}'; } # NAME PEER, one a line
p10() {
  local pair many=() i
  for ((i = 0; i < 100; ++i)); do many+=(key:__rand_int__); done
  rm -f "$work"/P10.*
  p10_start
  local bank=(--identity "$work/pki/bank-psb-03/main")
  for ((pair = 1; pair <= pairs; ++pair)); do
    p10_ours batch "$hub_pid" "$server" 100 "${bank[@]}"
    p10_redis mget $((p10_seconds * 12000)) MGET "${many[@]}"
    p10_ours edge-batch "${leg_pid[edge]}" "${leg_address[edge]}" 100
    p10_ours one "$hub_pid" "$server" 1 "${bank[@]}"
    p10_redis get $((p10_seconds * 70000)) GET key:__rand_int__
    p10_ours edge-one "${leg_pid[edge]}" "${leg_address[edge]}" 1
  done
  # From here on the hub's own background is all that is left of it.
  local idle
  idle=$(ticks "$hub_pid" '')
  read -rt 3 <> <(:) || true
  idle=$(awk -v t="$(($(ticks "$hub_pid" '') - idle))" -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.3f", t / hz / 3}')
  stop_all
  stop_hub
  local ratio one edge edge_one
  ratio=$(p10_ratio batch mget) one=$(p10_ratio one get | median) edge=$(p10_ratio edge-batch mget | median) edge_one=$(p10_ratio edge-one get | median)
  p10_middle() { median <"$work/P10.$1"; }
  p10_load() { sed -n "s/.*\"$2\":\([-0-9.]*\).*/\1/p" "$work/P10.$1.load" | median; }
  emit P10 "{\"id\":\"P10\",\"unit\":\"us CPU/100\",\"ours\":$(p10_middle batch),\"peer\":$(p10_middle mget),\"ratio\":$(median <<<"$ratio"),\"goal\":1.15,\"pass\":$(all_at_most "$(median <<<"$ratio")" 1.15 "$one" 2.7),\"pairs\":$pairs,\"spread\":$(spread <<<"$ratio"),\"machine\":\"$machine\",\"peers\":\"redis-server: MGET of 100, GET\",\"keys\":$p10_keys,\"single_us\":$(p10_middle one),\"redis_get_us\":$(p10_middle get),\"single_ratio\":$one,\"single_goal\":2.7,\"edge_batch_us\":$(p10_middle edge-batch),\"edge_batch_ratio\":$edge,\"edge_single_us\":$(p10_middle edge-one),\"edge_single_ratio\":$edge_one,\"per_second\":$(p10_load batch per_second),\"single_per_second\":$(p10_load one per_second),\"edge_per_second\":$(p10_load edge-batch per_second),\"edge_single_per_second\":$(p10_load edge-one per_second),\"call_ms_p99\":$(p10_load batch call_ms_p99),\"single_ms_p99\":$(p10_load one call_ms_p99),\"edge_ms_p99\":$(p10_load edge-batch call_ms_p99),\"hub_idle_cores\":$idle}"
}
