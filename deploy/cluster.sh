#!/usr/bin/env bash
# A hub as a cluster on loopback: Kafka, 2 ingest, 2 registry, 3 fan-out and 1 query process. For trying out and for tests; a production
# cluster runs the same binaries under systemd (deploy/systemd), each with its own machine and disk.
#
#   deploy/cluster.sh up [--nodes 1|3] [--dir DIR] [--bin DIR] [--pki DIR] [--keys DIR] [--policy FILE] [--port BASE|auto] [--fresh] [--set path=value]...
#   deploy/cluster.sh down|status [--dir DIR]
#   deploy/cluster.sh start|stop|kill NAME... [--dir DIR]
#
#   --nodes  of Kafka; with 3 every record is on two brokers before it is acknowledged
#   --dir    everything the cluster keeps (default build/cluster): data, keys, logs, and `env`, which names the addresses for scripts
#   --bin    folder of the binaries (default build/release/bin)
#   --pki    identities, as deploy/dev_pki.sh makes them; made in DIR/pki for all of the policy's stakeholders when not given
#   --keys   routing.key and the others, for all processes; made there when missing (default DIR/keys)
#   --port   ingest listens on BASE+43 and +53, fan-out on +44, +54 and +64, query on +45, /metrics and the like on +70 to +77 (default 7400), the brokers
#            on +80 and +90 (with the default: 19092)
#   --fresh  throws away what DIR holds first
#   --set    goes to every process; remembered for `start`
#
# up starts what doesn't run and ends when all is ready; it may be said again. stop drains, kill is kill -9. Names: ingest-1 ingest-2
# registry-1 registry-2 fanout-1 fanout-2 fanout-3 query-1. Exit status of status: 0 all ready, 3 not.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
all=(registry-1 registry-2 query-1 fanout-1 fanout-2 fanout-3 ingest-1 ingest-2)
declare -A offset=([ingest-1]=43 [ingest-2]=53 [fanout-1]=44 [fanout-2]=54 [fanout-3]=64 [query-1]=45)
declare -A ops=([ingest-1]=70 [ingest-2]=71 [registry-1]=72 [registry-2]=73 [fanout-1]=74 [fanout-2]=75 [fanout-3]=76 [query-1]=77)
ready_seconds=90

fail() { echo "cluster.sh: $*" >&2; exit 1; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit "$1"; }
pause() { read -rt "$1" <> <(:) || true; }

action=${1:-}
case $action in
  up | down | status | start | stop | kill) shift ;;
  -h | --help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
dir=$root/build/cluster nodes='' bin='' pki='' keys='' policy='' port='' fresh=no sets=() names=()
while (($#)); do
  case $1 in
    --nodes) nodes=${2:?}; shift ;;
    --dir) dir=${2:?}; shift ;;
    --bin) bin=$(cd "${2:?}" && pwd); shift ;;
    --pki) pki=$(cd "${2:?}" && pwd); shift ;;
    --keys) keys=$(realpath "${2:?}"); shift ;;
    --policy) policy=$(realpath "${2:?}"); shift ;;
    --port) port=${2:?}; shift ;;
    --set) sets+=("${2:?}"); shift ;;
    --fresh) fresh=yes ;;
    -*) fail "unknown flag '$1'" ;;
    *) [[ -n ${ops[$1]:-} ]] || fail "no process '$1': want one of ${all[*]}"; names+=("$1") ;;
  esac
  shift
