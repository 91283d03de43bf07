#include <string>
#include <vector>

#include "libs/access/policy.h"

namespace hub::access {

// One line per RPC: tests/unit/policy_table_test.cc compares this with the descriptors and with the shipped policy.
const std::vector<std::string>& AllRpcs() {
  static const auto* const kRpcs = new std::vector<std::string>{
      "ReportService.SubmitReports",
      "ReportService.StreamReports",
      "ReportService.GetReportStatus",
      "SubscriptionService.Subscribe",
      "SubscriptionService.GetCursor",
      "SubscriptionService.ListSubscriptions",
      "LookupService.Lookup",
      "LookupService.Explain",
      "LookupService.ListEvents",
      "LookupService.ListLinks",
      "LookupService.GetVerdictSet",
      "OperationsService.Correct",
      "OperationsService.CloseTenure",
      "OperationsService.ApplyRules",
      "OperationsService.ApplyPolicy",
      "OperationsService.UseCursorKey",
      "OperationsService.GetControl",
      "OperationsService.ListReceipts",
      "OperationsService.ListStandings",
      "OperationsService.ListStreams",
      "OperationsService.ListQuarantine",
      "OperationsService.GetStateDigest",
  };
  return *kRpcs;
}

}  // namespace hub::access
