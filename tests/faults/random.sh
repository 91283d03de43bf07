# Harms drawn by a seed, one after the other, sometimes before the last has healed. Sourced by run.sh.

prepare() { times=${times:-20}; }
harm() {
  local i name pause_ms stopped_for
  for ((i = 1; i <= times; i++)); do
    name=${parts[RANDOM % ${#parts[@]}]}
    case $((RANDOM % 4)) in
      0) say "$i: kill -9 $name"
         common_cluster kill "$name"
         common_cluster start "$name" >/dev/null ;;
      1 | 2) stopped_for=$((RANDOM % 2 ? 1 : 12))
         say "$i: $name stands still for $stopped_for s"
         kill -STOP "$(part_pid "$name")"
         pause "$stopped_for"
         kill -CONT "$(part_pid "$name")" ;;
      3) say "$i: a broker stops and starts"
         kill -TERM "$(broker_pid 1)"
         pause 3
         start_brokers ;;
    esac
    pause_ms=$((RANDOM % 3000))
    pause "$((pause_ms / 1000)).$(printf %03d $((pause_ms % 1000)))"
  done
}
calm() { :; }
