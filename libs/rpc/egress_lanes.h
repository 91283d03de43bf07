// Who is next: deficit round robin between streams that are current and those that read the log, then within each kind.
//
// Time is what is shared, because it is what is scarce: a turn that reads the log may write nothing and still cost milliseconds. What a
// kind may be owed is bounded, so that a pause buys no long turn later. Private to libs/rpc. No clock, no threads; one owner.
#pragma once

#include <algorithm>
#include <array>
#include <deque>

#include "absl/time/time.h"

namespace hub::rpc {

enum class Lane { kLive = 0, kCatchup = 1 };

// What one stream has been charged; the lanes' own.
struct LaneTurn {
  bool queued = false;
  Lane lane = Lane::kLive;
  absl::Duration credit;
};

// Item: has a LaneTurn named `turn`. An item is in at most one lane, once.
template <class Item>
class Lanes {
 public:
  explicit Lanes(double catchup_share) : catchup_share_(std::clamp(catchup_share, 0.05, 0.95)) {}

  void Push(Item* item, Lane lane) {
    if (item->turn.queued) return;
    item->turn.queued = true;
    item->turn.lane = lane;
    at(lane).push_back(item);
  }
  bool Empty() const { return at(Lane::kLive).empty() && at(Lane::kCatchup).empty(); }
  bool Empty(Lane lane) const { return at(lane).empty(); }

  // Takes the next item out, or null. `live_first`: whatever the shares say.
  Item* Pop(bool live_first) {
    while (!Empty()) {
      const Lane lane = Empty(Lane::kCatchup)                                 ? Lane::kLive
                        : Empty(Lane::kLive)                                  ? Lane::kCatchup
                        : live_first || owed_to_live_ >= absl::ZeroDuration() ? Lane::kLive
                                                                              : Lane::kCatchup;
      std::deque<Item*>& line = at(lane);
      Item* const item = line.front();
      line.pop_front();
      item->turn.credit = std::min(item->turn.credit + kQuantum, kQuantum);
      if (item->turn.credit <= absl::ZeroDuration() && !line.empty()) {  // it has had more than its share: once round
        line.push_back(item);
        continue;
      }
      item->turn.queued = false;
      return item;
    }
    return nullptr;
  }

  // The turn of an item from `lane` took so long.
  void Charge(Item* item, Lane lane, absl::Duration took) {
    item->turn.credit = std::max(item->turn.credit - took, -kOwedMax);
    owed_to_live_ += lane == Lane::kLive ? -took * catchup_share_ : took * (1 - catchup_share_);
    owed_to_live_ = std::clamp(owed_to_live_, -kOwedToCatchupMax, kOwedMax);
  }

 private:
  static constexpr absl::Duration kQuantum = absl::Microseconds(500);  // of a stream, per round
  static constexpr absl::Duration kOwedMax = absl::Milliseconds(20);
  static constexpr absl::Duration kOwedToCatchupMax =
      absl::Milliseconds(4);  // less: it is waited for by those who are current

  std::deque<Item*>& at(Lane lane) { return lanes_[static_cast<size_t>(lane)]; }
  const std::deque<Item*>& at(Lane lane) const { return lanes_[static_cast<size_t>(lane)]; }

  const double catchup_share_;
  std::array<std::deque<Item*>, 2> lanes_;
  absl::Duration owed_to_live_;
};

}  // namespace hub::rpc
