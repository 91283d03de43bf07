#include "libs/audit/audit_record.h"

#include <algorithm>

#include "libs/base/check.h"
#include "libs/store/tables.h"

namespace hub::audit {
namespace {

constexpr char kFormat = 0x01;
constexpr size_t kHashBytes = 32;
constexpr size_t kTextsAt = 1 + kHashBytes + 3 * 8;

absl::string_view View(const base::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

base::Digest DigestAt(absl::string_view bytes, size_t at) {
  base::Digest digest;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), kHashBytes, digest.begin());
  return digest;
}

void AppendText(absl::string_view text, std::string* out) {
  store::AppendKey32(static_cast<uint32_t>(text.size()), out);
  out->append(text.data(), text.size());
}

bool TakeText(absl::string_view* bytes, std::string* text) {
  if (bytes->size() < 4) return false;
  const uint32_t size = store::DecodeKey32(*bytes);
  bytes->remove_prefix(4);
  if (bytes->size() < size) return false;
  *text = std::string(bytes->substr(0, size));
  bytes->remove_prefix(size);
  return true;
}

}  // namespace

std::string EncodeRecord(const Record& record) {
  std::string out(1, kFormat);
  out.append(View(record.previous).data(), kHashBytes);
  store::AppendKey64(record.sequence, &out);
  store::AppendKey64(static_cast<uint64_t>(absl::ToUnixMicros(record.at)), &out);
  store::AppendKey64(record.entry.policy_version, &out);
  AppendText(record.entry.principal, &out);
  AppendText(record.entry.action, &out);
  AppendText(record.entry.subject, &out);
  AppendText(record.entry.purpose, &out);
  AppendText(record.entry.case_ref, &out);
  AppendText(record.entry.decision, &out);
  out.append(View(base::Sha256(out)).data(), kHashBytes);
  return out;
}

absl::StatusOr<Record> DecodeRecord(absl::string_view bytes) {
  if (bytes.size() < kTextsAt + kHashBytes || bytes[0] != kFormat) return absl::DataLossError("not an audit record");
  const absl::string_view hashed = bytes.substr(0, bytes.size() - kHashBytes);
  if (base::Sha256(hashed) != DigestAt(bytes, hashed.size()))
    return absl::DataLossError("the record's own hash does not fit");
  Record record;
  record.previous = DigestAt(bytes, 1);
  record.sequence = store::DecodeKey64(bytes, 1 + kHashBytes);
  record.at = absl::FromUnixMicros(static_cast<int64_t>(store::DecodeKey64(bytes, 1 + kHashBytes + 8)));
  record.entry.policy_version = store::DecodeKey64(bytes, 1 + kHashBytes + 16);
  absl::string_view texts = hashed.substr(kTextsAt);
  for (std::string* text : {&record.entry.principal, &record.entry.action, &record.entry.subject, &record.entry.purpose,
                            &record.entry.case_ref, &record.entry.decision}) {
    if (!TakeText(&texts, text)) return absl::DataLossError("not an audit record");
  }
  if (!texts.empty()) return absl::DataLossError("not an audit record");
  return record;
}

base::Digest HashOf(absl::string_view bytes) {
  HUB_CHECK(bytes.size() >= kHashBytes);
  return DigestAt(bytes, bytes.size() - kHashBytes);
}

}  // namespace hub::audit
