#!/usr/bin/env bash
# The main job on one machine, from nothing: installs packages, builds, starts the hub on loopback with a development CA, connects 560
# simulated stakeholders in the real mix, imports 100,000 sample reports, corrects one flag, prints what happened, and stops.
#
#   deploy/quickstart.sh [--keep] [--reports N]     --keep: leave the hub running and print what to try next
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
keep=no
reports=100000
while (($#)); do
  case $1 in
    --keep) keep=yes ;;
    --reports) reports=$2; shift ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
  esac
  shift
done

run=$root/build/quickstart
bin=$root/build/release/bin
server=127.0.0.1:7443
ops=127.0.0.1:9464
hub_pid=""
swarm_pid=""
stop() {
  local status=$?
  trap - EXIT
  for pid in $swarm_pid $hub_pid; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in $swarm_pid $hub_pid; do wait "$pid" 2>/dev/null || true; done
  ((status == 0)) || echo "quickstart: failed; logs are in ${run#"$root"/}" >&2
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
until_true() { # SECONDS WHAT COMMAND...: asks five times a second
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || { echo "quickstart: $what did not happen in time" >&2; return 1; }
    read -rt 0.2 <> <(:) || true
  done
}
status_field() { # NAME: a number from the swarm's status file
  sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$run/swarm.json" 2>/dev/null | head -n 1
}
hubctl_as() { # STAKEHOLDER/PRINCIPAL ARGS...
  local who=$1
  shift
  "$bin/hubctl" --server "$server" --identity "$run/pki/$who" "$@"
}

say "packages"
deploy/packages.sh
say "build (a few minutes the first time)"
mkdir -p build
cmake --preset release -DHUB_TESTS=OFF >build/configure-release.log 2>&1 || { cat build/configure-release.log >&2; exit 1; }
cmake --build build/release --target hub-all hubctl hub-swarm --parallel "$(nproc)" >build/build-release.log 2>&1 ||
  { tail -n 50 build/build-release.log >&2; exit 1; }

say "development CA and identities"
rm -rf "$run"
mkdir -p "$run"
policy=deploy/config/policy.textproto
deploy/config/list_principals.sh "$policy" >"$run/principals"
deploy/dev_pki.sh "$run/pki" --stakeholders-from "$run/principals" 2>"$run/pki.log" || { cat "$run/pki.log" >&2; exit 1; }
echo "$(wc -l <"$run/principals") identities; for development only, never for production"

say "hub-all on $server"
"$bin/hub-all" --config deploy/config/hub.textproto --set data_dir="$run/data" --set key_dir="$run/keys" \
  --set policy_file="$policy" --set rules_file=deploy/config/rules.textproto --set allow_test_range=true \
  --set listen.address="$server" --set listen.ops_address="$ops" --set listen.identity_dir="$run/pki/server" \
  >"$run/hub.log" 2>&1 &
hub_pid=$!
ready() { kill -0 "$hub_pid" 2>/dev/null && hubctl_as dot-diu/analyst-1 health >/dev/null 2>&1; }
until_true 30 "a ready hub" ready

say "560 simulated stakeholders"
"$bin/hub-swarm" --server "$server" --identities "$run/pki" --policy "$policy" --status-file "$run/swarm.json" \
  >"$run/swarm.log" 2>&1 &
swarm_pid=$!
all_connected() { [[ $(status_field connected) == "$(status_field stakeholders)" && -n $(status_field connected) ]]; }
until_true 60 "560 connected stakeholders" all_connected
echo "$(status_field connected) connected"

say "importing $reports sample reports"
"$bin/hubctl" sample demo --rows "$reports" --seed 1 --out-dir "$run/sample" >/dev/null
started=$(date +%s%N)
while read -r file identity map; do
  echo "-- $identity"
  hubctl_as "$identity" import csv "$run/sample/$file" --map "$run/sample/$map" --rejects "$run/rejects-$file" | tee -a "$run/imports.log" ||
    ((PIPESTATUS[0] == 5))
done <"$run/sample/manifest.txt"
took=$((($(date +%s%N) - started) / 1000000))
quiet() { # for two seconds nothing came
  local before
  before=$(status_field deliveries)
  read -rt 2 <> <(:) || true
  [[ -n $before && $before == "$(status_field deliveries)" ]]
}
until_true 300 "quiet after the import" quiet
bulk=$(status_field deliveries)
caught_up=$((($(date +%s%N) - started) / 1000000 - 2000))
echo "$bulk deliveries; everybody had caught up ${caught_up%???}.$((caught_up % 1000 / 100)) s after the first row was sent"

say "one lookup, one explanation"
flagged=$(cat "$run/sample/very_high.txt")
hubctl_as bank-psb-01/main lookup "$flagged"
hubctl_as dot-diu/analyst-1 why "$flagged"

say "live: the police report 25 links, one after the other"
kill -USR1 "$swarm_pid"
fresh_figures() { [[ $(status_field figures) == 1 ]]; }
until_true 10 "fresh figures" fresh_figures
for ((i = 1; i <= 25; ++i)); do
  hubctl_as police-mh/main report FINANCIAL_FRAUD URL "https://refund-$i.example/claim" --category KYC_BANK --wait 0 >/dev/null
done
until_true 60 "quiet after the live reports" quiet
live=$(status_field count)
p50=$(status_field p50)
p99=$(status_field p99)
wrong=https://refund-7.example/claim
hubctl_as bank-psb-01/main lookup "$wrong"

say "one correction: a link that was reported by mistake"
hubctl_as dot-diu/analyst-1 correct "$wrong" --to CLEARED --reason WRONG_LINK
corrected() { grep -q '"corrections":\[{' "$run/swarm.json"; }
until_true 30 "a correction at the stakeholders" corrected
until_true 60 "quiet after the correction" quiet
hubctl_as bank-psb-01/main lookup "$wrong"

metric() { # NAME: the sum over its labels
  exec 3<>"/dev/tcp/${ops%:*}/${ops#*:}"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  awk -v name="$1" 'index($1, name) == 1 {sum += $2} END {printf "%d", sum}' <&3
  exec 3>&-
}
events=$(metric fraudhub_registry_events_total)

say "the judge: every view against what filter and rights say"
kill -TERM "$swarm_pid"
judged=0
wait "$swarm_pid" || judged=$?
swarm_pid=""
cat "$run/swarm.log" | grep -v '^{' || true
stakeholders=$(status_field stakeholders)
correction=$(sed -n 's/.*"corrections":\[.*\({[^}]*}\)\].*/\1/p' "$run/swarm.json")
held=$(sed -n 's/.*"held_by":\([0-9]*\).*/\1/p' <<<"$correction")
confirmed=$(sed -n 's/.*"confirmed":\([0-9]*\).*/\1/p' <<<"$correction")
slowest=$(sed -n 's/.*"max_ms":\([0-9.]*\).*/\1/p' <<<"$correction")
hubctl_as dot-diu/analyst-1 digest
# What became of the rows, over all files.
awk '/^(accepted|rejected|  [A-Z])/ {
  number = $NF; gsub(",", "", number); $NF = ""; sub(/ +$/, ""); sub(/^accepted$/, "accepted"); total[$0] += number
} END {for (name in total) printf "%-34s %d\n", name, total[name]}' "$run/imports.log" | sort
printf '%-34s %s\n' \
  "events" "$events" \
  "sample reports" "$reports in ${took%???}.$((took % 1000 / 100)) s, all at once" \
  "stakeholders connected" "$stakeholders" \
  "deliveries" "$(status_field deliveries)" \
  "live: accepted -> subscriber" "p50 $p50 ms, p99 $p99 ms over $live deliveries" \
  "views equal" "$(status_field views_equal) of $(status_field views_compared)" \
  "correction reached" "$confirmed of the $held that held the flag, the last after $slowest ms"
((judged == 0)) || exit 1
[[ $(status_field views_equal) == "$stakeholders" && $confirmed == "$held" && $held == "$stakeholders" ]]

if [[ $keep == yes ]]; then
  trap - EXIT
  cat <<TEXT

The hub goes on as process $hub_pid (kill -TERM $hub_pid ends it). Try:
  alias hubctl='$bin/hubctl --server $server --identity $run/pki/bank-psb-01/main'
  hubctl lookup $flagged
  hubctl watch --from earliest --limit 5
  curl http://$ops/statusz
TEXT
fi
