#include "services/edge/edge_lookup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/lookup_items.h"
#include "libs/wire/wire.h"

namespace hub::edge {

namespace v1 = ::fraudhub::v1;

EdgeLookup::EdgeLookup(EdgeLookupParts parts) : parts_(std::move(parts)) {
  const auto counter = [&](const char* verdict) {
    return parts_.metrics->AddCounter("fraudhub_edge_lookups_total", "Identifiers looked up, by verdict",
                                      {{"verdict", verdict}});
  };
  found_ = counter("indicator");
  not_found_ = counter("no_indicator");
  unknown_ = counter("unknown");
  invalid_ = counter("invalid");
}

absl::Status EdgeLookup::Lookup(const v1::LookupRequest& request, v1::LookupResponse* response) {
  if (const absl::Status asked = wire::CheckLookup(request); !asked.ok()) return asked;
  const std::shared_ptr<const EdgeView> view = parts_.view();
  const auto reader = view == nullptr ? nullptr : view->NewReader();
  Freshness fresh = view == nullptr ? Freshness() : view->freshness();
  std::shared_ptr<const FirstVerdicts> first;  // null: answered from what the stream told, or not at all
  if (view != nullptr && fresh.age > parts_.age_max) first = view->first_verdicts();
  if (first != nullptr) fresh = view->FreshnessOf(*first);
  for (int i = 0; i < request.identifiers_size(); ++i) {
    v1::LookupResult* result = response->add_results();
    const auto parsed = wire::FromProto(request.identifiers(i), parts_.allow_test_range);
    if (!parsed.ok()) {
      wire::SetInvalid(model::WithFieldPrefix(parsed.status(), absl::StrCat("identifiers[", i, "]")), result);
      invalid_.Increment();
      continue;
    }
    if (fresh.age > parts_.age_max) {
      result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    } else if (first != nullptr) {
      view->LookupFirst(*first, parsed->identifier, fresh.hub_now, result);
    } else {
      view->Lookup(parsed->identifier, fresh.hub_now, reader.get(), result);
    }
    if (rpc::IsFinite(fresh.complete_until)) rpc::ToProto(fresh.complete_until, result->mutable_complete_until());
    (result->verdict() == v1::LOOKUP_VERDICT_INDICATOR      ? found_
     : result->verdict() == v1::LOOKUP_VERDICT_NO_INDICATOR ? not_found_
                                                            : unknown_)
        .Increment();
  }
  return absl::OkStatus();
}

}  // namespace hub::edge
