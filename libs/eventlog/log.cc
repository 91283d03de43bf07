#include "libs/eventlog/log.h"

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"

namespace hub::eventlog {

void Log::AppendAll(const std::string& topic, std::vector<Addressed> records, AppendAllCallback done) {
  // Each slot is written by one thread; `pending` hands them to whoever answers last, and that one frees the call: every callback runs once.
  struct Call {
    std::vector<absl::StatusOr<Offset>> answers;
    AppendAllCallback done;
    std::atomic<size_t> pending;  // acquire-release
    void Answered() {
      if (pending.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      const std::unique_ptr<Call> over(this);
      done(std::move(answers));
    }
  };
  auto* const call = new Call{{}, std::move(done), {records.size() + 1}};
  call->answers.resize(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    // A pointer and a number: what a callback holds without memory of its own.
    Append({topic, records[i].partition}, std::move(records[i].record), [call, i](absl::StatusOr<Offset> offset) {
      call->answers[i] = std::move(offset);
      call->Answered();
    });
  }
  call->Answered();
}

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
