#!/usr/bin/env bash
# Writes the sample policy: 560 invented stakeholders in the real mix, four citizens' portals, one analysts' unit, and what each role may
# do. Always the same output; policy.textproto beside this script is what it prints.
#
#   deploy/config/make_policy.sh > deploy/config/policy.textproto
set -euo pipefail

cat <<'TEXT'
# Sample policy. Printed by deploy/config/make_policy.sh: change that, not this.
# Invented organisations only. Format: proto/fraudhub/config/v1/policy.proto.
version: 1
trust_domain: "dev.hub.example"

# --- what each role may do; what is not granted is denied ---

# Banks, lenders, payment firms: flags that are on, never who said it; nothing about handsets, SIM cards and who sold them. What falls
# below MEDIUM leaves their view: to them a cleared or recycled number is a number without an indicator.
grants {
  role: ROLE_FINANCIAL_INSTITUTION
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet"]
  may_report: [INPUT_KIND_FINANCIAL_FRAUD, INPUT_KIND_SPOOFED_CLI, INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see {
    facets: FACET_RISK
    level_min: LEVEL_MEDIUM
    types: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_MACHINE, IDENTIFIER_TYPE_FOREIGN_PHONE,
            IDENTIFIER_TYPE_SERVICE_1600, IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_TOLL_FREE, IDENTIFIER_TYPE_HELPLINE,
            IDENTIFIER_TYPE_UPI_ADDRESS, IDENTIFIER_TYPE_BANK_ACCOUNT, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL,
            IDENTIFIER_TYPE_WHATSAPP, IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP,
            IDENTIFIER_TYPE_IP_ADDRESS]
  }
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_MACHINE, IDENTIFIER_TYPE_FOREIGN_PHONE,
                IDENTIFIER_TYPE_SERVICE_1600, IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_TOLL_FREE, IDENTIFIER_TYPE_HELPLINE,
                IDENTIFIER_TYPE_UPI_ADDRESS, IDENTIFIER_TYPE_BANK_ACCOUNT, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL,
                IDENTIFIER_TYPE_WHATSAPP, IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP,
                IDENTIFIER_TYPE_IP_ADDRESS]
  reports_per_second: 5000
  lookups_per_second: 20000
}
# Operators: their own numbers and connections; what every network meets (headers and links in messages, callers from abroad,
# sellers of SIM cards); handsets. A number whose operator nobody knows is the analysts' business.
grants {
  role: ROLE_TELECOM_OPERATOR
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet"]
  may_report: [INPUT_KIND_DISCONNECTED, INPUT_KIND_REVERIFIED, INPUT_KIND_TENURE_CLOSED, INPUT_KIND_SPOOFED_CLI,
               INPUT_KIND_HANDSET_TRACED, INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see { facets: [FACET_RISK, FACET_CONNECTION] operator_ids: "$self" }
  may_see {
    facets: FACET_RISK
    level_min: LEVEL_MEDIUM
    types: [IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL, IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_FOREIGN_PHONE,
            IDENTIFIER_TYPE_POINT_OF_SALE]
  }
  may_see { facets: FACET_RISK types: IDENTIFIER_TYPE_IMEI }
  fields: FIELD_AUDIENCE_TELECOM
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_MACHINE, IDENTIFIER_TYPE_TOLL_FREE,
                IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_FOREIGN_PHONE, IDENTIFIER_TYPE_IMEI, IDENTIFIER_TYPE_IMSI,
                IDENTIFIER_TYPE_ICCID, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL, IDENTIFIER_TYPE_POINT_OF_SALE]
  reports_per_second: 20000
}
# Police and central agencies: everything about risk, victims and cases included; traces of the handsets they registered.
grants {
  role: ROLE_LAW_ENFORCEMENT
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet", "LookupService.Explain", "LookupService.ListEvents",
         "LookupService.ListLinks"]
  may_report: [INPUT_KIND_FINANCIAL_FRAUD, INPUT_KIND_HANDSET_LOST, INPUT_KIND_HANDSET_FOUND, INPUT_KIND_ACTION_TAKEN,
               INPUT_KIND_CORRECTION]
  may_see { facets: FACET_RISK }
  may_see { facets: FACET_TRACE handling_units: "$self" }
  fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT]
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_MACHINE, IDENTIFIER_TYPE_FOREIGN_PHONE,
                IDENTIFIER_TYPE_SERVICE_1600, IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_TOLL_FREE, IDENTIFIER_TYPE_HELPLINE,
                IDENTIFIER_TYPE_IMEI, IDENTIFIER_TYPE_IMSI, IDENTIFIER_TYPE_ICCID, IDENTIFIER_TYPE_POINT_OF_SALE,
                IDENTIFIER_TYPE_UPI_ADDRESS, IDENTIFIER_TYPE_BANK_ACCOUNT, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL,
                IDENTIFIER_TYPE_WHATSAPP, IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP,
                IDENTIFIER_TYPE_IP_ADDRESS]
}
# The financial intelligence unit: its part in a flag shows as OTHER_STAKEHOLDER.
grants {
  role: ROLE_FINANCIAL_INTELLIGENCE
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet"]
  may_report: [INPUT_KIND_FINANCIAL_FRAUD, INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see { facets: FACET_RISK level_min: LEVEL_MEDIUM }
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_FOREIGN_PHONE, IDENTIFIER_TYPE_UPI_ADDRESS,
                IDENTIFIER_TYPE_BANK_ACCOUNT, IDENTIFIER_TYPE_EMAIL]
}
# Regulators and observers: flags that are on; they publish the revocation lists and report what they did.
grants {
  role: ROLE_REGULATOR
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet"]
  may_report: [INPUT_KIND_DISCONNECTED, INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see { facets: FACET_RISK level_min: LEVEL_MEDIUM }
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL, IDENTIFIER_TYPE_UPI_ADDRESS]
  reports_per_second: 20000
}
# Messaging and social platforms: what an account with them can be.
grants {
  role: ROLE_PLATFORM
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet"]
  may_report: [INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see {
    facets: FACET_RISK
    level_min: LEVEL_MEDIUM
    types: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_FOREIGN_PHONE, IDENTIFIER_TYPE_URL, IDENTIFIER_TYPE_WHATSAPP,
            IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP]
  }
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_FOREIGN_PHONE, IDENTIFIER_TYPE_URL, IDENTIFIER_TYPE_WHATSAPP,
                IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP]
}
# Citizens' portals report, with a keyed pseudonym per citizen; they see nothing but what became of their reports.
grants {
  role: ROLE_CITIZEN_PORTAL
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus"]
  may_report: [INPUT_KIND_SUSPECTED_COMMUNICATION, INPUT_KIND_NOT_MY_CONNECTION, INPUT_KIND_HANDSET_LOST, INPUT_KIND_HANDSET_FOUND,
               INPUT_KIND_CORRECTION]
  reports_per_second: 20000
}
# Analysts: everything, and nothing unseen: what they look up is audited.
grants {
  role: ROLE_ANALYST
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor", "SubscriptionService.ListSubscriptions",
         "LookupService.Lookup", "LookupService.GetVerdictSet", "LookupService.Explain", "LookupService.ListEvents",
         "LookupService.ListLinks",
         "OperationsService.Correct", "OperationsService.CloseTenure", "OperationsService.ApplyRules",
         "OperationsService.ApplyPolicy", "OperationsService.UseCursorKey", "OperationsService.GetControl",
         "OperationsService.ListReceipts", "OperationsService.ListStandings", "OperationsService.ListStreams",
         "OperationsService.ListQuarantine", "OperationsService.GetStateDigest"]
  may_report: [INPUT_KIND_DISCONNECTED, INPUT_KIND_TENURE_CLOSED, INPUT_KIND_ACTION_TAKEN, INPUT_KIND_CORRECTION]
  may_see {}
  fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT, FIELD_AUDIENCE_ANALYST]
  may_look_up: [IDENTIFIER_TYPE_MOBILE, IDENTIFIER_TYPE_LANDLINE, IDENTIFIER_TYPE_MACHINE, IDENTIFIER_TYPE_FOREIGN_PHONE,
                IDENTIFIER_TYPE_SERVICE_1600, IDENTIFIER_TYPE_PROMOTIONAL_140, IDENTIFIER_TYPE_TOLL_FREE, IDENTIFIER_TYPE_HELPLINE,
                IDENTIFIER_TYPE_IMEI, IDENTIFIER_TYPE_IMSI, IDENTIFIER_TYPE_ICCID, IDENTIFIER_TYPE_POINT_OF_SALE,
                IDENTIFIER_TYPE_UPI_ADDRESS, IDENTIFIER_TYPE_BANK_ACCOUNT, IDENTIFIER_TYPE_SMS_HEADER, IDENTIFIER_TYPE_URL,
                IDENTIFIER_TYPE_WHATSAPP, IDENTIFIER_TYPE_TELEGRAM, IDENTIFIER_TYPE_EMAIL, IDENTIFIER_TYPE_APP,
                IDENTIFIER_TYPE_IP_ADDRESS]
  reports_per_second: 20000
  lookups_per_second: 20000
  streams_max: 32
}

