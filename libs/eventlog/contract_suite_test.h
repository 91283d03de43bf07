// What the contract suite's files share: topics, and appends and reads that fail the test.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hash.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/contract_log.h"
#include "libs/eventlog/log.h"
#include "tests/catch.h"

namespace hub::eventlog {

inline constexpr absl::Duration kPatience = absl::Seconds(30);
inline const TopicPartition kAt{"plain", 0};
inline const TopicPartition kCompactAt{"compacted", 0};

inline std::vector<TopicSpec> Topics(absl::Duration lag) {
  TopicSpec plain;
  plain.name = "plain";
  plain.partitions = 3;
  plain.retention = lag;
  TopicSpec compacted;
  compacted.name = "compacted";
  compacted.cleanup = Cleanup::kCompact;
  compacted.compaction_lag = lag;
  return {plain, compacted};
}

// Real time, also where the log's clock is ours: patience with threads and brokers.
inline bool Expired(absl::Duration since) { return base::RealClock().Monotonic() - since > kPatience; }

inline Offset MustAppend(Log* log, const TopicPartition& at, const std::string& key, const std::string& value) {
  const absl::StatusOr<Offset> offset = AppendSync(log, at, {key, value}, kPatience);
  INFO(offset.status());
  REQUIRE(offset.ok());
  return *offset;
}

// All records from `from` to `end`, by reads with these limits. Checks what holds for every read.
inline std::vector<StoredRecord> ReadTo(Log* log, const TopicPartition& at, Offset from, Offset end,
                                        const ReadLimits& limits = {}) {
  std::vector<StoredRecord> all;
  const absl::Duration start = base::RealClock().Monotonic();
  while (from < end) {
    const absl::StatusOr<ReadResult> result = log->Read(at, from, limits);
    INFO(at.topic << "/" << at.partition << " from " << from << " to " << end << ": " << result.status());
    REQUIRE(!Expired(start));
    if (absl::IsUnavailable(result.status())) continue;
    REQUIRE(result.ok());
    REQUIRE(result->next >= from);
    REQUIRE(result->records.size() <= std::max<size_t>(limits.records_max, 1));
    size_t bytes = 0;
    for (const StoredRecord& record : result->records) {
      REQUIRE(record.offset >= from);  // C3: rises strictly
      from = record.offset + 1;
      bytes += record.key.size() + record.value.size();
      all.push_back(record);
    }
    REQUIRE((bytes <= limits.bytes_max || result->records.size() == 1));
    REQUIRE(result->next >= from);
    from = result->next;
    if (result->records.empty()) log->Wait({{at, from}}, absl::Milliseconds(100));
  }
  REQUIRE(from == end);
  return all;
}

// The first records from `from` on: as many as one read gives, at least one.
inline std::vector<StoredRecord> ReadSome(Log* log, const TopicPartition& at, Offset from, const ReadLimits& limits) {
  const absl::Duration start = base::RealClock().Monotonic();
  while (true) {
    absl::StatusOr<ReadResult> result = log->Read(at, from, limits);
    INFO(at.topic << "/" << at.partition << " from " << from << ": " << result.status());
    REQUIRE(!Expired(start));
    if (absl::IsUnavailable(result.status())) continue;
    REQUIRE(result.ok());
    REQUIRE(result->records.size() <= limits.records_max);
    if (!result->records.empty()) return std::move(result->records);
    log->Wait({{at, from}}, absl::Milliseconds(100));
  }
}

inline std::vector<std::string> Values(const std::vector<StoredRecord>& records) {
  std::vector<std::string> values;
  for (const StoredRecord& record : records) values.push_back(record.value);
  return values;
}

// What Read says once it can say it: a broker may have no answer in time.
inline absl::StatusOr<ReadResult> ReadPatiently(Log* log, const TopicPartition& at, Offset from) {
  const absl::Duration start = base::RealClock().Monotonic();
  while (true) {
    absl::StatusOr<ReadResult> read = log->Read(at, from, {});
    if (!absl::IsUnavailable(read.status()) || Expired(start)) return read;
  }
}
inline absl::Status ReadStatus(Log* log, const TopicPartition& at, Offset from) { return ReadPatiently(log, at, from).status(); }

// Counts callbacks; each append has its own number.
class Callbacks {
 public:
  explicit Callbacks(size_t count) : seen_(count) {}
  Log::AppendCallback For(size_t i) {
    return [this, i](absl::StatusOr<Offset> offset) {
      base::MutexLock lock(&mu_);
      ++seen_[i].calls;
      seen_[i].offset = std::move(offset);
      ++answered_;
      changed_.NotifyAll();
    };
  }
  // False when not all were answered in time.
  bool WaitForAll() {
    base::MutexLock lock(&mu_);
    while (answered_ < seen_.size()) {
      if (!changed_.WaitFor(&mu_, kPatience)) return false;
    }
    return true;
  }
  int calls(size_t i) {
    base::MutexLock lock(&mu_);
    return seen_[i].calls;
  }
  absl::StatusOr<Offset> offset(size_t i) {
    base::MutexLock lock(&mu_);
    return seen_[i].offset;
  }

 private:
  struct Seen {
    int calls = 0;
    absl::StatusOr<Offset> offset = absl::UnknownError("never called");
  };
  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<Seen> seen_ ABSL_GUARDED_BY(mu_);
  size_t answered_ ABSL_GUARDED_BY(mu_) = 0;
};

// Opens `kind`, or ends the case where that kind can't run here.
#define EACH_LOG(name)                                               \
  const std::string kind = GENERATE(from_range(ContractLogKinds())); \
  INFO(kind);                                                        \
  const std::unique_ptr<ContractLog> holder = MakeContractLog(kind); \
  if (holder == nullptr) return;                                     \
  ContractLog& name = *holder;                                       \
  REQUIRE(name->EnsureTopics(Topics(name.lag())).ok())

}  // namespace hub::eventlog
