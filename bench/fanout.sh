# The fan-out's budgets: P1 to P6 and P12. Sourced by run.sh after lib.sh.
# shellcheck shell=bash
#
# The server under test is the product's hub-fanout, with filters, rights, acknowledgements and metrics, reading `events` of a real broker
# into which bench_fanout writes what a registry would. Peers are nats-server and redis-server, in memory only. Each server has core 0 to
# itself; publisher and subscribers share the others; the broker goes where there is room (bound to the subscribers' core, its garbage collector
# was seen to wait for seconds while librdkafka spun there). A leg is one run of bench_fanout against one server; legs of a pair follow
# each other at once, and ratios are of neighbours. A leg that others disturbed is repeated, HUB_BENCH_RETRIES times at most (default 3).
# shellcheck disable=SC2034,SC2154 # lib.sh

retries=${HUB_BENCH_RETRIES:-3}
paced_seconds=${HUB_BENCH_PACED_SECONDS:-10}
broker_warm_up=${HUB_BENCH_BROKER_WARM_UP:-60} # seconds of load before the first leg: its compiler takes half a core for half a minute
paced=(--mode paced --warm-up 3 --seconds "$paced_seconds") # a broker's first second, and a connection's, are not what is asked for
others="1-$(($(nproc) - 1))"
[[ $(nproc) -gt 1 ]] || others=0
declare -A leg_pid leg_address leg_more
worst_foreign=0

