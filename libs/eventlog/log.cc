#include "libs/eventlog/log.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"

namespace hub::eventlog {

absl::StatusOr<Offset> AppendSync(Log* log, const TopicPartition& partition, Record record, absl::Duration timeout) {
  // Shared with the callback, which may come long after the caller has given up.
  struct Waiting {
    base::Mutex mu;
    base::CondVar answered;
    std::optional<absl::StatusOr<Offset>> result ABSL_GUARDED_BY(mu);
  };
  const auto waiting = std::make_shared<Waiting>();
  log->Append(partition, std::move(record), [waiting](absl::StatusOr<Offset> result) {
    base::MutexLock lock(&waiting->mu);
    waiting->result = std::move(result);
    waiting->answered.NotifyAll();
  });
  base::MutexLock lock(&waiting->mu);
  // A wake-up without an answer starts the wait anew; such wake-ups are too rare to stretch the timeout noticeably.
  while (!waiting->result.has_value()) {
    if (!waiting->answered.WaitFor(&waiting->mu, timeout) && !waiting->result.has_value()) {
      return absl::DeadlineExceededError(absl::StrCat(partition.topic, "/", partition.partition, ": no answer within ",
                                                      absl::FormatDuration(timeout)));
    }
  }
  return *std::move(waiting->result);
}

}  // namespace hub::eventlog
