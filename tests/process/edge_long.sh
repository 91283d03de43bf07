#!/usr/bin/env bash
# A bank's edge with ten million flags, asked without pause while it is killed, cut off from the hub, out of disk and damaged: every call that
# somebody could answer is answered, rightly, or UNKNOWN once its data is older than the bound; at the end it holds exactly what the hub holds.
#
#   tests/process/edge_long.sh [BIN] [--flags 10000000] [--kills 50] [--away 600] [--bound 60] [--rate 10000] [--events 200]
#                              [--keep DIR] [--only fill,begin,kills,away,full,damage,end]
#
#   BIN       folder of the binaries (default build/release/bin)
#   --flags   99 of 100 are numbers, the others UPI addresses
#   --kills   kill -9 of the edge; each time a flag is set and another withdrawn before it is started again
#   --away    seconds for which the edge can't reach the hub, which goes on taking reports
#   --bound   lookup_max_age_seconds: what is older is answered UNKNOWN
#   --rate    identifiers looked up per second at the edge, throughout
#   --events  reports per second at the hub, throughout: the police's about flagged numbers, so levels rise
#   --keep    where the hub's and the edge's data stay when the script ends; what is there is gone on with
#   --only    these parts, in this order; with --keep, fill (minutes) need be done but once
#
# The edge's disk is a file of its own, so that it can be full: mounting it needs root, without which that part is left out.
# Parts leave their figures in DIR/figures. Ends with one JSON line of all of them; exit status 1 when an answer was wrong, missing or late.
set -euo pipefail
# shellcheck source=tests/process/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=tests/process/edge_common.sh
source "$(dirname "${BASH_SOURCE[0]}")/edge_common.sh"

folder="" flags=10000000 kills=50 away=600 bound=60 rate=10000 events=200 keep="" only=fill,begin,kills,away,full,damage,end
while (($#)); do
  case $1 in
    --flags) flags=$2; shift ;;
    --kills) kills=$2; shift ;;
    --away) away=$2; shift ;;
    --bound) bound=$2; shift ;;
    --rate) rate=$2; shift ;;
    --events) events=$2; shift ;;
    --keep) keep=$2; shift ;;
    --only) only=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open edge_long "$folder"
[[ $deployment == hub-all ]] || fail "this one is about hub-all"
for name in hub-edge hub_edge_judge hub_edge_set_hash bench_p07_load fault-proxy; do [[ -x $bin/$name ]] || fail "$bin has no $name"; done
((flags >= 50000 && flags <= 10000000)) || fail "--flags: want 50,000 to 10,000,000"
[[ -n $keep ]] || keep=$work/keep
mkdir -p "$keep" && keep=$(cd "$keep" && pwd)
for name in data keys pki; do mkdir -p "$keep/$name" && ln -s "$keep/$name" "$work/$name"; done

# Of the numbers, as bench/test_range.h counts them: the first 1,000 are withdrawn one by one, the last 1,000 flagged one by one, and those between
# the flagged ones and these never are.
apart=1000
mobiles=$((flags / 100 * 99)) addresses=$((flags / 100))
number() { echo "555$(printf %07d $(((1000000 + $1) % 10000000)))"; } # INDEX
analyst=dot-diu/analyst-1 police=police-mh/main reporter=bank-psb-01/main
# Nobody is held to a quota while the hub is filled.
sed 's/reports_per_second: [0-9]*//;s/^  role: ROLE_.*/&\n  reports_per_second: 1000000/' "$policy" >"$work/policy.textproto"
policy=$work/policy.textproto
# The sample rules protect a number of the test range; its flag would be missing.
sed '/^protected_identifiers/d' "$rules" >"$work/rules.textproto"
rules=$work/rules.textproto
[[ -e $keep/pki/server ]] || { make_identities "$bank" "$police" "$reporter" "$analyst"; }
edge_settings=(lookup_max_age_seconds="$bound")

# --- what parts share --------------------------------------------------------------------------
kept() { cat "$keep/$1" 2>/dev/null || echo "${2:-0}"; } # NAME [DEFAULT]
keep_value() { echo "$2" >"$keep/$1"; } # NAME VALUE
figure() { # NAME JSON-VALUE
  sed -i "/^\"$1\":/d" "$keep/figures" 2>/dev/null || true
  echo "\"$1\":$2" >>"$keep/figures"
  row "$1" "$2"
}
seconds_since() { awk -v ms="$(($(now_ms) - $1))" 'BEGIN {printf "%.1f", ms / 1000}'; } # MILLISECONDS
within() { # SECONDS WHAT COMMAND...: fails, with the edge's last words
  until_true "$@" || { tail -n 5 "$work/edge.log" >&2; fail "$2: not so"; }
}

