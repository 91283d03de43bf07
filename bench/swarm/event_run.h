// One element of SubscribeResponse.runs as it came: how many events it holds, and the events when somebody wants to see them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace hub::swarm {

class EventRun {
 public:
  explicit EventRun(absl::string_view bytes);

  // What it says it holds.
  uint64_t events() const { return events_; }
  // Elements of SubscribeResponse.events one after the other, in `buffer` or where the run lies. False: it is damaged.
  bool Unpack(std::string* buffer, absl::string_view* slices) const;

 private:
  bool well_formed_ = false;
  uint64_t events_ = 0;
  absl::string_view plain_, zstd_;
};

}  // namespace hub::swarm
