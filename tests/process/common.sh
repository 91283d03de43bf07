# Sourced by the scripts of this folder: a hub on loopback, identities, waiting, and figures out of JSON. Bash only.
#
# HUB_DEPLOYMENT=cluster: the hub is that of deploy/cluster.sh, its parts as processes on a Kafka of its own; else it is hub-all. Where a
# script kills "the hub", it is one part of a cluster after the other.
#
# `common_open NAME [BIN]` makes the temporary folder $work, which goes when the script ends well and stays, with its path printed, when
# it fails. What start_hub started and keep_pid was told of is ended by process id whatever happens; then at_close runs, if there is one.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=""
bin=""
script=""
hub_pid=""
hub_starts=0
server=""
stream_server=""
query_server=""
servers=() # how hubctl finds the hub
ops=""
deployment=${HUB_DEPLOYMENT:-hub-all}
parts=(registry-1 fanout-1 ingest-1 query-1 registry-2 fanout-2 ingest-2 fanout-3) # of a cluster
killed_part=""
policy=$root/deploy/config/policy.textproto
rules=$root/deploy/config/rules.textproto
hub_settings=() # more --set path=value, for every start
kept_pids=()
hub_descriptors="" # limit of open files of hub-all
cluster_arguments=() # more for `deploy/cluster.sh up`

