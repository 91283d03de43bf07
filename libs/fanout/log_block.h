// A stretch of `events` as it stands in the log, decoded once for all classes whose readers pass it. Private to this library.
//
// Unjudged: fencing depends on where a reader comes from. Thread safety: any thread; of two classes that are given theirs at the same
// time one waits for the other, and then finds the forms that both want.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/filter_class.h"
#include "libs/fanout/probe.h"

namespace hub::fanout {

class LogBlock {
 public:
  using OnEvent = decltype(DispatcherOptions::on_event);
  // The offsets [start, read.next) of a partition of `events`.
  LogBlock(int32_t partition, eventlog::Offset start, eventlog::ReadResult read, FanoutProbe* probe,
           const OnEvent& on_event);

  eventlog::Offset start() const { return start_; }
  eventlog::Offset end() const { return end_; }
  // Bytes, about; grows with each form that events are encoded in.
  size_t memory() const;

  enum class Kind : uint8_t { kEvent, kState, kMark, kTick };
  struct Record {
    eventlog::Offset offset;
    uint64_t term;
    Kind kind;
    absl::Time tick;   // kTick
    size_t event = 0;  // kEvent and kState: which of events_
  };
  struct Age {
    eventlog::Offset offset;
    absl::Time appended_at;
  };
  const std::vector<Age>& ages() const { return ages_; }  // of records about a second apart; rising

  // In the log's order marks, ticks, and what the class sees: of events, and with_states of silent states as well, the encoded form.
  void Visit(const FilterClass& filter_class, bool with_states,
             absl::FunctionRef<void(const Record&, absl::string_view)> each) const;

 private:
  const eventlog::Offset start_;
  const eventlog::Offset end_;
  FanoutProbe* const probe_;
  std::vector<Record> records_;
  std::vector<Age> ages_;
  size_t decoded_bytes_ = 0;
  mutable base::Mutex mu_;
  mutable std::vector<PendingEvent> events_ ABSL_GUARDED_BY(mu_);
  mutable size_t encoded_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::fanout
