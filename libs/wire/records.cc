// Frame and body of what stands in the hub's topics and tables.
#include <google/protobuf/arena.h>

#include <string>
#include <utility>
#include <variant>

#include "fraudhub/internal/v1/record.pb.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/wire/stored.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

// Overloads below would hide those of stored.h.
using wire::FromStored;
using wire::ToStored;

namespace internal = fraudhub::internal::v1;

constexpr char kFormat = 0x01;  // of frames and of table rows; another one is another layout
constexpr size_t kChecksumAt = 1;
constexpr size_t kTermAt = 5;  // the checksum covers everything from here on
constexpr size_t kSequenceAt = 13;
constexpr size_t kBodyAt = 21;

void PutBigEndian(uint64_t value, size_t width, char* out) {
  for (size_t i = 0; i < width; ++i) out[i] = static_cast<char>(value >> (8 * (width - 1 - i)));
}

uint64_t GetBigEndian(absl::string_view bytes, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

std::string BeginFrame(const RecordHeader& header) {
  std::string frame(kBodyAt, '\0');
  frame[0] = kFormat;
  PutBigEndian(header.term, 8, frame.data() + kTermAt);
  PutBigEndian(header.sequence, 8, frame.data() + kSequenceAt);
  return frame;
}

void StampChecksum(std::string* frame) {
  PutBigEndian(base::Crc32c(absl::string_view(*frame).substr(kTermAt)), 4, frame->data() + kChecksumAt);
}

absl::Status CheckFrame(absl::string_view bytes) {
  if (bytes.size() < kBodyAt) return absl::DataLossError("record: shorter than its frame");
  if (bytes[0] != kFormat) return absl::DataLossError("record: unknown format");
  if (GetBigEndian(bytes, kChecksumAt, 4) != base::Crc32c(bytes.substr(kTermAt))) {
    return absl::DataLossError("record: checksum does not fit");
  }
  return absl::OkStatus();
}

// A message whose parts all lie in one block, mostly on the stack: records have some ten of them. Variables of it are marked
// uninitialized: the compiler would fill the block with zeroes for each record.
template <typename Message>
class MessageOnArena {
 public:
  MessageOnArena()
      : arena_(first_block_, sizeof(first_block_)),
        message_(google::protobuf::Arena::CreateMessage<Message>(&arena_)) {}
  Message* get() { return message_; }
  Message* operator->() { return message_; }
  Message& operator*() { return *message_; }

 private:
  alignas(8) char first_block_[4096];
  google::protobuf::Arena arena_;
  Message* const message_;
};

template <typename E>
constexpr uint32_t Number(E value) {
  return static_cast<uint32_t>(value);
}

// --- model to stored, one per kind of body ------------------------------------------------------

void ToStored(const model::Event& event, internal::EventRecord* record) {
  record->set_kind(Number(event.kind));
  ToStored(event.state, record->mutable_state());
  if (event.previous.has_value()) ToStored(*event.previous, record->mutable_previous());
  record->set_reports_offset(event.reports_offset);
  record->set_rules_version(event.rules_version);
  record->set_decided_at(ToMicros(event.decided_at));
  record->set_received_at(ToMicros(event.received_at));
  record->set_urgent(event.urgent);
}

struct BodyWriter {
  internal::LogRecord* out;

  void operator()(const model::Report& report) const { ToStored(report, out->mutable_report()); }

  void operator()(const model::RulesUpdate& update) const {
    ToStored(update.rules, out->mutable_rules()->mutable_rules());
  }

  void operator()(const model::Tick& tick) const {
    out->mutable_tick()->set_now(ToMicros(tick.now));
    out->mutable_tick()->set_term(tick.term);
  }

  void operator()(const model::Event& event) const { ToStored(event, out->mutable_event()); }

  void operator()(const model::UrgentCopy& copy) const {
    ToStored(copy.event, out->mutable_urgent()->mutable_event());
    out->mutable_urgent()->set_twin_offset(copy.twin_offset);
    out->mutable_urgent()->set_twin_term(copy.twin_term);
  }

  void operator()(const model::StateUpdate& update) const {
    internal::StateRecord* record = out->mutable_state();
    ToStored(update.state, record->mutable_state());
    record->set_reports_offset(update.reports_offset);
    record->set_rules_version(update.rules_version);
  }

  void operator()(const model::TermMark& mark) const {
    internal::MarkRecord* record = out->mutable_mark();
    record->set_term(mark.term);
    record->set_reports_offset(mark.reports_offset);
    record->set_clock(ToMicros(mark.clock));
    record->set_rules_version(mark.rules_version);
    record->set_highest_tick_term(mark.highest_tick_term);
    record->set_complete(mark.complete);
  }

  void operator()(const model::HistoryEntry& entry) const {
    internal::HistoryRecord* record = out->mutable_history();
    record->set_report_id(std::string(entry.report_id.bytes.begin(), entry.report_id.bytes.end()));
    record->set_key(model::ToBytes(entry.key));
    record->set_outcome(Number(entry.outcome));
    record->set_held_reason(Number(entry.held_reason));
    record->set_report_kind(Number(entry.report_kind));
    ToStored(entry.reporter, record->mutable_reporter());
    record->set_event_kind(Number(entry.event_kind));
    record->set_level_after(Number(entry.level_after));
    record->set_version_after(entry.version_after);
    record->set_tenure(entry.tenure);
    record->set_decided_at(ToMicros(entry.decided_at));
    record->set_action(Number(entry.action));
    record->set_amount_paise(entry.amount_paise);
    record->set_action_version(entry.action_version);
    record->set_correction(entry.correction);
    record->set_reports_offset(entry.reports_offset);
    record->set_list_id(entry.list_id);
  }

  void operator()(const model::ControlItem& item) const {
    out->mutable_control()->set_name(item.name);
    out->mutable_control()->set_version(item.version);
    out->mutable_control()->set_text(item.text);
  }

  void operator()(const model::CursorUpdate& update) const {
    internal::CursorRecord* record = out->mutable_cursor();
    ToStored(update.cursor, record->mutable_cursor());
    record->mutable_cursor()->set_stakeholder(update.stakeholder);
    record->set_name(update.name);
    record->set_generation(update.generation);
    record->set_node(update.node);
    record->set_attached_at(ToMicros(update.attached_at));
    record->set_acked_at(ToMicros(update.acked_at));
    record->set_client_id(update.client_id);
  }

  void operator()(const model::ReceiptUpdate& update) const {
    internal::ReceiptRecord* record = out->mutable_receipt();
    record->set_node(update.node);
    record->set_partition(update.partition);
    record->set_offset(update.offset);
    record->set_key(model::ToBytes(update.key));
    record->set_version(update.version);
    record->set_decided_at(ToMicros(update.decided_at));
    for (const model::ReceiptUpdate::Receipt& receipt : update.receipts) {
      internal::StoredReceipt* stored = record->add_receipts();
      stored->set_stakeholder(receipt.stakeholder);
      stored->set_sent_at(ToMicros(receipt.sent_at));
      stored->set_confirmed_at(ToMicros(receipt.confirmed_at));
    }
  }

  void operator()(const model::Quarantined& quarantined) const {
    internal::QuarantineRecord* record = out->mutable_quarantine();
    record->set_topic(quarantined.topic);
    record->set_partition(quarantined.partition);
    record->set_offset(quarantined.offset);
    record->set_reason(quarantined.reason);
    record->set_value(quarantined.value);
  }
};

// --- stored to model ------------------------------------------------------------------------------

absl::Status FromStored(const internal::EventRecord& record, uint64_t term, model::Event* out) {
  HUB_RETURN_IF_ERROR(StoredEnum(record.kind(), model::EventKind::kReverified, "event.kind", &out->kind));
  HUB_RETURN_IF_ERROR(FromStored(record.state(), &out->state));
  if (record.has_previous()) {
    HUB_RETURN_IF_ERROR(FromStored(record.previous(), &out->previous.emplace()));
  }
  out->term = term;
  out->reports_offset = record.reports_offset();
  out->rules_version = record.rules_version();
  out->decided_at = FromMicros(record.decided_at());
  out->received_at = FromMicros(record.received_at());
  out->urgent = record.urgent();
  return absl::OkStatus();
}

absl::Status FromStored(const internal::UrgentRecord& record, model::UrgentCopy* out) {
  out->twin_offset = record.twin_offset();
  out->twin_term = record.twin_term();
  return FromStored(record.event(), record.twin_term(), &out->event);
}

absl::Status FromStored(const internal::StateRecord& record, model::StateUpdate* out) {
  HUB_RETURN_IF_ERROR(FromStored(record.state(), &out->state));
  out->reports_offset = record.reports_offset();
  out->rules_version = record.rules_version();
  return absl::OkStatus();
}

absl::Status FromStored(const internal::HistoryRecord& record, model::HistoryEntry* out) {
  if (record.report_id().size() != out->report_id.bytes.size()) {
    return absl::DataLossError("stored record: history: report id: want 16 bytes");
  }
  std::copy(record.report_id().begin(), record.report_id().end(), out->report_id.bytes.begin());
  HUB_RETURN_IF_ERROR(KeyFromStored(record.key(), &out->key));
  HUB_RETURN_IF_ERROR(StoredEnum(record.outcome(), model::Outcome::kHeld, "history.outcome", &out->outcome));
  HUB_RETURN_IF_ERROR(
      StoredEnum(record.held_reason(), model::HeldReason::kTooOld, "history.held_reason", &out->held_reason));
  HUB_RETURN_IF_ERROR(
      StoredEnum(record.report_kind(), model::InputKind::kCorrection, "history.report_kind", &out->report_kind));
  HUB_RETURN_IF_ERROR(FromStored(record.reporter(), &out->reporter));
  HUB_RETURN_IF_ERROR(
      StoredEnum(record.event_kind(), model::EventKind::kReverified, "history.event_kind", &out->event_kind));
  HUB_RETURN_IF_ERROR(
      StoredEnum(record.level_after(), model::Level::kVeryHigh, "history.level_after", &out->level_after));
  out->version_after = record.version_after();
  out->tenure = record.tenure();
  out->decided_at = FromMicros(record.decided_at());
  HUB_RETURN_IF_ERROR(StoredEnum(record.action(), model::Action::kNoFurtherAction, "history.action", &out->action));
  out->amount_paise = record.amount_paise();
  out->action_version = record.action_version();
  out->correction = record.correction();
  out->reports_offset = record.reports_offset();
  out->list_id = record.list_id();
  return absl::OkStatus();
}

model::TermMark FromStored(const internal::MarkRecord& record) {
  return {.term = record.term(),
          .reports_offset = record.reports_offset(),
          .clock = FromMicros(record.clock()),
          .rules_version = record.rules_version(),
          .highest_tick_term = record.highest_tick_term(),
          .complete = record.complete()};
}

model::Quarantined FromStored(const internal::QuarantineRecord& record) {
  return {.topic = record.topic(),
          .partition = record.partition(),
          .offset = record.offset(),
          .reason = record.reason(),
          .value = record.value()};
}

model::ControlItem FromStored(const internal::ControlRecord& record) {
  return {.name = record.name(), .version = record.version(), .text = record.text()};
}

absl::Status FromStored(const internal::CursorRecord& record, model::CursorUpdate* out) {
  HUB_RETURN_IF_ERROR(FromStored(record.cursor(), &out->cursor));
  out->stakeholder = record.cursor().stakeholder();
  out->name = record.name();
  out->generation = record.generation();
  out->node = record.node();
  out->attached_at = FromMicros(record.attached_at());
  out->acked_at = FromMicros(record.acked_at());
  out->client_id = record.client_id();
  return absl::OkStatus();
}

absl::Status FromStored(const internal::ReceiptRecord& record, model::ReceiptUpdate* out) {
  HUB_RETURN_IF_ERROR(KeyFromStored(record.key(), &out->key));
  out->node = record.node();
  out->partition = record.partition();
  out->offset = record.offset();
  out->version = record.version();
  out->decided_at = FromMicros(record.decided_at());
  for (const internal::StoredReceipt& stored : record.receipts()) {
    out->receipts.push_back(
        {stored.stakeholder(), FromMicros(stored.sent_at()), FromMicros(stored.confirmed_at())});
  }
  return absl::OkStatus();
}

absl::Status BodyFromStored(const internal::LogRecord& record, uint64_t term, model::LogBody* out) {
  switch (record.body_case()) {
    case internal::LogRecord::kReport:
      return FromStored(record.report(), &out->emplace<model::Report>());
    case internal::LogRecord::kRules:
      return FromStored(record.rules().rules(), &out->emplace<model::RulesUpdate>().rules);
    case internal::LogRecord::kTick:
      *out = model::Tick{FromMicros(record.tick().now()), record.tick().term()};
      return absl::OkStatus();
    case internal::LogRecord::kEvent:
      return FromStored(record.event(), term, &out->emplace<model::Event>());
    case internal::LogRecord::kState:
      return FromStored(record.state(), &out->emplace<model::StateUpdate>());
    case internal::LogRecord::kMark:
      *out = FromStored(record.mark());
      return absl::OkStatus();
    case internal::LogRecord::kHistory:
      return FromStored(record.history(), &out->emplace<model::HistoryEntry>());
    case internal::LogRecord::kQuarantine:
      *out = FromStored(record.quarantine());
      return absl::OkStatus();
    case internal::LogRecord::kControl:
      *out = FromStored(record.control());
      return absl::OkStatus();
    case internal::LogRecord::kCursor:
      return FromStored(record.cursor(), &out->emplace<model::CursorUpdate>());
    case internal::LogRecord::kReceipt:
      return FromStored(record.receipt(), &out->emplace<model::ReceiptUpdate>());
    case internal::LogRecord::kUrgent:
      return FromStored(record.urgent(), &out->emplace<model::UrgentCopy>());
    case internal::LogRecord::BODY_NOT_SET:
      break;
  }
  return absl::DataLossError("record: empty, or of a kind this release does not know");
}

}  // namespace

