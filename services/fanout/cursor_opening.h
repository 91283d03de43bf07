// A stream that opens a named cursor, until it may serve: looks the cursor up, finds where it would start, attaches, and waits until the
// attach is read back. Nothing of it blocks.
//
// A cursor that can't be gone on from is refused before anybody's stream is taken over. Who opens it with cursor_start = SNAPSHOT set has it
// begin again with a snapshot instead, as nothing is missing from one; likewise when it lies inside a snapshot whose begin that client
// does not remember.
// Thread safety: none; the stream's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/fanout/cursor_store.h"
#include "libs/fanout/session.h"

namespace hub::fanout_service {

class CursorOpening {
 public:
  // At a place, or where a new cursor starts.
  using MakeSession = std::function<absl::StatusOr<std::unique_ptr<fanout::Session>>(const std::optional<model::Cursor>&)>;

  // The store outlives it.
  CursorOpening(const base::Clock* clock, fanout::CursorStore* store, fanout::CursorStore::Opening opening,
                bool snapshot_asked, MakeSession make_session);

  // Null: ask again soon. Unavailable: not within `kWithin`.
  absl::StatusOr<std::unique_ptr<fanout::Session>> Poll();
  // REQUIRES, both: Poll gave a session. Did the cursor begin with it, rather than go on?
  bool started() const { return started_; }
  std::unique_ptr<fanout::CursorStore::Lease> TakeLease() { return std::move(lease_); }

 private:
  absl::Status Begin(const std::optional<fanout::NamedCursor>& known);

  const base::Clock* const clock_;
  fanout::CursorStore* const store_;
  fanout::CursorStore::Opening opening_;
  const bool snapshot_asked_;
  const MakeSession make_session_;
  const absl::Duration began_;
  std::unique_ptr<fanout::Session> session_;  // found before the attach; good if nothing has moved the cursor since
  std::unique_ptr<fanout::CursorStore::Lease> lease_;
  bool started_ = false;
};

}  // namespace hub::fanout_service
