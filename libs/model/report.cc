#include "libs/model/report.h"

#include "libs/base/hash.h"

namespace hub::model {
namespace {

// An unambiguous encoding: numbers as 8 bytes big-endian, strings with their length in front, always every field, always in the
// same order. Its hash is stored with every report for as long as duplicates are recognised: FROZEN. A new field of Report goes
// to the end and is written only when it is set, so that reports without it keep their hash.
class BodyWriter {
 public:
  void Number(int64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
  }
  template <typename E>
  void Word(E value) {
    Number(static_cast<int64_t>(value));
  }
  void Text(absl::string_view value) {
    Number(static_cast<int64_t>(value.size()));
    bytes_.append(value.data(), value.size());
  }
  // Nanoseconds since 1970; infinite times are the ends of the range.
  void Time(absl::Time value) { Number(absl::ToUnixNanos(value)); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

constexpr size_t kBodyHashBytes = 16;

}  // namespace

std::string BodyHash(const Report& report) {
  BodyWriter body;
  body.Word(report.kind);
  body.Word(report.identifier.type);
  body.Text(report.identifier.canonical);
  body.Word(report.line_kind);
  body.Text(report.citizen_pseudonym);
  body.Text(report.list_id);
  body.Word(report.reason);
  body.Number(report.category);
  body.Text(report.circle_of_issue);
  body.Text(report.victim_state);
  body.Text(report.suspect_state);
  body.Text(report.handling_unit);
  body.Text(report.case_ref);
  body.Text(report.victim_phone);
  body.Text(report.operator_id);
  body.Number(report.amount_paise);
  body.Text(report.traced_with);
  body.Time(report.observed_at);
  body.Word(report.correction.kind);
  body.Word(report.correction.level);
  body.Number(report.correction.override_protected ? 1 : 0);
  body.Text(report.correction.note_code);
  body.Text(ToBytes(report.action.in_reply_to.key));
  body.Number(static_cast<int64_t>(report.action.in_reply_to.version));
  body.Word(report.action.action);
  body.Number(report.action.amount_paise);
  body.Time(report.action.acted_at);
  const base::Digest digest = base::Sha256(body.bytes());
  return std::string(digest.begin(), digest.begin() + kBodyHashBytes);
}

}  // namespace hub::model
