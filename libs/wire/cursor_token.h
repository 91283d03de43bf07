// The opaque resume token: positions and terms per partition, log id, filter fingerprint; MACed and bound to the stakeholder.
//
// Thread safety: immutable; share freely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/hash.h"

namespace hub::wire {

struct CursorPosition {
  int32_t partition = 0;
  int64_t offset = 0;   // of the next record to read
  uint64_t term = 0;    // in force there
  friend bool operator==(const CursorPosition&, const CursorPosition&) = default;
};

struct Cursor {
  std::string log_id;
  uint64_t filter_fingerprint = 0;
  std::vector<CursorPosition> positions;  // one per partition, ascending
  absl::Time issued_at = absl::InfinitePast();
};

class CursorSealer {
 public:
  CursorSealer(base::HmacKey key, uint32_t key_id);
  std::string Seal(const Cursor& cursor, absl::string_view stakeholder) const;
  // Refuse(kCursorInvalid, "open.token", ...) for anything not sealed by this key for this stakeholder.
  absl::StatusOr<Cursor> Open(absl::string_view token, absl::string_view stakeholder) const;

 private:
  base::HmacKey key_;
  uint32_t key_id_;
};

}  // namespace hub::wire
