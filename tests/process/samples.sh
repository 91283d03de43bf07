#!/usr/bin/env bash
# The samples of deploy/samples as their README has people run them, against a hub that is real: a portal whose sending is killed, a bank whose
# following is killed in the middle of what comes in, a police unit that goes away and comes back. Nothing is lost, nothing counts twice,
# nothing that was withdrawn is still answered.
#
#   tests/process/samples.sh [BIN] [--rows 2000] [--kills 4] [--language python]
#
#   BIN         folder of the binaries (default build/release/bin)
#   --rows      complaints that are imported while the bank is killed
#   --language  python or cpp: whose samples
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder="" rows=2000 kills=4 language=python
while (($#)); do
  case $1 in
    --rows) rows=$2; shift ;;
    --kills) kills=$2; shift ;;
    --language) language=$2; shift ;;
    -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
common_open samples "$folder"
analyst=dot-diu/analyst-1
make_identities portal-01/main bank-psb-03/main bank-psb-04/main police-mh/main "$analyst"
case $language in
  python)
    deploy/samples/python/generate.sh "$work/stubs"
    export PYTHONPATH=$work/stubs PYTHONDONTWRITEBYTECODE=1
    sample() { local name=$1; shift; exec /usr/bin/python3 "deploy/samples/python/$name.py" "$@"; }
    ;;
  cpp)
    for name in portal bank police; do [[ -x $bin/sample-$name ]] || fail "$bin has no sample-$name"; done
    sample() { local name=$1; shift; exec "$bin/sample-$name" "$@"; }
    ;;
  *) fail "--language: want python or cpp" ;;
esac
start_hub

lines() { wc -l <"$1" 2>/dev/null || echo 0; }
connection() { printf '%s\n' --server "${1%%,*}" --identity "$work/pki/$2"; } # ADDRESS WHO
mapfile -t as_portal < <(connection "$server" portal-01/main)
mapfile -t as_asking < <(connection "$query_server" portal-01/main) # a cluster's ingest doesn't know what became of reports
mapfile -t as_bank < <(connection "$stream_server" bank-psb-03/main)
mapfile -t as_police < <(connection "$stream_server" police-mh/main)

echo "the portal"
portal() { (sample portal --outbox "$work/outbox" "${as_portal[@]}" "$@"); }
for ((i = 1; i <= 1500; i++)); do echo "SUSPECTED_COMMUNICATION MOBILE 555$((1000000 + i % 300)) c-$i"; done | portal add - >"$work/ids"
check "1,500 reports are in the outbox" eval '[[ $(lines "$work/ids") == 1500 ]]'
accepted() { grep ' ACCEPTED' "$work/verdicts" 2>/dev/null | sort -u | wc -l; }
send() { # in the background, in small calls, until more than $1 are accepted
  (sample portal --outbox "$work/outbox" "${as_portal[@]}" --batch 5 send) >>"$work/verdicts" 2>>"$work/portal.log" &
  sender=$!
  keep_pid "$sender"
  until_true 30 "more reports accepted" eval "((\$(accepted) > $1))"
}
end_sender() { kill -KILL "$sender" 2>/dev/null || true; wait "$sender" 2>/dev/null || true; }
send 0
end_sender
some=$(accepted)
send "$some"
kill_hub
end_sender
more=$(accepted)
printf '  killed with %s accepted, then with the hub with %s\n' "$some" "$more"
check "both in the middle" eval '((some > 0 && more > some && more < 1500))'
start_hub
portal send >>"$work/verdicts" 2>>"$work/portal.log"
mapfile -t ids <"$work/ids"
decided() { (sample portal --outbox "$work/outbox" "${as_asking[@]}" status "${ids[@]}") >"$work/status" && [[ $(grep -cE 'OUTCOME_(MERGED|DUPLICATE)' "$work/status") == 1500 ]]; }
soon "after two kills and the hub's: all are merged, some sent twice" decided
check "each counts once" eval '[[ $(settled_digest) == *" 1500 "* ]]'
report=$(portal add SUSPECTED_COMMUNICATION MOBILE 12)
portal send >>"$work/verdicts"
check "a refusal is told, with its reason" grep -q "$report REJECTED ERROR_REASON_" "$work/verdicts"

