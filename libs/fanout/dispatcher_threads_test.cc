// One thread steps the dispatcher, eight read as sessions that come and go, one writes. For ThreadSanitizer, and right by itself.
#include <atomic>
#include <random>

#include "libs/base/thread.h"
#include "libs/fanout/fanout_kit_test.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

using kit::Feed;
using kit::LevelFrom;
using kit::Row;
using model::Level;

constexpr int32_t kPartitions = 2;
constexpr int kNumbers = 60;
constexpr int kEvents = 4000;

// A client that loses its stream again and again. No assertions here: Catch2 is for one thread.
class Reader {
 public:
  Reader(Feed* feed, Dispatcher* dispatcher, int number)
      : feed_(feed),
        dispatcher_(dispatcher),
        filter_(LevelFrom(static_cast<Level>(1 + number % 4))),
        random_(static_cast<unsigned>(number)) {}

  // Until `all_written` and everything is read, and it has lost its stream twice at least.
  void Run(const std::atomic<bool>& all_written) {
    while (failure_.empty()) {
      const bool last = all_written.load() && opened_ >= kOpensMin;
      if (session_ == nullptr) Open();
      if (!failure_.empty()) return;
      Next();
      if (last && session_ != nullptr && session_->RecordsBehind() == 0 && AtEnd()) return;
      if (!last && session_ != nullptr && random_() % 16 == 0) session_.reset();  // its class may die with it
    }
  }

  static constexpr int kOpensMin = 3;
  const std::string& failure() const { return failure_; }
  const kit::View& view() const { return view_; }
  const model::Filter& filter() const { return filter_; }
  int opened() const { return opened_; }

 private:
  void Open() {
    ++opened_;
    auto joined = dispatcher_->Join(filter_, kit::Everyone());
    if (!joined.ok()) return Fail("join");
    SessionOptions options = feed_->BankOptions();
    options.message_bytes_max = 2000;
    options.unacked_bytes_max = 6000;
    if (opened_ % 2 == 0) options.form = EventForm::kRuns;
    options.progress_interval = absl::ZeroDuration();
    options.idle_progress_interval = absl::ZeroDuration();
    auto session = token_.empty() ? Session::Start(dispatcher_, &feed_->clock, &feed_->sealer, options, *joined,
                                                   filter_.Fingerprint(), SessionStart::kEarliest)
                                  : Session::Resume(dispatcher_, &feed_->clock, &feed_->sealer, options, *joined,
                                                    filter_.Fingerprint(), token_);
    if (!session.ok()) return Fail("open");
    session_ = *std::move(session);
  }

  void Next() {
    const auto message = session_->Next();
    if (!message.ok()) return Fail("next");
    const kit::Received batch = kit::Parse(kit::Bytes(*message));
    view_.Apply(batch);
    if (batch.progress) token_ = batch.token;
    if (random_() % 4 == 0) return;
    if (!session_->OnAck(batch.positions).ok()) Fail("ack");
    if (!session_->paused()) return;
    std::map<int32_t, eventlog::Offset> all;
    const auto positions = session_->positions();
    for (size_t p = 0; p < positions.size(); ++p) all[static_cast<int32_t>(p)] = positions[p].offset;
    if (!session_->OnAck(all).ok()) Fail("ack of all");
  }

  bool AtEnd() const {
    for (int32_t p = 0; p < kPartitions; ++p) {
      if (session_->positions()[static_cast<size_t>(p)].offset < feed_->Range(p).end) return false;
    }
    return true;
  }
  void Fail(const char* what) { failure_ = what; }

  Feed* const feed_;
  Dispatcher* const dispatcher_;
  const model::Filter filter_;
  std::mt19937 random_;
  std::unique_ptr<Session> session_;
  kit::View view_;
  std::string token_;
  std::string failure_;
  int opened_ = 0;
};

TEST_CASE("Sessions of eight threads join, read, lag, resume and leave while the dispatcher steps",
          "[fanout][threads]") {
  Feed feed(kPartitions);
  for (int32_t p = 0; p < kPartitions; ++p) feed.PutMark(p, 1);
  DispatcherOptions options = feed.Options();
  options.segment_bytes_max = 96 * 1024;  // some fall out of memory
  options.catchup_bytes_max = 256 * 1024;
  auto dispatcher = feed.Open(options);
  std::atomic<bool> all_written{false};
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 8; ++i) readers.push_back(std::make_unique<Reader>(&feed, dispatcher.get(), i));
  std::map<int, model::Attributes> last;
  {
    base::Thread stepper("dispatcher", [&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        if (!dispatcher->Step()) dispatcher->WaitForNews(absl::Milliseconds(5));
      }
    });
    std::vector<base::Thread> threads;
    for (const auto& reader : readers) {
      threads.emplace_back("session", [&reader, &all_written](std::stop_token) { reader->Run(all_written); });
    }
    std::mt19937 random(3);
    for (int i = 0; i < kEvents; ++i) {
      const int number = static_cast<int>(random() % kNumbers);
      const int32_t partition = number % kPartitions;
      last[number] = Row(static_cast<Level>(1 + random() % 4));
      feed.Change(partition, number, last[number]);
      if (i % 50 == 0) feed.PutTick(partition);
      if (i % 400 == 0) feed.PutMark(0, feed.term + 1);
      if (i % 400 == 0) feed.PutMark(1, feed.term);
      if (i % 20 == 0) feed.clock.Advance(absl::Milliseconds(10));
      if (i % 100 == 0) (void)feed.metrics.Exposition();
    }
    all_written.store(true);
    for (base::Thread& thread : threads) thread.Stop();
    stepper.Stop();
  }
  int opened = 0;
  for (const auto& reader : readers) {
    CHECK(reader->failure() == "");
    std::map<std::string, Level> expected;
    for (const auto& [number, row] : last) {
      if (reader->filter().Matches(row)) expected[kit::IdOf(number)] = row.level;
    }
    CHECK(reader->view().rows() == expected);
    opened += reader->opened();
  }
  CHECK(opened >= 8 * Reader::kOpensMin);
  readers.clear();
  dispatcher->Step();
  CHECK(feed.metrics.AddGauge("fraudhub_fanout_segment_bytes", "").Value() == 0);
}

TEST_CASE("Readers who miss the same block at once wait for the one who makes it", "[fanout][threads]") {
  Feed feed(1);
  for (int i = 0; i < 3000; ++i) feed.Change(0, i, Row(Level::kHigh));
  auto dispatcher = feed.Open();
  auto filter_class = *dispatcher->Join(model::Filter::Everything(), kit::Everyone());
  std::atomic<int64_t> events{0};
  {
    std::vector<base::Thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back("reader", [&](std::stop_token) {
        PartitionPosition from;
        while (from.offset < 3000) {
          const auto chunk = dispatcher->Read(filter_class, 0, from, 20'000);
          if (!chunk.ok()) return;
          events += chunk->events;
          from = chunk->after;
        }
      });
    }
  }
  CHECK(events.load() == 8 * 3000);
  CHECK(feed.metrics.AddCounter("fraudhub_fanout_catchup_blocks_total", "", {{"how", "made"}}).Value() == 12);
}

}  // namespace
}  // namespace hub::fanout
