#include "libs/fanout/log_block.h"

#include <utility>
#include <variant>

#include "libs/wire/wire.h"

namespace hub::fanout {
namespace {

// A silent state as the event that led to it, with the counters of now (R8: it keeps the event's version).
model::Event LastEvent(model::StateUpdate update, uint64_t term) {
  model::Event event;
  event.kind = update.state.standing;
  event.state = std::move(update.state);
  event.term = term;
  event.reports_offset = update.reports_offset;
  event.rules_version = update.rules_version;
  return event;
}

}  // namespace

LogBlock::LogBlock(int32_t partition, eventlog::Offset start, eventlog::ReadResult read, FanoutProbe* probe,
                   const OnEvent& on_event)
    : start_(start), end_(read.next), probe_(probe) {
  base::MutexLock lock(&mu_);
  for (const eventlog::StoredRecord& record : read.records) {
    if (ages_.empty() || record.appended_at >= ages_.back().appended_at + absl::Seconds(1)) {
      ages_.push_back({record.offset, record.appended_at});
    }
    absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
    if (!decoded.ok()) {
      probe->undecodable.Increment();
      continue;
    }
    const uint64_t term = decoded->header.term;
    const auto keep = [&](Kind kind, model::Event event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      const uint64_t its_term = event.term;
      records_.push_back({record.offset, its_term, kind, {}, events_.size()});
      events_.emplace_back(record.offset, std::move(event));
      decoded_bytes_ += sizeof(PendingEvent) + 2 * record.value.size();  // what it holds besides is taken for twice its record
    };
    if (auto* event = std::get_if<model::Event>(&decoded->body)) {
      if (on_event) on_event(partition, record.offset, *event);
      keep(Kind::kEvent, std::move(*event));
    } else if (auto* update = std::get_if<model::StateUpdate>(&decoded->body)) {
      keep(Kind::kState, LastEvent(std::move(*update), term));
    } else if (std::holds_alternative<model::TermMark>(decoded->body)) {
      records_.push_back({record.offset, term, Kind::kMark, {}});
    } else if (const auto* tick = std::get_if<model::Tick>(&decoded->body)) {
      records_.push_back({record.offset, term, Kind::kTick, tick->now});
    }
  }
  events_.shrink_to_fit();
  records_.shrink_to_fit();
}

size_t LogBlock::memory() const {
  base::MutexLock lock(&mu_);
  return sizeof(*this) + decoded_bytes_ + encoded_bytes_ + records_.capacity() * sizeof(Record) +
         ages_.capacity() * sizeof(Age);
}

void LogBlock::Visit(const FilterClass& filter_class, bool with_states,
                     absl::FunctionRef<void(const Record&, absl::string_view)> each) const {
  base::MutexLock lock(&mu_);
  for (const Record& record : records_) {
    if (record.kind == Kind::kMark || record.kind == Kind::kTick) {
      each(record, {});
      continue;
    }
    if (record.kind == Kind::kState && !with_states) continue;
    PendingEvent& event = events_[record.event];
    const Verdict verdict = filter_class.Judge(event);
    if (verdict == Verdict::kNothing) continue;
    const int forms = event.encodings();
    const absl::string_view bytes = event.Encoded(filter_class.audiences(), verdict == Verdict::kLeftView);
    if (event.encodings() > forms) {
      encoded_bytes_ += bytes.size() + sizeof(std::string);
      probe_->encoded_catchup.Increment();
    }
    each(record, bytes);
  }
}

}  // namespace hub::fanout