mount_disk() {
  local mib=$((flags / 1000 + 1024)) # a replica and a damaged one
  mkdir -p "$keep/disk"
  edge_data=$keep/disk/edge
  ((EUID == 0)) || return 0
  [[ -e $keep/disk.img ]] || { truncate -s "${mib}M" "$keep/disk.img" && mkfs.ext4 -q -m 0 "$keep/disk.img"; }
  mountpoint -q "$keep/disk" || mount -o loop "$keep/disk.img" "$keep/disk"
}
at_close() { ! mountpoint -q "$keep/disk" || umount "$keep/disk" || umount --lazy "$keep/disk"; } # an edge that was killed may still be going
disk_free() { df --output=avail -B 1 "$keep/disk" | tail -n 1; }

# What is said of new flags while the edge does whatever it does.
reports_pid="" judge_pid=""
start_loads() { # PART
  "$bin/bench_p07_load" --server "$server" --identity "$work/pki/$police" --reports 100000000 --batch 5 --in-flight 2 --rate "$events" \
    --first "$apart" --numbers "$((mobiles - apart))" --seed "$SRANDOM" >"$work/reports.json" 2>"$work/reports.log" &
  reports_pid=$!
  keep_pid "$reports_pid"
  : >"$work/moments"
  "$bin/hub_edge_judge" --server "$edge" --mobiles "$mobiles" --addresses "$addresses" --withdrawn "$(kept withdrawn)" --kept "$apart" \
    --rate "$rate" --moments "$work/moments" >"$work/judge-$1.json" 2>"$work/judge.log" &
  judge_pid=$!
  keep_pid "$judge_pid"
}
end_loads() { # PART: its figures
  local status=0
  kill -TERM "$reports_pid" && wait "$reports_pid" 2>/dev/null || true
  kill -TERM "$judge_pid"
  wait "$judge_pid" || status=$?
  figure "$1_lookups" "$(<"$work/judge-$1.json")"
  check "$1: no answer was wrong" test "$status" == 0
}
judged() { json "$2" <"$work/judge-$1.json"; } # PART FIELD
moment_since() { awk -v what="$1" -v since="$2" '$1 == what && $2 >= since {print $2; exit}' "$work/moments"; } # WHAT UNIX-MS
went_on() { [[ -n $(moment_since "$1" "$2") ]]; }

flag_next() { # sets flagged: the number
  local n
  n=$(kept set)
  ((n < apart)) || fail "all numbers that were kept for it are flagged: begin with another --keep"
  flagged=$(number $((10000000 - apart + n)))
  keep_value set $((n + 1))
  as "$police" report FINANCIAL_FRAUD MOBILE "$flagged" --wait 10s >/dev/null
}
withdraw_next() { # sets withdrawn: the number
  local n
  n=$(kept withdrawn)
  ((n < apart)) || fail "all numbers that were kept for it are withdrawn: begin with another --keep"
  withdrawn=$(number "$n")
  as "$analyst" correct "MOBILE:$withdrawn" --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
  keep_value withdrawn $((n + 1))
}
behind() { metric fraudhub_edge_records_behind; }
# It has passed what the hub has told so far: a flag that is set now is there, and its age is within seconds.
caught_up() {
  flag_next
  within "${1:-120}" "a flag of now" verdict "$flagged" INDICATOR
}
# Its stream has told everything (until then its data has no age), and it is all in memory.
edge_has_all() {
  local age
  age=$(metric fraudhub_edge_age_seconds)
  edge_ready && ((${age:--1} >= 0 && $(metric fraudhub_edge_indicators) >= flags * 99 / 100))
}
resident() {
  figure "$1_resident_mb" "$(($(memory_kb "$edge_pid" VmRSS) / 1024))"
  figure "$1_resident_most_mb" "$(($(memory_kb "$edge_pid" VmHWM) / 1024))"
}

