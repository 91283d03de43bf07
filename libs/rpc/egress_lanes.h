// Who is next: deficit round robin between streams that are current and those that read the log, and between these; those that are
// current simply take turns.
//
// Time is what is shared, because it is what is scarce: a turn that reads the log may write nothing and still cost milliseconds. What a
// kind may be owed is bounded, so that a pause buys no long turn later. A turn of a stream that is current is one message from memory; if
// that takes long the thread waited for a processor, which is no fault of the stream's.
//
// Of those that read the log every other turn is for whoever is furthest behind, so that they come together: what was read and decoded for the
// one is then there for the others, and what would be read once for each is read once (elevator, convoy; as databases share scans). Who is
// ahead is at most half as fast for it. Private to libs/rpc. No clock, no threads; one owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <utility>

#include "absl/time/time.h"

namespace hub::rpc {

enum class Lane { kLive = 0, kCatchup = 1 };

// What one stream has been charged; the lanes' own.
struct LaneTurn {
  bool queued = false;
  Lane lane = Lane::kLive;
  absl::Duration credit;
  int64_t place = 0;        // in the log
  uint64_t arrival = 0;     // into the lane
  bool brought_on = false;  // its turn was for being furthest behind: it keeps its share, and its place in the line
};

// Item: has a LaneTurn named `turn`. An item is in at most one lane, once.
template <class Item>
class Lanes {
 public:
  static constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();

  explicit Lanes(double catchup_share) : catchup_share_(std::clamp(catchup_share, 0.05, 0.95)) {}

  // `place`: how far it is in the log, for those that read it; kNowhere is never behind.
  void Push(Item* item, Lane lane, int64_t place = kNowhere) {
    if (item->turn.queued) return;
    item->turn.queued = true;
    item->turn.lane = lane;
    const bool kept_its_place_in_line = std::exchange(item->turn.brought_on, false);
    if (lane == Lane::kLive) return live_.push_back(item);
    item->turn.place = place;
    if (!kept_its_place_in_line) item->turn.arrival = ++arrivals_;
    arrived_.emplace(item->turn.arrival, item);
    if (place != kNowhere) by_place_.emplace(std::pair(place, item->turn.arrival), item);
  }
  bool Empty() const { return live_.empty() && arrived_.empty(); }
  bool Empty(Lane lane) const { return lane == Lane::kLive ? live_.empty() : arrived_.empty(); }
  // A pass: from StartPass until everybody who was current and waited then has had a turn, whoever else has come into the line behind them.
  void StartPass() { pass_left_ = live_.size(); }
  bool PassIsOver() const { return pass_left_ == 0; }

  // Takes the next item out, or null. `live_first`: those that are current, until the others are owed half of the most that they can be.
  Item* Pop(bool live_first) {
    if (Empty()) return nullptr;
    const bool live_may = live_first ? owed_to_live_ > -kOwedToCatchupMax / 2 : owed_to_live_ >= absl::ZeroDuration();
    const bool live = arrived_.empty() || (!live_.empty() && live_may);
    Item* const item = live ? PopLive() : PopCatchup();
    item->turn.queued = false;
    return item;
  }

  // The turn of an item from `lane` took so long.
  void Charge(Item* item, Lane lane, absl::Duration took) {
    if (lane == Lane::kCatchup && !item->turn.brought_on) item->turn.credit = std::max(item->turn.credit - took, -kOwedMax);
    owed_to_live_ += lane == Lane::kLive ? -took * catchup_share_ : took * (1 - catchup_share_);
    owed_to_live_ = std::clamp(owed_to_live_, -kOwedToCatchupMax, kOwedMax);
  }

 private:
  static constexpr absl::Duration kQuantum = absl::Microseconds(500);  // of a stream, per round
  static constexpr absl::Duration kOwedMax = absl::Milliseconds(20);
  static constexpr absl::Duration kOwedToCatchupMax =
      absl::Milliseconds(4);  // less: it is waited for by those who are current

  // Whether it has had no more than its share.
  static bool Due(Item* item) {
    item->turn.credit = std::min(item->turn.credit + kQuantum, kQuantum);
    return item->turn.credit > absl::ZeroDuration();
  }
  Item* PopLive() {
    Item* const item = live_.front();
    live_.pop_front();
    if (pass_left_ > 0) --pass_left_;
    return item;
  }
  Item* PopCatchup() {
    behind_next_ = !behind_next_;
    if (behind_next_ && !by_place_.empty() && by_place_.begin()->first.first < by_place_.rbegin()->first.first) {
      Item* const behind = by_place_.begin()->second;
      arrived_.erase(behind->turn.arrival);
      by_place_.erase(by_place_.begin());
      behind->turn.brought_on = true;
      return behind;
    }
    while (true) {
      Item* const item = arrived_.begin()->second;
      arrived_.erase(arrived_.begin());
      by_place_.erase({item->turn.place, item->turn.arrival});
      if (Due(item) || arrived_.empty()) return item;
      item->turn.queued = false;
      Push(item, Lane::kCatchup, item->turn.place);
    }
  }

  const double catchup_share_;
  std::deque<Item*> live_;
  size_t pass_left_ = 0;
  std::map<uint64_t, Item*> arrived_;                       // who catches up, in order of arrival
  std::map<std::pair<int64_t, uint64_t>, Item*> by_place_;  // of them those that are somewhere, the furthest behind first
  uint64_t arrivals_ = 0;
  bool behind_next_ = false;
  absl::Duration owed_to_live_;
};

}  // namespace hub::rpc
