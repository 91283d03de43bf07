#include "libs/model/report_id.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/model/refusal.h"

namespace hub::model {
namespace {

constexpr size_t kDashes[] = {8, 13, 18, 23};

void SetVersion(int version, ReportId* id) {
  id->bytes[6] = static_cast<uint8_t>((id->bytes[6] & 0x0f) | (version << 4));
  id->bytes[8] = static_cast<uint8_t>((id->bytes[8] & 0x3f) | 0x80);  // variant of RFC 9562
}

}  // namespace

absl::StatusOr<ReportId> ParseReportId(absl::string_view text) {
  const absl::Status bad = Refuse(RefusalCode::kBadReportId, "", "want a UUID: 8-4-4-4-12 hexadecimal digits, not all zero");
  if (text.size() != 36) return bad;
  std::string hex;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = std::find(std::begin(kDashes), std::end(kDashes), i) != std::end(kDashes);
    if (dash != (text[i] == '-') || (!dash && !absl::ascii_isxdigit(static_cast<unsigned char>(text[i])))) return bad;
    if (!dash) hex.push_back(text[i]);
  }
  const std::string bytes = absl::HexStringToBytes(hex);
  ReportId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  if (id == ReportId{}) return bad;
  return id;
}

std::string ToText(const ReportId& id) {
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()));
  const absl::string_view h = hex;
  return absl::StrCat(h.substr(0, 8), "-", h.substr(8, 4), "-", h.substr(12, 4), "-", h.substr(16, 4), "-", h.substr(20));
}

std::optional<absl::Time> TimeOf(const ReportId& id) {
  if ((id.bytes[6] >> 4) != 7) return std::nullopt;
  int64_t millis = 0;
  for (int i = 0; i < 6; ++i) millis = (millis << 8) | id.bytes[static_cast<size_t>(i)];
  return absl::FromUnixMillis(millis);
}

ReportId MakeTimeBasedId(absl::Time now, absl::string_view random) {
  HUB_CHECK(random.size() >= 10);
  ReportId id;
  const int64_t millis = absl::ToUnixMillis(now);
  for (int i = 0; i < 6; ++i) id.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(millis >> (40 - 8 * i));
  std::copy(random.begin(), random.begin() + 10, id.bytes.begin() + 6);
  SetVersion(7, &id);
  return id;
}

ReportId MakeNameBasedId(absl::string_view name_space, absl::string_view name) {
  const base::Digest digest = base::Sha256(absl::StrCat(name_space, absl::string_view("\0", 1), name));
  ReportId id;
  std::copy(digest.begin(), digest.begin() + 16, id.bytes.begin());
  SetVersion(8, &id);
  return id;
}

}  // namespace hub::model
