#!/usr/bin/env bash
# A real Apache Kafka broker (or three) on loopback, from the official jars. For development and tests.
#
#   deploy/kafka.sh start [--nodes 1|3] [--version 4.1.0] [--dir DIR] [--port BASE|auto] [--fresh] [--secure] [--for-load]
#   deploy/kafka.sh stop|status [--dir DIR]
#
#   --dir    state: data, settings, logs, pid files (default build/kafka); one cluster per DIR
#   --port   node i listens on BASE+i-1 (clients) and BASE+9+i (controllers); default 19092. auto: a free range,
#            kept for the next start of this DIR
#   --secure clients come over TLS with SASL (SCRAM; PLAIN from 4.0 on, which Debian's librdkafka can't speak SCRAM with), and nobody but the user admin may do anything until access rules say so; how
#            the users admin, registry, ingest, fanout and query get in stands in DIR/users/NAME.conf. Decided when DIR is new
#   --for-load  the brokers start as in production, with the JVM's second compiler: for minutes of load. It takes half a core for half a minute,
#            and then a request costs half as much; without it brokers are up sooner
#   --fresh  throw the data away first (stops what is running): a new, empty log
#
# start ends with the line `bootstrap=127.0.0.1:PORT[,...]` once every broker answers a Metadata request; so does
# a start of what already runs. Exit status of status: 0 running, 3 not. The jars are fetched once, with Maven.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fail() { echo "kafka.sh: $*" >&2; exit 1; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit "$1"; }

action=${1:-}
case $action in
  start | stop | status) shift ;;
  -h | --help) usage 0 ;;
  *) usage 2 >&2 ;;
esac
# Empty: not asked for, so what DIR remembers counts, then the default.
nodes='' version='' port='' fresh=no secure=no for_load=no
users=(admin registry ingest fanout query)
dir=$root/build/kafka
while (($#)); do
  case $1 in
    --nodes) nodes=${2:?} ; shift ;;
    --version) version=${2:?} ; shift ;;
    --dir) dir=${2:?} ; shift ;;
    --port) port=${2:?} ; shift ;;
    --fresh) fresh=yes ;;
    --secure) secure=yes ;;
    --for-load) for_load=yes ;;
    *) fail "unknown flag '$1'" ;;
  esac
  shift
done
[[ $nodes =~ ^[13]?$ ]] || fail "--nodes: want 1 or 3, got '$nodes'"
[[ $version =~ ^([0-9]+(\.[0-9]+)*)?$ ]] || fail "--version: want a number such as 4.1.0, got '$version'"
# Below 32768, where the kernel starts to hand out client ports: a broker must not find its port taken by chance.
[[ $port =~ ^(auto|[0-9]*)$ ]] || fail "--port: want a number or auto, got '$port'"
[[ ! $port =~ ^[0-9]+$ ]] || ((port >= 1024 && port <= 32700)) || fail "--port: want 1024 to 32700, got $port"
[[ $action != stop && $action != status ]] || [[ -d $dir ]] || dir_missing=yes
if [[ -n ${dir_missing:-} ]]; then
  echo "not running"
  [[ $action == stop ]] && exit 0 || exit 3
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# DIR/cluster: "nodes version port cluster-id" of the data in DIR.
had_nodes='' had_version='' had_port='' cluster_id=''
[[ ! -s $dir/cluster ]] || read -r had_nodes had_version had_port cluster_id <"$dir/cluster"

# The process id of node $1 if it runs. The command line is compared, because process ids are used again.
# A folder that was made secure stays so.
kcat_security=()
use_security() {
  [[ $secure == yes || -d $dir/users ]] || return 0
  secure=yes
  kcat_security=(-F "$dir/users/admin.conf")
}
pid_of() {
  local pid=''
  [[ -s $dir/node-$1/pid ]] || return 1
  read -r pid <"$dir/node-$1/pid" || return 1
  grep -qzxF -- "$dir/node-$1/server.properties" "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}
running() { # Prints how many of DIR's nodes run.
  local i count=0
  for ((i = 1; i <= ${had_nodes:-0}; i++)); do pid_of "$i" >/dev/null && count=$((count + 1)); done
  echo "$count"
}
bootstrap() { # nodes port
  local i list=''
  for ((i = 0; i < $1; i++)); do list+=,127.0.0.1:$(($2 + i)); done
  echo "bootstrap=${list#,}"
}
answering() { # nodes port: does the cluster name every broker in its metadata?
  local i
  for ((i = 0; i < $1; i++)); do
    kcat "${kcat_security[@]}" -L -m 2 -b "127.0.0.1:$(($2 + i))" 2>/dev/null | grep -qE "^ $1 brokers:" || return 1
  done
}

stop_nodes() {
  local i pid alive
  # All at once: a node told to leave alone would wait for a quorum that is about to end too.
  for ((i = 1; i <= ${had_nodes:-0}; i++)); do
    ! pid=$(pid_of "$i") || kill -TERM "$pid" 2>/dev/null || true
  done
  # 15 s for an orderly end; a killed broker recovers its log at the next start, so nothing acknowledged is lost.
  for ((alive = 0; alive < 75; alive++)); do
    [[ $(running) != 0 ]] || break
    sleep 0.2
  done
  for ((i = 1; i <= ${had_nodes:-0}; i++)); do
    ! pid=$(pid_of "$i") || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$dir/node-$i/pid"
  done
}

# One start or stop at a time per DIR. Brokers must not inherit the lock: they are started with 9>&-.
exec 9>"$dir/lock"
[[ $action == status ]] || flock 9

case $action in
  status)
    [[ $(running) != 0 ]] || { echo "not running"; exit 3; }
    for ((i = 1; i <= had_nodes; i++)); do echo "node $i: $(pid_of "$i" || echo stopped)"; done
    echo "Kafka $had_version in $dir"
    bootstrap "$had_nodes" "$had_port"
    exit 0
    ;;
  stop)
    stop_nodes
    echo "stopped"
    exit 0
    ;;
