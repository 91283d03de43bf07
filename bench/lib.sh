# What the benchmarks share: figures, the verdict's line, a hub of its own, a broker. Sourced by run.sh, from the root of the tree.
# shellcheck shell=bash

pairs=${HUB_BENCH_PAIRS:-5}
seconds=${HUB_BENCH_SECONDS:-15}
# shellcheck disable=SC2154 # run.sh
out=$root/build/bench
bin=$root/build/release/bin
machine="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | tr -d '"\\'), $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)"
work=$(mktemp -d)
hub_pid="" swarm_pid="" registry_pid="" broker="" broker_way="" servers=() more_banks=0
cleanup() {
  local pid
  for pid in $swarm_pid $hub_pid $registry_pid "${servers[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $swarm_pid $hub_pid $registry_pid "${servers[@]}"; do wait "$pid" 2>/dev/null || true; done
  stop_broker
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

median() { sort -n | awk '{v[NR] = $1} END {if (NR) print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
spread() { sort -n | awk 'NR == 1 {min = $1} {max = $1} END {printf "[%s,%s]", min, max}'; }
field() { sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p" | head -n 1; }
at_most() { awk -v a="$1" -v b="$2" 'BEGIN {print (a <= b) ? "true" : "false"}'; }

# Ticks since boot: spent by anybody, spent by us (ended children, and the broker), and that passed on all cores.
clock_ticks() {
  local busy fields own up
  busy=$(awk '/^cpu / {print $2 + $3 + $4 + $9; exit}' /proc/stat) # no interrupts: no process is charged for them, and they are our own packets
  fields=$(</proc/$$/stat)
  read -ra fields <<<"${fields##*) }"
  own=$((fields[11] + fields[12] + fields[13] + fields[14]))
  [[ -z $broker ]] || own=$((own + $(ticks "$(<"$out/kafka/node-1/pid")" '')))
  up=$(awk -v hz="$(getconf CLK_TCK)" -v n="$(nproc)" '{printf "%.0f", $1 * hz * n}' /proc/uptime)
  echo "$busy $own $up"
}
foreign_percent() { # what others took since the mark
  echo "$mark $(clock_ticks)" | awk '{took = ($4 - $1) - ($5 - $2); all = $6 - $3; p = all > 0 ? 100 * took / all : 0; printf "%.1f", (p > 0 ? p : 0)}'
}
emit() { # ID JSON [FOREIGN-PERCENT, else since the mark]
  local foreign void line
  foreign=${3:-$(foreign_percent)}
  void=$(awk -v f="$foreign" 'BEGIN {print (f > 5) ? "true" : "false"}')
  line="${2%\}},\"foreign_percent\":$foreign,\"void\":$void}"
  printf '%s\n' "$line" >"$out/$1.json"
  printf '%-10s %-10s ours %-9s peer %-9s goal %-7s %s%s\n' "$1" "$(sed -n 's/.*"unit":"\([^"]*\)".*/\1/p' <<<"$line")" "$(field ours <<<"$line")" \
    "$(field peer <<<"$line")" "$(field goal <<<"$line")" "$(grep -q '"pass":true' <<<"$line" && echo pass || echo MISS)" \
    "$([[ $void == false ]] || echo "  void: $foreign % of the CPU went to others")"
}

build() { # TARGET...
  echo "building (log: build/bench/build.log)"
  cmake --preset release -DHUB_BENCHES=ON >"$out/build.log" 2>&1 && cmake --build build/release --parallel "$(nproc)" --target "$@" >>"$out/build.log" 2>&1 ||
    { tail -n 30 "$out/build.log" >&2; exit 1; }
}

# --- a hub of its own --------------------------------------------------------------------------
identities() { # [MORE]: so many banks more than the sample policy has
  local i
  [[ -d $work/pki && ${1:-0} == "$more_banks" ]] || {
    # Nobody is held to a quota here.
    sed 's/\(reports\|lookups\)_per_second: [0-9]*/\1_per_second: 1000000/' deploy/config/policy.textproto >"$work/policy.textproto"
    for ((i = 1; i <= ${1:-0}; ++i)); do
      echo "stakeholders { id: \"bank-more-$i\" title: \"One more bank\" role: ROLE_FINANCIAL_INSTITUTION kind: \"BANK_PRIVATE\" }" >>"$work/policy.textproto"
    done
    deploy/config/list_principals.sh "$work/policy.textproto" >"$work/principals"
    deploy/dev_pki.sh "$work/pki" --stakeholders-from "$work/principals" >/dev/null 2>&1
    more_banks=${1:-0}
  }
}
start_hub() { # local|kafka [MORE-BANKS]
  identities "${2:-0}"
  local more=""
  [[ $1 == local ]] || more="--set log.kind=kafka --set log.kafka_bootstrap=$broker --set log.kafka_topic_prefix=bench-$RANDOM-"
  start_server hub-all hub "$more"
}
start_server() { # BINARY NAME SETTINGS: sets hub_pid, server and ops_port; its files are of that name
  identities "$more_banks"
  rm -rf "${work:?}/$2-data" "$work/$2.log" # an earlier hub's log would name that one's port
  # shellcheck disable=SC2086 # settings are words
  "$bin/$1" --config deploy/config/hub.textproto --set policy_file="$work/policy.textproto" --set data_dir="$work/$2-data" --set key_dir="$work/keys" --set allow_test_range=true \
    --set listen.identity_dir="$work/pki/server" --set listen.address=127.0.0.1:0 --set listen.ops_address=127.0.0.1:0 \
    --set log_level=warn --set log_level=info $3 >"$work/$2.log" 2>&1 &
  hub_pid=$!
  local tries=300 line
  until line=$(grep -m 1 -o 'hub_serves port=.*' "$work/$2.log"); do
    ((--tries)) && kill -0 "$hub_pid" || { cat "$work/$2.log" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
  done
  server=127.0.0.1:$(sed 's/.*hub_serves port=\([0-9]*\).*/\1/' <<<"$line")
  ops_port=$(sed 's/.*ops_port=\([0-9]*\).*/\1/' <<<"$line")
}
stop_hub() { kill -TERM "$hub_pid"; wait "$hub_pid" || true; hub_pid=""; }
# One at a time; one that was started the other way, for the benchmark before, is ended first.
start_broker() { # [--for-load]
  [[ $broker_way == "$*" ]] || stop_broker
  [[ -n $broker ]] || broker=$(deploy/kafka.sh start --dir "$out/kafka" --port auto --fresh "$@" | sed -n 's/^bootstrap=//p' | tail -n 1)
  broker_way="$*"
}
stop_broker() {
  [[ -z $broker ]] || deploy/kafka.sh stop --dir "$out/kafka" >/dev/null || true
  broker=""
}
# Quantiles of the hub's own histograms, as JSON: {"NAME":[p50,p99],...} in milliseconds, the upper edge of the bucket that holds them.
hops() { # LOG NAME...
  local port text name list=""
  port=$(sed -n 's/.*hub_serves.* ops_port=\([0-9]*\).*/\1/p' "$1")
  shift
  exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && text=$(cat <&3)
  exec 3>&-
  for name; do
    list+="${list:+,}\"$name\":$(awk -v name="${name}_bucket" '
      index($1, name "{") == 1 { match($1, /le="[^"]*"/); le = substr($1, RSTART + 4, RLENGTH - 5); if (!(le in count)) edges[++n] = le; count[le] += $2 }
      function at(share,   i) { for (i = 1; i <= n; i++) if (count[edges[i]] >= share * count["+Inf"]) return edges[i] == "+Inf" ? -1 : edges[i] * 1000; return 0 }
      END { printf "[%.2f,%.2f]", at(0.5), at(0.99) }' <<<"${text//$'\r'/}")"
  done
  echo "{$list}"
}
# CPU ticks of a process's threads, those whose name matches, or those whose name doesn't with "!".
ticks() { # PID REGEX [!]
  local task name line sum=0 fields
  for task in /proc/"$1"/task/*; do
    { name=$(<"$task/comm"); } 2>/dev/null || continue # it has ended
    if [[ $name =~ $2 ]]; then [[ -z ${3:-} ]] || continue; else [[ -n ${3:-} ]] || continue; fi
    { line=$(<"$task/stat"); } 2>/dev/null || continue
    read -ra fields <<<"${line##*) }"
    sum=$((sum + fields[11] + fields[12]))
  done
  echo "$sum"
}
later_legs='^(registry-|replica-feed|fanout|egress-|query-|civetweb|signals|rocksdb)'
registry_leg='^registry-'
log_writer='^log-writer'