echo "the bank, killed while complaints come in"
"$bin/hubctl" sample csv ncrp --rows "$rows" --seed 7 --out "$work/ncrp.csv" --map-out "$work/ncrp.map" >/dev/null
follow() { # [OPTION...], in the background
  (sample bank --store "$work/bank" "${as_bank[@]}" "$@" follow) 2>>"$work/bank.log" &
  bank_pid=$!
  keep_pid "$bank_pid"
}
end_bank() { kill -KILL "$bank_pid"; wait "$bank_pid" 2>/dev/null || true; }
bank() { (sample bank --store "$work/bank" "$@"); }
flagged() { bank list | wc -l; }
follow
in_the_middle=0
# A file after the other, so that it takes a while.
import_slowly() {
  local file
  tail -n +2 "$work/ncrp.csv" | split -l 50 --filter="{ head -n 1 $work/ncrp.csv; cat; } >\$FILE" - "$work/part-"
  for file in "$work"/part-*; do as police-mh/main import csv "$file" --map "$work/ncrp.map" || return; done
}
import_slowly >"$work/import.log" 2>&1 &
importer=$!
keep_pid "$importer"
for ((kill = 1; kill <= kills; kill++)); do
  before=$(flagged)
  until_true 30 "more flags at the bank" eval '(($(flagged) > before)) || ! kill -0 $importer 2>/dev/null'
  end_bank
  printf '  killed with %s flags in its store\n' "$(flagged)"
  ! kill -0 "$importer" 2>/dev/null || ((++in_the_middle))
  follow
done
check "most of the time in the middle" eval '((in_the_middle * 2 >= kills))'
wait "$importer" || { cat "$work/import.log" >&2; fail "the import ended with $?"; }
settled_digest >/dev/null
# What a bank sees, by another way: a snapshot that hubctl takes, the last word on each indicator.
truth() {
  as bank-psb-04/main watch --snapshot --until-quiet 2 2>/dev/null |
    jq -rs 'reduce .[] as $e ({}; .[$e.indicator.indicatorId] = $e) | .[] | select(.leftView != true) | .indicator |
      "\(.identifier.type | sub("IDENTIFIER_TYPE_"; "")):\(.identifier.canonical) \(.level | sub("LEVEL_"; ""))"' | LC_ALL=C sort
}
equal() { bank list | LC_ALL=C sort >"$work/list" && truth >"$work/truth" && [[ -s $work/truth ]] && cmp -s "$work/list" "$work/truth"; }
soon "its store is what a fresh snapshot says: $(flagged) flags" equal

flag() { as police-mh/main report FINANCIAL_FRAUD MOBILE "$1" --state "$2" --wait 10s >/dev/null; }

echo "withdrawals"
mapfile -t some < <(bank list | grep '^MOBILE:' | cut -d ' ' -f 1)
answer() { bank lookup "$1"; }
check "a flagged number is answered from its own store" eval '[[ $(answer "${some[0]}") == *HIGH* ]]'
clear() { as "$analyst" correct "$1" --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null; }
clear "${some[0]}"
soon "a correction reaches it" eval '[[ $(answer "${some[0]}") == *NO_INDICATOR* ]]'
end_bank
clear "${some[1]}"
check "while it is away it answers what it knew" eval '[[ $(answer "${some[1]}") == *HIGH* ]]'
follow
soon "and when it is back what became of it" eval '[[ $(answer "${some[1]}") == *NO_INDICATOR* ]]'
end_bank
clear "${some[2]}"
# What it gets then can't be a copy from before with the correction told after it: the hub has forgotten those.
kill_hub
start_hub
follow --afresh
soon "told to begin afresh it takes a snapshot, and sweeps what that does not tell of" eval '[[ $(answer "${some[2]}") == *NO_INDICATOR* ]]'
soon "its store is what a fresh snapshot says, again" equal
end_bank
pause 2
check "when its data is too old it says so" eval '[[ $(bank --max-age 1 lookup "${some[2]}") == *UNKNOWN* ]]'

