#include "libs/client/local_lookup.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/lookup_items.h"
#include "libs/wire/wire.h"

namespace hub::client {

namespace v1 = ::fraudhub::v1;

namespace {

// Seconds. An answer out of memory takes less than one microsecond, one with its reasons some, one that waits for the disk many.
const std::vector<double>& Bounds() {
  static const std::vector<double> bounds = {2e-7,   3e-7, 5e-7,   7.5e-7, 1e-6, 1.5e-6, 2e-6,   3e-6, 4e-6, 5e-6,
                                             7.5e-6, 1e-5, 1.5e-5, 2.5e-5, 5e-5, 1e-4,   2.5e-4, 1e-3, 1e-2, 0.1};
  return bounds;
}

}  // namespace

LocalLookup::LocalLookup(LocalLookupParts parts) : parts_(std::move(parts)) {
  found_ = MakeEnding("indicator");
  not_found_ = MakeEnding("no_indicator");
  unknown_ = MakeEnding("unknown");
  invalid_ = MakeEnding("invalid");
}

LocalLookup::Ending LocalLookup::MakeEnding(const char* name) const {
  const base::MetricLabels labels = {{"verdict", name}};
  const auto histogram = [&](const char* metric, const char* help) {
    return parts_.metrics->AddHistogram(metric, help, Bounds(), labels);
  };
  return {
      parts_.metrics->AddCounter("fraudhub_edge_lookups_total", "Identifiers looked up, by verdict", labels),
      histogram("fraudhub_edge_verdict_seconds",
                "From an identifier's text until it was certain whether it is flagged, and how"),
      histogram("fraudhub_edge_answer_seconds", "From an identifier's text until its answer, with reasons, was there")};
}

LocalLookup::Ending& LocalLookup::Of(v1::LookupVerdict verdict) {
  switch (verdict) {
    case v1::LOOKUP_VERDICT_INDICATOR:
      return found_;
    case v1::LOOKUP_VERDICT_NO_INDICATOR:
      return not_found_;
    case v1::LOOKUP_VERDICT_INVALID:
      return invalid_;
    default:
      return unknown_;
  }
}

absl::Status LocalLookup::Lookup(const v1::LookupRequest& request, v1::LookupResponse* response) {
  if (const absl::Status asked = wire::CheckLookup(request); !asked.ok()) return asked;
  // What a call costs before its first identifier counts as that one's.
  absl::Duration began = parts_.clock->Monotonic();
  const std::shared_ptr<const LocalView> view = parts_.view();
  const auto reader = view == nullptr ? nullptr : view->NewReader();
  Source source{.view = view.get(), .reader = reader.get()};
  if (view != nullptr) source.fresh = view->freshness();
  std::shared_ptr<const FirstVerdicts> first;  // null: answered from what the stream told, or not at all
  if (view != nullptr && source.fresh.age > parts_.age_max) first = view->first_verdicts();
  if (first != nullptr) {
    source.first = first.get();
    source.fresh = view->FreshnessOf(*first);
  }
  response->mutable_results()->Reserve(request.identifiers_size());
  for (int i = 0; i < request.identifiers_size(); ++i) {
    v1::LookupResult* result = response->add_results();
    const absl::Duration certain = Answer(request.identifiers(i), i, source, result);
    const absl::Duration ended = parts_.clock->Monotonic();
    Ending& ending = Of(result->verdict());
    ending.count.Increment();
    ending.verdict_seconds.Observe(absl::ToDoubleSeconds(certain - began));
    ending.answer_seconds.Observe(absl::ToDoubleSeconds(ended - began));
    began = ended;
  }
  return absl::OkStatus();
}

absl::Duration LocalLookup::Answer(const v1::RawIdentifier& asked, int place, const Source& source,
                                   v1::LookupResult* result) const {
  const auto parsed = wire::FromProto(asked, parts_.allow_test_range);
  if (!parsed.ok()) {
    wire::SetInvalid(model::WithFieldPrefix(parsed.status(), absl::StrCat("identifiers[", place, "]")), result);
    return parts_.clock->Monotonic();
  }
  const Freshness& fresh = source.fresh;
  absl::Duration certain;
  if (fresh.age > parts_.age_max) {
    result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    certain = parts_.clock->Monotonic();
  } else if (source.first != nullptr) {
    source.view->LookupFirst(*source.first, parsed->identifier, fresh.hub_now, result);
    certain = parts_.clock->Monotonic();
  } else {
    const replica::IndexVerdict verdict = LocalView::Verdict(parsed->identifier, fresh.hub_now, source.reader);
    certain = parts_.clock->Monotonic();
    source.view->Lookup(parsed->identifier, fresh.hub_now, verdict, result);
    if (verdict.kind == replica::IndexVerdict::Kind::kAskStore) certain = parts_.clock->Monotonic();
  }
  if (rpc::IsFinite(fresh.complete_until)) rpc::ToProto(fresh.complete_until, result->mutable_complete_until());
  return certain;
}

}  // namespace hub::client
