// The verdicts of a whole view in compact form: what a bank's replica answers from while the details are still on their way.
//
// A verdict is an Indian mobile number and its level, packed in 64 bits: the ten digits after +91, times 8, plus the level. There is no lapse in
// it: a set is served for a day at most, and flags end up to a day late anyway (model::kExpiryStep; libs/decisions/0042).
// A block holds up to kBlockVerdictsMax of them in ascending order, as three columns, each a zstd frame with a checksum:
//
//   block    format (1) | count (4, big-endian) | length (4) and frame of: low | levels | high
//   low      of each difference to the number before (the first: to 0) the lowest 8 bits, a byte each
//   levels   level - 1, two bits each, the first lowest
//   high     the rest of each difference, as a varint
//
// Where numbers are spread evenly the low bits are noise and stay as they are; what can be compressed lies in columns of its own.
// Thread safety: plain functions and values; VerdictSet is immutable once built.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/model/identifier.h"
#include "libs/model/vocabulary.h"

namespace hub::replica {

using PackedVerdict = uint64_t;

inline constexpr size_t kBlockVerdictsMax = 262'144;  // a block of more is refused; some 400 KB, 1.7 MB at worst
inline constexpr uint64_t kTenDigits = 10'000'000'000;

// The digits after +91; nothing for anything else, which no set holds.
std::optional<uint64_t> MobileDigits(const model::Identifier& identifier);
// REQUIRES: ten_digits < kTenDigits; a level that is specified.
inline PackedVerdict Pack(uint64_t ten_digits, model::Level level) {
  return ten_digits << 3 | static_cast<uint64_t>(level);
}
inline uint64_t DigitsOf(PackedVerdict verdict) { return verdict >> 3; }
inline model::Level LevelOf(PackedVerdict verdict) { return static_cast<model::Level>(verdict & 7); }

// Equal for equal sets, in whatever order they were added.
struct SetDigest {
  uint64_t count = 0;
  std::array<uint64_t, 2> sums{};  // of Mix64 with seeds 0 and 1, modulo 2^64
  void Add(PackedVerdict verdict);
  void Add(const SetDigest& other);
  friend bool operator==(const SetDigest&, const SetDigest&) = default;
};

// REQUIRES: strictly ascending by number, at most kBlockVerdictsMax.
std::string EncodeBlock(absl::Span<const PackedVerdict> verdicts);
// Appends to `out`, or leaves it as it was: DataLoss for bytes that are no block. Never takes more memory than the largest block needs.
absl::Status DecodeBlock(absl::string_view bytes, std::vector<PackedVerdict>* out);

// The whole, to look up in; 3 bytes a number and 0.6 MB.
class VerdictSet {
 public:
  // In any order; DataLoss: a number is there twice. Sorts in place, so it needs 8 bytes more for each meanwhile.
  static absl::StatusOr<VerdictSet> Build(std::vector<PackedVerdict> verdicts);
  // kUnspecified: not in it.
  model::Level Find(uint64_t ten_digits) const;
  size_t size() const { return suffixes_.size(); }
  size_t bytes() const;

 private:
  VerdictSet() = default;
  std::vector<uint32_t> begins_;  // by number / 2^16, and the end
  std::vector<uint16_t> suffixes_;
  std::vector<uint8_t> levels_;
};

}  // namespace hub::replica