esac

# --- start ---

if [[ $fresh == yes ]]; then
  stop_nodes
  rm -rf "$dir"/node-[123] "$dir/cluster" "$dir/users"
  had_nodes='' had_version=''
fi
nodes=${nodes:-${had_nodes:-1}}
version=${version:-${had_version:-4.1.0}}
mechanism=$( ((${version%%.*} < 4)) && echo SCRAM-SHA-512 || echo PLAIN)
[[ $secure == no || -d $dir/users || -z $had_nodes ]] || fail "$dir holds a cluster without --secure; add --fresh to replace it"
if [[ $secure == yes && ! -d $dir/users ]]; then
  "$root/deploy/dev_pki.sh" "$dir/pki" 2>/dev/null
  (umask 077 && mkdir -p "$dir/users.new" && for user in "${users[@]}"; do
    printf '%s\n' "security.protocol=SASL_SSL" "sasl.mechanism=$mechanism" "sasl.username=$user" \
      "sasl.password=$(od -An -v -tx1 -N16 /dev/urandom | tr -d ' \n')" "ssl.ca.location=$dir/pki/ca/ca.pem" >"$dir/users.new/$user.conf"
  done
  # Kafka wants key and certificate in one file.
  cat "$dir/pki/server/key.pem" "$dir/pki/server/cert.pem" >"$dir/users.new/server.pem")
  mv -T "$dir/users.new" "$dir/users"
fi
use_security
auto=no
[[ $port != auto ]] || { auto=yes; port=''; }
port=${port:-$had_port}
[[ -n $port || $auto == yes ]] || port=19092
[[ -z $had_nodes || $had_nodes == "$nodes" ]] || fail "$dir holds a cluster of $had_nodes nodes; add --fresh to replace it"

jars=${XDG_CACHE_HOME:-$HOME/.cache}/fraudhub/kafka-$version
need=(java kcat)
[[ -d $jars ]] || need+=(mvn)
for tool in "${need[@]}"; do
  command -v "$tool" >/dev/null || { "$root/deploy/packages.sh" --kafka >&2; break; }
done

alive=$(running)
if ((alive > 0)); then
  if [[ $port == "$had_port" && $version == "$had_version" ]] && ((alive == nodes)) && answering "$nodes" "$port"; then
    bootstrap "$nodes" "$port"
    exit 0
  fi
  [[ $version == "$had_version" && $port == "$had_port" ]] || fail "running as version $had_version on port $had_port: stop it first"
fi

