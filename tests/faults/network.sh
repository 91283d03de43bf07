# The network between subscribers and the hub is bad: delay, little bandwidth, silence, resets, in turns drawn by the seed. The subscribers sit
# behind a fault-proxy; sourced by run.sh.

prepare() {
  times=${times:-12}
  swarm_options+=(--heartbeat-max 60)
  must_be_tested=$must_be_tested,resume,recovery
  before_swarm() {
    mkfifo "$work/network.commands"
    "$bin/fault-proxy" --upstream "${stream_server%%,*}" --seed "$seed" --status-file "$work/network.json" <>"$work/network.commands" >"$work/network.port" 2>"$work/network.log" &
    keep_pid $!
    proxy_listens() { [[ -s $work/network.port ]]; }
    until_true 10 "a proxy" proxy_listens
    swarm_server=127.0.0.1:$(sed -n 's/^port=//p' "$work/network.port")
  }
}
network() { say "$1: $2"; echo "$2" >"$work/network.commands"; } # NUMBER COMMAND
harm() {
  local i seconds
  for ((i = 1; i <= times; i++)); do
    case $((RANDOM % 5)) in
      0) network "$i" "rules delay=200ms jitter=100ms" ;;
      1) network "$i" "rules down=32000 up=32000" ;;
      2) network "$i" reset ;;
      3) network "$i" "rules reset=0.5 silent=0 after=65536"
         network "$i" reset ;; # those that come back break somewhere within their first bytes
      4) network "$i" silence
         pause 3
         network "$i" reset ;; # a swarm's client has no keepalive of its own: what is silent for ever it would not notice
    esac
    seconds=$((RANDOM % 4 + 1))
    pause "$seconds"
    network "$i" "rules delay=0s jitter=0s down=0 up=0 reset=0"
  done
}
calm() {
  network end reset
  until_true 60 "connected subscribers" all_connected
  row "network: connections, resets, silenced" "$(in_file "$work/network.json" connections), $(in_file "$work/network.json" resets), $(in_file "$work/network.json" silenced)"
  row "network: chunks delayed, directions held back" "$(in_file "$work/network.json" delayed), $(in_file "$work/network.json" held_back)"
  (($(in_file "$work/network.json" resets) > 0)) || fail "the network was never bad"
}
