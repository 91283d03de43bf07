// What the tests of fan-out share: a log of `events` in memory with a registry's pen on it, and a client that reads batches.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/memory_log.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/session.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"
#include "libs/model/records.h"
#include "libs/wire/cursor_token.h"
#include "libs/wire/wire.h"

namespace hub::fanout::kit {

inline constexpr absl::Duration kWindow = absl::Hours(24 * 7);
inline constexpr absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

// The row of a mobile's flag.
model::Attributes Row(model::Level level, std::vector<int> categories = {});
model::Filter LevelFrom(model::Level level);
wire::AudienceSet Everyone();
std::string IdOf(int number);
model::Event EventOf(int number, uint64_t version, model::Attributes now,
                     std::optional<model::Attributes> previous = std::nullopt);

// A log and who writes to it. One thread writes; the log may be read by any.
class Feed {
 public:
  // `log`: on another log than the one in memory; borrowed.
  explicit Feed(int32_t partitions, eventlog::Log* log = nullptr);

  base::ManualClock clock{kStart};
  base::Metrics metrics;
  wire::CursorSealer sealer{base::HmacKey("cursors"), 1};
  uint64_t term = 1;  // of the writer

  eventlog::MemoryLog* memory() { return memory_.get(); }
  eventlog::Log* log() { return log_; }
  eventlog::OffsetRange Range(int32_t partition);

  eventlog::Offset Put(int32_t partition, const model::Event& event);
  eventlog::Offset PutState(int32_t partition, const model::Event& last, int64_t reports_offset);
  eventlog::Offset PutMark(int32_t partition, uint64_t new_term);  // the writer's from now on
  eventlog::Offset PutTick(int32_t partition);                     // of the present time
  eventlog::Offset PutBytes(int32_t partition, std::string key, std::string value);
  // Onto `urgent`: a copy of what Put returned `twin` for, by the writer's term; or the mark of a term.
  eventlog::Offset PutCopy(int32_t partition, const model::Event& event, eventlog::Offset twin);
  eventlog::Offset PutCopy(int32_t partition, const model::Event& event, eventlog::Offset twin, uint64_t twin_term);
  eventlog::Offset PutUrgentMark(int32_t partition, uint64_t of_term);
  // The next version of a number, with the right previous row. Remembers it.
  eventlog::Offset Change(int32_t partition, int number, model::Attributes now);

  DispatcherOptions Options() const;
  std::unique_ptr<Dispatcher> Open() { return Open(Options()); }
  std::unique_ptr<Dispatcher> Open(const DispatcherOptions& options);

  SessionOptions BankOptions() const;
  std::unique_ptr<Session> Start(Dispatcher* dispatcher, const model::Filter& filter, SessionStart start,
                                 std::optional<SessionOptions> options = std::nullopt);
  absl::StatusOr<std::unique_ptr<Session>> Resume(Dispatcher* dispatcher, const model::Filter& filter,
                                                  absl::string_view token,
                                                  std::optional<SessionOptions> options = std::nullopt);

 private:
  struct Written {
    uint64_t version = 0;
    std::optional<model::Attributes> row;
  };
  eventlog::Offset Append(int32_t partition, const std::string& key, const model::LogBody& body);
  eventlog::Offset PutTo(const eventlog::TopicPartition& at, std::string key, std::string value);

  const int32_t partitions_;
  std::unique_ptr<eventlog::MemoryLog> memory_;
  eventlog::Log* log_;
  uint64_t sequence_ = 0;
  int64_t marks_ = 0;
  std::map<int, Written> written_;
};

// Until Step brings nothing more.
void Drain(Dispatcher* dispatcher);

// A batch as a client parses it.
struct Received {
  struct Item {
    std::string id;
    model::VersionStamp stamp;
    bool left_view = false;
    model::Level level = model::Level::kUnspecified;
  };
  struct Copy : Item {
    int32_t partition = 0;
    eventlog::Offset position = 0;
  };
  std::vector<Item> events;
  std::vector<Copy> copies;  // ahead of the order
  std::map<int32_t, eventlog::Offset> positions, urgent_positions;
  bool progress = false;
  std::string token;
  absl::Time complete_until = absl::InfinitePast();
  int64_t records_behind = 0;
  wire::SnapshotMark snapshot;  // parts == 0: the batch said nothing of one
};
std::string Bytes(const Session::Message& message);
std::string Bytes(const Chunk& chunk);
Received Parse(absl::string_view bytes);
// Next, which must succeed, parsed.
Received NextOf(Session* session);
// What a client acknowledges with it.
absl::Status Ack(Session* session, const Received& batch);
// All that a session has to say now, acknowledged as it comes.
Received All(Session* session);

// A client's rule: apply what is greater, keep the stamp of what left, forget at a snapshot's end what it did not tell of.
class View {
 public:
  void Apply(const Received& batch);
  void Clear() { held_.clear(); }
  int swept() const { return swept_; }
  // Ids in view, with their levels.
  std::map<std::string, model::Level> rows() const;

 private:
  std::map<std::string, Received::Item> held_;
  std::set<std::string> told_;  // since the snapshot began
  int swept_ = 0;
};

}  // namespace hub::fanout::kit
