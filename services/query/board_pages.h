// The pages of the analysts' board. Plain functions: what they show was authorised, audited and redacted before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "services/query/html.h"
#include "services/query/receipt_list.h"

namespace hub::query {

struct PageFrame {
  std::string caller;  // URI of who looks
  absl::Time now;
};

// "/": how the hub and its stakeholders are. No identifier is on it.
struct Overview {
  absl::Time complete_until;                                    // everything accepted before is in it
  std::optional<fraudhub::v1::GetStateDigestResponse> numbers;  // nullopt: not counted yet, or not for this reader
  absl::Time counted_at;
  fraudhub::v1::ListStandingsResponse standings;
  std::optional<fraudhub::v1::ListStreamsResponse>
      streams;                                  // nullopt: this process has no streams, or not for this reader
  std::vector<CorrectionReceipts> corrections;  // newest first
};
std::string OverviewPage(const PageFrame& frame, const Overview& overview);

// "/indicator/ID" and what a lookup finds: why it is as it is, and what happened.
struct Found {
  fraudhub::v1::ExplainResponse why;  // with one explanation at least
  fraudhub::v1::ListEventsResponse events;
};
std::string IndicatorPage(const PageFrame& frame, const Found& found);

// "/lookup": asks for an identifier, and posts it: addresses are kept in histories and logs. `note`: above the form.
std::string LookupPage(const PageFrame& frame, const std::string& note);
// Asks why, before an indicator is shown.
std::string PurposePage(const PageFrame& frame, const std::string& indicator_id);
// `title`: "Not allowed"; `text` says why.
std::string ProblemPage(const PageFrame& frame, const std::string& title, const std::string& text);

// "/board.css"
std::string BoardStyle();

}  // namespace hub::query
