// A place in a stream of events: what a resume token and a named cursor hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hub::model {

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
  // Everything at or after the positions is younger.
  absl::Time issued_at = absl::InfinitePast();
  // Of the next copies to read on `urgent`, one per partition like `positions`; empty: the stream had not asked for them.
  std::vector<int64_t> urgent_offsets;
  // Inside a snapshot, whose tail starts at `positions`: the next part and how many there are. 0 of 0: not inside one.
  uint32_t snapshot_part = 0;
  uint32_t snapshot_parts = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

}  // namespace hub::model
