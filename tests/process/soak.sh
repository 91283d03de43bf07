#!/usr/bin/env bash
# A busy day in small: hub-all with 560 stakeholders' streams and events all the time, banks' edges that are asked without pause, and an
# analyst with a question a second. Nobody waits for long, no lookup fails, memory stands still.
#
#   tests/process/soak.sh [BIN] [--seconds 600] [--warm-up 180] [--warm-up-events 800] [--known 100000] [--events 200] [--edges 4]
#                         [--lookups 10000] [--factor 1] [--slope-mb 0]
#
#   BIN        folder of the binaries (default build/release/bin)
#   --seconds  how long it is measured, after --warm-up of the same at --warm-up-events and a minute more at --events: by then write buffers and caches,
#              which would take an hour at the lower rate, are full, and what is left of growth would be a leak
#   --known    indicators before it begins; half of the numbers that are looked up are among them
#   --events   per second, each about another number, to every stakeholder
#   --lookups  per second and edge, in calls of 100
#   --slope-mb of memory a minute that are allowed beyond the noise
#   --factor   how often the budgets (DESIGN.md 9) may be exceeded; above 1, memory is shown and not judged
#
# Streams: from the report's acceptance until a stakeholder has the event. Verdict: from an identifier's text until hub-edge is certain whether
# it is flagged and how; answer: until its reasons are there as well; both are the edge's own histograms, the upper edge of a bucket. Query: over
# a connection that stands. Memory: VmRSS once a second in the second half of the time that is measured, by when what fills is full. Through ten means of it
# a line is laid; noise is what its slope may be off by (95 %, Student's t with 8 degrees of freedom) as the means scatter around it: write buffers fill
# and empty, so they do. Flat: the slope is within the noise, or below zero. The first half's slope is shown beside it.
# Everything shares this machine, the loads too; their CPU is printed.
# Ends with one JSON line; exit status 1 when a bound is missed.
set -euo pipefail
# shellcheck source=tests/process/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" seconds=600 warm_up=180 warm_up_events=800 settle=60 known=100000 events=200 edges=4 lookups=10000 factor=1 slope_mb=0
stream_p99_ms=250 verdict_p99_us=5 query_p99_ms=100
while (($#)); do
  case $1 in
    --seconds) seconds=$2; shift ;;
    --warm-up) warm_up=$2; shift ;;
    --warm-up-events) warm_up_events=$2; shift ;;
    --known) known=$2; shift ;;
    --events) events=$2; shift ;;
    --edges) edges=$2; shift ;;
    --lookups) lookups=$2; shift ;;
    --slope-mb) slope_mb=$2; shift ;;
    --factor) factor=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open soak "$folder"
[[ $deployment == hub-all ]] || fail "this one is about hub-all"
for name in hub-edge bench_p07_load bench_lookup_load; do [[ -x $bin/$name ]] || fail "$bin has no $name"; done
ulimit -n "$(ulimit -Hn)"

