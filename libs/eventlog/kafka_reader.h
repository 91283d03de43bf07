// Reads from Kafka by position: at the end of a partition from the Tail that all share, elsewhere with consumers that go on where the last
// read ended. Private to kafka_log.
//
// A Reader is one assigned consumer at one position. A read takes the reader that stands where it wants to start, or makes one; a jump
// always makes one, because a consumer that is assigned anew may still hand out what it fetched for its old place.
// Bounds: kReadersMax readers per partition, those not used for kIdle are closed; each prefetches at most 16 MB.
// Closing a consumer may take as long as a broker that is away likes, so a thread of its own does it: a read never waits for it.
// Thread safety: any thread; a reader that is in use belongs to the thread that uses it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/eventlog/kafka_admin.h"
#include "libs/eventlog/kafka_config.h"
#include "libs/eventlog/kafka_tail.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog::kafka {

class Reader;

class Readers {
 public:
  Readers(Settings consumer_settings, Admin* admin, const base::Clock* clock);
  ~Readers();

  // As Log::Read and Log::Wait; topics with the prefix.
  absl::StatusOr<ReadResult> Read(const TopicPartition& at, Offset from, const ReadLimits& limits);
  void Wait(const std::vector<Log::WaitFor>& any_of, absl::Duration timeout);
  // Whether those who read there need no consumer of their own.
  bool Follows(const TopicPartition& at, Offset offset) { return tail_.Find(at, offset) != Tail::Place::kElsewhere; }
  // The partition's end as somebody has asked for it.
  void NoteEnd(const TopicPartition& at, Offset end) { tail_.NoteEnd(at, end); }
  // Closes readers that nobody has used for a while. Called now and then.
  void CloseIdle();

 private:
  // The reader at that position; one is made when there is none. Give it back when done.
  absl::StatusOr<std::unique_ptr<Reader>> Take(const TopicPartition& at, Offset from);
  std::unique_ptr<Reader> TakeExisting(const TopicPartition& at, Offset from);
  void GiveBack(std::unique_ptr<Reader> reader);
  // Leaves it to the closing thread.
  void Close(std::unique_ptr<Reader> reader);
  void RunCloser(std::stop_token stop);
  // Records from where the reader stands, waiting for the first until the deadline. Spoils the reader when it fails.
  absl::StatusOr<ReadResult> ReadFrom(Reader* reader, const ReadLimits& limits, absl::Duration deadline);
  // What a reader makes of an offset that the broker refused, or that was out of range when asked.
  absl::Status OutOfRange(const TopicPartition& at, Offset from, absl::Duration deadline);
  void NoteArrival(const std::set<TopicPartition>& news);

  const Settings settings_;
  Admin* const admin_;
  const base::Clock* const clock_;

  base::Mutex mu_;
  std::map<TopicPartition, std::vector<std::unique_ptr<Reader>>> idle_ ABSL_GUARDED_BY(mu_);

  struct Waiter;
  base::Mutex waiters_mu_;
  std::set<Waiter*> waiters_ ABSL_GUARDED_BY(waiters_mu_);  // as many as there are calls of Wait

  base::Mutex closing_mu_;
  base::CondVar closing_wake_;
  std::vector<std::unique_ptr<Reader>> closing_ ABSL_GUARDED_BY(closing_mu_);  // at most kClosingMax
  base::Thread closer_;
  Tail tail_;
};

}  // namespace hub::eventlog::kafka
