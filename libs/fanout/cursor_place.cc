#include "libs/fanout/cursor_place.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "libs/model/refusal.h"

namespace hub::fanout {

using model::Cursor;

namespace {
constexpr size_t kNameBytesMax = 64;
}

absl::Status CheckCursorName(const std::string& name) {
  const bool good = !name.empty() && name.size() <= kNameBytesMax &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
                    });
  if (good) return absl::OkStatus();
  return model::Refuse(model::RefusalCode::kBadFormat, "open.cursor", "want 1 to 64 letters, digits, '.', '_', '-'");
}

bool SamePlace(const Cursor& a, const Cursor& b) {
  return a.positions == b.positions && a.urgent_offsets == b.urgent_offsets && a.snapshot_part == b.snapshot_part &&
         a.snapshot_parts == b.snapshot_parts && a.filter_fingerprint == b.filter_fingerprint && a.log_id == b.log_id;
}

bool Comparable(const Cursor& a, const Cursor& b) {
  return a.snapshot_parts == 0 && b.snapshot_parts == 0 && a.filter_fingerprint == b.filter_fingerprint &&
         a.log_id == b.log_id && a.positions.size() == b.positions.size() &&
         a.urgent_offsets.size() == b.urgent_offsets.size();
}

// What is at or after the further place is also at or after both, and so as young as the one of them says that says less.
Cursor Further(const Cursor& a, const Cursor& b) {
  Cursor further = a;
  bool all_a = true, all_b = true;
  for (size_t i = 0; i < a.positions.size(); ++i) {
    all_a &= a.positions[i].offset >= b.positions[i].offset;
    all_b &= b.positions[i].offset >= a.positions[i].offset;
    if (b.positions[i].offset > a.positions[i].offset) further.positions[i] = b.positions[i];
  }
  for (size_t i = 0; i < a.urgent_offsets.size(); ++i) {
    further.urgent_offsets[i] = std::max(a.urgent_offsets[i], b.urgent_offsets[i]);
  }
  if (all_a && all_b) {
    further.issued_at = std::max(a.issued_at, b.issued_at);
  } else if (!all_a) {
    further.issued_at = all_b ? b.issued_at : std::min(a.issued_at, b.issued_at);
  }
  return further;
}

}  // namespace hub::fanout
