// The sessions of one run of a snapshot on their way through its parts. Private to this library.
//
// A part is made once for all, and kept while there is room. So that it is still there when the slower ones come, the first wait for them: no
// part is made for the first time that is further ahead of the last of them than what is kept reaches. Not waited for is who has come less than a
// quarter as far as the first, or for five seconds was less than a quarter as fast as the first had been before it had to wait: he has parts made
// again, and nobody's snapshot takes more than about four times as long for another's sake.
// Not thread-safe. Bound: the sessions, looked through twenty times a second at most.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"

namespace hub::fanout {

// Where one session is. It is in the convoy as long as somebody holds it.
struct SnapshotReader {
  uint32_t part = 0;  // of which it wants the states next
  // The convoy's own.
  uint32_t seen_part = 0;
  absl::Duration seen_at;
  bool slow = false;  // before that
};

class SnapshotConvoy {
 public:
  explicit SnapshotConvoy(absl::Duration began) : began_(began), looked_at_(-absl::InfiniteDuration()) {}

  std::shared_ptr<SnapshotReader> Enter(uint32_t part, absl::Duration now);
  // Whether a part may be made that nobody has had, where what is kept holds `room` parts.
  bool MayGoOn(uint32_t part, uint32_t room, absl::Duration now);
  // Parts before this one have been had by all who are waited for.
  uint32_t last(absl::Duration now) {
    Look(now);
    return last_;
  }

 private:
  void Look(absl::Duration now);

  const absl::Duration began_;
  std::vector<std::weak_ptr<SnapshotReader>> readers_;
  uint32_t last_ = 0;
  double pace_ = 0;  // parts in kSeenEvery, of the first when it first had to wait
  absl::Duration looked_at_;
};

}  // namespace hub::fanout
