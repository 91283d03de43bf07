#!/usr/bin/env bash
# Benchmarks of DESIGN.md 9 against their peers, in pairs within one run. A miss is printed as a miss.
#
#   bench/run.sh list | all | ID...        IDs: P1 to P7, P9 to P11, P11-2000, P12 to P14, P16
#
# Writes build/bench/ID.json: {"id","unit","ours","peer","ratio","goal","pass","pairs","spread","machine"} and what else was measured;
# "void" is true where others took more than 5 % of the CPU meanwhile.
# Builds what it needs in build/release first (P16: a build of its own). HUB_BENCH_PAIRS (default 5), HUB_BENCH_SECONDS (P11, default 15)
# make it longer. HUB_BENCH_BROKER_WARM_UP (default 60): seconds of load before a leg on a broker that is to be past its first minute.
# P7 and P11 run on both logs, the fan-out's on Kafka; they start a broker on loopback. P1 to P4, P10 and P12 want nats-server and redis-server
# (deploy/packages.sh --bench).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=bench/lib.sh
source bench/lib.sh
# shellcheck source=bench/fanout.sh
source bench/fanout.sh
# shellcheck source=bench/lookup.sh
source bench/lookup.sh

# --- the benchmarks ----------------------------------------------------------------------------
# Ten million numbers and their RocksDB: 3 GB in TMPDIR while it runs, 1.5 GB of memory.
p9() { emit P9 "$("$bin/bench_p09_verdict" "$((pairs < 5 ? 5 : pairs))" | tail -n 1)"; }
# A replica of ten million states: 5 GB in TMPDIR while it runs, 1 GB of memory.
p13() { emit P13 "$("$bin/bench_p13_verdict_set" | tail -n 1)"; }
p14() { emit P14 "$("$bin/bench_p14_canonicalise" "$((pairs < 5 ? 5 : pairs))" | tail -n 1)"; }

p16() {
  local tree=$work/tree started clean touched
  git clone -q . "$tree"
  export CCACHE_DISABLE=1
  started=$(date +%s%N)
  (cd "$tree" && cmake --preset release >build16.log 2>&1 && cmake --build build/release --parallel "$(nproc)" >>build16.log 2>&1) ||
    { tail -n 30 "$tree/build16.log" >&2; exit 1; }
  clean=$((($(date +%s%N) - started) / 1000000))
  echo "// touched" >>"$tree/libs/model/phone.cc"
  started=$(date +%s%N)
  (cd "$tree" && cmake --build build/release --parallel "$(nproc)" --target hub_model_test >/dev/null && build/release/bin/hub_model_test >/dev/null) || exit 1
  touched=$((($(date +%s%N) - started) / 1000000))
  unset CCACHE_DISABLE
  local s=${clean%???} t
  t=$(awk -v m="$touched" 'BEGIN {printf "%.1f", m / 1000}')
  emit P16 "{\"id\":\"P16\",\"unit\":\"s\",\"ours\":$s,\"peer\":0,\"ratio\":0,\"goal\":360,\"pass\":$(at_most "$s" 360),\"pairs\":1,\"spread\":[$s,$s],\"machine\":\"$machine\",\"note\":\"clean release build with tests, no compiler cache\"}"
  emit P16-touch "{\"id\":\"P16-touch\",\"unit\":\"s\",\"ours\":$t,\"peer\":0,\"ratio\":0,\"goal\":20,\"pass\":$(at_most "$t" 20),\"pairs\":1,\"spread\":[$t,$t],\"machine\":\"$machine\",\"note\":\"one file of model changed until its unit tests are green\"}"
}

