#include "services/hubctl/help_texts.h"

namespace hub::hubctl {

const std::vector<HelpTopic>& HelpTopics() {
  static const auto* const topics = new std::vector<HelpTopic>{
      {"report", R"(# One number that a customer lost money to; the answer says what became of it.
hubctl report FINANCIAL_FRAUD MOBILE 5551234567 --category KYC_BANK --amount 1,25,000
# A lost handset, a link, what was done about an event.
hubctl report HANDSET_LOST IMEI 001000000000317 --observed-at "2026-03-08 14:30"
hubctl report SUSPECTED_COMMUNICATION URL https://kyc-update.example/a --citizen c-1f2e3d4c
hubctl report ACTION_TAKEN --in-reply-to evt_... --action ACCOUNT_FROZEN
hubctl report status 0190a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b)"},
      {"import", R"(# Check every row first, then send; rows that were not taken go to a file of their own.
hubctl import csv deploy/samples/bank.csv --map deploy/samples/bank.map --dry-run
hubctl import csv deploy/samples/bank.csv --map deploy/samples/bank.map --rejects rejects.csv
# A revocation list of any size; the same command again goes on where it stopped, and counts nothing twice.
hubctl import mnrl-json deploy/samples/revocation-list.json)"},
      {"watch", R"(# Everything that you may see, from the last state of all on; then only what is HIGH or above.
hubctl watch --from earliest
hubctl watch --min-level HIGH --type MOBILE,UPI_ADDRESS
# A police unit: its state's victims and its own cases, with up to four linked identifiers each.
hubctl watch --state MH --min-level HIGH --links 4
# Into a program, resumed where it stopped.
hubctl --output json watch --token-file watch.token
# The hub keeps the place, under a name of yours; one watch at a time has it.
hubctl --output json watch --cursor core-banking --from earliest)"},
      {"cursors", R"(hubctl cursors
hubctl cursors core-banking)"},
      {"lookup", R"(hubctl lookup MOBILE:5551234567 name@testbank https://kyc-update.example/a
hubctl --output csv lookup - < identifiers.txt)"},
      {"why", R"(hubctl --purpose CASE_REVIEW why MOBILE:5551234567)"},
      {"timeline", R"(hubctl --purpose CASE_REVIEW timeline MOBILE:5551234567 --limit 20)"},
      {"links", R"(hubctl --purpose CASE_REVIEW links UPI_ADDRESS:5551234567@testpsp
hubctl --purpose CASE_REVIEW links MOBILE:5551234567 --expand)"},
      {"evidence", R"(# What the hub knows about a number, for a court; and whether a bundle is still as it was exported.
hubctl evidence export MOBILE:5551234567 --case FIR-12/2026 --out fir-12.tar
hubctl evidence verify fir-12.tar)"},
      {"correct", R"(# An analyst clears a wrong flag; a reporter takes back what it said itself.
hubctl correct MOBILE:5551234567 --to CLEARED --reason WRONG_NUMBER
hubctl correct MOBILE:5551234567 --to RETRACTED --reason ENTERED_TWICE)"},
      {"received", R"(# Who has the last correction (or other urgent event), who has not; or an earlier version's.
hubctl received MOBILE:5551234567
hubctl --output csv received MOBILE:5551234567 --version 7)"},
      {"tenure", R"(hubctl tenure close MOBILE:5551234567 --at 2026-03-08)"},
      {"rules", R"(hubctl rules apply deploy/config/rules.textproto --check
hubctl rules apply deploy/config/rules.textproto)"},
      {"health", "hubctl health"},
      {"digest", "hubctl digest"},
      {"streams", "hubctl streams"},
      {"board", R"(# Who is behind, who owes a confirmation of a correction and since when; the worst ten, then all of it live.
hubctl board --limit 10
hubctl board --watch --interval 5s --rounds 2)"},
      {"sample", R"(hubctl sample mnrl --rows 1000000 --seed 1 --out list.json
hubctl sample csv ncrp --rows 50 --out ncrp.csv --map-out ncrp.map
hubctl sample demo --rows 1000 --seed 1 --out-dir demo)"},
      {"config",
       R"(hubctl config check deploy/config/policy.textproto deploy/config/rules.textproto deploy/samples/ncrp.map)"},
      {"completion", R"(hubctl completion bash > ~/.local/share/bash-completion/completions/hubctl)"},
  };
  return *topics;
}

}  // namespace hub::hubctl
