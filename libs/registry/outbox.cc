#include "libs/registry/outbox.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/store/tables.h"
#include "libs/wire/wire.h"

namespace hub::registry {
namespace {

constexpr absl::Duration kPauseAfterRefusal = absl::Milliseconds(20);
constexpr std::array<Lane, 4> kLanes = {Lane::kEvents, Lane::kHistory, Lane::kQuarantine, Lane::kUrgent};
constexpr char kBarrierFlag = 1;
constexpr char kCopyDueFlag = 2;

// Row: flags (1) | key length (4) | key | value.
std::string EncodeRow(const std::string& key, const std::string& value, RowKind kind) {
  std::string bytes(1, static_cast<char>((kind.barrier ? kBarrierFlag : 0) | (kind.copy_due ? kCopyDueFlag : 0)));
  store::AppendKey32(static_cast<uint32_t>(key.size()), &bytes);
  bytes += key;
  bytes += value;
  return bytes;
}

eventlog::TopicPartition TopicOf(Lane lane, int32_t partition) {
  if (lane == Lane::kEvents) return {eventlog::kEventsTopic, partition};
  if (lane == Lane::kHistory) return {eventlog::kHistoryTopic, partition};
  if (lane == Lane::kUrgent) return {eventlog::kUrgentTopic, partition};
  return {eventlog::kQuarantineTopic, 0};
}

}  // namespace

struct Outbox::Inbox {
  base::Mutex mu;
  std::vector<Answer> answers ABSL_GUARDED_BY(mu);
};

Outbox::Outbox(const RowKeys& keys, store::TableId table, int32_t partition, const base::Clock* clock,
               eventlog::Log* log, store::Database* database, size_t in_flight_max)
    : keys_(keys),
      table_(table),
      partition_(partition),
      clock_(clock),
      log_(log),
      database_(database),
      in_flight_max_(in_flight_max),
      inbox_(std::make_shared<Inbox>()) {}

absl::Status Outbox::Open(uint64_t term, const std::map<uint64_t, OnLog>& on_log, uint64_t highest,
                          store::Batch* batch) {
  term_ = term;
  inbox_ = std::make_shared<Inbox>();
  copies_due_.clear();
  copies_adding_ = 0;
  std::vector<CopyDue> found;
  for (const Lane lane : kLanes) {
    const auto tag = static_cast<uint8_t>(lane);
    LaneState& state = Of(lane);
    state = {};
    const std::string begin = keys_.Outbox(tag, 0);
    const std::string end = store::PrefixEnd(begin.substr(0, keys_.prefix().size() + 1));
    HUB_ASSIGN_OR_RETURN(const auto last, database_->Last(table_, begin, end));
    const uint64_t last_sequence = last.has_value() ? SequenceIn(last->first) : uint64_t{0};
    state.next_sequence = (lane == Lane::kEvents ? std::max(last_sequence, highest) : last_sequence) + 1;
    const auto cursor = database_->Scan(table_, begin, end);
    HUB_RETURN_IF_ERROR(cursor->status());
    state.loaded_next = cursor->Valid() ? SequenceIn(cursor->key()) : state.next_sequence;
    if (lane != Lane::kEvents || on_log.empty()) continue;
    for (; cursor->Valid(); cursor->Next()) {
      const auto twin = on_log.find(SequenceIn(cursor->key()));
      if (twin == on_log.end()) continue;
      HUB_ASSIGN_OR_RETURN(const Row row, ReadRow(*cursor));
      batch->Delete(table_, cursor->key());
      if (row.kind.copy_due) found.push_back({row.key, row.value, twin->second});
    }
    HUB_RETURN_IF_ERROR(cursor->status());
  }
  for (const CopyDue& due : found) AddCopy(due, batch);
  return absl::OkStatus();
}

uint64_t Outbox::SequenceIn(absl::string_view key) const { return store::DecodeKey64(key, keys_.prefix().size() + 1); }

void Outbox::Add(Lane lane, std::string key, const model::LogBody& body, RowKind kind, store::Batch* batch) {
  LaneState& state = Of(lane);
  Row row;
  row.sequence = state.next_sequence + state.added.size();
  row.key = std::move(key);
  row.value = wire::EncodeRecord({0, row.sequence}, body);
  row.kind = kind;
  batch->Put(table_, keys_.Outbox(static_cast<uint8_t>(lane), row.sequence), EncodeRow(row.key, row.value, kind));
  state.added.push_back(std::move(row));
}

void Outbox::AddCopy(const CopyDue& due, store::Batch* batch) {
  const auto record = wire::DecodeRecord(due.value);
  const auto* event = record.ok() ? std::get_if<model::Event>(&record->body) : nullptr;
  if (event == nullptr) return;  // a row of a release that knew other bodies; its twin stands in its place
  Add(Lane::kUrgent, due.key, model::UrgentCopy{*event, due.twin.offset, due.twin.term}, {}, batch);
}

void Outbox::DropAcknowledged(store::Batch* batch) {
  for (const CopyDue& due : copies_due_) AddCopy(due, batch);
  copies_adding_ = copies_due_.size();
  for (const Lane lane : kLanes) {
    LaneState& state = Of(lane);
    for (const uint64_t sequence : state.acknowledged) {
      batch->Delete(table_, keys_.Outbox(static_cast<uint8_t>(lane), sequence));
    }
    state.dropping = state.acknowledged.size();
  }
}

void Outbox::Committed() {
  copies_due_.erase(copies_due_.begin(), copies_due_.begin() + static_cast<ptrdiff_t>(copies_adding_));
  copies_adding_ = 0;
  for (LaneState& state : lanes_) {
    state.acknowledged.erase(state.acknowledged.begin(),
                             state.acknowledged.begin() + static_cast<ptrdiff_t>(state.dropping));
    state.dropping = 0;
    for (Row& row : state.added) {
      // Straight into the window when nothing before it waits in the table.
      if (state.loaded_next == row.sequence && state.window.size() < in_flight_max_) {
        state.loaded_next = row.sequence + 1;
        state.window.push_back(std::move(row));
      }
    }
    state.next_sequence += state.added.size();
    state.added.clear();
  }
}

void Outbox::Discarded() {
  copies_adding_ = 0;
  for (LaneState& state : lanes_) {
    state.dropping = 0;
    state.added.clear();
  }
}

absl::Status Outbox::Load(Lane lane) {
  LaneState& state = Of(lane);
  if (state.loaded_next == state.next_sequence || state.window.size() >= in_flight_max_) return absl::OkStatus();
  const auto tag = static_cast<uint8_t>(lane);
  const auto cursor =
      database_->Scan(table_, keys_.Outbox(tag, state.loaded_next), keys_.Outbox(tag, state.next_sequence));
  for (; cursor->Valid() && state.window.size() < in_flight_max_; cursor->Next()) {
    HUB_ASSIGN_OR_RETURN(Row row, ReadRow(*cursor));
    state.loaded_next = row.sequence + 1;
    state.window.push_back(std::move(row));
  }
  // Rows that were acknowledged out of order leave holes, at the end too.
  if (!cursor->Valid()) state.loaded_next = state.next_sequence;
  return cursor->status();
}

absl::StatusOr<Outbox::Row> Outbox::ReadRow(const store::Cursor& cursor) const {
  const absl::string_view value = cursor.value();
  if (value.size() < 5) return absl::DataLossError("outbox: cut off");
  const size_t key_bytes = store::DecodeKey32(value, 1);
  if (value.size() < 5 + key_bytes) return absl::DataLossError("outbox: cut off");
  Row row;
  row.sequence = SequenceIn(cursor.key());
  row.kind = {(value[0] & kBarrierFlag) != 0, (value[0] & kCopyDueFlag) != 0};
  row.key = std::string(value.substr(5, key_bytes));
  row.value = std::string(value.substr(5 + key_bytes));
  return row;
}

bool Outbox::Send(Lane lane) {
  LaneState& state = Of(lane);
  bool sent = false;
  bool passed_waiting = false;
  for (size_t i = state.first_waiting; i < state.window.size(); ++i) {
    Row& row = state.window[i];
    if (row.state != Row::State::kWaiting) {
      if (!passed_waiting) state.first_waiting = i + 1;
      continue;
    }
    if (lane == Lane::kEvents) {
      if (state.barriers_in_flight > 0 || (row.kind.barrier && i > 0)) break;
      if (!row.kind.barrier && !state.keys_in_flight.insert(row.key).second) {
        passed_waiting = true;  // it waits for its elder; rows of other keys may pass
        continue;
      }
      if (row.kind.barrier) ++state.barriers_in_flight;
    }
    row.state = Row::State::kSent;
    if (!passed_waiting) state.first_waiting = i + 1;
    sent = true;
    log_->Append(TopicOf(lane, partition_), {row.key, wire::Restamp(row.value, term_)},
                 [inbox = inbox_, lane, sequence = row.sequence](absl::StatusOr<eventlog::Offset> offset) {
                   if (!offset.ok()) {
                     HUB_LOG_EVERY(5, WARN, "registry_append_failed", {{"status", offset.status().ToString()}});
                   }
                   base::MutexLock lock(&inbox->mu);
                   inbox->answers.push_back({lane, sequence, offset.ok(), offset.value_or(-1)});
                 });
  }
  return sent;
}

void Outbox::OnAnswer(const Answer& answer) {
  LaneState& state = Of(answer.lane);
  const auto row = std::lower_bound(state.window.begin(), state.window.end(), answer.sequence,
                                    [](const Row& r, uint64_t sequence) { return r.sequence < sequence; });
  if (row == state.window.end() || row->sequence != answer.sequence || row->state == Row::State::kAcknowledged) return;
  if (!answer.ok && row->state == Row::State::kWaiting) return;
  if (answer.lane == Lane::kEvents && row->state == Row::State::kSent) {
    if (row->kind.barrier) {
      --state.barriers_in_flight;
    } else {
      state.keys_in_flight.erase(row->key);
    }
  }
  if (answer.ok) {
    row->state = Row::State::kAcknowledged;
    state.acknowledged.push_back(row->sequence);
    if (row->kind.copy_due) copies_due_.push_back({row->key, std::move(row->value), {answer.offset, term_}});
    return;
  }
  row->state = Row::State::kWaiting;
  state.first_waiting = std::min(state.first_waiting, static_cast<size_t>(row - state.window.begin()));
  pause_until_ = clock_->Monotonic() + kPauseAfterRefusal;
}

absl::StatusOr<bool> Outbox::Publish() {
  std::vector<Answer> answers;
  {
    base::MutexLock lock(&inbox_->mu);
    answers.swap(inbox_->answers);
  }
  for (const Answer& answer : answers) OnAnswer(answer);
  bool progressed = !answers.empty();
  for (LaneState& state : lanes_) {
    while (!state.window.empty() && state.window.front().state == Row::State::kAcknowledged) {
      state.window.pop_front();
      if (state.first_waiting > 0) --state.first_waiting;
    }
  }
  if (clock_->Monotonic() < pause_until_) return progressed;
  for (const Lane lane : kLanes) {
    HUB_RETURN_IF_ERROR(Load(lane));
    progressed = Send(lane) || progressed;
  }
  return progressed;
}

int64_t Outbox::rows() const {
  int64_t rows = 0;
  for (const LaneState& state : lanes_) {
    rows += static_cast<int64_t>(state.window.size() + (state.next_sequence - state.loaded_next));
  }
  return rows;
}

}  // namespace hub::registry
