# Sourced after common.sh by the scripts about hub-edge: an edge of $bank, fed by the hub of common.sh, and asked. Bash only.

bank=bank-psb-03/main # whose edge it is
edge_data=""          # its data_dir; $work/edge unless set
edge_settings=()      # path=value, for every start
edge_pid="" edge_port="" edge="" edge_ops=""

start_edge() { # [path=value...]
  local setting more=()
  for setting in "${edge_settings[@]}" "$@"; do more+=(--set "$setting"); done
  [[ ! -e $work/edge.log ]] || cat "$work/edge.log" >>"$work/edge-before.log"
  : >"$work/edge.log"
  # Of its own choice, and not the kernel's: between a kill and the next start another program's client could be given that one.
  [[ -n $edge_port ]] || edge_port=$(free_port)
  "$bin/hub-edge" --config deploy/config/edge.textproto --set data_dir="${edge_data:-$work/edge}" --set hub.address="$stream_server" \
    --set hub.identity_dir="$work/pki/$bank" --set listen.address=127.0.0.1:"$edge_port" --set listen.ops_address=127.0.0.1:0 \
    --set allow_test_range=true "${more[@]}" >"$work/edge.log" 2>&1 &
  edge_pid=$!
  keep_pid "$edge_pid"
  until_true 20 "an edge that serves" grep -q ' edge_serves ' "$work/edge.log" || fail "hub-edge did not start: $(tail -n 3 "$work/edge.log")"
  edge_ops=127.0.0.1:$(sed -n 's/.* edge_serves .*ops_port=\([0-9]*\).*/\1/p' "$work/edge.log")
  edge=127.0.0.1:$edge_port
}
kill_edge() {
  kill -KILL "$edge_pid"
  wait "$edge_pid" 2>/dev/null || true
}
drain_edge() {
  local status=0
  kill -TERM "$edge_pid"
  wait "$edge_pid" || status=$?
  ((status == 0)) || fail "the edge's drain ended with $status"
}
# Its table files, as a disk that goes bad would.
damage_edge() {
  local file size
  for file in "${edge_data:-$work/edge}"/replica/*.sst; do
    size=$(stat -c %s "$file")
    printf 'damagedamagedamage' | dd of="$file" bs=1 seek=$((size / 4)) conv=notrunc 2>/dev/null
    printf 'damage' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
  done
}
page() { ops_page "$edge_ops" "$1"; } # PATH
edge_ready() { [[ $(page /readyz 2>/dev/null) == *" 200 "* ]]; }
metric() { page /metrics | awk -v name="$1" '$1 == name {printf "%.0f", $2}'; } # NAME{LABELS}
at_edge() { "$bin/hubctl" --server "$edge" --insecure --output json lookup "$@" 2>/dev/null || true; } # ID...
at_hub() { as "$bank" lookup "$@" 2>/dev/null || true; }
# One line per result: verdict, level, version, event; what differs by age alone is left out.
facts() { sed 's/}}*,{"verdict"/\n"verdict"/g' | sed 's/"completeUntil":"[^"]*",\{0,1\}//g;s/"lastSeen":"[^"]*",\{0,1\}//g' | tr -d '{}[]'; }
verdict() { [[ $(at_edge "MOBILE:$1") == *"LOOKUP_VERDICT_$2\""* ]]; } # NUMBER VERDICT
same() { [[ $(at_edge "$@" | facts) == "$(at_hub "$@" | facts)" ]]; }