# Waits for a line in a file, at most 30 s. Prints what the pattern's group matched.
line_of() { # FILE SED-PATTERN PID
  local tries=300 found
  until found=$(sed -n "$2" "$1" 2>/dev/null | head -n 1) && [[ -n $found ]]; do
    ((--tries)) && kill -0 "$3" || { cat "$1" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
  echo "$found"
}
start_one() { # NAME ADDRESS-PATTERN COMMAND...
  local name=$1 pattern=$2
  shift 2
  [[ -z ${leg_pid[$name]:-} ]] || return 0
  : >"$work/$name.log" # the child does it later than line_of may read: it would find the port of the server before
  taskset -c 0 "$@" >"$work/$name.log" 2>&1 &
  leg_pid[$name]=$!
  servers+=("$!")
  leg_address[$name]=127.0.0.1:$(line_of "$work/$name.log" "$pattern" "$!")
}
stop_one() { # NAME
  local pid=${leg_pid[$1]:-} kept=() other
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" && wait "$pid" || true
  unset "leg_pid[$1]"
  for other in "${servers[@]}"; do [[ $other == "$pid" ]] || kept+=("$other"); done
  servers=("${kept[@]}")
}
stop_all() { local name; for name in "${!leg_pid[@]}"; do stop_one "$name"; done; } # a server that idles still takes a little
start_raw() { start_one raw 's/^port=//p' "$bin/bench_raw_server" --batch 128; }
start_nats() {
  command -v nats-server >/dev/null || { echo "bench/run.sh: no nats-server (deploy/packages.sh --bench)" >&2; exit 1; }
  start_one nats 's/.*Listening for client connections on 127.0.0.1:\([0-9]*\).*/\1/p' nats-server -a 127.0.0.1 -p -1
}
start_redis() {
  command -v redis-server >/dev/null || { echo "bench/run.sh: no redis-server (deploy/packages.sh --bench)" >&2; exit 1; }
  local port=$((20000 + RANDOM % 10000))
  start_one redis "s/.*Ready to accept connections.*/$port/p" redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no
}
# A hub-fanout of its own, with its own topics. NAME also names its log.
start_fanout() { # NAME clear|mtls [--set SETTING]...
  local name=$1 way=$2 prefix="bench-$1-$RANDOM-" key more=()
  shift 2
  [[ -z ${leg_pid[$name]:-} ]] || return 0
  [[ -n $broker && $broker_way == --for-load ]] || start_warm_broker
  if [[ ! -d $work/fanout-keys ]]; then
    mkdir "$work/fanout-keys"
    for key in routing log cursor; do od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$work/fanout-keys/$key.key"; done
    deploy/dev_pki.sh "$work/fanout-pki" --stakeholder bench/main >/dev/null 2>&1
  fi
  leg_more[$name]="--brokers $broker --topic-prefix $prefix --also $(<"$out/kafka/node-1/pid")"
  if [[ $way == clear ]]; then
    more=(--set listen.insecure_for_benches=true)
  else
    more=(--set "listen.identity_dir=$work/fanout-pki/server")
    leg_more[$name]+=" --identity $work/fanout-pki/bench/main"
  fi
  start_one "$name" 's/.*hub_serves port=\([0-9]*\).*/\1/p' "$bin/hub-fanout" --config deploy/config/hub.textproto --set policy_file=bench/fanout/policy.textproto \
    --set "data_dir=$work/$name" --set "key_dir=$work/fanout-keys" --set listen.address=127.0.0.1:0 --set listen.ops_address=127.0.0.1:0 \
    --set log.kind=kafka --set "log.kafka_bootstrap=$broker" --set "log.kafka_topic_prefix=$prefix" --set fanout.streams_max=6000 "${more[@]}" "$@"
}

# A broker as in production, past its first minute.
start_warm_broker() {
  start_broker --for-load
  start_fanout warm clear
  retries=0 leg warm-up warm hub --mode paced --subscribers 8 --seconds "$broker_warm_up"
  worst_foreign=0
  stop_one warm
}

# One leg; its line goes to $work/ID.NAME. Those that stay disturbed are counted all the same, and the verdict says void.
leg() { # ID NAME TARGET ARGUMENTS...
  local id=$1 name=$2 target=$3 line foreign try more
  shift 3
  read -ra more <<<"${leg_more[$name]:-}"
  for ((try = 0; try <= retries; ++try)); do
    line=$(taskset -c "$others" "$bin/bench_fanout" --target "$target" --server "${leg_address[$name]}" --pid "${leg_pid[$name]}" "${more[@]}" "$@" 2>"$work/leg.err") ||
      { echo "bench/run.sh: $id: the leg of $name broke: $(<"$work/leg.err")" >&2; tail -n 5 "$work/$name.log" >&2; exit 1; }
    foreign=$(field foreign_percent <<<"$line")
    [[ $* != *"--mode idle"* ]] || foreign=0 # others take time, not memory
    [[ $(at_most "$foreign" 5) == false ]] || break
  done
  printf '%s\n' "$line" >>"$work/$id.$name"
  [[ $(at_most "$foreign" "$worst_foreign") == true ]] || worst_foreign=$foreign
}
begin() { stop_all; rm -f "$work/$1".*; worst_foreign=0; } # ID
# The figures of all legs of a server, one a line.
figures() { sed -n "s/.*\"$3\":\([-0-9.]*\).*/\1/p" "$work/$1.$2"; } # ID NAME FIELD
middle() { figures "$@" | median; }
# Ratios of neighbours: this server's figure by that one's.
ratios() { paste -d ' ' <(figures "$1" "$2" "$4") <(figures "$1" "$3" "$4") | awk '$2 > 0 {printf "%.4f\n", $1 / $2}'; } # ID NAME PEER FIELD
all_at_most() { # VALUE BOUND [VALUE BOUND]...: every value within its bound
  while (($#)); do
    [[ $(at_most "$1" "$2") == true ]] || { echo false; return; }
    shift 2
  done
  echo true
}
verdict() { # ID UNIT OURS PEER RATIOS-FILE-OR-VALUES GOAL PASS MORE
  local ratio spread
  ratio=$(median <<<"$5") spread=$(spread <<<"$5")
  emit "$1" "{\"id\":\"$1\",\"unit\":\"$2\",\"ours\":$3,\"peer\":$4,\"ratio\":${ratio:-0},\"goal\":$6,\"pass\":$7,\"pairs\":$pairs,\"spread\":$spread,\"machine\":\"$machine\",$8}" "$worst_foreign"
}

flood_events=(--mode flood --events 30000)

p1() {
  local pair raw redis
  begin P1
  start_raw && start_nats && start_redis && start_fanout clear clear
  for ((pair = 1; pair <= pairs; ++pair)); do
    leg P1 raw raw --mode flood --events 60000
    leg P1 clear hub "${flood_events[@]}"
    leg P1 nats nats --mode flood --events 6000
    leg P1 redis redis --mode flood --events 8000
  done
  raw=$(ratios P1 clear raw server_us_per_delivery | median)
  redis=$(ratios P1 clear redis server_us_per_delivery | median)
  local nats
  nats=$(ratios P1 clear nats server_us_per_delivery)
  verdict P1 "us CPU" "$(middle P1 clear server_us_per_delivery)" "$(middle P1 nats server_us_per_delivery)" "$nats" 0.25 \
    "$(all_at_most "$(median <<<"$nats")" 0.25 "$raw" 2.5 "$redis" 0.4)" \
    "\"peers\":\"nats-server; raw epoll server; Redis\",\"raw_us\":$(middle P1 raw server_us_per_delivery),\"raw_ratio\":$raw,\"raw_goal\":2.5,\"redis_us\":$(middle P1 redis server_us_per_delivery),\"redis_ratio\":$redis,\"redis_goal\":0.4,\"events_per_message\":$(middle P1 clear events_per_message),\"bytes_per_delivery\":$(middle P1 clear bytes_per_delivery)"
}

# The paced legs: ours with the given settings, and both peers, in turns.
paced_legs() { # ID SERVER...
  local id=$1 pair name
  shift
  start_nats && start_redis
  for ((pair = 1; pair <= pairs; ++pair)); do
    for name in "$@"; do leg "$id" "$name" hub "${paced[@]}"; done
    leg "$id" nats nats "${paced[@]}"
    leg "$id" redis redis "${paced[@]}"
  done
}
p2() {
  local nats redis tls p99 fixed
  begin P2
  fixed=(--set fanout.linger_min_ms=20 --set fanout.linger_ms=20)
  start_fanout steady clear "${fixed[@]}" && start_fanout steady-mtls mtls "${fixed[@]}"
  paced_legs P2 steady steady-mtls
  nats=$(ratios P2 steady nats server_cores)
  redis=$(ratios P2 steady redis server_cores | median)
  tls=$(ratios P2 steady-mtls nats server_cores | median)
  p99=$(middle P2 steady p99_ms)
  verdict P2 cores "$(middle P2 steady server_cores)" "$(middle P2 nats server_cores)" "$nats" 0.45 "$(all_at_most "$(median <<<"$nats")" 0.45 "$redis" 0.45 "$tls" 0.9 "$p99" 30)" \
    "\"peers\":\"nats-server; Redis\",\"redis_cores\":$(middle P2 redis server_cores),\"redis_ratio\":$redis,\"redis_goal\":0.45,\"mtls_cores\":$(middle P2 steady-mtls server_cores),\"mtls_ratio\":$tls,\"mtls_goal\":0.9,\"p99\":$p99,\"p99_goal\":30,\"p50\":$(middle P2 steady p50_ms),\"mtls_p99\":$(middle P2 steady-mtls p99_ms),\"nats_p99\":$(middle P2 nats p99_ms),\"redis_p99\":$(middle P2 redis p99_ms)"
}
p3() {
  local nats redis
  begin P3
  start_fanout eager clear --set fanout.linger_core_percent=100
  paced_legs P3 eager
  nats=$(ratios P3 eager nats p99_ms)
  redis=$(ratios P3 eager redis p99_ms | median)
  verdict P3 "ms p99" "$(middle P3 eager p99_ms)" "$(middle P3 nats p99_ms)" "$nats" 0.4 "$(all_at_most "$(median <<<"$nats")" 0.4 "$redis" 1.1)" \
    "\"peers\":\"nats-server; Redis\",\"redis_p99\":$(middle P3 redis p99_ms),\"redis_ratio\":$redis,\"redis_goal\":1.1,\"p50\":$(middle P3 eager p50_ms),\"cores\":$(middle P3 eager server_cores),\"nats_cores\":$(middle P3 nats server_cores),\"redis_cores\":$(middle P3 redis server_cores)"
}
p4() {
  local pair ratio
  begin P4
  start_nats && start_fanout mtls mtls
  for ((pair = 1; pair <= pairs; ++pair)); do
    leg P4 mtls hub "${flood_events[@]}"
    leg P4 nats nats --mode flood --events 6000
  done
  ratio=$(ratios P4 mtls nats server_us_per_delivery)
  verdict P4 "us CPU" "$(middle P4 mtls server_us_per_delivery)" "$(middle P4 nats server_us_per_delivery)" "$ratio" 0.8 "$(at_most "$(median <<<"$ratio")" 0.8)" \
    "\"peers\":\"nats-server, clear text\",\"events_per_message\":$(middle P4 mtls events_per_message)"
}
# Fresh servers, since memory that was once taken is not always given back.
p5() {
  local way count pair
  begin P5
  for ((pair = 1; pair <= 3; ++pair)); do
    for way in clear mtls; do
      for count in 600 5000; do
        start_fanout "idle-$way-$count" "$way"
        leg P5 "idle-$way-$count" hub --mode idle --seconds 1 --subscribers "$count"
        stop_one "idle-$way-$count"
      done
    done
  done
  local clear mtls
  clear=$(figures P5 idle-clear-600 kb_per_stream) mtls=$(middle P5 idle-mtls-600 kb_per_stream)
  verdict P5 "KB a stream" "$(median <<<"$clear")" 0 "$clear" 45 \
    "$(all_at_most "$(median <<<"$clear")" 45 "$mtls" 120 "$(middle P5 idle-clear-5000 resident_mb)" 260 "$(middle P5 idle-mtls-5000 resident_mb)" 620)" \
    "\"mtls_kb\":$mtls,\"mtls_goal\":120,\"clear_5000_mb\":$(middle P5 idle-clear-5000 resident_mb),\"clear_5000_goal\":260,\"mtls_5000_mb\":$(middle P5 idle-mtls-5000 resident_mb),\"mtls_5000_goal\":620,\"clear_5000_kb\":$(middle P5 idle-clear-5000 kb_per_stream),\"mtls_5000_kb\":$(middle P5 idle-mtls-5000 kb_per_stream)"
}
p6() {
  local pair live behind
  begin P6
  start_fanout steady clear --set fanout.linger_min_ms=20
  # What those that catch up have before them.
  leg P6-backlog steady hub --mode flood --events 60000 --subscribers 1
  for ((pair = 1; pair <= pairs; ++pair)); do
    leg P6 steady hub "${paced[@]}" --urgent-rate 50 --urgent --subscribers 620 --behind 20
  done
  live=$(figures P6 steady urgent_p99_ms) behind=$(middle P6 steady behind_p99_ms)
  # Where nobody sends copies, nobody got one: a miss.
  [[ $(middle P6 steady behind_copies) != 0 ]] || behind=-1
  verdict P6 "ms p99" "$(median <<<"$live")" 0 "$live" 10 "$([[ $behind == -1 ]] && echo false || all_at_most "$(median <<<"$live")" 10 "$behind" 100)" \
    "\"catchup_p99\":$behind,\"catchup_goal\":100,\"catchup_copies\":$(middle P6 steady behind_copies),\"ordinary_p99\":$(middle P6 steady p99_ms),\"cores\":$(middle P6 steady server_cores)"
}
p12() {
  local pair way ratio
  begin P12
  start_fanout clear clear && start_fanout mtls mtls
  for ((pair = 1; pair <= pairs; ++pair)); do
    for way in clear mtls; do
      leg P12 "$way" hub "${flood_events[@]}"
      mv "$work/P12.$way" "$work/P12.$way-one" && cat "$work/P12.$way-one" >>"$work/P12.$way-600"
      leg P12 "$way" hub --mode flood --events 4000 --subscribers 5000
      mv "$work/P12.$way" "$work/P12.$way-one" && cat "$work/P12.$way-one" >>"$work/P12.$way-5000"
    done
  done
  ratio=$(ratios P12 clear-5000 clear-600 server_us_per_delivery)
  verdict P12 "us CPU" "$(middle P12 clear-5000 server_us_per_delivery)" "$(middle P12 clear-600 server_us_per_delivery)" "$ratio" 2.2 "$(at_most "$(median <<<"$ratio")" 2.2)" \
    "\"peers\":\"the same with 600 streams\",\"mtls_5000\":$(middle P12 mtls-5000 server_us_per_delivery),\"mtls_600\":$(middle P12 mtls-600 server_us_per_delivery),\"mtls_ratio\":$(ratios P12 mtls-5000 mtls-600 server_us_per_delivery | median)"
}
