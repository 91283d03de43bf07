# The brokers are away for a while: ingest refuses with a time to come back, lookups and streams go on and say how old their data is,
# and everything resumes by itself. Sourced by run.sh.

prepare() { seconds=${seconds:-60}; file_pause=4; }
# One report under one id, sent again and again while it is refused: at most one of its copies may count.
extra_reports=1
extra_id=$(cat /proc/sys/kernel/random/uuid)
extra_observed=$(date -u -d '1 hour ago' +%FT%TZ)
extra() { as bank-psb-02/main --timeout "$1" report FINANCIAL_FRAUD MOBILE 5551112223 --report-id "$extra_id" --observed-at "$extra_observed" --wait 0s 2>&1; }
send_extra() { extra 20s >/dev/null || fail "the report that was refused is not taken"; }
age_of() { # seconds since what the answer is complete until
  local until
  until=$(json completeUntil)
  [[ -z $until ]] || echo $(($(date +%s) - $(date -d "$until" +%s)))
}
look_up() { as dot-diu/analyst-1 lookup MOBILE:5555000001 2>&1 || true; }
harm() {
  local node since before_kb answer ages="" refused=0 answered=0 asked=0
  pause 10
  before_kb=$(hub_memory_kb VmRSS)
  say "stop the brokers"
  deploy/kafka.sh stop --dir "$work/data/cluster/kafka" >/dev/null
  since=$(now_ms)
  pause 5
  while (($(now_ms) - since < seconds * 1000)); do
    ((++asked))
    answer=$(extra 3s || true)
    [[ ! $answer =~ (asks to try later|send again later) ]] || ((++refused))
    answer=$(look_up)
    [[ $answer != *'"verdict"'* ]] || ((++answered))
    ages="$ages $(age_of <<<"$answer")"
    pause 5
  done
  row "reports refused, lookups answered, of" "$refused, $answered, $asked"
  row "data age told, s" "$ages"
  row "subscribers connected meanwhile" "$(connected) of $subscribers"
  ((refused == asked)) || fail "not every report was refused while there was no broker"
  ((answered == asked)) || fail "not every lookup was answered while there was no broker"
  all_connected || fail "streams broke"
  new_flow
  since=$(now_ms)
  start_brokers
  until_true 90 "events" flows
  everything_ready() { common_cluster status >/dev/null; }
  until_true 90 "a ready hub" everything_ready
  send_extra
  row "caught up after the brokers' start, s" "$(seconds_since "$since")"
  row "hub's memory before and after, KB" "$before_kb $(hub_memory_kb VmRSS)"
}
calm() { :; }
