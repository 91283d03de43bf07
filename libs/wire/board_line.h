// One stakeholder on the analysts' board: how it stands and its streams in one line, and which line comes first. Plain values and functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace fraudhub::v1 {
class Standing;
class StakeholderStreams;
}  // namespace fraudhub::v1

namespace hub::wire {

struct BoardLine {
  std::string stakeholder;
  int streams = 0;
  int open = 0;  // of them
  // Of the worst of its streams, but the last acknowledgement of any:
  int64_t behind = 0;
  absl::Duration lag;
  absl::Time acked_at = absl::InfinitePast();
  uint64_t sent = 0;  // by all of them

  uint32_t corrections = 0;                        // it was to have
  uint32_t owes = 0;                               // of them, without its confirmation
  absl::Time owes_since = absl::InfiniteFuture();  // of the oldest
  uint64_t actions = 0;
};

BoardLine ToBoardLine(const std::string& stakeholder, const fraudhub::v1::Standing& standing,
                      const fraudhub::v1::StakeholderStreams& streams);
// The oldest correction without a confirmation asks for attention first, then the longest lag, then how many records that is.
bool ComesBefore(const BoardLine& a, const BoardLine& b);
// "3 s", "4 min", "2 h", "5 d".
std::string RoughAge(absl::Duration age);

}  // namespace hub::wire