# Nobody is held to a quota while the hub is filled.
sed 's/reports_per_second: [0-9]*/reports_per_second: 1000000/' "$policy" >"$work/policy.textproto"
policy=$work/policy.textproto
analyst=dot-diu/analyst-1
mapfile -t members < <(swarm_principals)
mapfile -t banks < <(printf '%s\n' "${members[@]}" | grep '^bank-psb-' | head -n "$((edges + 1))")
reporter=${banks[0]}
((${#banks[@]} > edges)) || fail "the policy has no $((edges + 1)) banks"
make_identities "${members[@]}" "$analyst" dot-diu/analyst-2
start_hub

report=("$bin/bench_p07_load" --server "$server" --identity "$work/pki/$reporter")
"${report[@]}" --reports "$known" --in-order --in-flight 8 >"$work/fill.json" || fail "the hub was not filled: $(<"$work/fill.json")"
settled_digest >/dev/null

"$bin/hub-swarm" --server "$stream_server" --identities "$work/pki" --policy "$policy" --no-filters --from-now \
  --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
swarm_pid=$!
keep_pid "$swarm_pid"
swarm() { local value; value=$(in_file "$work/swarm.json" "$1"); echo "${value:-0}"; }
all_connected() { (($(swarm stakeholders) > 0 && $(swarm connected) >= $(swarm stakeholders))); }

edge_pids=() edge_at=() edge_ops=()
start_edge() { # NUMBER
  local log=$work/edge-$1.log
  "$bin/hub-edge" --config deploy/config/edge.textproto --set data_dir="$work/edge-$1" --set hub.address="$stream_server" \
    --set hub.identity_dir="$work/pki/${banks[$1]}" --set listen.address=127.0.0.1:0 --set listen.ops_address=127.0.0.1:0 \
    --set allow_test_range=true >"$log" 2>&1 &
  edge_pids[$1]=$!
  keep_pid "$!"
  until_true 30 "an edge that serves" grep -q ' edge_serves ' "$log" || fail "hub-edge did not start: $(tail -n 3 "$log")"
  edge_at[$1]=127.0.0.1:$(sed -n 's/.* edge_serves .* port=\([0-9]*\).*/\1/p' "$log")
  edge_ops[$1]=127.0.0.1:$(sed -n 's/.* edge_serves .*ops_port=\([0-9]*\).*/\1/p' "$log")
}
edge_has_all() { # NUMBER
  [[ $(ops_page "${edge_ops[$1]}" /readyz 2>/dev/null) == *" 200 "* ]] &&
    (($(ops_page "${edge_ops[$1]}" /metrics | awk '$1 == "fraudhub_edge_indicators" {printf "%.0f", $2}') >= known))
}
for ((n = 1; n <= edges; ++n)); do start_edge "$n"; done
until_true 90 "connected subscribers" all_connected
for ((n = 1; n <= edges; ++n)); do until_true 120 "an edge with everything" edge_has_all "$n"; done
stakeholders=$(swarm stakeholders)
say "$stakeholders streams, $edges edges with $known indicators each; $events events/s, $((edges * lookups)) lookups/s, a question a second"

# --- the loads ---------------------------------------------------------------------------------
ask() { # SECONDS NAME: all loads but the reports
  local n pids=()
  for ((n = 1; n <= edges; ++n)); do
    "$bin/bench_lookup_load" --server "${edge_at[$n]}" --numbers "$((known * 2))" --seconds "$1" --rate "$lookups" --seed "$n" >"$work/$2-$n.json" 2>"$work/$2-$n.log" &
    pids+=($!)
    keep_pid $!
  done
  "$bin/bench_lookup_load" --server "$query_server" --identity "$work/pki/$analyst" --numbers "$((known * 2))" --seconds "$1" --rate 1 --batch 1 \
    --in-flight 1 --timeout 10 --questions >"$work/$2-analyst.json" 2>"$work/$2-analyst.log" &
  pids+=($!)
  keep_pid $!
  load_pids=("${pids[@]}")
}
await_loads() { # NAME
  local pid failed=0
  for pid in "${load_pids[@]}"; do wait "$pid" || failed=1; done
  ((failed == 0)) || fail "a lookup failed: $(cat "$work/$1"-*.log | head -n 5)"
}
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); printf "%.0f", ($12 + $13) / hz * 1000}' "/proc/$1/stat" 2>/dev/null || echo 0; } # PID
edge_marks() { local n; for ((n = 1; n <= edges; ++n)); do ops_page "${edge_ops[$n]}" /metrics | tr -d '\r' >"$work/$1-$n.metrics"; done; } # NAME
new_figures() {
  local before
  before=$(swarm figures)
  kill -USR1 "$swarm_pid"
  started_anew() { (($(swarm figures) > before)); }
  until_true 30 "new figures" started_anew
}

start_reports() { # RATE SEED
  "${report[@]}" --reports 100000000 --batch 5 --in-flight 8 --rate "$1" --seed "$2" >"$work/reports.json" 2>"$work/reports.log" &
  reports_pid=$!
  keep_pid "$reports_pid"
}
end_reports() { kill -TERM "$reports_pid" && wait "$reports_pid" 2>/dev/null || true; }
start_reports "$warm_up_events" 7
ask "$warm_up" warm-up
await_loads warm-up
end_reports
start_reports "$events" 8
((warm_up < settle)) && settle=$warm_up
ask "$settle" settle
await_loads settle

new_figures
edge_marks before
processes=("$hub_pid" "${edge_pids[@]}")
declare -A spent
for pid in "${processes[@]}" "$swarm_pid" "$reports_pid"; do spent[$pid]=$(cpu_ms "$pid"); done
began=$(now_ms)
ask "$seconds" asked
: >"$work/memory"
while kill -0 "${load_pids[0]}" 2>/dev/null; do
  {
    printf '%s' "$(($(now_ms) - began))"
    for pid in "${processes[@]}"; do printf ' %s' "$(memory_kb "$pid" VmRSS)"; done
    echo
  } >>"$work/memory"
  load_ms=$(for pid in "${load_pids[@]}"; do cpu_ms "$pid"; echo; done | awk '{sum += $1} END {print sum}')
  kill -0 "$reports_pid" 2>/dev/null || { cat "$work/reports.log" >&2; fail "the reports ended"; }
  pause 1
done
took=$(($(now_ms) - began))
await_loads asked
for pid in "${processes[@]}" "$swarm_pid" "$reports_pid"; do spent[$pid]=$(($(cpu_ms "$pid") - spent[$pid])); done
edge_marks after
hub_lives || fail "hub-all ended"
end_reports
kill -TERM "$swarm_pid"
wait "$swarm_pid" || { cat "$work/swarm.log" >&2; fail "the swarm found a problem"; }

# --- the figures -------------------------------------------------------------------------------
# Microseconds: the upper edge of the bucket that holds the share, of all edges.
edge_us() { # verdict|answer SHARE [ENDING]
  awk -v name="fraudhub_edge_$1_seconds_bucket{" -v share="$2" -v only="${3:+verdict=\"$3\"}" '
    FNR == 1 {sign = FILENAME ~ /before-/ ? -1 : 1}
    index($1, name) == 1 && (only == "" || index($1, only)) {
      match($1, /le="[^"]*"/)
      le = substr($1, RSTART + 4, RLENGTH - 5)
      if (!(le in count)) edges[++n] = le
      count[le] += sign * $2
    }
    END {
      for (i = 1; i <= n; i++) if (count[edges[i]] > 0 && count[edges[i]] >= share * count["+Inf"]) { print (edges[i] == "+Inf" ? 1e9 : edges[i] * 1e6); exit }
      print -1
    }' "$work"/before-*.metrics "$work"/after-*.metrics
}
# "SLOPE SPREAD FIRST LAST" of half of the time: MB per minute, 95 % of it, MB of the half's first and last tenth.
slope() { # COLUMN first|second
  awk -v c="$1" -v second="$([[ $2 == second ]] && echo 1 || echo 0)" -v all="$took" '
    ($1 >= all / 2) == second {at[++rows] = $1 / 60000; value[rows] = $c / 1024}
    END {
      blocks = rows < 10 ? rows : 10
      for (i = 1; i <= rows; i++) { b = int((i - 1) * blocks / rows) + 1; x[b] += at[i]; y[b] += value[i]; n[b]++ }
      for (b = 1; b <= blocks; b++) { x[b] /= n[b]; y[b] /= n[b]; mx += x[b] / blocks; my += y[b] / blocks }
      for (b = 1; b <= blocks; b++) { xx += (x[b] - mx) ^ 2; xy += (x[b] - mx) * (y[b] - my) }
      k = xx > 0 ? xy / xx : 0
      for (b = 1; b <= blocks; b++) rest += (y[b] - my - k * (x[b] - mx)) ^ 2
      printf "%.2f %.2f %.0f %.0f", k, (blocks > 2 && xx > 0 ? 2.31 * sqrt(rest / (blocks - 2) / xx) : 0), y[1], y[blocks]
    }' "$work/memory"
}
of_loads() { cat "$work"/asked-[0-9]*.json | sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p"; } # FIELD, one a line
most() { sort -n | tail -n 1; }
cores() { awk -v ms="$1" -v of="$took" 'BEGIN {printf "%.2f", ms / of}'; }
analyst() { sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p" "$work/asked-analyst.json"; }

missed=()
budget() { # WHAT VALUE UNIT BUDGET
  local kept=ok
  awk -v a="$2" -v b="$4" -v f="$factor" 'BEGIN {exit !(a >= 0 && a <= b * f)}' || { kept=MISSED; missed+=("$1"); }
  row "$1" "$2 $3 (budget $4): $kept"
}
row "streams, reconnects, deliveries" "$stakeholders, $(swarm reconnects), $(swarm deliveries)"
budget "stream p99" "$(swarm p99)" ms "$stream_p99_ms"
row "stream p50, max" "$(swarm p50), $(swarm max) ms"
budget "verdict p99" "$(edge_us verdict 0.99)" us "$verdict_p99_us"
row "verdict p50, p99.9" "$(edge_us verdict 0.5), $(edge_us verdict 0.999) us"
row "answer p50, p99, p99.9" "$(edge_us answer 0.5), $(edge_us answer 0.99), $(edge_us answer 0.999) us"
row "  flagged: p50, p99" "$(edge_us answer 0.5 indicator), $(edge_us answer 0.99 indicator) us"
row "  not flagged: p50, p99" "$(edge_us answer 0.5 no_indicator), $(edge_us answer 0.99 no_indicator) us"
row "a call of 100 over loopback gRPC: p50, p99, max" "$(of_loads call_ms_p50 | most), $(of_loads call_ms_p99 | most), $(of_loads call_ms_max | most) ms (worst edge)"
row "lookups/s per edge, least" "$(of_loads per_second | sort -n | head -n 1)"
row "flagged, not flagged, unknown" "$(of_loads indicator | awk '{s += $1} END {print s}'), $(of_loads no_indicator | awk '{s += $1} END {print s}'), $(of_loads unknown | awk '{s += $1} END {print s}')"
budget "query p99" "$(analyst call_ms_p99)" ms "$query_p99_ms"
row "query p50, max; questions" "$(analyst call_ms_p50), $(analyst call_ms_max) ms; $(analyst calls)"
names=(hub)
for ((n = 1; n <= edges; ++n)); do names+=("edge-$n"); done
slopes=""
for ((i = 0; i < ${#names[@]}; ++i)); do
  read -r before _ < <(slope "$((i + 2))" first; echo)
  read -r per_minute around first last < <(slope "$((i + 2))" second; echo)
  kept=flat
  awk -v k="$per_minute" -v s="$around" -v more="$slope_mb" 'BEGIN {exit !(k <= s + more)}' || {
    kept=GROWS
    ! awk -v f="$factor" 'BEGIN {exit !(f <= 1)}' || missed+=("memory of ${names[i]}")
  }
  row "memory of ${names[i]}, MB; slope a minute" "$first to $last; $per_minute +- $around: $kept (before: $before)"
  slopes+="${slopes:+,}\"${names[i]}\":[$per_minute,$around,$first,$last]"
done
edges_ms=0
for pid in "${edge_pids[@]}"; do edges_ms=$((edges_ms + spent[$pid])); done
row "cores: hub, edges, swarm, loads" "$(cores "${spent[$hub_pid]}"), $(cores "$edges_ms"), $(cores "${spent[$swarm_pid]}"), $(cores "$((load_ms + spent[$reports_pid]))") of $(nproc)"
((${#missed[@]} == 0)) && pass=true || pass=false
echo "{\"streams\":$stakeholders,\"seconds\":$((took / 1000)),\"stream_p99_ms\":$(swarm p99),\"verdict_p99_us\":$(edge_us verdict 0.99),\"answer_p99_us\":$(edge_us answer 0.99),\"call_p99_ms\":$(of_loads call_ms_p99 | most),\"query_p99_ms\":$(analyst call_ms_p99),\"memory_mb_per_minute\":{$slopes},\"pass\":$pass}"
[[ $pass == true ]] || fail "beyond the budget: $(printf '%s; ' "${missed[@]}")"
(($(of_loads unknown | awk '{s += $1} END {print s}') == 0)) || fail "an edge did not know"
say "soak: ok"
