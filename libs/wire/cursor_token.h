// The opaque resume token: positions and terms per partition, log id, filter fingerprint; MACed and bound to the stakeholder.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/model/cursor.h"

namespace hub::wire {

using model::Cursor;
using model::CursorPosition;

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
