#!/usr/bin/env bash
# Thousands of mTLS streams on one hub-fanout, for minutes: nobody is disconnected, everybody gets each event once and soon, and memory
# stays within what a node of that size may take. Events come through a real broker; beside the many, some stakeholders of the sample
# policy keep full views, which hub-swarm compares with what they may see.
#
#   tests/process/many.sh [BIN] [--streams N] [--rate R] [--warm-up S] [--seconds S] [--p99-ms T] [--resident-mb M] [--segment-mb M]
#
#   BIN           folder of the binaries (default build/release/bin)
#   the rest      default 5000, 500, 60, 600, 500, 900, 48
#   --warm-up     seconds of the same load before: a broker that has just started takes a core for its compiler
#   --segment-mb  of encoded events kept in memory: some ten seconds here, where every event is kept for some fifty classes
#
# Wants two open files per stream: the limit is raised as far as it goes. Ends with one JSON line; exit status 1 when a bound is missed.
set -euo pipefail
# shellcheck source=tests/process/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

streams=5000 rate=500 warm_up=60 seconds=600 p99_ms=500 resident_mb=900 segment_mb=48 bin_given=""
while (($#)); do
  case $1 in
    --streams) streams=$2; shift ;;
    --rate) rate=$2; shift ;;
    --warm-up) warm_up=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --p99-ms) p99_ms=$2; shift ;;
    --resident-mb) resident_mb=$2; shift ;;
    --segment-mb) segment_mb=$2; shift ;;
    -*) echo "many.sh: unknown flag '$1'" >&2; exit 2 ;;
    *) bin_given=$1 ;;
  esac
  shift
done
common_open many "$bin_given"
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) > 2 * streams)) || fail "$streams streams want more open files than $(ulimit -n) (ulimit -Hn)"

at_close() { "$root/deploy/kafka.sh" stop --dir "$work/kafka" >/dev/null; }
broker=$(deploy/kafka.sh start --for-load --dir "$work/kafka" --port auto | sed -n 's/^bootstrap=//p' | tail -n 1)
[[ -n $broker ]] || fail "no broker"

# One bank with all the streams, besides the sample policy's stakeholders.
sed 's/^  role: ROLE_FINANCIAL_INSTITUTION$/&\n  streams_max: 10000/' "$policy" >"$work/policy.textproto"
echo 'stakeholders { id: "bench" title: "Many" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PRIVATE" }' >>"$work/policy.textproto"
policy=$work/policy.textproto
mapfile -t judges < <(swarm_principals | head -n 40)
make_identities bench/main dot-diu/analyst-2 "${judges[@]}"
mkdir "$work/keys"
for key in routing log cursor; do od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$work/keys/$key.key"; done

"$bin/hub-fanout" --config deploy/config/hub.textproto --set data_dir="$work/data" --set key_dir="$work/keys" --set policy_file="$policy" \
  --set rules_file="$rules" --set listen.identity_dir="$work/pki/server" --set listen.address=127.0.0.1:0 --set listen.ops_address=127.0.0.1:0 \
  --set log.kind=kafka --set log.kafka_bootstrap="$broker" --set fanout.streams_max=$((streams + 100)) \
  --set fanout.segment_bytes_max=$((segment_mb << 20)) >"$work/fanout.log" 2>&1 &
fanout_pid=$!
keep_pid "$fanout_pid"
until_true 60 "a fan-out that serves" grep -q ' hub_serves ' "$work/fanout.log"
address=127.0.0.1:$(sed -n 's/.* hub_serves port=\([0-9]*\).*/\1/p' "$work/fanout.log")

"$bin/hub-swarm" --server "$address" --identities "$work/pki" --policy "$policy" --stakeholders "${#judges[@]}" --check --until-quiet 3 \
  --status-file "$work/swarm.json" >"$work/swarm.out" 2>&1 &
swarm_pid=$!
keep_pid "$swarm_pid"
swarm_connected() { [[ $(sed -n 's/.*"connected":\([0-9]*\).*/\1/p' "$work/swarm.json" 2>/dev/null) == "${#judges[@]}" ]]; }
until_true 60 "the judges' streams" swarm_connected

say "$streams streams, $rate events/s for $seconds s"
"$bin/bench_fanout" --target hub --server "$address" --pid "$fanout_pid" --also "$swarm_pid" --mode paced --identity "$work/pki/bench/main" \
  --subscribers "$streams" --brokers "$broker" --rate "$rate" --warm-up "$warm_up" --seconds "$seconds" >"$work/many.json" 2>"$work/many.err" ||
  { cat "$work/many.err" >&2; fail "a stream broke, or somebody lacks something"; }
say "the many have everything; the judges compare their views"
wait "$swarm_pid" || { cat "$work/swarm.out" >&2; fail "a view is not what it must be"; }

figure() { sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p" "$work/$2"; }
figures() { sed -n "s/.*\"$1\":\(\[[^]]*\]\).*/\1/p" "$work/$2"; }
p99=$(figure p99_ms many.json)
peak=$(figure resident_peak_mb many.json)
reconnects=$(figure reconnects swarm.json)
awk -v a="$p99" -v b="$p99_ms" -v c="$peak" -v d="$resident_mb" -v r="$reconnects" 'BEGIN {exit (a <= b && c <= d && r == 0) ? 0 : 1}' && pass=true || pass=false
echo "{\"streams\":$streams,\"rate\":$rate,\"seconds\":$seconds,\"deliveries\":$(figure deliveries many.json),\"disconnects\":$reconnects,\"p50_ms\":$(figure p50_ms many.json),\"p99_ms\":$p99,\"tenths_p99_ms\":$(figures tenths_p99_ms many.json),\"max_ms\":$(figure max_ms many.json),\"resident_peak_mb\":$peak,\"server_cores\":$(figure server_cores many.json),\"foreign_percent\":$(figure foreign_percent many.json),\"views_equal\":$(figure views_equal swarm.json),\"pass\":$pass}"
[[ $pass == true ]] || fail "want p99 at most $p99_ms ms, at most $resident_mb MB resident, no disconnect"