fail() { echo "$script: $*" >&2; exit 1; }
say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
pause() { read -rt "$1" <> <(:) || true; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
keep_pid() { kept_pids+=("$1"); }

# A script of many checks goes on after one that fails; end_checks says how many there were, and fails if one did.
checks=0 failures=0
check() { # WHAT COMMAND...
  local what=$1
  shift
  ((++checks))
  if "$@"; then printf '  ok    %s\n' "$what"; else ((++failures)) || true; printf '  FAIL  %s\n' "$what"; fi
}
soon() { # WHAT COMMAND...: within thirty seconds
  local what=$1
  shift
  check "$what" until_true 30 "$what" "$@"
}
end_checks() {
  printf '%d checks, %d failed\n' "$checks" "$failures"
  ((failures == 0))
}

# Who was waited for is gone, and the number somebody else's perhaps.
common_ours() { [[ $(sed 's/.*) . //;s/ .*//' "/proc/$1/stat" 2>/dev/null) == "$$" ]]; }
common_close() {
  local status=$? pid ours=()
  trap - EXIT
  for pid in "${kept_pids[@]}" $hub_pid; do
    ! common_ours "$pid" || ours+=("$pid")
  done
  for pid in "${ours[@]}"; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
  done
  for pid in "${ours[@]}"; do
    common_gone_within "$pid" 15 || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  ! declare -F at_close >/dev/null || at_close || true
  [[ $deployment != cluster || ! -d $work/data/cluster ]] || common_cluster down >/dev/null || true
  if ((status == 0)); then rm -rf "$work"; else echo "$script: FAILED ($status); what there was is in $work" >&2; fi
  exit "$status"
}
common_gone_within() { # PID SECONDS
  local deadline=$((SECONDS + $2))
  while kill -0 "$1" 2>/dev/null && [[ $(sed 's/.*) //;s/ .*//' "/proc/$1/stat" 2>/dev/null) != Z ]]; do
    ((SECONDS < deadline)) || return 1
    pause 0.05
  done
}
common_open() { # NAME [BIN]
  script=$1
  bin=$(cd "${2:-$root/build/release/bin}" 2>/dev/null && pwd) || { echo "$script: no folder '${2:-build/release/bin}'" >&2; exit 2; }
  local name
  [[ $deployment == cluster || $deployment == hub-all ]] || { echo "$script: HUB_DEPLOYMENT: want cluster or hub-all" >&2; exit 2; }
  for name in hub-all hubctl hub-swarm; do
    [[ -x $bin/$name ]] || { echo "$script: $bin has no $name" >&2; exit 2; }
  done
  work=$(mktemp -d "${TMPDIR:-/tmp}/hub-$script.XXXXXX")
  trap common_close EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  cd "$root"
}

until_true() { # SECONDS WHAT COMMAND...: asks ten times a second
  local deadline=$((SECONDS + $1)) what=$2 limit=$1
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || { echo "$script: not within $limit s: $what" >&2; return 1; }
    pause 0.1
  done
}

# A port nobody listens on, below those that the kernel hands out to clients: the hub comes back on it after each kill, and a client
# that connects to a free port in the kernel's range can meet itself.
free_port() {
  local port try
  for try in {1..200}; do
    port=$((20000 + SRANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port"
}

make_identities() { # STAKEHOLDER/PRINCIPAL...
  printf "%s\n" "$@" >"$work/principals"
  deploy/dev_pki.sh "$work/pki" --stakeholders-from "$work/principals" 2>"$work/pki.log" || { cat "$work/pki.log" >&2; return 1; }
}
# Of the policy's stakeholders that take part in a swarm, in its order: hub-swarm numbers them so.
swarm_principals() { deploy/config/list_principals.sh "$policy" | grep -v '^portal-\|^dot-diu/'; }

common_settings() { # as --set path=value
  printf -- '--set\n%s\n' "rules_file=$rules" allow_test_range=true registry.state_flush_seconds=1 "${hub_settings[@]}" "$@"
}
common_cluster() { local action=$1; shift; deploy/cluster.sh "$action" --dir "$work/data/cluster" "$@"; }

# Starts the hub with the data in $work/data on an address that it chooses the first time.
launch_hub() { # [path=value...]
  local arguments
  mapfile -t arguments < <(common_settings "$@")
  ((++hub_starts))
  if [[ $deployment == cluster ]]; then
    common_launch_cluster
    return
  fi
  [[ -n $server ]] || server=127.0.0.1:$(free_port)
  stream_server=$server query_server=$server servers=(--server "$server")
  local log=$work/hub.log
  [[ ! -e $log ]] || cat "$log" >>"$work/hub-before.log"
  : >"$log" # or what the hub before said would be read as this one's word, until its own is there
  (
    [[ -z $hub_descriptors ]] || ulimit -n "$hub_descriptors"
    exec "$bin/hub-all" --config deploy/config/hub.textproto --set data_dir="$work/data" --set key_dir="$work/keys" \
      --set policy_file="$policy" --set listen.identity_dir="$work/pki/server" --set listen.address="$server" \
      --set listen.ops_address=127.0.0.1:0 "${arguments[@]}"
  ) >"$log" 2>&1 &
  hub_pid=$!
}
common_launch_cluster() { # uses arguments; starts again what kill_hub killed, or all of it
  if [[ -n $killed_part ]]; then
    common_cluster start "$killed_part" >"$work/start-$killed_part.log" 2>&1 &
    killed_part=""
    return
  fi
  local port=auto
  [[ -z $server ]] || port=$((${server##*:} - 53)) # as before: clients know it
  mkdir -p "$work/data"
  common_cluster up --bin "$bin" --pki "$work/pki" --keys "$work/keys" --policy "$policy" --port "$port" "${cluster_arguments[@]}" "${arguments[@]}" >"$work/cluster.log" 2>&1 ||
    { tail -n 5 "$work/cluster.log" >&2; fail "the cluster did not start"; }
  # shellcheck disable=SC1091
  source "$work/data/cluster/env"
  server=$HUB_SERVER stream_server=$HUB_STREAM_SERVER query_server=$HUB_QUERY_SERVER
  servers=(--server "$server" --stream-server "$stream_server" --query-server "$query_server")
}
start_hub() { launch_hub "$@"; await_hub; }
await_hub() { # until it serves
  if [[ $deployment == cluster ]]; then
    until_true 90 "a cluster that is ready" common_cluster status >/dev/null
    return
  fi
  until_true 60 "a hub that serves" common_serves_or_ended
  kill -0 "$hub_pid" 2>/dev/null || { tail -n 5 "$work/hub.log" >&2; fail "hub-all ended at its start"; }
  ops=127.0.0.1:$(sed -n 's/.* hub_serves .*ops_port=\([0-9]*\).*/\1/p' "$work/hub.log")
}
common_serves_or_ended() { grep -q ' hub_serves ' "$work/hub.log" || ! kill -0 "$hub_pid" 2>/dev/null; }
kill_hub() { # at once, as a power cut would; of a cluster the next part
  if [[ $deployment == cluster ]]; then
    killed_part=${parts[hub_starts % ${#parts[@]}]}
    common_cluster kill "$killed_part"
    return
  fi
  kill -KILL "$hub_pid"
  wait "$hub_pid" 2>/dev/null || true
  hub_pid=""
}
drain_hub() {
  if [[ $deployment == cluster ]]; then
    common_cluster down >/dev/null || fail "the cluster did not end"
    return
  fi
  local status=0
  kill -TERM "$hub_pid"
  wait "$hub_pid" || status=$?
  hub_pid=""
  ((status == 0)) || fail "the hub's drain ended with $status"
}
hub_lives() { [[ $deployment == cluster ]] || kill -0 "$hub_pid" 2>/dev/null; } # it did not end by itself
hub_serves() { if [[ $deployment == cluster ]]; then common_cluster status >/dev/null; else grep -q ' hub_serves ' "$work/hub.log"; fi; }
hub_ready() { # its own word: everything up to date
  if [[ $deployment == cluster ]]; then
    common_cluster status >/dev/null
    return
  fi
  local answer=""
  { exec 3<>"/dev/tcp/${ops/://}" && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 && read -r -t 5 answer <&3; } 2>/dev/null || true
  { exec 3>&-; } 2>/dev/null || true # without the braces, all that comes after would be silent
  [[ $answer == *" 200 "* ]]
}
ops_page() { # HOST:PORT PATH: what an operations port answers
  exec 3<>"/dev/tcp/${1/://}"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
  cat <&3
  exec 3>&-
}
# Kilobytes of all processes of the hub: VmRSS or VmHWM.
hub_memory_kb() {
  if [[ $deployment != cluster ]]; then
    memory_kb "$hub_pid" "$1"
    return
  fi
  local sum=0 file pid of_one
  for file in "$work"/data/cluster/run/*.pid; do
    read -r pid <"$file"
    of_one=$(memory_kb "$pid" "$1")
    sum=$((sum + ${of_one:-0}))
  done
  echo "$sum"
}

# A bad network (fault-proxy) in front of the hub's streams.
start_proxy() { # NAME: sets its address in proxy_$1; commands go to $work/$1.commands
  mkfifo "$work/$1.commands"
  "$bin/fault-proxy" --upstream "${stream_server%%,*}" --seed 7 --status-file "$work/$1.json" <>"$work/$1.commands" >"$work/$1.port" 2>"$work/$1.log" &
  keep_pid $!
  has_port() { [[ -s $work/$1.port ]]; }
  until_true 10 "a proxy" has_port "$1"
  local port
  port=$(sed -n 's/^port=//p' "$work/$1.port")
  printf -v "proxy_$1" '127.0.0.1:%s' "$port"
}
proxy_says() { echo "$2" >"$work/$1.commands"; } # NAME COMMAND

as() { # STAKEHOLDER/PRINCIPAL ARGUMENTS...: hubctl with JSON output
  local who=$1
  shift
  "$bin/hubctl" "${servers[@]}" --identity "$work/pki/$who" --output json --purpose TEST "$@"
}
# The first member of that name in JSON on standard input: number, word or text without its quotes. Empty when there is none.
json() {
  local text
  text=$(cat)
  [[ ! $text =~ \"$1\":\"?([^,\"}]*) ]] || echo "${BASH_REMATCH[1]}"
}
in_file() { [[ ! -s $1 ]] || json "$2" <"$1"; }
# Kilobytes: VmRSS now or VmHWM, the most so far, of a process.
memory_kb() { sed -n "s/^$2:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$1/status" 2>/dev/null || true; }

# The digest once it stands still: counters reach it a moment after the decision. Prints "DIGEST REPORTS INDICATORS".
settled_digest() {
  local answer last="" same=0 deadline=$((SECONDS + 60))
  while ((same < 5)); do
    ((SECONDS < deadline)) || fail "the state does not come to rest"
    if hub_ready && answer=$(as dot-diu/analyst-1 digest 2>/dev/null); then
      answer="$(json digest <<<"$answer") $(json reports <<<"$answer") $(json indicators <<<"$answer")"
      if [[ $answer == "$last" ]]; then ((++same)); else same=0; fi
      last=$answer
    fi
    pause 0.5
  done
  echo "$last"
}
row() { printf '  %-44s %s\n' "$@"; }
# What the checker of a swarm's streams counted (bench/swarm/checker.h), from its status file.
swarm_check_rows() { # FILE
  row "streams checked: tested" "$(sed -n 's/.*"tested":{\([^}]*\)}.*/\1/p' "$1" | tr -d '"')"
  row "broken" "$(sed -n 's/.*"broken":{\([^}]*\)}.*/\1/p' "$1" | tr -d '"')"
  row "resumed, elsewhere, resent, not judged" "$(in_file "$1" resumed), $(in_file "$1" resumed_elsewhere), $(in_file "$1" resent), $(in_file "$1" not_judged)"
  row "catch-up bytes, snapshots, urgent copies" "$(in_file "$1" catchup_bytes), $(in_file "$1" snapshots), $(in_file "$1" urgent_copies)"
  row "ms: age p99.9 of live, live again p50, max" "$(in_file "$1" staleness_p999_ms), $(in_file "$1" recovery_p50_ms), $(in_file "$1" recovery_max_ms)"
}
