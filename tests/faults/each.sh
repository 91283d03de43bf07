# kill -9 of each process of the hub and each broker in turn, started again at once as systemd would; then each registry once more, not
# started again until the other has its partitions. Sourced by run.sh.

recovered=()
prepare() {
  times=${times:-2} nodes=${nodes:-3}
  cluster_arguments=(--nodes "$nodes")
  # Hundreds of subscribers of a hub and its load on one small machine: what they get must be what it can deliver, or all figures are of overload.
  ((subscribers < 200)) || file_pause=2.5
}
all_ready() { local name; for name in "${parts[@]}"; do part_ready "$name" || return 1; done; }
# From the kill until the process is ready, every subscriber is connected, and events flow.
note_recovery() { # WHAT BOUND SINCE
  local took
  took=$(seconds_since "$3")
  recovered+=("$(printf '%-14s %6s s' "$1" "$took")")
  say "$1: back after $took s"
  awk -v took="$took" -v bound="$2" 'BEGIN { exit !(took <= bound) }' || late+=("$1 took $took s, want $2")
}
late=()
harm() {
  local round name node since
  for ((round = 1; round <= times; round++)); do
    for name in "${parts[@]}"; do
      pause 1
      new_flow
      since=$(now_ms)
      common_cluster kill "$name"
      common_cluster start "$name" >/dev/null
      until_true 60 "$name back" part_ready "$name"
      until_true 60 "connected subscribers" all_connected
      until_true 60 "events" flows
      note_recovery "$name" 10 "$since"
    done
    for ((node = 1; node <= $(brokers); node++)); do
      pause 1
      since=$(now_ms)
      kill -KILL "$(broker_pid "$node")"
      new_flow
      until_true 60 "events" flows
      note_recovery "broker $node" 30 "$since"
      start_brokers
      until_true 90 "a ready hub" all_ready
    done
  done
  for name in registry-1 registry-2; do
    since=$(now_ms)
    common_cluster kill "$name"
    local other=registry-$((3 - ${name#*-}))
    until_true 60 "partitions at $other" serves_all "$other"
    note_recovery "$name moved" 30 "$since"
    common_cluster start "$name" >/dev/null
    until_true 60 "a ready hub" all_ready
  done
}
calm() {
  local line
  for line in "${recovered[@]}"; do echo "  $line"; done
  for line in "${late[@]}"; do echo "  LATE: $line"; done
  ((${#late[@]} == 0)) || fail "not everything was back in time"
}
