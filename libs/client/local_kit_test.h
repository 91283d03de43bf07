// Messages of an invented hub, and a replica's disk, for this folder's tests. Plain functions.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "fraudhub/v1/subscription.pb.h"  // tidy:third-party-ok tests of this folder include it
#include "libs/model/identifier.h"
#include "libs/model/indicator.h"

namespace hub::client {

inline const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

inline model::Identifier Number(int n) {
  return {model::IdentifierType::kMobile, absl::StrCat("+91", 5'550'000'000 + n)};
}

struct Told {
  int number = 1;
  uint64_t version = 1;
  fraudhub::v1::Level level = fraudhub::v1::LEVEL_HIGH;
  absl::Time lapses_at = absl::InfiniteFuture();
  bool left_view = false;
  uint64_t term = 1;
  int tenure = 1;
};

inline fraudhub::v1::Event Event(const Told& told) {
  fraudhub::v1::Event event;
  event.set_event_id(absl::StrCat("evt_", told.number, "_", told.version));
  event.set_left_view(told.left_view);
  event.mutable_version()->set_term(told.term);
  event.mutable_version()->set_version(told.version);
  fraudhub::v1::Indicator* indicator = event.mutable_indicator();
  indicator->set_indicator_id(absl::StrCat("ind_", told.number));
  indicator->set_facet(fraudhub::v1::FACET_RISK);
  indicator->mutable_identifier()->set_type(fraudhub::v1::IDENTIFIER_TYPE_MOBILE);
  indicator->mutable_identifier()->set_canonical(Number(told.number).canonical);
  if (told.left_view) return event;
  indicator->set_level(told.level);
  indicator->set_tenure(static_cast<uint32_t>(told.tenure));
  indicator->add_reasons(fraudhub::v1::REASON_FINANCIAL_INSTITUTION);
  if (told.lapses_at != absl::InfiniteFuture())
    // As early as the hub may announce what lapses then.
    indicator->mutable_expires_at()->set_seconds(absl::ToUnixSeconds(told.lapses_at - model::kExpiryStep));
  return event;
}

inline fraudhub::v1::Progress Progress(const std::string& token, absl::Time until, absl::Time hub_time) {
  fraudhub::v1::Progress progress;
  progress.set_token(token);
  progress.mutable_complete_until()->set_seconds(absl::ToUnixSeconds(until));
  progress.mutable_hub_time()->set_seconds(absl::ToUnixSeconds(hub_time));
  return progress;
}

}  // namespace hub::client
