#!/usr/bin/env bash
# Rights that change under open streams: banks lose rows and get them back, nobody reconnects, who is not a bank notices nothing.
#
#   tests/process/view_change.sh [BIN] [--part 9] [--reports 3000]
#
#   BIN     folder of the binaries (default build/release/bin)
#   --part  every so many of the policy's stakeholders take part
#
# `hubctl policy apply` while all streams are open. Each time every view is judged by the policy that is then in force.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" part=9 reports=3000
while (($#)); do
  case $1 in
    --part) part=$2; shift ;;
    --reports) reports=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open view_change "$folder"
load=$bin/bench_p07_load
mapfile -t members < <(swarm_principals)
reporter=bank-psb-01/main
make_identities "${members[@]}" "$reporter" dot-diu/analyst-1 dot-diu/analyst-2
# The first grant is that of banks; its first level_min their view.
grants() { # VERSION LEVEL
  sed "s/^version: .*/version: $1/" "$policy" | awk -v level="$2" '/level_min: LEVEL_MEDIUM/ && !done { sub(/LEVEL_MEDIUM/, level); done = 1 } { print }'
}
grants 2 LEVEL_VERY_HIGH >"$work/fewer.textproto"
grants 3 LEVEL_MEDIUM >"$work/all.textproto"
start_hub
until_true 30 "a ready hub" hub_ready
"$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports "$reports" --batch 100 >"$work/load.json" 2>"$work/load.log" || { cat "$work/load.log" >&2; fail "the load ended with $?"; }
settled_digest >/dev/null

of() { local value; value=$(in_file "$work/$1.json" "$2"); echo "${value:-0}"; } # NAME FIELD
metric() { # NAME: its value on the hub's page
  { exec 3<>"/dev/tcp/${ops/://}" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && awk -v name="$1" '$1 == name { printf "%d", $2 }' <&3; } || true
  exec 3>&-
}
connected() { stakeholders=$(of "$1" stakeholders); ((stakeholders > 0 && $(of "$1" connected) == stakeholders)); }
# One time: streams open under the policy before, then NAME is put in force, and the views are judged by it.
change() { # NAME
  local before came=-1
  "$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$work/$1.textproto" --slices "$part" \
    --status-file "$work/$1.json" >"$work/$1.log" 2>&1 &
  local swarm_pid=$!
  keep_pid "$swarm_pid"
  until_true 60 "connected subscribers" connected "$1"
  quiet() { local last=$came; came=$(of "$1" deliveries); pause 2; [[ $came == "$last" ]]; }
  until_true 60 "subscribers that have everything" quiet "$1"
  before=$(metric fraudhub_fanout_snapshots_total)
  as dot-diu/analyst-1 policy apply "$work/$1.textproto" >/dev/null
  "$load" --server "${server%%,*}" --identity "$work/pki/$reporter" --reports 500 --batch 5 --rate 50 --seed 2 >"$work/load.json" 2>"$work/load.log"
  until_true 60 "subscribers that have everything" quiet "$1"
  taken=$(($(metric fraudhub_fanout_snapshots_total) - before))
  kill -TERM "$swarm_pid"
  wait "$swarm_pid" || cat "$work/$1.log" >&2
  row "$1: snapshots, reconnects, views equal" "$taken, $(of "$1" reconnects), $(of "$1" views_equal) of $(of "$1" views_compared)"
  [[ $(of "$1" views_compared) == "$stakeholders" && $(of "$1" views_equal) == "$stakeholders" ]] || fail "$1: not every view was compared and equal"
  [[ $(of "$1" reconnects) == 0 ]] || fail "$1: streams broke"
  ((taken > 0 && taken < stakeholders)) || fail "$1: $taken of $stakeholders took a snapshot, want those of banks"
}
say "banks see less"
change fewer
say "banks see all of it again"
change all
drain_hub
say "view_change: ok"
