#!/usr/bin/env bash
# What people do with the hub, as the sample rules say it must end: sources of one group and of three, citizens behind one portal and two,
# police, a protected number, a number that changed hands, a flag that expires, a level that falls below a filter, a correction. Levels, reasons
# and deliveries as `hubctl why`, `lookup`, `report status` and `watch` show them.
#
#   tests/process/stories.sh [BIN]
#
#   BIN   folder of the binaries (default build/release/bin)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/story.sh"
[[ ${1:-} != -* ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
common_open stories "${1:-}"

# The sample rules, with one list that lives three seconds.
{
  grep -m 1 '^version:' "$rules"
  echo 'sources { kind: INPUT_KIND_FINANCIAL_FRAUD role: ROLE_FINANCIAL_INTELLIGENCE level: LEVEL_HIGH gives: REASON_OTHER_STAKEHOLDER lapse_seconds: 3 }'
  grep -v '^version:' "$rules"
} >"$work/rules.textproto"
rules=$work/rules.textproto
hub_settings=(registry.tick_ms=200)
analyst=dot-diu/analyst-1
# The first three are of one ownership group; the next three are independent.
kin=(bank-psb-01/main bank-rrb-01/main bank-rrb-13/main)
strangers=(bank-psb-02/main bank-pvt-01/main bank-coop-01/main)
make_identities "${kin[@]}" "${strangers[@]}" bank-psb-03/main bank-psb-04/main police-mh/main fiu-01/main portal-01/main portal-02/main \
  tsp-01/main "$analyst" dot-diu/analyst-2
start_hub

# Three who listen: a bank that takes all it may see, one that wants HIGH and above, and an analyst.
listen bank bank-psb-03/main
listen high bank-psb-04/main --min-level HIGH
listen analyst "$analyst"

story "three banks of one ownership group count once"
about_number 5550000101
for bank in "${kin[@]}"; do answer=$(report "$bank" FINANCIAL_FRAUD --category KYC_BANK); done
name_it
expect "the third report: merged, still MEDIUM" "$answer" "$merged" '"levelNow":"LEVEL_MEDIUM"'
soon "why: MEDIUM from one independent source" why -- "$(level MEDIUM)" '"independentSources":1' 'REASON_FINANCIAL_INSTITUTION' \
  '"ownershipGroup":"bank-psb-01"' '"stakeholder":"bank-rrb-13"'
hears "a bank hears MEDIUM, not who said it" bank "$(level MEDIUM)" '!stakeholder' '!bank-'
hears_nothing "who wants HIGH hears nothing" high

story "three banks of three groups"
about_number 5550000102
levels=""
for bank in "${strangers[@]}"; do levels="$levels $(report "$bank" FINANCIAL_FRAUD | json levelNow)"; done
name_it
expect "MEDIUM, MEDIUM, HIGH" "$levels" '^ LEVEL_MEDIUM LEVEL_MEDIUM LEVEL_HIGH$'
soon "why: three independent sources give HIGH" why -- "$(level HIGH)" '"independentSources":3' '3 independent sources .* give HIGH'
hears "who wants HIGH hears that it was raised" high "$(level HIGH)" 'EVENT_KIND_LEVEL_RAISED'

story "a level lowered below a filter"
status=$(as bank-pvt-01/main correct "MOBILE:$number" --to RETRACTED --reason ENTERED_TWICE --wait 10s)
expect "a bank takes back what it said" "$status" "$merged" '"levelNow":"LEVEL_MEDIUM"'
soon "why: two sources, MEDIUM" why -- "$(level MEDIUM)" '"independentSources":2' '"withdrawn":true'
hears "who wants HIGH: it left the view, without new facts" high "$left" '!LEVEL_MEDIUM' '!"level":' '!"reasons":'
hears "who takes all: lowered to MEDIUM" bank 'EVENT_KIND_LEVEL_LOWERED|EVENT_KIND_RETRACTED' "$(level MEDIUM)" "!$left"

story "twenty citizens behind one portal, then five behind another"
about_number 5550000103
for ((citizen = 1; citizen <= 4; citizen++)); do report portal-01/main SUSPECTED_COMMUNICATION --citizen "c-$citizen" >/dev/null; done
name_it
soon "four citizens are not enough" why -- "$(level NONE)" '"citizens":4'
hears_nothing "no bank hears of it" bank
for ((citizen = 1; citizen <= 20; citizen++)); do answer=$(report portal-01/main SUSPECTED_COMMUNICATION --citizen "c-$citizen"); done
expect "twenty: MEDIUM" "$answer" '"levelThen":"LEVEL_MEDIUM"'
soon "why: ten of them count, capped per portal" why -- "$(level MEDIUM)" '10 citizens together give MEDIUM'
hears "a bank hears MEDIUM" bank "$(level MEDIUM)" 'REASON_CITIZEN_REPORTS'
for ((citizen = 1; citizen <= 5; citizen++)); do answer=$(report portal-02/main SUSPECTED_COMMUNICATION --citizen "d-$citizen"); done
expect "five more of a second portal: HIGH, never VERY_HIGH" "$answer" '"levelThen":"LEVEL_HIGH"'
soon "why: fifteen citizens give HIGH" why -- "$(level HIGH)" '15 citizens together give HIGH'
hears "who wants HIGH hears it" high "$(level HIGH)"

story "police"
about_number 5550000104
answer=$(report police-mh/main FINANCIAL_FRAUD --category INVESTMENT_STOCK_IPO --amount 1,25,000 --state MH)
police_report=$(json reportId <<<"$answer")
name_it
expect "merged, VERY_HIGH at once" "$answer" "$merged" '"levelNow":"LEVEL_VERY_HIGH"'
soon "why: law enforcement alone may" why -- "$(level VERY_HIGH)" 'REASON_LEA_REPORTED_CYBERCRIME' '"stakeholder":"police-mh"'
soon "a bank looks it up: VERY_HIGH and the reason" lookup bank-psb-04/main -- "$(level VERY_HIGH)" 'REASON_LEA_REPORTED_CYBERCRIME' '!police-mh' '!lossPaise'
hears "who wants HIGH hears VERY_HIGH" high "$(level VERY_HIGH)" 'EVENT_KIND_FLAGGED'

story "evidence for a court"
as police-mh/main evidence export "MOBILE:$number" --case FIR-12 --out "$work/fir.tar" >"$work/fir.json"
manifest=$(in_file "$work/fir.json" manifestSha256)
expect "a bundle is written" "$manifest" '^[0-9a-f]{64}$'
verify() { "$bin/hubctl" evidence verify "$1" --manifest "$manifest" 2>&1 || echo "ended with $?"; } # FILE
expect "it verifies" "$(verify "$work/fir.tar")" 'files are as the manifest says' '!ALTERED' '!ended with'
tar -C "$work" -xf "$work/fir.tar"
expect "and without our program" "$(cd "$work/evidence" && sha256sum -c MANIFEST.sha256 2>&1 && sha256sum MANIFEST.sha256)" 'events-0001.pb: OK' "$manifest" '!FAILED'
expect "its timeline is in Indian time" "$(cat "$work/evidence/timeline.txt")" ' IST  FLAGGED' 'level VERY_HIGH' 'report FINANCIAL_FRAUD of LAW_ENFORCEMENT'
sed 's/VERY_HIGH/VERY_LOW_/' "$work/fir.tar" >"$work/forged.tar"
expect "an altered one does not verify" "$(verify "$work/forged.tar")" 'timeline.txt +ALTERED' 'ended with 1'
expect "a bank may not export" "$(as bank-psb-04/main evidence export "MOBILE:$number" --case X --out "$work/bank.tar" 2>&1 || echo "ended with $?")" 'ended with 3'

story "a correction"
answer=$(as "$analyst" correct "MOBILE:$number" --to CLEARED --reason WRONG_NUMBER --wait 10s)
expect "an analyst clears the flag" "$answer" "$merged"
soon "to a bank it has no indicator any more" lookup bank-psb-04/main -- 'LOOKUP_VERDICT_NO_INDICATOR' '!"level":'
soon "why: limited by a correction" why -- "$(level NONE)" 'EVENT_KIND_CLEARED'
hears "who wants HIGH: cleared, and out of the view" high "$left" 'EVENT_KIND_CLEARED' '!LEVEL_VERY_HIGH'
hears "the analyst hears the whole of it" analyst 'EVENT_KIND_CLEARED' "$(level NONE)" "!$left"
expect "the police's report: corrected since" "$(as police-mh/main report status "$police_report")" '"levelThen":"LEVEL_VERY_HIGH"' \
  '"levelNow":"LEVEL_NONE"' '"correctedSince":true'

story "a protected number"
about_number 5550000199
answer=$(report bank-psb-02/main FINANCIAL_FRAUD)
name_it
expect "a report about verified customer care is held" "$answer" 'OUTCOME_HELD' 'HELD_REASON_PROTECTED_IDENTIFIER' '"levelThen":"LEVEL_NONE"'
answer=$(report police-mh/main FINANCIAL_FRAUD)
expect "even the police's" "$answer" 'OUTCOME_HELD' '"levelNow":"LEVEL_NONE"'
soon "why: kept as evidence, NONE" why -- "$(level NONE)" 'is protected' '"reportCount":"2"'
hears_nothing "no bank hears of it" bank
answer=$(as dot-diu/analyst-1 correct "MOBILE:$number" --to HIGH --reason CONFIRMED_BY_BANK --override-protected --wait 10s)
soon "one analyst can't override it" why -- "$(level NONE)"
answer=$(as dot-diu/analyst-2 correct "MOBILE:$number" --to HIGH --reason CONFIRMED_BY_BANK --override-protected --wait 10s)
soon "two can" why -- '"level":"LEVEL_(VERY_)?HIGH"'

story "a number that changed hands, and a report that comes late"
about_number 5550000105
day() { date -u -d "$1" +%FT%TZ; }
report police-mh/main FINANCIAL_FRAUD --observed-at "$(day '10 days ago')" >/dev/null
name_it
hears "a bank hears VERY_HIGH" bank "$(level VERY_HIGH)"
answer=$(report tsp-01/main TENURE_CLOSED --observed-at "$(day '5 days ago')" --operator tsp-01)
expect "the operator closes the tenure" "$answer" "$merged" '"levelNow":"LEVEL_NONE"'
hears "it leaves the bank's view" bank "$left" 'EVENT_KIND_TENURE_CLOSED'
answer=$(report bank-psb-02/main FINANCIAL_FRAUD --observed-at "$(day '7 days ago')")
expect "a report from before stays with the old tenure" "$answer" 'OUTCOME_HELD' 'HELD_REASON_CLOSED_TENURE' '"levelThen":"LEVEL_NONE"'
soon "why: the new subscriber is clean" why -- "$(level NONE)" '"tenure":2'
soon "to a bank there is no indicator" lookup bank-psb-04/main -- 'LOOKUP_VERDICT_NO_INDICATOR'
answer=$(report bank-psb-02/main FINANCIAL_FRAUD --observed-at "$(day '1 day ago')")
expect "what the new subscriber does counts" "$answer" "$merged" '"levelNow":"LEVEL_MEDIUM"'
hears "the bank hears MEDIUM, of tenure 2" bank "$(level MEDIUM)" '"tenure":2'

story "a flag that expires"
about_number 5550000106
answer=$(report fiu-01/main FINANCIAL_FRAUD)
expect "from a list that lives three seconds: HIGH" "$answer" "$merged" '"levelNow":"LEVEL_HIGH"'
name_it
expect "who said it stays hidden behind the reason" "$(as police-mh/main why "MOBILE:$number")" 'REASON_OTHER_STAKEHOLDER' '!FINANCIAL_INTELLIGENCE' '!fiu-01'
hears "three seconds later it leaves the view of who wants HIGH" high "$left" 'EVENT_KIND_EXPIRED'
hears "the analyst hears that it expired" analyst 'EVENT_KIND_EXPIRED' "$(level NONE)"
soon "to a bank there is no indicator" lookup bank-psb-04/main -- 'LOOKUP_VERDICT_NO_INDICATOR'
expect "report status: HIGH then, withdrawn since" "$(as fiu-01/main report status "$(json reportId <<<"$answer")")" '"levelThen":"LEVEL_HIGH"' '"correctedSince":true'

story "what was done about it"
about_number 5550000107
answer=$(report police-mh/main FINANCIAL_FRAUD)
name_it
event=$(lookup bank-psb-03/main | json eventId)
expect "a bank learns the event's id" "$event" '^evt_'
act() { as "$1" report ACTION_TAKEN --in-reply-to "$event" --action "$2" --wait 10s; } # WHO ACTION
expect "it reports that it froze an account" "$(act bank-psb-03/main ACCOUNT_FROZEN)" "$merged"
expect "the same again counts once, under another report id too" "$(act bank-psb-03/main ACCOUNT_FROZEN)" 'OUTCOME_DUPLICATE'
expect "another action on the same event is another" "$(act bank-psb-03/main LIEN_MARKED)" "$merged"
expect "and another bank's is another" "$(act bank-psb-04/main ACCOUNT_FROZEN)" "$merged"
timeline() { as "$1" timeline "MOBILE:$number"; }
soon "an analyst sees who did what about which version" timeline "$analyst" -- 'ACTION_ACCOUNT_FROZEN' 'ACTION_LIEN_MARKED' '"reporter":"bank-psb-04"' '"actionVersion":"1"'
expect "the police see none of the banks' actions" "$(timeline police-mh/main)" 'EVENT_KIND_FLAGGED' '!ACTION_TAKEN'
stands() { as "$analyst" board | grep "\"stakeholder\":\"$1\","; }
soon "the board counts two actions of one bank" stands bank-psb-03 -- '"actions":"2"'
soon "and one of the other" stands bank-psb-04 -- '"actions":"1"'
as "$analyst" correct "MOBILE:$number" --to CLEARED --reason WRONG_NUMBER --wait 10s >/dev/null
soon "a bank that is there has confirmed all corrections" stands bank-psb-03 -- '"corrections":([0-9]+),"confirmed":[0-9]+' '!oldestUnconfirmed'
expect "one that never came owes them" "$(stands bank-psb-05)" '"corrections":' '!"confirmed":' '"oldestUnconfirmed":'
expect "only analysts may ask" "$(as bank-psb-03/main board 2>&1 || echo "ended with $?")" 'ended with 3'

story "who listens, as the board has it"
board=$(as "$analyst" streams)
expect "both banks and the analyst, whichever process serves them" "$board" '"bank-psb-03"' '"bank-psb-04"' '"dot-diu"'

drain_hub
end_checks
