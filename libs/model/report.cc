#include "libs/model/report.h"

#include "libs/base/hash.h"

namespace hub::model {
namespace {

// Length-prefixed, so that no two different bodies give the same bytes. Frozen: stored hashes are compared with new ones.
class Encoder {
 public:
  Encoder& Add(absl::string_view text) {
    Add(static_cast<int64_t>(text.size()));
    bytes_.append(text.data(), text.size());
    return *this;
  }
  Encoder& Add(int64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(static_cast<uint64_t>(number) >> shift));
    return *this;
  }
  Encoder& Add(absl::Time time) { return Add(absl::ToUnixMicros(time)); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace

std::string BodyHash(const Report& report) {
  Encoder body;
  body.Add(static_cast<int64_t>(report.kind))
      .Add(static_cast<int64_t>(report.identifier.type))
      .Add(report.identifier.canonical)
      .Add(static_cast<int64_t>(report.line_kind))
      .Add(report.citizen_pseudonym)
      .Add(report.list_id)
      .Add(static_cast<int64_t>(report.reason))
      .Add(static_cast<int64_t>(report.category))
      .Add(report.circle_of_issue)
      .Add(report.victim_state)
      .Add(report.suspect_state)
      .Add(report.handling_unit)
      .Add(report.case_ref)
      .Add(report.victim_phone)
      .Add(report.operator_id)
      .Add(report.amount_paise)
      .Add(report.traced_with)
      .Add(report.observed_at)
      .Add(static_cast<int64_t>(report.correction.kind))
      .Add(static_cast<int64_t>(report.correction.level))
      .Add(static_cast<int64_t>(report.correction.override_protected))
      .Add(report.correction.note_code)
      .Add(ToBytes(report.action.in_reply_to.key))
      .Add(static_cast<int64_t>(report.action.in_reply_to.version))
      .Add(static_cast<int64_t>(report.action.action))
      .Add(report.action.amount_paise)
      .Add(report.action.acted_at);
  const base::Digest digest = base::Sha256(body.bytes());
  return std::string(reinterpret_cast<const char*>(digest.data()), 16);
}

}  // namespace hub::model
