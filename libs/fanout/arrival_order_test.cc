// Whatever the places, the room and what was dropped: a reader gets each event once, in the order of its partition, and nothing that it may not see yet.
#include "libs/fanout/arrival_order.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"  // tidy:third-party-ok the tests read what clients read
#include "libs/wire/event_runs.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

constexpr int32_t kPartitions = 3;

std::string IdOf(int32_t partition, eventlog::Offset offset) { return absl::StrCat(partition, "/", offset); }

// What a class does: keeps the bytes, and never moves them.
class Kept {
 public:
  void Append(int32_t partition, eventlog::Offset offset) {
    fraudhub::v1::SubscribeResponse one;
    one.add_events()->mutable_indicator()->set_indicator_id(IdOf(partition, offset));
    bytes_.push_back(one.SerializeAsString());
    order.Append(partition, offset, bytes_.back());
    came.emplace_back(partition, offset);
    of[static_cast<size_t>(partition)].push_back(offset);
  }
  ArrivalOrder order{kPartitions};
  std::vector<eventlog::Offset> of[kPartitions];
  std::vector<std::pair<int32_t, eventlog::Offset>> came;

 private:
  std::deque<std::string> bytes_;
};

std::vector<std::string> Ids(const ArrivalOrder::Read& read) {
  std::string bytes;
  for (const Slice& slice : read.slices) absl::StrAppend(&bytes, slice.bytes);
  REQUIRE(bytes.size() == read.bytes);
  fraudhub::v1::SubscribeResponse response;
  REQUIRE(response.ParseFromString(bytes));
  REQUIRE(wire::UnpackRuns(&response).ok());
  std::vector<std::string> ids;
  for (const auto& event : response.events()) ids.push_back(event.indicator().indicator_id());
  return ids;
}

struct Reader {
  std::vector<eventlog::Offset> places;
  uint64_t at = ArrivalOrder::kNowhere;
  std::map<std::string, int> had;
};

TEST_CASE("Each reader gets each event of the order once", "[fanout][class][order]") {
  std::mt19937 random(20261130);
  const auto between = [&random](eventlog::Offset first, eventlog::Offset last) {
    return first + static_cast<eventlog::Offset>(random() % static_cast<uint64_t>(last - first + 1));
  };
  for (int round = 0; round < 40; ++round) {
    Kept kept;
    std::vector<eventlog::Offset> next(kPartitions, 0), bases(kPartitions, 0), published(kPartitions, 0);
    std::vector<Reader> readers;
    for (int step = 0; step < 120; ++step) {
      const auto p = static_cast<int32_t>(random() % kPartitions);
      eventlog::Offset& offset = next[static_cast<size_t>(p)];
      for (int left = static_cast<int>(random() % 40); left > 0; --left) {
        offset += random() % 3;  // records that are no events of the class
        kept.Append(p, offset++);
      }
      offset += random() % 3;
      for (size_t q = 0; q < kPartitions; ++q) {
        if (random() % 2 == 0) published[q] = next[q];
      }
      if (random() % 4 == 0) {  // anywhere that is still there
        Reader reader;
        for (size_t q = 0; q < kPartitions; ++q) reader.places.push_back(between(bases[q], published[q]));
        readers.push_back(std::move(reader));
      }
      for (Reader& reader : readers) {
        if (random() % 2 == 0) continue;
        const size_t room = random() % 3 == 0 ? 1 + random() % 300 : 100'000;
        const ArrivalOrder::Read read = kept.order.ReadRuns(reader.places, published, reader.at, room);
        const std::vector<std::string> ids = Ids(read);
        REQUIRE(ids.size() == static_cast<size_t>(read.events));
        std::map<std::string, std::vector<eventlog::Offset>> expected;
        size_t events = 0;
        for (size_t q = 0; q < kPartitions; ++q) {
          REQUIRE(read.after[q] >= reader.places[q]);
          REQUIRE(read.after[q] <= std::max(published[q], reader.places[q]));
          eventlog::Offset last = -1;
          for (const eventlog::Offset event : kept.of[q]) {
            if (event < reader.places[q] || event >= read.after[q]) continue;
            const auto found = std::find(ids.begin(), ids.end(), IdOf(static_cast<int32_t>(q), event));
            REQUIRE(found != ids.end());
            REQUIRE(found - ids.begin() > last);
            last = found - ids.begin();
            REQUIRE(++reader.had[*found] == 1);
            ++events;
          }
        }
        REQUIRE(events == ids.size());
        if (read.drained) {  // what it lacks came behind something that is not published
          const auto first = std::find_if(kept.came.begin(), kept.came.end(), [&](const auto& event) {
            return event.second >= read.after[static_cast<size_t>(event.first)];
          });
          if (first != kept.came.end()) REQUIRE(first->second >= published[static_cast<size_t>(first->first)]);
        }
        reader.places = read.after;
        reader.at = random() % 8 == 0 ? ArrivalOrder::kNowhere : read.at;
      }
      if (random() % 5 == 0) {
        std::vector<eventlog::Offset> lowest = published;
        if (random() % 3 != 0) readers.resize(std::min<size_t>(readers.size(), 1));
        for (const Reader& reader : readers) {
          for (size_t q = 0; q < kPartitions; ++q) lowest[q] = std::min(lowest[q], reader.places[q]);
        }
        for (size_t q = 0; q < kPartitions; ++q) {
          bases[q] = between(bases[q], std::max(lowest[q], bases[q]));
        }
        kept.order.Drop(bases);
      }
    }
    // In the end everybody has all that there was when he began.
    for (Reader& reader : readers) {
      for (int left = 10'000; left > 0; --left) {
        const ArrivalOrder::Read read = kept.order.ReadRuns(reader.places, next, reader.at, 500);
        reader.places = read.after;
        reader.at = read.at;
        if (read.drained) break;
      }
      CHECK(reader.places == next);
    }
  }
}

