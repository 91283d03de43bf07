#include "services/hubctl/evidence_records.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kPageSize = 1000;  // the API's most
constexpr int kPagesMax = 200;
constexpr size_t kLinksMax = 20'000;
constexpr int kTries = 3;

absl::StatusOr<std::string> JsonInLines(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("the hub's answer has no JSON: ", status.ToString()));
  return json;
}

class Collection {
 public:
  Collection(const HubCalls& calls, const v1::RawIdentifier& identifier, const std::string& purpose,
             const Environment& env)
      : calls_(calls), identifier_(identifier), purpose_(purpose), env_(env) {}

  // False: it changed meanwhile.
  absl::StatusOr<bool> Run() {
    HUB_ASSIGN_OR_RETURN(records_.state, State("state"));
    HUB_RETURN_IF_ERROR(Explain());
    HUB_RETURN_IF_ERROR(Events());
    HUB_RETURN_IF_ERROR(Links());
    HUB_ASSIGN_OR_RETURN(const v1::LookupResult after, State("state-after"));
    return after.event_id() == records_.state.event_id() && after.verdict() == records_.state.verdict();
  }
  EvidenceRecords Take() { return std::move(records_); }

 private:
  template <class Response, class Request>
  absl::StatusOr<Response> Ask(const std::string& name, const char* method, Request request) {
    request.set_purpose(purpose_);
    request.set_case_ref(env_.settings.case_ref);
    const absl::Time asked_at = env_.clock->TimeNow();
    HUB_ASSIGN_OR_RETURN(std::string bytes,
                         calls_.CallForBytes(absl::StrCat("/fraudhub.v1.LookupService/", method), request));
    Response response;
    if (!response.ParseFromString(bytes)) return absl::InternalError("the hub's answer can't be read");
    HUB_ASSIGN_OR_RETURN(std::string json, JsonInLines(response));
    records_.answers.push_back(
        {name, absl::StrCat("LookupService.", method), asked_at, std::move(bytes), std::move(json)});
    return response;
  }

  absl::StatusOr<v1::LookupResult> State(const char* name) {
    v1::LookupRequest request;
    *request.add_identifiers() = identifier_;
    HUB_ASSIGN_OR_RETURN(const auto response, Ask<v1::LookupResponse>(name, "Lookup", request));
    if (response.results_size() != 1) return absl::InternalError("the hub's answer doesn't fit the question");
    const v1::LookupResult& result = response.results(0);
    if (result.verdict() == v1::LOOKUP_VERDICT_INVALID) {
      return absl::InvalidArgumentError(
          absl::StrCat("the hub refuses the identifier: ", Word(v1::ErrorReason_descriptor(), result.error())));
    }
    if (result.verdict() == v1::LOOKUP_VERDICT_UNKNOWN)
      return absl::UnavailableError("the hub's data is older than it allows itself; a bundle would be incomplete");
    return result;
  }

  absl::Status Explain() {
    v1::ExplainRequest request;
    *request.mutable_identifier() = identifier_;
    HUB_ASSIGN_OR_RETURN(records_.explanation, Ask<v1::ExplainResponse>("explanation", "Explain", request));
    return absl::OkStatus();
  }

  absl::Status Events() {
    v1::ListEventsRequest request;
    *request.mutable_identifier() = identifier_;
    request.set_page_size(kPageSize);
    for (int page = 1; page <= kPagesMax; ++page) {
      HUB_ASSIGN_OR_RETURN(const auto response,
                           Ask<v1::ListEventsResponse>(absl::StrFormat("events-%04d", page), "ListEvents", request));
      records_.entries.insert(records_.entries.end(), response.entries().begin(), response.entries().end());
      if (response.next_page_token().empty()) {
        std::reverse(records_.entries.begin(), records_.entries.end());
        return absl::OkStatus();
      }
      request.set_page_token(response.next_page_token());
    }
    return absl::OutOfRangeError("the history is longer than one bundle holds (200,000 entries)");
  }

  absl::Status Links() {
    v1::ListLinksRequest request;
    *request.mutable_identifier() = identifier_;
    request.set_page_size(kPageSize);
    records_.links.clear();
    while (records_.links.size() < kLinksMax) {
      HUB_ASSIGN_OR_RETURN(const auto response, Ask<v1::ListLinksResponse>("links", "ListLinks", request));
      records_.links.insert(records_.links.end(), response.links().begin(), response.links().end());
      if (response.next_page_token().empty()) return absl::OkStatus();
      request.set_page_token(response.next_page_token());
    }
    return absl::OutOfRangeError("more hangs together with it than one bundle holds (20,000 links)");
  }

  const HubCalls& calls_;
  const v1::RawIdentifier& identifier_;
  const std::string& purpose_;
  const Environment& env_;
  EvidenceRecords records_;
};

}  // namespace

absl::StatusOr<EvidenceRecords> CollectEvidence(const HubCalls& calls, const v1::RawIdentifier& identifier,
                                                const std::string& purpose, const Environment& env) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    Collection collection(calls, identifier, purpose, env);
    HUB_ASSIGN_OR_RETURN(const bool still, collection.Run());
    if (still) return collection.Take();
  }
  return absl::UnavailableError("the indicator changes too fast to be exported as of one moment; try again");
}

}  // namespace hub::hubctl
