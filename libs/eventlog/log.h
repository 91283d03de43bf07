// The ordered durable log under everything: topics with partitions, appended to and read by position.
//
// Three implementations, one contract suite: memory_log.h (simulation, unit tests), local_log.h (one machine, RocksDB),
// kafka_log.h (Apache Kafka).
//
// Contract.
//  C1 Append to a partition that the caller chooses; the callback gets the record's offset once the record is durable, or an
//     error. Unavailable and DeadlineExceeded mean "unknown": it may or may not be in the log; ids make a repeat safe.
//     ResourceExhausted: refused (too much in flight, or no space); nothing was written.
//  C2 Appends of one caller thread to one partition land in call order (of those that succeed).
//  C3 Offsets of a partition rise strictly; they may have holes (compaction, marks of the broker). An offset, once readable,
//     always holds the same bytes, until retention or compaction removes it.
//  C4 Read never skips a record that is still in the log and never returns one that is not durable.
//  C5 Cleanup. kDelete: whole prefixes disappear by age or size. kCompact: of each key at least the last record stays; records
//     younger than compaction_lag all stay, and supersede nothing yet (a broker looks no further). A reader that asks below `first` gets OutOfRange, never a silent jump.
//  C6 log_id names one incarnation: a topic that was recreated or restored has another.
//
// Thread safety: all methods from any thread. Append's callback runs on a thread of the log (or inside Pump of the memory log); what is
// refused at once (InvalidArgument, NotFound, ResourceExhausted, a log that is closing) is answered inside Append, before it returns: hold
// no lock there that the callback takes. A callback must not block and must not call Read; it may Append.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hub::eventlog {

using Offset = int64_t;  // position of a record in its partition, from 0

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  friend bool operator==(const TopicPartition&, const TopicPartition&) = default;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

enum class Cleanup { kDelete, kCompact };

struct TopicSpec {
  std::string name;
  int32_t partitions = 1;
  Cleanup cleanup = Cleanup::kDelete;
  absl::Duration retention = absl::InfiniteDuration();  // kDelete: records older than this may go
  int64_t retention_bytes = -1;                         // kDelete: per partition, -1 = no bound
  absl::Duration compaction_lag = absl::ZeroDuration();  // kCompact: younger records stay whatever their key
};

struct Record {
  std::string key;    // for compaction; may be empty where cleanup is kDelete (refused with InvalidArgument where kCompact)
  std::string value;  // at most kRecordBytesMax
};

// Larger values and keys are refused with InvalidArgument: a broker's default limit is 1 MiB for both together.
inline constexpr size_t kRecordBytesMax = 900 * 1024;
inline constexpr size_t kKeyBytesMax = 32 * 1024;

struct StoredRecord {
  Offset offset = 0;
  absl::Time appended_at;  // the log's clock; for retention and age only
  std::string key;
  std::string value;
};

struct OffsetRange {
  Offset first = 0;  // the oldest that Read accepts
  Offset end = 0;    // one past the newest durable record
};

struct ReadLimits {
  size_t records_max = 512;
  size_t bytes_max = 1 << 20;  // at least one record is returned whatever its size
};

// What one Read saw. `next` is where to read on: past the last record, and past holes.
struct ReadResult {
  std::vector<StoredRecord> records;
  Offset next = 0;
};

class Log {
 public:
  using AppendCallback = std::function<void(absl::StatusOr<Offset>)>;

  virtual ~Log() = default;

  // Creates what is missing and checks what is there. FailedPrecondition: a topic exists with other settings; the message
  // says which. Other partitions or another cleanup are never accepted. As for retention and lag: a log of our own takes the new ones; a
  // broker's topic is refused if it keeps less than asked, and is left as it is if it keeps more. Callable again, with more topics.
  virtual absl::Status EnsureTopics(const std::vector<TopicSpec>& topics) = 0;
  virtual std::string log_id() const = 0;

  // REQUIRES: the topic is ensured (by this object) and the partition exists; else NotFound. `done` is called exactly once, also when the log shuts down.
  virtual void Append(const TopicPartition& partition, Record record, AppendCallback done) = 0;

  // Records of one caller that belong together only in that their answers are wanted together; each stands for itself as with Append. `done`
  // gets one answer per record, in their order, when the last is known.
  struct Addressed {
    int32_t partition = 0;
    Record record;
  };
  using AppendAllCallback = std::function<void(std::vector<absl::StatusOr<Offset>>)>;
  virtual void AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done);

  // Records from `from` on, in order; empty when there is none yet. Never blocks on the network for more than 100 ms.
  // OutOfRange: `from` < first, or > end. NotFound: no such partition. Unavailable: could not be asked in time; try again.
  virtual absl::StatusOr<ReadResult> Read(const TopicPartition& partition, Offset from, const ReadLimits& limits) = 0;

  // Waits until some partition may have a record at or past the given offset, or the timeout passed. May wake up early.
  struct WaitFor {
    TopicPartition partition;
    Offset offset = 0;
  };
  virtual void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) = 0;

  virtual absl::StatusOr<OffsetRange> Offsets(const TopicPartition& partition) = 0;

  // OK, or what is wrong now (disk full, broker away): for /readyz and for refusing early.
  virtual absl::Status Health() const = 0;
};

// Append and wait. Not for callbacks of the log.
absl::StatusOr<Offset> AppendSync(Log* log, const TopicPartition& partition, Record record, absl::Duration timeout);

}  // namespace hub::eventlog
