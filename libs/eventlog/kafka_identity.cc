#include "libs/eventlog/kafka_identity.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog::kafka {
namespace {

// A new leader may know of less than was readable for a moment; a shorter partition must stay shorter for this long.
constexpr absl::Duration kSuspicion = absl::Seconds(3);

std::string EndKey(const TopicPartition& at) { return absl::StrCat("end/", at.topic, "/", at.partition); }

}  // namespace

Identity::Identity(std::string topic, Admin* admin, Producer* producer, Readers* readers, const base::Clock* clock)
    : at_{std::move(topic), 0}, admin_(admin), producer_(producer), readers_(readers), clock_(clock) {}

absl::Status Identity::Load(absl::Duration timeout) {
  const absl::Duration deadline = clock_->Monotonic() + timeout;
  HUB_RETURN_IF_ERROR(ReadMarks(deadline));
  if (generation_ > 0) return absl::OkStatus();
  return BeginGeneration(1, deadline);
}

std::string Identity::log_id(const std::string& cluster_id) const {
  return absl::StrCat(absl::Hex(base::Mix64(absl::StrCat(cluster_id, "/", mark_)), absl::kZeroPad16));
}

// A topic just made has a leader that doesn't know it yet.
absl::StatusOr<std::map<TopicPartition, OffsetRange>> Identity::Offsets(const std::vector<TopicPartition>& partitions,
                                                                        absl::Duration deadline) {
  base::Mutex pause_mu;
  base::CondVar pause;
  while (true) {
    auto ranges = admin_->Offsets(partitions, deadline - clock_->Monotonic());
    if (!absl::IsUnavailable(ranges.status()) || clock_->Monotonic() > deadline) return ranges;
    base::MutexLock lock(&pause_mu);
    pause.WaitFor(&pause_mu, absl::Milliseconds(50));
  }
}

absl::Status Identity::ReadMarks(absl::Duration deadline) {
  HUB_ASSIGN_OR_RETURN(const auto ranges, Offsets({at_}, deadline));
  while (read_to_ < ranges.at(at_).end) {
    if (clock_->Monotonic() > deadline)
      return absl::UnavailableError(absl::StrCat(at_.topic, ": could not be read in time"));
    const absl::StatusOr<ReadResult> result = readers_->Read(at_, read_to_, {});
    if (absl::IsUnavailable(result.status())) continue;
    HUB_RETURN_IF_ERROR(result.status());
    for (const StoredRecord& record : result->records) {
      const std::vector<std::string> parts = absl::StrSplit(record.key, '/');
      int64_t number = 0;
      if (parts.size() == 3 && parts[0] == "id" && absl::SimpleAtoi(parts[1], &number)) {
        if (number <= generation_) continue;
        generation_ = number;
        mark_ = record.value;
      } else if (parts.size() == 3 && parts[0] == "end" && absl::SimpleAtoi(record.value, &number)) {
        ends_[record.key] = number;
      }
    }
    read_to_ = result->next;
  }
  return absl::OkStatus();
}

absl::Status Identity::Append(const std::string& key, const std::string& value, absl::Duration deadline) {
  struct Answer {
    base::Mutex mu;
    base::CondVar there;
    bool answered ABSL_GUARDED_BY(mu) = false;
    absl::Status status ABSL_GUARDED_BY(mu);
  };
  const auto answer = std::make_shared<Answer>();
  producer_->Append(at_.topic, at_.partition, {key, value}, [answer](const absl::StatusOr<Offset>& offset) {
    base::MutexLock lock(&answer->mu);
    answer->answered = true;
    answer->status = offset.status();
    answer->there.NotifyAll();
  });
  base::MutexLock lock(&answer->mu);
  while (!answer->answered) {
    const absl::Duration left = deadline - clock_->Monotonic();
    if (left <= absl::ZeroDuration())
      return absl::UnavailableError(absl::StrCat(at_.topic, ": could not be written in time"));
    answer->there.WaitFor(&answer->mu, left);
  }
  return answer->status;
}

absl::Status Identity::BeginGeneration(int64_t generation, absl::Duration deadline) {
  const std::string mark = absl::BytesToHexString(base::RandomBytes(8));
  HUB_RETURN_IF_ERROR(Append(absl::StrCat("id/", generation, "/", mark), mark, deadline));
  // Somebody else's may have come first; then it counts.
  return ReadMarks(deadline);
}

absl::Status Identity::Check(const std::vector<TopicPartition>& partitions, absl::Duration timeout) {
  const absl::Duration deadline = clock_->Monotonic() + timeout;
  const absl::Duration suspicion_ends = clock_->Monotonic() + kSuspicion;
  HUB_RETURN_IF_ERROR(ReadMarks(deadline));
  std::map<TopicPartition, OffsetRange> ranges;
  std::string shorter;
  base::Mutex pause_mu;
  base::CondVar pause;
  do {
    HUB_ASSIGN_OR_RETURN(ranges, Offsets(partitions, deadline));
    shorter.clear();
    for (const TopicPartition& at : partitions) {
      const auto noted = ends_.find(EndKey(at));
      if (noted != ends_.end() && ranges.at(at).end < noted->second) shorter = noted->first;
    }
    if (shorter.empty()) break;
    base::MutexLock lock(&pause_mu);
    pause.WaitFor(&pause_mu, absl::Milliseconds(200));
  } while (clock_->Monotonic() < suspicion_ends);

  if (!shorter.empty()) {
    HUB_LOG(WARN, "kafka_log_recreated", {{"partition", shorter}});
    HUB_RETURN_IF_ERROR(BeginGeneration(generation_ + 1, deadline));
  }
  for (const TopicPartition& at : partitions) {
    const Offset end = ranges.at(at).end;
    const auto noted = ends_.find(EndKey(at));
    if (noted != ends_.end() ? noted->second == end : end == 0) continue;
    HUB_RETURN_IF_ERROR(Append(EndKey(at), absl::StrCat(end), deadline));
    ends_[EndKey(at)] = end;
  }
  return absl::OkStatus();
}

}  // namespace hub::eventlog::kafka
