# Sourced after common.sh: files of reports that are imported while something is done to the hub, stakeholders that listen, and the judge.
#
# The judge (workload_judge): every row acknowledged; the digest of the state (keys, versions, levels, counts) against that of a fresh hub
# that got the same files once, undisturbed; the number of reports in it against the files; files once more, which must change nothing;
# every stakeholder's view against its filter and rights; every stream, by hub-swarm --check.
#
# Set before workload_start: rows (of each file), subscribers, seed, file_pause (seconds between two files).

rows=1000
subscribers=50
seed=$((SRANDOM % 32768))
file_pause=0
# HUB_CHECK=1 judges the streams of a cluster, too: its rules of time (heartbeat, age) are not settled for brokers that are away.
check=()
must_be_tested=no_gap,progress,once,rows,fields,monotone,snapshot,heartbeat # of the checker's invariants (bench/swarm/checker.h)
swarm_options=()
importer=""
swarm=""
started=$(date +%s)

# File number $1. A reporter's rows about one identifier count once per file, but each re-verification and each NOT_MY_CONNECTION counts:
# there a report counted twice shows. All rows of a file about one identifier say the same, so versions do not depend on their order.
reporters=(bank-psb-02/main bank-pvt-01/main police-mh/main tsp-01/main tsp-01/main portal-01/main)
write_file() {
  local number=$1 day
  day=$(date -u -d "@$((started - 86400 + number))" +%FT%TZ) # a later file is observed later
  awk -v number="$number" -v rows="$rows" -v day="$day" -v seed=$((seed * 10007 + number)) 'BEGIN {
    srand(seed)
    kind = number % 6
    lap = int(number / 120) # an identifier keeps 64 contributions apart; with more lists than that, a row listed twice counts twice
    if (kind == 2) rows = int(rows / 10) # the police have a small quota
    split("FINANCIAL_FRAUD FINANCIAL_FRAUD FINANCIAL_FRAUD DISCONNECTED REVERIFIED NOT_MY_CONNECTION", kinds, " ")
    print "kind,type,identifier,observed_at,reason,operator"
    for (i = 0; i < rows; i++) {
      if (kind == 0) phone = 5000000 + (number / 6 * rows + i) % 5000000 # never seen before
      else if (kind < 3) phone = 3000000 + lap * 500 + int(rand() * 500)
      else if (kind < 5) phone = 4000000 + lap * 300 + int(rand() * 300)
      else phone = 4500000 + lap * 300 + int(rand() * 300)
      printf "%s,MOBILE,555%07d,%s,%s,%s\n", kinds[kind + 1], phone, day, kind == 3 ? "FAILED_REVERIFICATION" : "", kind == 5 ? "tsp-01" : ""
    }
  }' >"$work/file-$number.csv"
}
sent_of() { echo $(($(wc -l <"$work/file-$1.csv") - 1)); }
# Rows of file $1 that count in the state, told from the file alone.
counting_of() { if (($1 % 6 >= 4)); then sent_of "$1"; else sed 1d "$work/file-$1.csv" | cut -d, -f3 | sort -u | wc -l; fi; }
# How to send file $1: sets command.
command_of() { command=("$bin/hubctl" "${servers[@]}" --identity "$work/pki/${reporters[$1 % ${#reporters[@]}]}" --output json import csv "$work/file-$1.csv"); }
import() { # NUMBER RESULT OPTIONS...
  local number=$1 result=$2
  shift 2
  command_of "$number"
  "${command[@]}" "$@" >"$work/$result-$number.json" 2>>"$work/$result.log"
}
# Until $work/enough: file after file, each until every row is acknowledged; hubctl outlives the hub, or is started again.
workload_import() {
  local number=0 tries child=""
  trap '[[ -z $child ]] || kill -TERM "$child" 2>/dev/null; exit 143' TERM
  while [[ ! -e $work/enough ]] || ((number < 12)); do
    write_file "$number"
    command_of "$number"
    for ((tries = 1; ; tries++)); do
      "${command[@]}" --no-status >"$work/import-$number.json" 2>>"$work/import.log" &
      child=$!
      if wait "$child"; then break; fi
      child=""
      echo "$number" >>"$work/import-again"
      ((tries < 1000)) || exit 1
      pause 0.2
    done
    child=""
    echo $((++number)) >"$work/files"
    [[ ! -e $work/file_pause ]] || file_pause=$(<"$work/file_pause")
    [[ $file_pause == 0 ]] || pause "$file_pause"
  done
}