# Server CPU per report: batches of 100 over one stream as the SDK sends them, the same as calls, and as the peer one unary call per report,
# on the same hub, in turns.
# Whose CPU: on Kafka hub-ingest is a process of its own, so all of it, and the registry's leg is all of hub-registry. On the embedded log
# everything is one process: the threads of later legs are left out by name, and the log's writer, which also writes what the registry
# makes of the reports, counts by the reports' share of the records written meanwhile (theirs are the smallest). Ingest's work is done when the
# last report is acknowledged: what it does while the registry goes on is upkeep, not reports.
p7() {
  local log pair hz mode
  hz=$(getconf CLK_TCK)
  for log in local kafka; do
    [[ $log == local ]] || start_broker
    : >"$work/stream" && : >"$work/batch" && : >"$work/unary" && : >"$work/registry" && : >"$work/rate"
    if [[ $log == local ]]; then start_hub local; else start_ingest_and_registry; fi
    "$bin/bench_p07_load" --server "$server" --identity "$work/pki/bank-psb-01/main" --reports 20000 --seed 99 >/dev/null # warm
    wait_for_registry
    for ((pair = 1; pair <= pairs; ++pair)); do
      for mode in stream batch unary; do
        local count=100000 size=100 in_flight=8 way="" before acknowledged after registry_before registry_after answer
        [[ $mode != unary ]] || count=10000 size=1
        [[ $mode != stream ]] || way=--stream in_flight=40 # 4,000 reports, as the SDK has at most
        before=$(p7_marks)
        registry_before=$(registry_ticks)
        answer=$("$bin/bench_p07_load" --server "$server" --identity "$work/pki/bank-psb-01/main" --reports "$count" --batch "$size" --in-flight "$in_flight" --seed "$pair$size${#way}" $way)
        acknowledged=$(p7_marks)
        wait_for_registry
        after=$(p7_marks)
        registry_after=$(registry_ticks)
        echo "$before $acknowledged $after" | awk -v hz="$hz" -v n="$count" '{
          records = $9 - $3; share = records > n ? n / records : 1
          printf "%.3f\n", ($4 - $1 + ($8 - $2) * share) / hz * 1e6 / n}' >>"$work/$mode"
        [[ $mode != stream ]] || {
          awk -v t="$((registry_after - registry_before))" -v hz="$hz" -v n="$count" 'BEGIN {printf "%.3f\n", t / hz * 1e6 / n}' >>"$work/registry"
          field per_second <<<"$answer" >>"$work/rate"
        }
      done
    done
    stop_hub
    stop_registry
    local ours peer id=P7 note="ingest leg: all threads but those of registry, replica, fan-out, queries and RocksDB; the log's writer by the reports' share of its records"
    [[ $log == local ]] || id=P7-kafka note="ingest leg: all of hub-ingest; registry leg: all of hub-registry"
    ours=$(median <"$work/stream")
    peer=$(median <"$work/unary")
    emit "$id" "{\"id\":\"$id\",\"unit\":\"us CPU\",\"ours\":$ours,\"peer\":$peer,\"ratio\":$(awk -v a="$ours" -v b="$peer" 'BEGIN {printf "%.4f", a / b}'),\"goal\":3,\"pass\":$(awk -v a="$ours" -v b="$peer" 'BEGIN {print (a <= 3 && a * 25 <= b) ? "true" : "false"}'),\"pairs\":$pairs,\"spread\":$(spread <"$work/stream"),\"machine\":\"$machine\",\"log\":\"$log\",\"calls_us\":$(median <"$work/batch"),\"registry_us\":$(median <"$work/registry"),\"reports_per_second\":$(median <"$work/rate"),\"note\":\"$note\"}"
  done
}
# The ingest leg's own ticks, the log writer's, and the records that are durable.
p7_marks() {
  if [[ -n $registry_pid ]]; then
    echo "$(ticks "$hub_pid" '') 0 0"
  else
    echo "$(ticks "$hub_pid" "$later_legs|$log_writer" '!') $(ticks "$hub_pid" "$log_writer") $(metric 'fraudhub_eventlog_appends_total{outcome="durable"}')"
  fi
}
metric() { # NAME{LABELS}: its value
  exec 3<>"/dev/tcp/127.0.0.1/$ops_port"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  awk -v name="$1" '$1 == name {printf "%.0f", $2}' <&3
  exec 3>&-
}
registry_ticks() { if [[ -n $registry_pid ]]; then ticks "$registry_pid" ''; else ticks "$hub_pid" "$registry_leg"; fi; }
start_ingest_and_registry() {
  local prefix=bench-$RANDOM-
  start_server hub-registry registry "--set log.kind=kafka --set log.kafka_bootstrap=$broker --set log.kafka_topic_prefix=$prefix"
  registry_pid=$hub_pid
  start_server hub-ingest hub "--set log.kind=kafka --set log.kafka_bootstrap=$broker --set log.kafka_topic_prefix=$prefix"
}
stop_registry() {
  [[ -z $registry_pid ]] || { kill -TERM "$registry_pid"; wait "$registry_pid" || true; }
  registry_pid=""
}
wait_for_registry() { # until the last commit is some time ago
  local before
  while :; do
    before=$(registry_ticks)
    read -rt 1 <> <(:) || true
    (($(registry_ticks) - before <= 3)) && return
  done
}

