// A report as its stored message's bytes, without the message: ingest makes one per report and nothing else with it.
//
// The bytes are those that protobuf gives for ToStored(report), field by field (report_record_test.cc holds them together).
#include <cstring>
#include <string>

#include "libs/base/check.h"
#include "libs/wire/stored.h"

namespace hub::wire {
namespace {

constexpr size_t kVarintMax = 10;
constexpr size_t kFieldsMax = 64;  // tags and numbers, not counting links

// Writes fields of proto3: what has its default is left out. The caller has made room.
class FieldWriter {
 public:
  explicit FieldWriter(char* at) : at_(at) {}
  char* at() const { return at_; }

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at_++ = static_cast<char>(value | 0x80);
    *at_++ = static_cast<char>(value);
  }
  void Number(int field, uint64_t value) {
    if (value == 0) return;
    Varint(static_cast<uint64_t>(field) << 3);
    Varint(value);
  }
  template <typename E>
  void Enum(int field, E value) {
    Number(field, static_cast<uint32_t>(value));
  }
  void Time(int field, absl::Time time) { Number(field, static_cast<uint64_t>(ToMicros(time))); }
  void Text(int field, absl::string_view bytes) {
    if (bytes.empty()) return;
    Varint(static_cast<uint64_t>(field) << 3 | 2);
    Varint(bytes.size());
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  // A message is there even when it is empty. Its length is known afterwards; mostly one byte holds it.
  template <typename Body>
  void Message(int field, Body body) {
    Varint(static_cast<uint64_t>(field) << 3 | 2);
    char* const length_at = at_++;
    body();
    const auto length = static_cast<size_t>(at_ - length_at - 1);
    if (length < 0x80) {
      *length_at = static_cast<char>(length);
      return;
    }
    char bytes[kVarintMax];
    FieldWriter prefix(bytes);
    prefix.Varint(length);
    const auto size = static_cast<size_t>(prefix.at() - bytes);
    std::memmove(length_at + size, length_at + 1, length);
    std::memcpy(length_at, bytes, size);
    at_ += size - 1;
  }

 private:
  char* at_;
};

void Write(const model::Identifier& identifier, FieldWriter* out) {
  out->Enum(1, identifier.type);
  out->Text(2, identifier.canonical);
}

void Write(const model::Reporter& reporter, FieldWriter* out) {
  out->Text(1, reporter.stakeholder);
  out->Text(2, reporter.principal);
  out->Text(3, reporter.ownership_group);
  out->Enum(4, reporter.role);
}

void Write(const model::Report& report, FieldWriter* out) {
  out->Text(1, absl::string_view(reinterpret_cast<const char*>(report.id.bytes.data()), report.id.bytes.size()));
  out->Enum(2, report.kind);
  out->Message(3, [&] { Write(report.identifier, out); });
  out->Enum(4, report.line_kind);
  for (const model::Link& link : report.links) {
    out->Message(5, [&] {
      out->Enum(1, link.relation);
      out->Message(2, [&] { Write(link.identifier, out); });
    });
  }
  out->Message(6, [&] { Write(report.reporter, out); });
  out->Text(7, report.citizen_pseudonym);
  out->Text(8, report.list_id);
  out->Enum(9, report.reason);
  out->Number(10, static_cast<uint64_t>(static_cast<int64_t>(report.category)));
  out->Text(11, report.circle_of_issue);
  out->Text(12, report.victim_state);
  out->Text(13, report.suspect_state);
  out->Text(14, report.handling_unit);
  out->Text(15, report.case_ref);
  out->Text(16, report.victim_phone);
  out->Text(17, report.operator_id);
  out->Number(18, static_cast<uint64_t>(report.amount_paise));
  out->Text(19, report.traced_with);
  out->Time(20, report.observed_at);
  out->Time(21, report.received_at);
  out->Enum(22, report.correction.kind);
  out->Enum(23, report.correction.level);
  out->Number(24, report.correction.override_protected ? 1 : 0);
  out->Text(25, report.correction.note_code);
  if (report.kind != model::InputKind::kActionTaken) return;
  out->Text(26, model::ToBytes(report.action.in_reply_to.key));
  out->Number(27, report.action.in_reply_to.version);
  out->Enum(28, report.action.action);
  out->Number(29, static_cast<uint64_t>(report.action.amount_paise));
  out->Time(30, report.action.acted_at);
}

// At least what Write may need.
size_t RoomFor(const model::Report& report) {
  size_t room = kFieldsMax * (kVarintMax + 2);
  for (const model::Link& link : report.links) room += 6 * kVarintMax + link.identifier.canonical.size();
  for (const std::string* text :
       {&report.identifier.canonical, &report.reporter.stakeholder, &report.reporter.principal,
        &report.reporter.ownership_group, &report.citizen_pseudonym, &report.list_id, &report.circle_of_issue,
        &report.victim_state, &report.suspect_state, &report.handling_unit, &report.case_ref, &report.victim_phone,
        &report.operator_id, &report.traced_with, &report.correction.note_code}) {
    room += text->size();
  }
  return room;
}

}  // namespace

void AppendReportBody(int field, const model::Report& report, std::string* out) {
  const size_t before = out->size();
  const size_t room = RoomFor(report);
  out->resize(before + room);
  FieldWriter writer(out->data() + before);
  writer.Message(field, [&] { Write(report, &writer); });
  const auto used = static_cast<size_t>(writer.at() - out->data());
  HUB_CHECK(used <= before + room);
  out->resize(used);
}

}  // namespace hub::wire