# --- the parts ---------------------------------------------------------------------------------
part_fill() { # one that was interrupted while the hub decided is gone on with
  local began share load=("$bin/bench_p07_load" --server "$server" --in-order --stream --batch 500 --in-flight 8 --numbers 10000000)
  began=$(now_ms)
  share=$((mobiles / 5 * 4)) # MEDIUM, the rest VERY_HIGH
  if (($(kept sent) == 0)); then
    "${load[@]}" --identity "$work/pki/$reporter" --reports "$share" >"$work/fill.json" &&
      "${load[@]}" --identity "$work/pki/$police" --reports "$((mobiles - share))" --first "$share" >"$work/fill.json" &&
      "${load[@]}" --identity "$work/pki/$police" --reports "$addresses" --addresses >"$work/fill.json" || fail "the hub was not filled: $(<"$work/fill.json")"
    keep_value sent 1
    figure fill_sent_seconds "$(seconds_since "$began")"
  fi
  within 3600 "a hub that has decided everything" hub_knows_all
  figure fill_seconds "$(seconds_since "$began")"
}
hub_knows_all() { # asked not so often that it is felt; what was sent last in each partition comes last
  local i asked=()
  pause 2
  for ((i = 1; i <= 200; ++i)); do asked+=("MOBILE:$(number $((mobiles - i)))" "UPI_ADDRESS:u$((addresses - i))@testpsp"); done
  (($(at_hub "${asked[@]}" | grep -o 'LOOKUP_VERDICT_INDICATOR"' | wc -l) == 400))
}
part_begin() { # a replica that begins with all of it
  local began
  rm -rf "$edge_data"
  began=$(now_ms)
  start_edge
  within 300 "first answers" verdict "$(number $((apart + 1)))" INDICATOR
  figure begin_first_answers_seconds "$(seconds_since "$began")"
  within 1800 "everything" edge_has_all
  caught_up
  figure begin_everything_seconds "$(seconds_since "$began")"
  figure begin_replica_mb "$(du -sm "$edge_data" | cut -f 1)"
  resident begin
  drain_edge
}
part_kills() {
  local n started first certain firsts="" certains=""
  start_edge
  within 600 "everything" edge_has_all
  start_loads kills
  pause 2
  for ((n = 1; n <= kills; ++n)); do
    kill_edge
    flag_next
    withdraw_next
    started=$(now_ms)
    start_edge
    within 60 "answers after kill $n" went_on answers "$started"
    first=$(($(moment_since answers "$started") - started))
    within 60 "kill $n: what came while it was away" verdict "$flagged" INDICATOR
    # The two may be of different partitions, each with its own order.
    within 60 "kill $n: what was withdrawn while it was away" verdict "$withdrawn" NO_INDICATOR
    certain=$(($(now_ms) - started))
    firsts+="$first " certains+="$certain "
  done
  end_loads kills
  resident kills
  most() { tr ' ' '\n' <<<"$1" | grep . | sort -n | tail -n 1; }
  middle() { tr ' ' '\n' <<<"$1" | grep . | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
  figure kills "$kills"
  figure kills_first_answer_ms_p50 "$(middle "$firsts")"
  figure kills_first_answer_ms_max "$(most "$firsts")"
  figure kills_news_ms_p50 "$(middle "$certains")"
  figure kills_news_ms_max "$(most "$certains")"
  check "it went on from its own disk" eval '[[ $(metric fraudhub_edge_snapshots_total) == 0 ]]'
  drain_edge
}
part_away() {
  local began unknown_ms
  start_proxy edge_side
  start_edge hub.address="$proxy_edge_side"
  within 600 "everything" edge_has_all
  start_loads away
  pause 2
  proxy_says edge_side refuse
  proxy_says edge_side reset
  say "away for $away s"
  began=$(now_ms)
  flag_next
  local early=$flagged
  pause 1
  check "a lookup goes on" verdict "$(number $((apart + 1)))" INDICATOR
  pause "$((away - 1))"
  check "data that is too old is UNKNOWN, not \"no indicator\"" verdict "$early" UNKNOWN
  figure away_seconds "$(seconds_since "$began")"
  began=$(now_ms)
  proxy_says edge_side accept
  within 60 "certain answers" went_on certain "$began"
  figure away_certain_again_ms "$(($(moment_since certain "$began") - began))"
  within 120 "what came first while it was away" verdict "$early" INDICATOR
  within 120 "nothing left behind" eval '(($(behind) < 1000))'
  caught_up
  figure away_caught_up_seconds "$(seconds_since "$began")"
  end_loads away
  unknown_ms=$(judged away unknown_ms_max)
  check "UNKNOWN from the bound on and not before, until the hub is found again: $unknown_ms ms" test "$unknown_ms" -le "$(((away - bound + 15) * 1000))"
  check "every call was answered" test "$(judged away refused) $(judged away lost)" == "0 0"
  resident away
  drain_edge
}
part_full() {
  local began
  ((EUID == 0)) || { say "left out: mounting a disk needs root"; figure full '"left out"'; return 0; }
  start_edge
  within 600 "everything" edge_has_all
  start_loads full
  pause 2
  fallocate -l "$(($(disk_free) - (1 << 20)))" "$keep/disk/ballast"
  began=$(now_ms)
  within 60 "a refused commit" eval '(($(metric fraudhub_edge_failed_commits_total) > 0)) || grep -q not_stored "$work/edge.log"'
  check "a lookup goes on" verdict "$(number $((apart + 1)))" INDICATOR
  within "$((bound + 30))" "data that is too old: UNKNOWN" verdict "$(number $((apart + 1)))" UNKNOWN
  figure full_certain_seconds "$(seconds_since "$began")"
  pause 5
  began=$(now_ms)
  rm "$keep/disk/ballast"
  within 120 "certain answers" went_on certain "$began"
  figure full_certain_again_ms "$(($(moment_since certain "$began") - began))"
  caught_up
  figure full_caught_up_seconds "$(seconds_since "$began")"
  end_loads full
  check "every call was answered" test "$(judged full refused) $(judged full lost)" == "0 0"
  check "it took no snapshot" eval '[[ $(metric fraudhub_edge_snapshots_total) == 0 ]]'
  drain_edge
}
part_damage() {
  local began
  start_edge
  within 600 "everything" edge_has_all
  start_loads damage
  pause 2
  kill_edge
  damage_edge
  began=$(now_ms)
  start_edge
  within 120 "its word" eval '[[ $(cat "$work/edge.log") == *replica_damaged* ]]'
  within 300 "certain answers" eval 'went_on certain $began || verdict "$(number $((apart + 1)))" INDICATOR'
  figure damage_certain_again_seconds "$(seconds_since "$began")"
  within 1800 "everything again" edge_has_all
  caught_up
  figure damage_everything_seconds "$(seconds_since "$began")"
  end_loads damage
  resident damage
  check "with the damaged copy aside" eval 'compgen -G "$edge_data/replica.damaged-*" >/dev/null'
  drain_edge
}
part_end() {
  local at_the_hub at_the_edge i differ=0
  start_edge
  within 600 "everything" edge_has_all
  caught_up
  within 60 "nothing left behind" eval '(($(behind) == 0))'
  at_the_hub=$("$bin/hub_edge_set_hash" --hub "$query_server" --identity "$work/pki/$bank") || fail "the hub's set can't be had"
  at_the_edge=$("$bin/hub_edge_set_hash" --edge "$edge") || fail "the edge's set can't be had"
  figure set_at_hub "$at_the_hub"
  figure set_at_edge "$at_the_edge"
  check "the edge holds what the hub holds: $(json flags <<<"$at_the_edge") numbers" test "$(json hash <<<"$at_the_hub")" == "$(json hash <<<"$at_the_edge")"
  check "and knows all of it" test "$(json unknown <<<"$at_the_edge")" == 0
  check "a sample of whole answers is the hub's" same "MOBILE:$(number 0)" "MOBILE:$(number $((apart + 5)))" "MOBILE:$(number $((mobiles - 1)))" \
    "MOBILE:$(number "$mobiles")" "MOBILE:$flagged" "UPI_ADDRESS:u0@testpsp" "UPI_ADDRESS:u$((addresses - 1))@testpsp" "UPI_ADDRESS:nobody@testpsp"
  resident end
  drain_edge
}

mount_disk
start_hub
flagged=""
for part in ${only//,/ }; do
  declare -F "part_$part" >/dev/null || fail "--only: no part '$part'"
  say "$part"
  "part_$part"
done
drain_hub
((failures == 0)) && pass=true || pass=false
echo "{\"flags\":$flags,$(sed ':a;N;$!ba;s/\n/,/g' "$keep/figures"),\"pass\":$pass}"
end_checks