# Report accepted -> at subscribers over mTLS, one in 24 of whom is looked into (the others' events are counted: who receives must not be
# what is measured); beside it, on Kafka, a bare producer and consumer at the same rate. The first five seconds are not counted: connections and
# caches are cold, and the linger has not found the load.
end_to_end() { # ID local|kafka RATE MORE-BANKS P50-GOAL P99-GOAL
  local id=$1 log=$2 rate=$3 subscribers=$((560 + $4)) pair warm batch=$(($3 < 400 ? 1 : $3 / 200))
  local warm_up=5 bytes=0 way=() # a load that fills the cores wants the broker as in production, past its first minute
  ((rate < 2000)) || { way=(--for-load); warm_up=$broker_warm_up; }
  [[ $log == local ]] || start_broker "${way[@]}"
  : >"$work/p50" && : >"$work/p99" && : >"$work/pair50" && : >"$work/pair99"
  for ((pair = 1; pair <= pairs; ++pair)); do
    start_hub "$log" "$4"
    rm -f "$work/swarm.json"
    "$bin/hub-swarm" --server "$server" --identities "$work/pki" --policy "$work/policy.textproto" --no-filters --look-into 24 --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
    swarm_pid=$!
    until [[ -s $work/swarm.json && $(field connected <"$work/swarm.json") == "$subscribers" ]]; do
      kill -0 "$swarm_pid" || { cat "$work/swarm.log" >&2; exit 1; }
      read -rt 0.2 <> <(:) || true
    done
    for warm in "$warm_up" 0; do
      "$bin/bench_p07_load" --server "$server" --identity "$work/pki/bank-psb-01/main" --reports $((rate * (warm ? warm : seconds))) --batch "$batch" --in-flight 8 --stream --rate "$rate" \
        --seed "$pair$warm" >/dev/null
      ((warm == 0)) || { read -rt 3 <> <(:) || true; new_figures; } # when the last of it has arrived
    done
    warm_up=5
    [[ $log == local ]] || {
      "$bin/bench_p11_kafka_pair" --brokers "$broker" --records $((rate * seconds)) --rate "$rate" >"$work/pair"
      field p50_ms <"$work/pair" >>"$work/pair50"
      field p99_ms <"$work/pair" >>"$work/pair99"
    }
    read -rt 2 <> <(:) || true
    hops "$work/hub.log" fraudhub_ingest_append_seconds fraudhub_registry_decided_seconds fraudhub_registry_commit_seconds fraudhub_fanout_intake_seconds \
      fraudhub_egress_pass_seconds fraudhub_egress_write_seconds >"$work/hops"
    bytes=$(metric fraudhub_egress_bytes_total | awk -v n="$(metric fraudhub_fanout_deliveries_total)" '{printf "%.0f", (n > 0 ? $1 / n : 0)}')
    kill -TERM "$swarm_pid" && wait "$swarm_pid" || { cat "$work/swarm.log" >&2; exit 1; }
    swarm_pid=""
    field p50 <"$work/swarm.json" >>"$work/p50"
    field p99 <"$work/swarm.json" >>"$work/p99"
    stop_hub
  done
  local ours p99 peer=0 peer99=0
  ours=$(median <"$work/p50") p99=$(median <"$work/p99")
  [[ $log == local ]] || { peer=$(median <"$work/pair50"); peer99=$(median <"$work/pair99"); }
  emit "$id" "{\"id\":\"$id\",\"unit\":\"ms p50\",\"ours\":$ours,\"peer\":$peer,\"ratio\":$(awk -v a="$ours" -v b="$peer" 'BEGIN {printf "%.2f", (b > 0 ? a / b : 0)}'),\"goal\":$5,\"pass\":$(awk -v a="$ours" -v b="$p99" -v c="$5" -v d="$6" 'BEGIN {print (a <= c && b <= d) ? "true" : "false"}'),\"pairs\":$pairs,\"spread\":$(spread <"$work/p50"),\"machine\":\"$machine\",\"log\":\"$log\",\"p99\":$p99,\"p99_goal\":$6,\"peer_p99\":$peer99,\"subscribers\":$subscribers,\"reports_per_second\":$rate,\"bytes_per_delivery\":$bytes,\"hops_p50_p99_ms\":$(<"$work/hops")}"
}
new_figures() { # of the swarm, from now on
  local before
  before=$(field figures <"$work/swarm.json")
  kill -USR1 "$swarm_pid"
  until [[ $(field figures <"$work/swarm.json") != "$before" ]]; do
    kill -0 "$swarm_pid" || { cat "$work/swarm.log" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
}
p11() {
  end_to_end P11 local 200 0 30 150
  end_to_end P11-kafka kafka 200 40 30 150
}
# A rate that nothing is tuned for: only the last of a hundred counts.
p11-2000() { end_to_end P11-2000 kafka 2000 40 250 250; }

# One entry each: a function of its name in lower case above, what it is, and the targets that it needs.
ids=(P1 P2 P3 P4 P5 P6 P12 P7 P9 P10 P11 P11-2000 P13 P14 P16)
declare -A what=(
  [P1]="fan-out of a backlog to 600 sessions in clear: server CPU per delivery beside a raw epoll server, NATS, Redis"
  [P2]="fan-out of 2,000 events/s to 600 sessions: cores and p99, in clear and mTLS, beside NATS and Redis"
  [P3]="the same with adaptive linger: p99 beside NATS and Redis"
  [P4]="P1 over mTLS beside clear NATS"
  [P5]="memory per idle stream, 600 and 5,000, in clear and mTLS"
  [P6]="urgent events on top of P2: p99 to live sessions and to those that catch up"
  [P12]="P1's server CPU per delivery at 5,000 sessions beside 600"
  [P7]="ingest, batches of 100: server CPU per report, both logs"
  [P9]="local verdict among ten million numbers, with 10,000 changes a second, beside absl::flat_hash_map and RocksDB Get"
  [P10]="lookups at a hub over mTLS, in batches of 100 and singly: server CPU beside Redis MGET and GET; the same at an edge"
  [P11]="end to end, 200 reports/s to 560 subscribers, on Kafka to 600"
  [P11-2000]="end to end, 2,000 reports/s to 600 subscribers on Kafka, and where the time goes"
  [P13]="a bank's replica begins with ten million flags: bytes of the compact set and seconds until it serves, beside the snapshot's rows"
  [P14]="phone canonicaliser beside libphonenumber"
  [P16]="clean release build with tests; one-file change to green tests"
)
fanout_targets="hub-fanout bench_fanout bench_raw_server"
declare -A needs=(
  [P1]=$fanout_targets [P2]=$fanout_targets [P3]=$fanout_targets [P4]=$fanout_targets [P5]=$fanout_targets [P6]=$fanout_targets [P12]=$fanout_targets
  [P7]="hub-all hub-ingest hub-registry bench_p07_load"
  [P9]="bench_p09_verdict"
  [P10]="hub-all hub-edge bench_p07_load bench_lookup_load"
  [P11]="hub-all hub-swarm bench_p07_load bench_p11_kafka_pair"
  [P11-2000]="hub-all hub-swarm bench_p07_load bench_p11_kafka_pair"
  [P13]="bench_p13_verdict_set"
  [P14]="bench_p14_canonicalise"
  [P16]=""
)
(($#)) || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
if [[ $1 == list ]]; then
  for id in "${ids[@]}"; do printf '%-8s %s\n' "$id" "${what[$id]}"; done
  exit 0
fi
[[ $1 != all ]] || set -- "${ids[@]}"
for id in "$@"; do [[ -n ${what[$id]:-} ]] || { echo "bench/run.sh: no benchmark '$id' (bench/run.sh list)" >&2; exit 2; }; done
mkdir -p "$out"
read -r load _ </proc/loadavg
echo "machine: $machine; load before: $load"
targets=()
for id in "$@"; do read -ra more <<<"${needs[$id]}" && targets+=("${more[@]}"); done
((${#targets[@]} == 0)) || build "${targets[@]}"
for id in "$@"; do
  mark=$(clock_ticks)
  "${id,,}"
done