if [[ $language == cpp ]]; then # the library can hold the replica itself
  echo "the bank, with the replica in its own process"
  open_replica() {
    coproc REPLICA { sample bank --in-process "$work/replica" "${as_bank[@]}" "$@" lookup - 2>>"$work/replica.log"; }
    replica_pid=$REPLICA_PID
    keep_pid "$replica_pid"
    exec {ask}>&"${REPLICA[1]}" {told}<&"${REPLICA[0]}" # a coprocess's own are not for subshells
  }
  end_replica() { kill -KILL "$replica_pid"; wait "$replica_pid" 2>/dev/null || true; exec {ask}>&- {told}<&-; }
  own_answer() { # IDENTIFIER
    local reply=""
    echo "$1" >&"$ask"
    read -r -t 40 reply <&"$told" # its snapshot may take a while
    echo "${reply##* }"
  }
  own_is_truth() {
    truth >"$work/truth"
    cut -d ' ' -f 1 "$work/truth" >&"$ask" &
    timeout 30 head -n "$(lines "$work/truth")" <&"$told" | cmp -s - "$work/truth"
  }
  open_replica
  check "it answers what is flagged" eval '[[ $(own_answer "${some[3]}") == *HIGH ]]'
  check "and what is not, and what is no identifier" eval '[[ $(own_answer "${some[2]}") == NO_INDICATOR && $(own_answer MOBILE:12) == INVALID ]]'
  clear "${some[3]}"
  soon "a correction reaches it" eval '[[ $(own_answer "${some[3]}") == NO_INDICATOR ]]'
  for ((n = 5550000801; n <= 5550000820; n++)); do flag "$n" MH; done &
  flagging=$!
  keep_pid "$flagging"
  soon "and flags as they come" eval '[[ $(own_answer MOBILE:5550000801) == *HIGH ]]'
  end_replica
  kill -0 "$flagging" 2>/dev/null || fail "it was not killed in the middle"
  clear "${some[4]}"
  wait "$flagging" || fail "some were not flagged"
  open_replica
  soon "killed and back, it knows what became of a flag" eval '[[ $(own_answer "${some[4]}") == NO_INDICATOR ]]'
  soon "and of the numbers that were flagged around it" eval '[[ $(own_answer MOBILE:5550000801) == *HIGH && $(own_answer MOBILE:5550000820) == *HIGH ]]'
  soon "it answers about every flag what a fresh snapshot says" own_is_truth
  check "and went on where it was: one snapshot in two lives" eval '(($(grep -c snapshot_begins "$work/replica.log") == 1))'
  end_replica
  kill_hub
  open_replica
  check "with the hub away it answers at once, from its own disk" eval '[[ $(own_answer MOBILE:5550000801) == *HIGH ]]'
  end_replica
  open_replica --max-age 1
  pause 2
  check "when its data is too old it says so" eval '[[ $(own_answer MOBILE:5550000801) == UNKNOWN ]]'
  end_replica
  start_hub
fi

echo "the police"
desk() { # in the background
  (sample police "${as_police[@]}" --cursor desk-1 --state MH --min-level HIGH) >>"$work/desk" 2>>"$work/desk.log" &
  desk_pid=$!
  keep_pid "$desk_pid"
}
numbers() { jq -r .indicator.identifier.canonical "$work/desk" 2>/dev/null | sort -u; }
desk
soon "it hears the complaints of its state" eval '[[ -s $work/desk ]]'
check "and of no other" eval '[[ $(jq -r "select(.leftView != true and (.indicator.victimStates | index(\"MH\") | not)) | .eventId" "$work/desk") == "" ]]'
flag 5550000901 MH
flag 5550000902 KA
soon "a new one comes live" eval '[[ $(numbers) == *5550000901* ]]'
pause 2 # acknowledged by then; were it not, it would only come twice
kill -KILL "$desk_pid"
wait "$desk_pid" 2>/dev/null || true
flag 5550000903 MH
desk
soon "killed and back, it hears what it missed" eval '[[ $(numbers) == *5550000903* ]]'
check "another state's never came" eval '[[ $(numbers) != *5550000902* ]]'

drain_hub
end_checks
