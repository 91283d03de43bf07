#!/usr/bin/env bash
# What the hub does for citizens, from the portal to whoever acts on it, each as a story of real processes: a fraud call is reported and its
# fate asked for; "not my number" and the operator's answer; a handset lost, traced, found; an account disengaged by its platform; and the
# digital arrest of research: calls, complaints, addresses and accounts that hang together, and who hears which of it.
#
#   tests/process/citizens.sh [BIN]
#
#   BIN   folder of the binaries (default build/release/bin)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/story.sh"
[[ ${1:-} != -* ]] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
common_open citizens "${1:-}"

hub_settings=(registry.tick_ms=200)
analyst=dot-diu/analyst-1
make_identities portal-01/main portal-02/main bank-psb-03/main bank-psb-04/main police-mh/main police-ka/main tsp-01/main tsp-02/main platform-01/main "$analyst"
start_hub
for name in bank-psb-03 police-mh police-ka tsp-01 tsp-02 platform-01; do listen "$name" "$name/main"; done
status_of() { as "$1" report status "$2"; } # WHO REPORT-ID

story "a citizen reports a fraud call, and asks what became of it"
about_number 5550000201
answer=$(report portal-01/main SUSPECTED_COMMUNICATION --citizen c-1 --category KYC_BANK --state MH)
mine=$(json reportId <<<"$answer")
name_it
expect "the portal is told: merged, no level from one citizen, and no more than that" "$answer" "$merged" '"levelThen":"LEVEL_NONE"' '!levelNow'
for ((citizen = 2; citizen <= 6; citizen++)); do answer=$(report portal-01/main SUSPECTED_COMMUNICATION --citizen "c-$citizen"); done
expect "the sixth citizen's counts: MEDIUM" "$answer" "$merged" '"levelThen":"LEVEL_MEDIUM"'
soon "later the portal asks for the first: its report stands as it was taken" status_of portal-01/main "$mine" -- "$merged" '"levelThen":"LEVEL_NONE"' '!correctedSince'
hears "a bank hears MEDIUM" bank-psb-03 "$(level MEDIUM)" 'REASON_CITIZEN_REPORTS' '!portal'
expect "another portal can't ask about it" "$(status_of portal-02/main "$mine" 2>&1 || true)" '!OUTCOME_MERGED' '!LEVEL_'

story "a connection in a citizen's name that is not the citizen's"
about_number 5550000202
answer=$(report portal-01/main NOT_MY_CONNECTION --citizen c-7 --operator tsp-01)
name_it
expect "taken, and no flag" "$answer" "$merged" '"levelThen":"LEVEL_NONE"'
hears "its operator is asked to verify" tsp-01 'EVENT_KIND_REVERIFICATION_REQUESTED'
answer=$(report tsp-01/main REVERIFIED --operator tsp-01)
expect "the operator has the papers" "$answer" "$merged"
hears "the request is answered" tsp-01 'EVENT_KIND_REVERIFIED|EVENT_KIND_CLEARED'
hears_nothing "another operator hears nothing" tsp-02
hears_nothing "no bank hears of it" bank-psb-03

story "one that the operator can't vouch for is disconnected, and vouched for in the end"
about_number 5550000203
report portal-01/main NOT_MY_CONNECTION --citizen c-8 --operator tsp-01 >/dev/null
answer=$(report tsp-01/main DISCONNECTED --reason NOT_MY_NUMBER --operator tsp-01)
name_it
expect "disconnected: MEDIUM" "$answer" "$merged" '"levelNow":"LEVEL_MEDIUM"'
hears "a bank hears it" bank-psb-03 "$(level MEDIUM)" 'REASON_NOT_MY_NUMBER'
answer=$(report tsp-01/main REVERIFIED --operator tsp-01)
expect "its owner came with papers: clear" "$answer" "$merged" '"levelNow":"LEVEL_NONE"'
hears "it leaves the bank's view" bank-psb-03 "$left" 'EVENT_KIND_CLEARED'
soon "to a bank it has no indicator" lookup bank-psb-04/main -- 'LOOKUP_VERDICT_NO_INDICATOR'