std::string EncodeRecord(const RecordHeader& header, const model::LogBody& body) {
  MessageOnArena<internal::LogRecord> record __attribute__((uninitialized));
  std::visit(BodyWriter{record.get()}, body);
  std::string frame = BeginFrame(header);
  HUB_CHECK(record->AppendToString(&frame));
  StampChecksum(&frame);
  return frame;
}

std::string EncodeReport(const RecordHeader& header, const model::Report& report) {
  std::string frame = BeginFrame(header);
  AppendReportBody(internal::LogRecord::kReportFieldNumber, report, &frame);
  StampChecksum(&frame);
  return frame;
}

absl::StatusOr<DecodedRecord> DecodeRecord(absl::string_view bytes) {
  DecodedRecord decoded;
  HUB_ASSIGN_OR_RETURN(decoded.header, DecodeHeader(bytes));
  MessageOnArena<internal::LogRecord> record __attribute__((uninitialized));
  const absl::string_view body = bytes.substr(kBodyAt);
  if (body.size() > size_t{1} << 30 || !record->ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return absl::DataLossError("record: body does not parse");
  }
  HUB_RETURN_IF_ERROR(BodyFromStored(*record, decoded.header.term, &decoded.body));
  return decoded;
}

absl::StatusOr<RecordHeader> DecodeHeader(absl::string_view bytes) {
  HUB_RETURN_IF_ERROR(CheckFrame(bytes));
  return RecordHeader{GetBigEndian(bytes, kTermAt, 8), GetBigEndian(bytes, kSequenceAt, 8)};
}

std::string Restamp(absl::string_view bytes, uint64_t term) {
  HUB_CHECK(bytes.size() >= kBodyAt && bytes[0] == kFormat);
  std::string frame(bytes);
  PutBigEndian(term, 8, frame.data() + kTermAt);
  StampChecksum(&frame);
  return frame;
}

std::string EncodeState(const model::IndicatorState& state) {
  MessageOnArena<internal::StoredIndicator> stored __attribute__((uninitialized));
  ToStored(state, stored.get());
  std::string row(1, kFormat);
  HUB_CHECK(stored->AppendToString(&row));
  return row;
}

absl::StatusOr<model::IndicatorState> DecodeState(absl::string_view bytes) {
  MessageOnArena<internal::StoredIndicator> stored __attribute__((uninitialized));
  if (bytes.empty() || bytes[0] != kFormat || bytes.size() > size_t{1} << 30 ||
      !stored->ParseFromArray(bytes.data() + 1, static_cast<int>(bytes.size() - 1))) {
    return absl::DataLossError("state: does not parse");
  }
  model::IndicatorState state;
  HUB_RETURN_IF_ERROR(FromStored(*stored, &state));
  return state;
}

}  // namespace hub::wire
