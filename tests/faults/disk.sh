# A registry loses its disk. It rebuilds from `events` and `reports`; versions go on, and no event is sent twice with another body: the
# state's digest, which holds versions and levels, must be that of an undisturbed hub. Sourced by run.sh.

prepare() { file_pause=0.5; }
harm() {
  local since
  pause 20
  common_cluster kill registry-1
  rm -rf "$work/data/cluster/data/registry-1"
  since=$(now_ms)
  common_cluster start registry-1 >/dev/null
  rebuilt() { [[ $(page registry-1 /statusz) == *"rebuilt from the log"* ]]; }
  until_true 90 "a rebuilt registry" rebuilt
  until_true 60 "registry-1 ready" part_ready registry-1
  row "rebuilt after, s" "$(seconds_since "$since")"
  pause 5
}
calm() { :; }