story "a handset is lost, traced and found"
about_the IMEI 001000000000314
answer=$(report portal-01/main HANDSET_LOST --citizen c-9 --unit police-mh)
expect "the portal registers it for a police unit" "$answer" "$merged"
name_it
hears "every network hears that it is blocked" tsp-01 'EVENT_KIND_HANDSET_BLOCKED'
hears "the others, too" tsp-02 'EVENT_KIND_HANDSET_BLOCKED'
answer=$(report tsp-02/main HANDSET_TRACED --traced-with 5550000299 --operator tsp-02)
expect "one of them sees it with a number in it" "$answer" "$merged"
indicator=$number # its traces are an indicator of their own
traced() { about "$1" | grep -c EVENT_KIND_HANDSET_TRACED || true; }
hears "the unit that it is registered for hears it, with the number" police-mh 'EVENT_KIND_HANDSET_TRACED' '5550000299'
answer=$(report police-mh/main HANDSET_FOUND)
expect "the unit has found it" "$answer" "$merged"
hears "the networks hear that it is free again" tsp-01 'EVENT_KIND_HANDSET_UNBLOCKED'
hears "so do other units" police-ka 'EVENT_KIND_HANDSET_UNBLOCKED'
expect "which never heard where it was seen" "$(traced police-ka)" '^0$'
expect "nor did the networks" "$(traced tsp-01) $(traced tsp-02)" '^0 0$'
expect "who traces what nobody lost is told so" "$(type=IMEI number=001000000000918 && report tsp-02/main HANDSET_TRACED --traced-with 5550000298)" 'OUTCOME_HELD' 'HELD_REASON_NOTHING_TO_CORRECT'

story "a platform disengages an account"
about_number 5550000204
report police-mh/main FINANCIAL_FRAUD --category IMPERSONATE_POLICE_DIGITAL_ARREST --state MH >/dev/null
name_it
hears "the platform hears of the number" platform-01 "$(level VERY_HIGH)" '!police-mh'
event=$(about platform-01 | tail -n 1 | json eventId)
answer=$(type=MOBILE && as platform-01/main report ACTION_TAKEN --in-reply-to "$event" --action ACCOUNT_DISENGAGED --wait 10s)
expect "and says what it did" "$answer" "$merged"
timeline() { as "$1" timeline "$type:$number"; }
soon "an analyst sees that it did" timeline "$analyst" -- 'ACTION_ACCOUNT_DISENGAGED' '"reporter":"platform-01"'
expect "the platform reads back its own report" "$(status_of platform-01/main "$(json reportId <<<"$answer")")" "$merged"

story "a digital arrest: forty calls, three complaints, addresses and an account"
about_number 5550000205
for ((citizen = 1; citizen <= 40; citizen++)); do report "portal-0$((citizen % 2 + 1))/main" SUSPECTED_COMMUNICATION --citizen "d-$citizen" --category IMPERSONATE_POLICE_DIGITAL_ARREST >/dev/null; done
name_it
hears "forty citizens of two portals: HIGH" bank-psb-03 "$(level HIGH)" 'REASON_CITIZEN_REPORTS'
for amount in 2,50,000 80,000 12,00,000; do answer=$(report police-mh/main FINANCIAL_FRAUD --category IMPERSONATE_POLICE_DIGITAL_ARREST --amount "$amount" --state MH); done
expect "the police's complaints: VERY_HIGH" "$answer" "$merged" '"levelNow":"LEVEL_VERY_HIGH"'
hears "the bank hears it, without the loss or the complainants" bank-psb-03 "$(level VERY_HIGH)" 'REASON_LEA_REPORTED_CYBERCRIME' '!lossPaise' '!police-mh'
hears "another unit hears the loss, too" police-ka "$(level VERY_HIGH)" 'lossPaise'
arrest=$number
about_the UPI_ADDRESS "$arrest@example"
answer=$(report bank-psb-04/main FINANCIAL_FRAUD)
expect "an address at a bank that carries the number" "$answer" "$merged" '"levelNow":"LEVEL_MEDIUM"'
linked() { as police-mh/main links "MOBILE:$arrest" --expand; }
soon "the police find it by the number" linked -- "$arrest@example" "$(level MEDIUM)"
about_number "$arrest"
name_it
event=$(lookup bank-psb-03/main | json eventId)
as bank-psb-03/main report ACTION_TAKEN --in-reply-to "$event" --action LIEN_MARKED --wait 10s >/dev/null
as tsp-01/main report DISCONNECTED MOBILE "$arrest" --reason LEA_REPORTED_CYBERCRIME --operator tsp-01 --wait 10s >/dev/null
soon "the timeline has the calls, the complaints, the lien and the disconnection" timeline "$analyst" -- 'SUSPECTED_COMMUNICATION' 'FINANCIAL_FRAUD' 'ACTION_LIEN_MARKED' 'DISCONNECTED'
answer=$(as "$analyst" correct "MOBILE:$arrest" --to CLEARED --reason WRONG_NUMBER --wait 10s)
expect "it was a duplicate after all: cleared" "$answer" "$merged" '"levelNow":"LEVEL_NONE"'
hears "and the bank is told" bank-psb-03 "$left" 'EVENT_KIND_CLEARED'
received() { as "$analyst" received "MOBILE:$arrest"; }
soon "who is there has confirmed the correction" received -- '"confirmed":[0-9]+'

drain_hub
end_checks
