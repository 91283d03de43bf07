// What the hub answers about one identifier, for evidence: the bytes as they came, and what they say.
//
// Thread safety: plain values and functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fraudhub/v1/lookup.pb.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

class HubCalls;

struct EvidenceRecords {
  // One answer of the hub.
  struct Answer {
    std::string name;    // "state", "events-0001": of its files
    std::string method;  // "LookupService.ListEvents"
    absl::Time asked_at;
    std::string bytes;
    std::string json;  // the same in the API's JSON mapping, in lines
  };
  std::vector<Answer> answers;

  fraudhub::v1::LookupResult state;
  fraudhub::v1::ExplainResponse explanation;
  std::vector<fraudhub::v1::HistoryEntry> entries;  // oldest first
  std::vector<fraudhub::v1::Link> links;

  // Nothing that the caller may see.
  bool empty() const { return explanation.explanations().empty() && entries.empty(); }
};

// Asks until nothing changed between the first question and the last, three times at most: the parts of a bundle fit each other. Each
// question carries the purpose and the case and is written into the hub's audit record. Unavailable: the hub's data is older than it
// allows itself, or changes too fast. OutOfRange: a history longer than 200,000 entries, which no bundle leaves out silently.
absl::StatusOr<EvidenceRecords> CollectEvidence(const HubCalls& calls, const fraudhub::v1::RawIdentifier& identifier,
                                                const std::string& purpose, const Environment& env);

}  // namespace hub::hubctl