connected() { in_file "$work/swarm.json" connected; }
delivered() { in_file "$work/swarm.json" deliveries; }
all_connected() { [[ $(connected) == "$subscribers" ]]; }
# Identities, the hub, the import, and the listeners. `before_swarm`, if the script has one, may set swarm_server, where they connect.
workload_start() { # STAKEHOLDER/PRINCIPAL...: identities besides
  local slices=()
  if ((subscribers < 560)); then
    slices=(--slices 11)
    mapfile -t members < <(swarm_principals | awk -v n="$subscribers" 'NR % 11 == 1 && ++taken <= n') # as --slices 11 takes them
  else
    mapfile -t members < <(swarm_principals)
  fi
  make_identities "${members[@]}" "${reporters[@]}" dot-diu/analyst-1 dot-diu/analyst-2 "$@"
  start_hub
  [[ $deployment == cluster && ${HUB_CHECK:-} != 1 ]] || check=(--check --require "$must_be_tested")
  # There is something to begin with: a start from scratch is judged by what was there before.
  workload_import &
  importer=$!
  keep_pid "$importer"
  first_file() { [[ -s $work/files ]]; }
  until_true 60 "a first file" first_file
  local swarm_server=$stream_server
  ! declare -F before_swarm >/dev/null || before_swarm
  "$bin/hub-swarm" --server "$swarm_server" --identities "$work/pki" --policy "$policy" "${slices[@]}" --stakeholders "$subscribers" \
    --seed "$seed" "${check[@]}" "${swarm_options[@]}" --status-file "$work/swarm.json" >"$work/swarm.log" 2>&1 &
  swarm=$!
  keep_pid "$swarm"
  until_true 60 "$subscribers connected subscribers" all_connected
}
workload_rows() { # acknowledged so far, from the files that are done
  local number sum=0 files=0
  [[ ! -s $work/files ]] || files=$(<"$work/files")
  for ((number = 0; number < files; number++)); do sum=$((sum + $(sent_of "$number"))); done
  echo "$sum"
}
workload_quiet() {
  local before=${came:--1}
  came=$(delivered)
  pause 2
  all_connected && [[ $came == "$before" ]]
}
# No more files; waits for those on their way.
workload_finish() {
  touch "$work/enough"
  importer_ended() { ! kill -0 "$importer" 2>/dev/null; }
  until_true 180 "the end of the import" importer_ended
  wait "$importer" || fail "the importer gave up; see import.log"
}
# `use_log` NAME, if the script has one, is called before the fresh hub starts; `send_extra` sends it what the script sent besides the files,
# extra_reports of them.
extra_reports=0
workload_judge() {
  local files number sent known ask again=0 acknowledged=0 must_count=0 views=0 compared equal asked=0 duplicates=0
  local digest reports indicators digest_again digest_fresh reports_fresh indicators_fresh
  [[ ! -e $work/import-again ]] || again=$(wc -l <"$work/import-again")
  files=$(<"$work/files")
  for ((number = 0; number < files; number++)); do
    sent=$(sent_of "$number")
    [[ $(in_file "$work/import-$number.json" accepted) == "$sent" ]] || fail "file $number: not all of its $sent rows were acknowledged"
    acknowledged=$((acknowledged + sent))
    must_count=$((must_count + $(counting_of "$number")))
  done
  must_count=$((must_count + extra_reports))
  say "$files files, $acknowledged rows acknowledged"
  read -r digest reports indicators <<<"$(settled_digest)"
  until_true 90 "subscribers that have everything" workload_quiet
  kill -TERM "$swarm"
  wait "$swarm" || views=$?
  compared=$(in_file "$work/swarm.json" views_compared)
  equal=$(in_file "$work/swarm.json" views_equal)

  # To be told what became of the rows takes a while: for a dozen files.
  say "every file once more"
  for ((number = 0; number < files; number++)); do
    ask=--no-status
    if ((number % (files / 12 + 1) == 0)); then
      ask=--status-wait=30s
      asked=$((asked + $(sent_of "$number")))
    fi
    import "$number" again "$ask" || fail "file $number once more: hubctl ended with $?"
    known=$(in_file "$work/again-$number.json" DUPLICATE)
    duplicates=$((duplicates + ${known:-0}))
  done
  read -r digest_again _ <<<"$(settled_digest)"
  drain_hub

  say "the same files into a fresh hub"
  rm -rf "$work/data"
  ! declare -F use_log >/dev/null || use_log fresh
  start_hub
  for ((number = 0; number < files; number++)); do
    import "$number" fresh --no-status || fail "file $number into the fresh hub: hubctl ended with $?"
  done
  ! declare -F send_extra >/dev/null || send_extra
  read -r digest_fresh reports_fresh indicators_fresh <<<"$(settled_digest)"
  drain_hub

  row "rows acknowledged, imports started again" "$acknowledged, $again"
  row "reports that count: by the files, disturbed, fresh" "$must_count, $reports, $reports_fresh"
  row "indicators: disturbed, fresh" "$indicators, $indicators_fresh"
  row "digest of the disturbed hub" "$digest"
  row "digest of the fresh hub" "$digest_fresh"
  row "digest after every file once more" "$digest_again"
  row "rows once more: asked about, DUPLICATE" "$asked, $duplicates"
  row "subscribers: reconnects, duplicates dropped" "$(in_file "$work/swarm.json" reconnects), $(in_file "$work/swarm.json" duplicates)"
  row "views equal" "$equal of $compared"
  swarm_check_rows "$work/swarm.json"
  ((views == 0)) || { cat "$work/swarm.log" >&2; fail "views differ"; }
  [[ $compared == "$subscribers" && $equal == "$compared" ]] || fail "not every view was compared and equal"
  [[ $reports == "$must_count" ]] || fail "$must_count reports must count, $reports do"
  [[ $digest == "$digest_fresh" && $indicators == "$indicators_fresh" && $reports == "$reports_fresh" ]] ||
    fail "the state is not what the files give"
  [[ $digest_again == "$digest" ]] || fail "what was sent once more changed the state"
  ((asked == duplicates)) || fail "of $asked rows sent once more, only $duplicates are DUPLICATE"
}
