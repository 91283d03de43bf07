#include "libs/replica/verdict_set.h"

#include <zstd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/store/tables.h"

namespace hub::replica {
namespace {

constexpr char kBlockFormat = 1;
constexpr size_t kHeader = 5;
constexpr int kCompression = 3;  // 9 takes three times as long for some thousandths
constexpr uint32_t kSuffixBits = 16;
constexpr size_t kPrefixes = (kTenDigits >> kSuffixBits) + 1;
constexpr size_t kVarintMax = 4;  // 34 bits less the lowest 8

absl::Status NoBlock(absl::string_view why) { return absl::DataLossError(absl::StrCat("verdict set: ", why)); }

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void AppendFrame(const std::string& column, std::string* out) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  HUB_CHECK(context != nullptr);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kCompression);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string frame(ZSTD_compressBound(column.size()), '\0');
  const size_t size = ZSTD_compress2(context, frame.data(), frame.size(), column.data(), column.size());
  ZSTD_freeCCtx(context);
  HUB_CHECK(ZSTD_isError(size) == 0);
  store::AppendKey32(static_cast<uint32_t>(size), out);
  out->append(frame, 0, size);
}

// The frame says how long its column is; one that says too much, or lies, costs nothing.
absl::StatusOr<std::string> TakeFrame(size_t size_min, size_t size_max, absl::string_view* bytes) {
  if (bytes->size() < 4) return NoBlock("cut short");
  const size_t length = store::DecodeKey32(*bytes, 0);
  bytes->remove_prefix(4);
  if (length > bytes->size()) return NoBlock("cut short");
  const absl::string_view frame = bytes->substr(0, length);
  bytes->remove_prefix(length);
  const unsigned long long declared = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (declared == ZSTD_CONTENTSIZE_UNKNOWN || declared == ZSTD_CONTENTSIZE_ERROR || declared < size_min ||
      declared > size_max) {
    return NoBlock("a column of the wrong size");
  }
  std::string column(static_cast<size_t>(declared), '\0');
  const size_t size = ZSTD_decompress(column.data(), column.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0 || size != column.size()) return NoBlock("a column is damaged");
  return column;
}

bool TakeVarint(absl::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < kVarintMax && i < bytes->size(); ++i) {
    const auto byte = static_cast<uint8_t>((*bytes)[i]);
    *value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    bytes->remove_prefix(i + 1);
    return true;
  }
  return false;
}

}  // namespace

std::optional<uint64_t> MobileDigits(const model::Identifier& identifier) {
  absl::string_view text = identifier.canonical;
  uint64_t digits = 0;
  if (identifier.type != model::IdentifierType::kMobile || !absl::ConsumePrefix(&text, "+91") || text.size() != 10 ||
      !absl::SimpleAtoi(text, &digits)) {
    return std::nullopt;
  }
  return digits;
}

void SetDigest::Add(PackedVerdict verdict) {
  std::string bytes;
  store::AppendKey64(verdict, &bytes);
  ++count;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += base::Mix64(bytes, i);
}

void SetDigest::Add(const SetDigest& other) {
  count += other.count;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
}

std::string EncodeBlock(absl::Span<const PackedVerdict> verdicts) {
  HUB_CHECK(verdicts.size() <= kBlockVerdictsMax);
  std::string low, high, levels((verdicts.size() + 3) / 4, '\0');
  low.reserve(verdicts.size());
  high.reserve(verdicts.size());
  uint64_t before = 0;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const uint64_t digits = DigitsOf(verdicts[i]);
    HUB_CHECK(i == 0 || digits > before);
    HUB_CHECK(digits < kTenDigits);
    low.push_back(static_cast<char>(digits - before));
    AppendVarint((digits - before) >> 8, &high);
    levels[i / 4] =
        static_cast<char>(levels[i / 4] | ((static_cast<int>(LevelOf(verdicts[i])) - 1) & 3) << (2 * (i % 4)));
    before = digits;
  }
  std::string block(1, kBlockFormat);
  store::AppendKey32(static_cast<uint32_t>(verdicts.size()), &block);
  for (const std::string* column : {&low, &levels, &high}) AppendFrame(*column, &block);
  return block;
}

