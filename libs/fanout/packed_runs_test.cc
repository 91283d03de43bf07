// What is read in runs is what is there, whatever the range and however small the bites; and it is packed once.
#include "libs/fanout/packed_runs.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"  // tidy:third-party-ok the tests read what clients read
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/session.h"
#include "libs/wire/event_runs.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::LevelFrom;
using kit::Row;
using model::Level;

struct Sequence {
  explicit Sequence(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      fraudhub::v1::SubscribeResponse one;
      const std::string id = absl::StrCat("indicator ", i, std::string(i % 7 * 20, 'x'));
      one.add_events()->mutable_indicator()->set_indicator_id(id);
      bytes += one.SerializeAsString();
      ends.push_back(bytes.size());
    }
  }
  absl::string_view Of(size_t first, size_t last) const {
    const size_t begin = first == 0 ? 0 : ends[first - 1];
    return absl::string_view(bytes).substr(begin, ends[last - 1] - begin);
  }
  std::string bytes;
  std::vector<size_t> ends;
};

// [first, last), as a client gets it.
std::string ReadAll(PackedRuns* runs, const Sequence& sequence, size_t first, size_t last, size_t bytes_max) {
  std::string plain;
  while (first < last) {
    RunSlices slices;
    const size_t taken =
        runs->Read(first, last, bytes_max, [&](size_t from, size_t until) { return sequence.Of(from, until); }, &slices);
    const size_t bytes = slices.bytes();
    std::string out;
    for (const Slice& slice : std::move(slices).Take()) absl::StrAppend(&out, slice.bytes);
    REQUIRE(out.size() == bytes);
    REQUIRE(taken > 0);
    REQUIRE(taken <= last - first);
    fraudhub::v1::SubscribeResponse response;
    REQUIRE(response.ParseFromString(out));
    const bool one_run = response.runs_size() == 1;
    REQUIRE((one_run || out.size() <= bytes_max + 16 * static_cast<size_t>(response.runs_size())));
    REQUIRE(wire::UnpackRuns(&response).ok());
    REQUIRE(static_cast<size_t>(response.events_size()) == taken);
    plain += response.SerializeAsString();
    first += taken;
  }
  return plain;
}

TEST_CASE("Every range of a sequence comes as it is", "[fanout][runs]") {
  const Sequence sequence(200);
  PackedRuns runs;
  std::mt19937 random(20261130);
  for (int i = 0; i < 300; ++i) {
    const size_t first = random() % 200, last = first + 1 + random() % (200 - first);
    const size_t bytes_max = random() % 3 == 0 ? 1 : random() % 3000;
    CHECK(ReadAll(&runs, sequence, first, last, bytes_max) == sequence.Of(first, last));
  }
}

TEST_CASE("A run is packed once, whoever asks", "[fanout][runs]") {
  const Sequence sequence(64);
  PackedRuns runs;
  CHECK(runs.memory() == 0);
  ReadAll(&runs, sequence, 0, 64, 1 << 20);
  const size_t memory = runs.memory();
  CHECK(memory > 0);
  CHECK(memory < sequence.bytes.size());
  CHECK(runs.packed() == 1);
  ReadAll(&runs, sequence, 16, 48, 1 << 20);  // sixteens, which nobody has asked for before
  CHECK(runs.memory() > memory);
  CHECK(runs.packed() == 1 + 2);
  ReadAll(&runs, sequence, 32, 64, 1 << 20);
  CHECK(runs.packed() == 3 + 1);
  ReadAll(&runs, sequence, 4, 20, 1 << 20);
  CHECK(runs.packed() == 4 + 4);
  ReadAll(&runs, sequence, 0, 64, 1 << 20);
  CHECK(runs.packed() == 8);
}

TEST_CASE("Large runs are shared and small ones copied together, all in their order", "[fanout][runs]") {
  const auto run = [](size_t bytes, char what) {
    auto owned = std::make_shared<const std::string>(bytes, what);
    return Slice{owned, *owned};
  };
  const Slice large = run(5000, 'l'), small = run(100, 's');
  RunSlices runs;
  runs.Add(small);
  runs.Copies()->append("p");
  runs.Add(large);
  runs.Add(large);
  runs.Add(small);
  runs.Add(small);
  CHECK(runs.bytes() == 100 + 1 + 2 * 5000 + 2 * 100);
  CHECK(runs.copied() == 100 + 1 + 2 * 100);
  const std::vector<Slice> slices = std::move(runs).Take();
  REQUIRE(slices.size() == 4);
  CHECK(slices[0].bytes == absl::StrCat(std::string(100, 's'), "p"));
  CHECK((slices[1].bytes.data() == large.bytes.data() && slices[2].bytes.data() == large.bytes.data()));
  CHECK((slices[1].owner == large.owner && slices[3].owner != small.owner));
  CHECK(slices[3].bytes == std::string(200, 's'));
}

// One session takes what comes plain, another in runs; both are told the same, from memory and from the log.
TEST_CASE("A session in runs tells what a plain one tells, in fewer bytes", "[fanout][session][runs]") {
  const bool from_log = GENERATE(false, true);
  kit::Feed feed(2);
  for (int32_t p = 0; p < 2; ++p) feed.PutMark(p, 1);
  auto dispatcher = feed.Open();
  SessionOptions options = feed.BankOptions();
  options.message_bytes_max = 3000;
  const SessionStart start = from_log ? SessionStart::kEarliest : SessionStart::kNow;
  if (from_log) {
    for (int i = 0; i < 300; ++i) feed.Change(i % 2, i, Row(Level::kHigh));
  }
  const auto filter = LevelFrom(Level::kMedium);
  auto plain = feed.Start(dispatcher.get(), filter, start, options);
  options.form = EventForm::kRuns;
  auto in_runs = feed.Start(dispatcher.get(), filter, start, options);
  kit::Drain(dispatcher.get());
  for (int i = 300; i < 600; ++i) {
    feed.Change(i % 2, i, Row(i % 5 == 0 ? Level::kMedium : Level::kHigh));
    if (i % 7 == 0) kit::Drain(dispatcher.get());  // positions anywhere
  }
  kit::Drain(dispatcher.get());
  std::vector<std::string> told[2];
  size_t bytes[2] = {};
  int number = 0;
  for (Session* session : {plain.get(), in_runs.get()}) {
    while (true) {
      auto message = session->Next();
      REQUIRE(message.ok());
      if (message->events == 0) break;
      const std::string all = kit::Bytes(*message);
      CHECK(message->bytes == all.size());
      bytes[number] += all.size();
      const kit::Received batch = kit::Parse(all);
      CHECK(batch.events.size() == static_cast<size_t>(message->events));
      for (const auto& item : batch.events) told[number].push_back(absl::StrCat(item.id, "/", item.stamp.version));
      REQUIRE(kit::Ack(session, batch).ok());
    }
    // Messages end at other places: the order holds for each indicator only.
    std::sort(told[number].begin(), told[number].end());
    ++number;
  }
  CHECK(told[0].size() == (from_log ? 600 : 300));
  CHECK(told[0] == told[1]);
  CHECK(bytes[1] < bytes[0] * 3 / 4);
}

}  // namespace
}  // namespace hub::fanout