done
[[ $nodes =~ ^[13]?$ ]] || fail "--nodes: want 1 or 3"
[[ $port =~ ^(auto|[0-9]*)$ ]] || fail "--port: want a number or auto"
[[ $action == up || -d $dir ]] || { echo "not running"; [[ $action == down ]] && exit 0 || exit 3; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

pid_of() { # NAME: when it runs; the command line is compared, because process ids are used again
  local pid='' command=''
  [[ -s $dir/run/$1.pid ]] || return 1
  read -r pid <"$dir/run/$1.pid"
  command=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
  [[ $command != setsid\ * && $command == *"node_name=$1 "*"data_dir=$dir/"* ]] && echo "$pid"
}
readyz() { # NAME: what its ops port says, the status line first
  local answer=''
  { exec 3<>"/dev/tcp/127.0.0.1/$((port + ops[$1]))" && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && answer=$(timeout 3 cat <&3); } 2>/dev/null || true
  { exec 3>&-; } 2>/dev/null || true
  echo "$answer"
}
is_ready() { [[ $(readyz "$1" | head -n 1) == *" 200 "* ]]; }
start() { # NAME
  local name=$1 arguments=() setting
  ! pid_of "$name" >/dev/null || return 0
  for setting in "${sets[@]}"; do arguments+=(--set "$setting"); done
  [[ -z ${offset[$name]:-} ]] || arguments+=(--set "listen.address=127.0.0.1:$((port + offset[$name]))")
  [[ ! -s $dir/log/$name.log ]] || cat "$dir/log/$name.log" >>"$dir/log/$name.before.log"
  setsid "$bin/hub-${name%-*}" --config "$root/deploy/config/cluster.textproto" --set "node_name=$name" --set "data_dir=$dir/data/$name" \
    --set "key_dir=$keys" --set "log.kafka_bootstrap=$bootstrap" --set "log.kafka_replication_factor=$nodes" \
    --set "policy_file=$policy" --set "rules_file=$root/deploy/config/rules.textproto" --set "listen.identity_dir=$pki/server" \
    --set "listen.ops_address=127.0.0.1:$((port + ops[$name]))" "${arguments[@]}" >"$dir/log/$name.log" 2>&1 </dev/null &
  local pid=$! deadline=$((SECONDS + 10))
  echo "$pid" >"$dir/run/$name.pid"
  disown
  # From here on its command line tells what it is. That of setsid would do so too soon: while it becomes the hub there is none.
  until pid_of "$name" >/dev/null || [[ ! -d /proc/$pid ]] || ((SECONDS > deadline)); do pause 0.02; done
}
# A process whose first thread has ended is a zombie already while its others still hold the ports.
lives() {
  local threads
  [[ -d /proc/$1 ]] || return 1
  [[ $(sed 's/.*) //;s/ .*//' "/proc/$1/stat" 2>/dev/null) == Z ]] || return 0
  threads=("/proc/$1/task"/*)
  ((${#threads[@]} > 1))
}
end() { # SIGNAL NAME...: and waits until they are gone
  local signal=$1 name pid deadline=$((SECONDS + 20)) pids=()
  shift
  for name in "$@"; do
    pid=$(pid_of "$name") || continue
    kill -CONT "$pid" 2>/dev/null || true
    kill "-$signal" "$pid" 2>/dev/null || true
    pids+=("$pid")
  done
  for pid in "${pids[@]}"; do
    while lives "$pid"; do
      ((SECONDS < deadline)) || { kill -KILL "$pid" 2>/dev/null || true; }
      pause 0.05
    done
  done
  for name in "$@"; do rm -f "$dir/run/$name.pid"; done
}
await() { # NAME...: until each is ready
  local name deadline=$((SECONDS + ready_seconds))
  for name in "$@"; do
    until is_ready "$name"; do
      pid_of "$name" >/dev/null || { tail -n 3 "$dir/log/$name.log" >&2; fail "$name ended; its log: $dir/log/$name.log"; }
      ((SECONDS < deadline)) || fail "$name is not ready: $(readyz "$name" | tail -n 3)"
      pause 0.1
    done
  done
}
show() {
  local name pid state not=0
  printf '%-12s %-8s %-22s %-22s %s\n' name pid address ops state
  for name in "${all[@]}"; do
    pid=$(pid_of "$name") && state="ready" || { pid="-" state="not running"; }
    if [[ $pid != - ]] && ! is_ready "$name"; then state="not ready: $(readyz "$name" | tail -n 1)"; fi
    [[ $state == ready ]] || not=3
    printf '%-12s %-8s %-22s %-22s %s\n' "$name" "$pid" "${offset[$name]:+127.0.0.1:$((port + ${offset[$name]:-0}))}" \
      "127.0.0.1:$((port + ops[$name]))" "$state"
  done
  return $not
}
is_free() { # BASE
  local name at used=(80 81 82 90 91 92)
  for name in "${all[@]}"; do used+=(${offset[$name]:-} "${ops[$name]}"); done
  for at in "${used[@]}"; do ! (exec 3<>"/dev/tcp/127.0.0.1/$(($1 + at))") 2>/dev/null || return 1; done
}

# DIR/settings: what the last up was told, so that everything after it means the same cluster.
if [[ $action != up ]]; then
  [[ -s $dir/settings ]] || { echo "not running"; [[ $action == down ]] && exit 0 || exit 3; }
  # shellcheck disable=SC1091
  source "$dir/settings"
fi
case $action in
  status) show ;;
  down)
    end TERM fanout-1 fanout-2 fanout-3 ingest-1 ingest-2 query-1
    end TERM registry-1 registry-2
    "$root/deploy/kafka.sh" stop --dir "$dir/kafka" >/dev/null
    echo "stopped" ;;
  start)
    for name in "${names[@]}"; do start "$name"; done
    await "${names[@]}" ;;
  stop) end TERM "${names[@]}" ;;
  kill) end KILL "${names[@]}" ;;
  up)
    if [[ $fresh == yes && -s $dir/settings ]]; then
      "${BASH_SOURCE[0]}" down --dir "$dir" >/dev/null
      rm -rf "$dir/data" "$dir/keys" "$dir/kafka" "$dir/log" "$dir/settings"
    fi
    given_nodes=$nodes given_bin=$bin given_pki=$pki given_keys=$keys given_policy=$policy given_port=$port given_sets=("${sets[@]}")
    nodes=1 bin=$root/build/release/bin pki='' keys=$dir/keys policy=$root/deploy/config/policy.textproto port=7400 sets=()
    # shellcheck disable=SC1091
    [[ ! -s $dir/settings ]] || source "$dir/settings"
    nodes=${given_nodes:-$nodes} bin=${given_bin:-$bin} pki=${given_pki:-$pki} keys=${given_keys:-$keys} policy=${given_policy:-$policy} port=${given_port:-$port}
    ((${#given_sets[@]} == 0)) || sets=("${given_sets[@]}")
    for name in "${all[@]}"; do [[ -x $bin/hub-${name%-*} ]] || fail "$bin has no hub-${name%-*}: build first, or --bin"; done
    mkdir -p "$dir/data" "$dir/log" "$dir/run"
    if [[ $port == auto ]]; then
      for try in {1..100}; do
        port=$((25000 + SRANDOM % 76 * 100)) # above those that kafka.sh finds for itself
        ! is_free "$port" || break
      done
    fi
    if [[ ! -s $keys/routing.key ]]; then
      (umask 077 && mkdir -p "$keys" && for key in routing log cursor; do
        od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$keys/$key.key"
      done)
    fi
    if [[ -z $pki ]]; then
      pki=$dir/pki
      "$root/deploy/config/list_principals.sh" "$policy" >"$dir/principals"
      "$root/deploy/dev_pki.sh" "$pki" --stakeholders-from "$dir/principals" >/dev/null 2>"$dir/log/pki.log" || { cat "$dir/log/pki.log" >&2; exit 1; }
    fi
    bootstrap=$("$root/deploy/kafka.sh" start --dir "$dir/kafka" --nodes "$nodes" --port "$([[ $port == 7400 ]] && echo 19092 || echo $((port + 80)))" |
      sed -n 's/^bootstrap=//p')
    [[ -n $bootstrap ]] || fail "Kafka did not start"
    declare -p nodes bin pki keys policy port sets bootstrap >"$dir/settings"
    address() { local list=() name; for name in "$@"; do list+=("127.0.0.1:$((port + offset[$name]))"); done; (IFS=,; echo "${list[*]}"); }
    {
      echo "HUB_SERVER=$(address ingest-1 ingest-2)"
      echo "HUB_STREAM_SERVER=$(address fanout-1 fanout-2 fanout-3)"
      echo "HUB_QUERY_SERVER=$(address query-1)"
      echo "HUB_BOOTSTRAP=$bootstrap"
      echo "HUB_PKI=$pki"
    } >"$dir/env"
    # One first, which makes the topics; the others find them.
    start registry-1
    await registry-1
    for name in "${all[@]}"; do start "$name"; done
    await "${all[@]}"
    show ;;
esac