absl::Status DecodeBlock(absl::string_view bytes, std::vector<PackedVerdict>* out) {
  if (bytes.size() < kHeader || bytes[0] != kBlockFormat) return NoBlock("an unknown format");
  const size_t count = store::DecodeKey32(bytes, 1);
  if (count > kBlockVerdictsMax) return NoBlock("too many in a block");
  bytes.remove_prefix(kHeader);
  const size_t packed = (count + 3) / 4;
  const absl::StatusOr<std::string> low = TakeFrame(count, count, &bytes);
  if (!low.ok()) return low.status();
  const absl::StatusOr<std::string> levels = TakeFrame(packed, packed, &bytes);
  if (!levels.ok()) return levels.status();
  const absl::StatusOr<std::string> high = TakeFrame(count, kVarintMax * count, &bytes);
  if (!high.ok()) return high.status();
  if (!bytes.empty()) return NoBlock("too long");

  const size_t held = out->size();
  absl::string_view rest = *high;
  uint64_t digits = 0, more = 0;
  for (size_t i = 0; i < count; ++i) {
    bool good = TakeVarint(&rest, &more);
    const uint64_t difference = more << 8 | static_cast<uint8_t>((*low)[i]);
    digits += difference;
    good = good && (i == 0 || difference > 0) && digits < kTenDigits;
    if (!good) {
      out->resize(held);
      return NoBlock("numbers out of order");
    }
    const int level = 1 + (static_cast<uint8_t>((*levels)[i / 4]) >> (2 * (i % 4)) & 3);
    out->push_back(Pack(digits, static_cast<model::Level>(level)));
  }
  if (rest.empty()) return absl::OkStatus();
  out->resize(held);
  return NoBlock("a column is too long");
}

absl::StatusOr<VerdictSet> VerdictSet::Build(std::vector<PackedVerdict> verdicts) {
  std::sort(verdicts.begin(), verdicts.end());
  VerdictSet set;
  set.begins_.assign(kPrefixes + 1, 0);
  set.suffixes_.reserve(verdicts.size());
  set.levels_.reserve(verdicts.size());
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const uint64_t digits = DigitsOf(verdicts[i]);
    if (digits >= kTenDigits) return NoBlock("not a number");
    if (i > 0 && digits == DigitsOf(verdicts[i - 1])) return NoBlock("a number is there twice");
    ++set.begins_[(digits >> kSuffixBits) + 1];
    set.suffixes_.push_back(static_cast<uint16_t>(digits));
    set.levels_.push_back(static_cast<uint8_t>(LevelOf(verdicts[i])));
  }
  for (size_t i = 1; i < set.begins_.size(); ++i) set.begins_[i] += set.begins_[i - 1];
  return set;
}

model::Level VerdictSet::Find(uint64_t ten_digits) const {
  if (ten_digits >= kTenDigits) return model::Level::kUnspecified;
  const size_t prefix = ten_digits >> kSuffixBits;
  const auto first = suffixes_.begin() + begins_[prefix], last = suffixes_.begin() + begins_[prefix + 1];
  const auto found = std::lower_bound(first, last, static_cast<uint16_t>(ten_digits));
  if (found == last || *found != static_cast<uint16_t>(ten_digits)) return model::Level::kUnspecified;
  return static_cast<model::Level>(levels_[static_cast<size_t>(found - suffixes_.begin())]);
}

size_t VerdictSet::bytes() const {
  return begins_.capacity() * sizeof(begins_[0]) + suffixes_.capacity() * sizeof(suffixes_[0]) + levels_.capacity();
}

}  // namespace hub::replica