if [[ ! -d $jars ]]; then
  echo "kafka.sh: fetching Kafka $version (once)" >&2
  mkdir -p "${jars%/*}"
  part=$(mktemp -d "$jars.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  mvn -q -B -f "$root/deploy/kafka/pom.xml" "-Dkafka.version=$version" dependency:copy-dependencies \
    -DincludeScope=runtime "-DoutputDirectory=$part/jars" >"$part/log" 2>&1 ||
    { tail -n 20 "$part/log" >&2; fail "Maven could not fetch Kafka $version (its messages are above)"; }
  # A rename, so that the folder is complete or absent. Somebody else may have been faster: as good.
  [[ -d $jars ]] || mv -T "$part/jars" "$jars" 2>/dev/null || [[ -d $jars ]]
  rm -rf "$part"
  trap - EXIT
fi

port_used() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
range_free() {
  local i
  for ((i = 0; i < nodes; i++)); do ! port_used $(($1 + i)) && ! port_used $(($1 + 10 + i)) || return 1; done
}
if [[ $auto == yes && $alive == 0 ]] && { [[ -z $port ]] || ! range_free "$port"; }; then
  # Starts at a place that differs by process, so that two starts at the same moment rarely meet.
  for ((try = 0; try < 50; try++)); do
    port=$((20000 + (($$ + try * 7) % 250) * 20))
    ! range_free "$port" || break
  done
fi
((alive > 0)) || range_free "$port" || fail "port $port (or one of the next) is taken by another program; use --port"

if [[ -z $cluster_id || -z $had_nodes ]]; then
  # 16 random bytes in URL-safe base64, as Kafka wants; it must not begin with a dash.
  cluster_id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
  cluster_id=H$cluster_id
fi
echo "$nodes $version $port $cluster_id" >"$dir/cluster"
had_nodes=$nodes

voters=''
for ((i = 1; i <= nodes; i++)); do voters+=,$i@127.0.0.1:$((port + 9 + i)); done
in_sync=$((nodes > 1 ? 2 : 1))

listener=$([[ $secure == yes ]] && echo SASL_SSL || echo PLAINTEXT)
write_properties() { # node
  local broker=127.0.0.1:$((port + $1 - 1)) controller=127.0.0.1:$((port + 9 + $1))
  cat <<END
process.roles=broker,controller
node.id=$1
controller.quorum.voters=${voters#,}
controller.listener.names=CONTROLLER
listeners=$listener://$broker,CONTROLLER://$controller
advertised.listeners=$listener://$broker
listener.security.protocol.map=CONTROLLER:PLAINTEXT,$listener:$listener
inter.broker.listener.name=$listener
log.dirs=$dir/node-$1/data

# Topics are made on purpose, with their settings, or not at all. What is acknowledged is on two nodes of three.
auto.create.topics.enable=false
default.replication.factor=$nodes
min.insync.replicas=$in_sync
unclean.leader.election.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=$nodes
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=$nodes
share.coordinator.state.topic.min.isr=$in_sync
group.initial.rebalance.delay.ms=0

# Compaction looks for work five times a second, so that a test can watch it; small segments and buffers, since
# the machine is shared with what is being tested.
log.cleaner.enable=true
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=16777216
num.network.threads=2
num.io.threads=2
END
}

password_of() { sed -n 's/^sasl.password=//p' "$dir/users/$1.conf"; }
# Controllers speak to each other without a name, on loopback; what comes from clients always has one.
write_security() {
  local login="username=\"admin\" password=\"$(password_of admin)\"" module=org.apache.kafka.common.security.scram.ScramLoginModule user
  if [[ $mechanism == PLAIN ]]; then
    module=org.apache.kafka.common.security.plain.PlainLoginModule
    for user in "${users[@]}"; do login+=" user_$user=\"$(password_of "$user")\""; done
  fi
  cat <<END

sasl.enabled.mechanisms=$mechanism
sasl.mechanism.inter.broker.protocol=$mechanism
listener.name.sasl_ssl.${mechanism,,}.sasl.jaas.config=$module required $login;
ssl.keystore.type=PEM
ssl.keystore.location=$dir/users/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/pki/ca/ca.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
END
}
scram=()
if [[ $secure == yes && $mechanism == SCRAM-* ]]; then
  for user in "${users[@]}"; do scram+=(--add-scram "$mechanism=[name=$user,password=$(password_of "$user")]"); done
fi

java_options=(-Xms256m -Xmx512m -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
  -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS)
[[ $for_load == yes ]] || java_options+=(-XX:TieredStopAtLevel=1)
for ((i = 1; i <= nodes; i++)); do
  ! pid_of "$i" >/dev/null || continue
  node=$dir/node-$i
  mkdir -p "$node"
  (umask 077 && write_properties "$i" >"$node/server.properties")
  [[ $secure == no ]] || write_security >>"$node/server.properties"
  if [[ ! -s $node/data/meta.properties ]]; then
    java "${java_options[@]}" -cp "$jars/*" kafka.tools.StorageTool format -t "$cluster_id" \
      -c "$node/server.properties" "${scram[@]}" >"$node/format.log" 2>&1 9>&- || { cat "$node/format.log" >&2; fail "formatting node $i failed"; }
  fi
  # A session of its own, so that Ctrl-C of the caller does not reach the broker.
  setsid java "${java_options[@]}" -cp "$jars/*" kafka.Kafka "$node/server.properties" >>"$node/kafka.log" 2>&1 </dev/null 9>&- &
  echo $! >"$node/pid"
done

# One node is ready in 2 to 3 s, three on two cores in 30 s; twice as long again for a busy machine.
deadline=$((SECONDS + 60 * nodes))
until answering "$nodes" "$port"; do
  for ((i = 1; i <= nodes; i++)); do
    # The child may not have become java yet when the pid is looked up first; a dead one stays dead.
    read -r pid <"$dir/node-$i/pid"
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/node-$i/kafka.log" >&2; stop_nodes; fail "node $i ended"; }
  done
  ((SECONDS < deadline)) || { tail -n 5 "$dir"/node-*/kafka.log >&2; stop_nodes; fail "no answer from every broker in time"; }
  sleep 0.2
done
bootstrap "$nodes" "$port"
