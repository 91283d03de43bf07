// The opaque resume token: positions and terms per partition, log id, filter fingerprint; MACed and bound to the stakeholder.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"

namespace hub::wire {

struct CursorPosition {
  int32_t partition = 0;
  int64_t offset = 0;  // of the next record to read
  uint64_t term = 0;   // in force there
  friend bool operator==(const CursorPosition&, const CursorPosition&) = default;
};

struct Cursor {
  std::string log_id;
  uint64_t filter_fingerprint = 0;
  std::vector<CursorPosition> positions;  // one per partition, ascending
  absl::Time issued_at = absl::InfinitePast();
  // Of the next copies to read on `urgent`, one per partition like `positions`; empty: the stream had not asked for them.
  std::vector<int64_t> urgent_offsets;
};

// Several keys may be accepted at a time; one of them seals. To change keys without losing a token: give every process the new key, then have
// all seal with it, and take the old one away once tokens sealed with it are older than the resume window.
class CursorSealer {
 public:
  // The lowest id seals. REQUIRES: at least one key; ids above 0.
  explicit CursorSealer(std::map<uint32_t, base::HmacKey> keys);
  CursorSealer(base::HmacKey key, uint32_t key_id);
  std::string Seal(const Cursor& cursor, absl::string_view stakeholder) const;
  // Refuse(kCursorInvalid, "open.token", ...) for anything not sealed for this stakeholder; Unavailable when it names a key that isn't here
  // (yet): another process may know it.
  absl::StatusOr<Cursor> Open(absl::string_view token, absl::string_view stakeholder) const;

  // What is accepted from now on. The key that seals stays if it is among them. REQUIRES: at least one key.
  void SetKeys(std::map<uint32_t, base::HmacKey> keys);
  // False, and nothing changes: there is no such key.
  bool SignWith(uint32_t key_id);

 private:
  mutable base::Mutex mu_;
  std::map<uint32_t, base::HmacKey> keys_ ABSL_GUARDED_BY(mu_);
  uint32_t signs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hub::wire