TEST_CASE("Who stands at the same place shares what was read there", "[fanout][class][order]") {
  Kept kept;
  for (eventlog::Offset offset = 0; offset < 100; ++offset) {
    for (int32_t p = 0; p < kPartitions; ++p) kept.Append(p, offset);
  }
  const std::vector<eventlog::Offset> from(kPartitions, 10), end(kPartitions, 100);
  const auto read = [&](const std::vector<eventlog::Offset>& places, size_t room) {
    return kept.order.ReadRuns(places, end, ArrivalOrder::kNowhere, room);
  };
  const ArrivalOrder::Read first = read(from, 1 << 20);
  CHECK((first.drained && first.events == 90 * kPartitions && first.runs_packed > 0 && first.after == end));
  const ArrivalOrder::Read second = read(from, 1 << 19);
  REQUIRE(second.slices.size() == first.slices.size());
  for (size_t i = 0; i < first.slices.size(); ++i) CHECK(second.slices[i].owner == first.slices[i].owner);
  CHECK((second.events == first.events && second.runs_packed == 0 && second.after == end && second.at == first.at));
  // Another place or less room: a read of its own. What was cut is no answer for who has more room.
  CHECK(read({11, 10, 10}, 1 << 20).events == first.events - 1);
  const ArrivalOrder::Read little = read(from, first.bytes - 1);
  CHECK((little.events < first.events && !little.drained && little.bytes < first.bytes));
  CHECK(read(from, 1 << 20).events == first.events);
  CHECK(kept.order.memory() > 0);
  kept.order.Clear();
  CHECK(kept.order.memory() == 0);
}

TEST_CASE("A reader whose places are of no one moment is brought to one", "[fanout][class][order]") {
  Kept kept;
  for (eventlog::Offset offset = 0; offset < 100; ++offset) {
    for (int32_t p = 0; p < kPartitions; ++p) kept.Append(p, offset);
  }
  const std::vector<eventlog::Offset> end(kPartitions, 100);
  // It lacks forty of one partition before it stands where the others do.
  const std::vector<eventlog::Offset> places = {50, 10, 50};
  const ArrivalOrder::Read apart = kept.order.ReadRuns(places, end, ArrivalOrder::kNowhere, 1 << 20);
  CHECK((apart.events == 40 && !apart.drained));
  CHECK(apart.after == std::vector<eventlog::Offset>(kPartitions, 50));
  CHECK(apart.bytes < 40 * 12);  // packed
  const ArrivalOrder::Read rest = kept.order.ReadRuns(apart.after, end, apart.at, 1 << 20);
  CHECK((rest.events == 50 * kPartitions && rest.drained));
}

TEST_CASE("Who is behind passes what is none of the class's, up to each partition's next event", "[fanout][class][order]") {
  Kept kept;
  const int count = 2 * ArrivalOrder::kEventsMax;
  for (eventlog::Offset offset = 0; offset < count; ++offset) kept.Append(0, offset);
  kept.Append(1, 50);
  const std::vector<eventlog::Offset> from = {0, 10, 20}, until = {count, 100, 200};
  const ArrivalOrder::Read cut = kept.order.ReadRuns(from, until, ArrivalOrder::kNowhere, 1000);
  CHECK((cut.events > 0 && !cut.drained));
  CHECK(cut.after == std::vector<eventlog::Offset>{cut.events, 50, 200});
  // However much fits, a read has a bound, and doesn't say that it was all.
  std::vector<eventlog::Offset> places = from;
  uint64_t at = ArrivalOrder::kNowhere;
  int reads = 0, events = 0;
  for (bool drained = false; !drained; ++reads) {
    const ArrivalOrder::Read read = kept.order.ReadRuns(places, until, at, 1 << 20);
    REQUIRE(read.events <= ArrivalOrder::kEventsMax);
    REQUIRE(read.events > 0);
    events += read.events;
    places = read.after;
    at = read.at;
    drained = read.drained;
  }
  CHECK((reads >= 3 && events == count + 1 && places == until));
  const ArrivalOrder::Read packed = kept.order.ReadRuns(from, until, ArrivalOrder::kNowhere, 1 << 20);
  CHECK((packed.events == ArrivalOrder::kEventsMax && !packed.drained && packed.runs_packed == 0));
}

TEST_CASE("What is gone is not counted, also of the newest block and what was read last", "[fanout][class][order]") {
  Kept kept;
  for (eventlog::Offset offset = 0; offset < 300; ++offset) kept.Append(0, offset);
  const std::vector<eventlog::Offset> from(kPartitions, 0), until(kPartitions, 300);
  const ArrivalOrder::Read read = kept.order.ReadRuns(from, until, ArrivalOrder::kNowhere, 1 << 20);
  CHECK(kept.order.memory() > 0);
  kept.order.Drop(until);
  CHECK(kept.order.memory() == 0);
  // Who stood there goes on.
  kept.Append(0, 300);
  const ArrivalOrder::Read next = kept.order.ReadRuns(read.after, {{301, 300, 300}}, read.at, 1 << 20);
  CHECK((next.events == 1 && next.drained));
}

}  // namespace
}  // namespace hub::fanout
