#include "services/fanout/cursor_opening.h"

#include <utility>

#include "libs/base/status_macros.h"
#include "libs/fanout/cursor_place.h"
#include "libs/model/refusal.h"

namespace hub::fanout_service {
namespace {

// For the topic to be read to its end after a start; the store itself bounds the attach.
constexpr absl::Duration kWithin = absl::Seconds(10);

bool CanNotGoOn(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal && refusal->code >= model::RefusalCode::kCursorInvalid &&
         refusal->code <= model::RefusalCode::kFilterChanged;
}

// As this caller named the place.
absl::Status AboutCursor(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal ? model::Refuse(refusal->code, "open.cursor", refusal->message) : status;
}

}  // namespace

CursorOpening::CursorOpening(const base::Clock* clock, fanout::CursorStore* store,
                             fanout::CursorStore::Opening opening, bool snapshot_asked, MakeSession make_session)
    : clock_(clock),
      store_(store),
      opening_(std::move(opening)),
      snapshot_asked_(snapshot_asked),
      make_session_(std::move(make_session)),
      began_(clock->Monotonic()) {}

absl::StatusOr<std::unique_ptr<fanout::Session>> CursorOpening::Poll() {
  if (lease_ == nullptr) {
    absl::StatusOr<std::optional<fanout::NamedCursor>> known =
        store_->Find(opening_.stakeholder, opening_.name);
    if (known.ok()) {
      HUB_RETURN_IF_ERROR(Begin(*known));
    } else if (clock_->Monotonic() - began_ > kWithin) {
      return known.status();
    }
    return nullptr;
  }
  HUB_ASSIGN_OR_RETURN(const bool attached, lease_->Poll());
  if (!attached) return nullptr;
  const std::optional<model::Cursor> place = lease_->place();
  const bool as_found = place.has_value() == opening_.place.has_value() &&
                        (!place || fanout::SamePlace(*place, *opening_.place));
  if (as_found) return std::move(session_);
  started_ = !place.has_value();
  absl::StatusOr<std::unique_ptr<fanout::Session>> session = make_session_(place);
  return session.ok() ? std::move(session) : AboutCursor(session.status());
}

absl::Status CursorOpening::Begin(const std::optional<fanout::NamedCursor>& known) {
  if (known && known->place) {
    absl::Status refused;
    if (snapshot_asked_ && known->place->snapshot_parts > 0) {
      opening_.restarts = true;
    } else {
      absl::StatusOr<std::unique_ptr<fanout::Session>> resumed = make_session_(known->place);
      opening_.restarts = snapshot_asked_ && CanNotGoOn(resumed.status());
      if (!resumed.ok() && !opening_.restarts) return AboutCursor(resumed.status());
      if (resumed.ok()) session_ = *std::move(resumed);
    }
  }
  if (session_ != nullptr) {
    opening_.place = known->place;
  } else {
    started_ = true;
    HUB_ASSIGN_OR_RETURN(session_, make_session_(std::nullopt));
    opening_.place = session_->AckedCursor();
    // Nothing of the snapshot was sent yet: who comes back begins another, and is told so.
    if (opening_.place && opening_.place->snapshot_parts > 0 && !opening_.restarts) opening_.place.reset();
  }
  HUB_ASSIGN_OR_RETURN(lease_, store_->Attach(opening_));
  return absl::OkStatus();
}

}  // namespace hub::fanout_service
