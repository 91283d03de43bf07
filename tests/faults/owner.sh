# The owner of partitions stops for 70 s under import, another takes them over; then the first goes on where it was, with what it had in
# flight. Segments of a second and no compaction lag: what it still writes may displace newer records of the same keys. Sourced by run.sh.

prepare() {
  seconds=${seconds:-70} file_pause=0.5
  hub_settings+=("log.kafka_topic_settings=segment.ms=1000,min.compaction.lag.ms=0,min.cleanable.dirty.ratio=0.01")
}
fenced() { local name sum=0; for name in fanout-1 fanout-2 fanout-3 query-1; do sum=$((sum + $(metric "$name" fraudhub_ fenced))); done; echo "$sum"; }
harm() {
  local owner=registry-1 other=registry-2 before since
  pause 5
  before=$(fenced)
  say "stop $owner"
  kill -STOP "$(part_pid "$owner")"
  since=$(now_ms)
  until_true 60 "partitions at $other" serves_all "$other"
  row "moved after, s" "$(seconds_since "$since")"
  while (($(now_ms) - since < seconds * 1000)); do pause 0.5; done
  say "let it go on"
  kill -CONT "$(part_pid "$owner")"
  has_half() { local text; text=$(page "$owner" /statusz); [[ $text == *": running"* && $text == *"another's"* && $text != *"taking over"* ]]; }
  until_true 60 "partitions at $owner again" has_half
  until_true 60 "$owner ready" part_ready "$owner"
  pause 5
  row "records ignored as of an old owner" "$(($(fenced) - before))"
  row "keys written again after them" "$(($(metric "$owner" fraudhub_registry_repaired_total) + $(metric "$other" fraudhub_registry_repaired_total)))"
}
calm() { :; }