# --- who there is: one principal "main" each unless others are named ---

TEXT

stakeholder() { # ID TITLE ROLE KIND [MORE]
  printf 'stakeholders { id: "%s" title: "%s" role: ROLE_%s kind: "%s"%s }\n' "$1" "$2" "$3" "$4" "${5:+ $5}"
}
series() { # COUNT ID TITLE ROLE KIND
  local i number
  for ((i = 1; i <= $1; ++i)); do
    printf -v number '%02d' "$i"
    stakeholder "$2-$number" "$3-$number" "$4" "$5"
  done
}

series 12 bank-psb "Bank PSB" FINANCIAL_INSTITUTION BANK_PSB
series 21 bank-pvt "Bank PVT" FINANCIAL_INSTITUTION BANK_PRIVATE
# A regional rural bank belongs to the public sector bank that sponsors it: together they count once.
for ((i = 1; i <= 28; ++i)); do
  printf -v number '%02d' "$i"
  printf -v sponsor '%02d' "$(((i - 1) % 12 + 1))"
  stakeholder "bank-rrb-$number" "Bank RRB-$number" FINANCIAL_INSTITUTION BANK_RURAL "ownership_group: \"bank-psb-$sponsor\""
done
series 44 bank-fgn "Bank FGN" FINANCIAL_INSTITUTION BANK_FOREIGN
series 11 bank-sfb "Bank SFB" FINANCIAL_INSTITUTION BANK_SMALL_FINANCE
series 5 bank-pay "Bank PAY" FINANCIAL_INSTITUTION BANK_PAYMENTS
series 2 bank-lab "Bank LAB" FINANCIAL_INSTITUTION BANK_LOCAL_AREA
series 75 bank-coop "Bank COOP" FINANCIAL_INSTITUTION BANK_COOPERATIVE_SCHEDULED
series 190 bank-ucb "Bank UCB" FINANCIAL_INSTITUTION BANK_COOPERATIVE
series 70 nbfc "Lender NBFC" FINANCIAL_INSTITUTION NBFC
series 25 pay "Payments PAY" FINANCIAL_INSTITUTION PAYMENT_OPERATOR
series 12 app "Payments APP" FINANCIAL_INSTITUTION PAYMENT_APP
series 4 tsp "Operator TSP" TELECOM_OPERATOR TELECOM_OPERATOR
# Codes as the hub writes them (libs/wire/places.cc), since victims' states are compared with them.
for state in AN AP AR AS BR CG CH DH DL GA GJ HP HR JH JK KA KL LA LD MH ML MN MP MZ NL OD PB PY RJ SK TN TR TS UK UP WB; do
  stakeholder "police-${state,,}" "Police $state" LAW_ENFORCEMENT POLICE_STATE "state: \"$state\""
done
series 10 agency "Agency" LAW_ENFORCEMENT POLICE_CENTRAL
stakeholder cyber-centre-01 "Cyber crime centre" LAW_ENFORCEMENT CYBER_CENTRE
stakeholder fiu-01 "Financial intelligence unit" FINANCIAL_INTELLIGENCE FINANCIAL_INTELLIGENCE
stakeholder regulator-bank-01 "Bank regulator" REGULATOR REGULATOR
stakeholder regulator-market-01 "Market regulator" REGULATOR REGULATOR
stakeholder payments-council-01 "Payments council" REGULATOR REGULATOR
stakeholder tax-network-01 "Tax network" REGULATOR REGULATOR
series 5 platform "Platform" PLATFORM PLATFORM
series 4 observer "Observer" REGULATOR OBSERVER

# Besides the 560 that are told: who reports for citizens, and who decides.
series 4 portal "Portal" CITIZEN_PORTAL CITIZEN_PORTAL
stakeholder dot-diu "Analysts" ANALYST ANALYST 'principals { name: "analyst-1" } principals { name: "analyst-2" }'
