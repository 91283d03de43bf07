#include "libs/model/report_id.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/model/refusal.h"

namespace hub::model {
namespace {

constexpr size_t kTextSize = 36;
constexpr size_t kRandomBytesMin = 10;

bool IsDash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

constexpr uint8_t kNoDigit = 0xff;
constexpr std::array<uint8_t, 256> kHexValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (int i = 0; i < 10; ++i) values[static_cast<size_t>('0' + i)] = static_cast<uint8_t>(i);
  for (int i = 0; i < 6; ++i) {
    values[static_cast<size_t>('a' + i)] = values[static_cast<size_t>('A' + i)] = static_cast<uint8_t>(10 + i);
  }
  return values;
}();
// Where in the text each byte stands.
constexpr std::array<size_t, 16> kByteAt = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

// The version and the variant of RFC 9562, over whatever stood there.
void Stamp(int version, ReportId* id) {
  id->bytes[6] = static_cast<uint8_t>(version << 4 | (id->bytes[6] & 0x0f));
  id->bytes[8] = static_cast<uint8_t>(0x80 | (id->bytes[8] & 0x3f));
}

absl::Status BadReportId() {
  return Refuse(RefusalCode::kBadReportId, "", "want a UUID of 36 characters, not the nil UUID");
}

}  // namespace

absl::StatusOr<ReportId> ParseReportId(absl::string_view text) {
  if (text.size() != kTextSize) return BadReportId();
  ReportId id;
  unsigned wrong = 0;  // every report passes here: one answer for all characters
  for (const size_t dash : {8, 13, 18, 23}) wrong |= text[dash] != '-' ? kNoDigit : 0U;
  for (size_t i = 0; i < kByteAt.size(); ++i) {
    const unsigned high = kHexValues[static_cast<uint8_t>(text[kByteAt[i]])];
    const unsigned low = kHexValues[static_cast<uint8_t>(text[kByteAt[i] + 1])];
    wrong |= high | low;
    id.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if (wrong > 0x0f) return BadReportId();
  if (id == ReportId{}) return BadReportId();
  return id;
}

std::string ToText(const ReportId& id) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text(kTextSize, '-');
  size_t nibble = 0;
  for (size_t i = 0; i < kTextSize; ++i) {
    if (IsDash(i)) continue;
    const uint8_t byte = id.bytes[nibble / 2];
    text[i] = kHex[nibble % 2 == 0 ? byte >> 4 : byte & 15];
    ++nibble;
  }
  return text;
}

std::optional<absl::Time> TimeOf(const ReportId& id) {
  if (id.bytes[6] >> 4 != 7 || id.bytes[8] >> 6 != 2) return std::nullopt;
  int64_t millis = 0;
  for (int i = 0; i < 6; ++i) millis = millis << 8 | id.bytes[i];
  return absl::FromUnixMillis(millis);
}

ReportId MakeTimeBasedId(absl::Time now, absl::string_view random) {
  HUB_CHECK(random.size() >= kRandomBytesMin);
  // 48 bits last until the year 10889; times before 1970 count as 1970.
  const int64_t millis = std::clamp<int64_t>(absl::ToUnixMillis(now), 0, (int64_t{1} << 48) - 1);
  ReportId id;
  for (int i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(millis >> (40 - 8 * i));
  std::copy_n(random.begin(), kRandomBytesMin, id.bytes.begin() + 6);
  Stamp(7, &id);
  return id;
}

ReportId MakeNameBasedId(absl::string_view name_space, absl::string_view name) {
  const base::Digest digest = base::Sha256(absl::StrCat(name_space, absl::string_view("\0", 1), name));
  ReportId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  Stamp(8, &id);
  return id;
}

}  // namespace hub::model
