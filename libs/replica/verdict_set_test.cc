// The compact set: what goes in comes out, whatever the numbers; hostile bytes are refused, and cost no more than a block.
#include "libs/replica/verdict_set.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/catch.h"

namespace hub::replica {
namespace {

using model::Identifier;
using model::IdentifierType;
using model::Level;

constexpr uint64_t kSeed = 20'260'101;

std::vector<PackedVerdict> Draw(size_t count, uint64_t span, std::mt19937_64* random) {
  std::map<uint64_t, Level> drawn;
  const uint64_t begin = (*random)() % (kTenDigits - span + 1);
  while (drawn.size() < count) drawn[begin + (*random)() % span] = static_cast<Level>(1 + (*random)() % 4);
  std::vector<PackedVerdict> verdicts;
  for (const auto& [digits, level] : drawn) verdicts.push_back(Pack(digits, level));
  return verdicts;
}

std::vector<PackedVerdict> Decoded(const std::string& block) {
  std::vector<PackedVerdict> verdicts;
  REQUIRE(DecodeBlock(block, &verdicts).ok());
  return verdicts;
}

TEST_CASE("What is encoded is decoded, wide or dense", "[replica][verdict_set]") {
  std::mt19937_64 random(kSeed);
  for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{1000}, size_t{20'000}}) {
    for (const uint64_t span : {uint64_t{20'000}, uint64_t{4'000'000'000}, kTenDigits}) {
      const std::vector<PackedVerdict> verdicts = Draw(count, span, &random);
      CHECK(Decoded(EncodeBlock(verdicts)) == verdicts);
    }
  }
  const std::vector<PackedVerdict> ends = {Pack(0, Level::kNone), Pack(kTenDigits - 1, Level::kVeryHigh)};
  CHECK(Decoded(EncodeBlock(ends)) == ends);
}

TEST_CASE("A verdict takes less than two bytes at the density of ten million", "[replica][verdict_set]") {
  std::mt19937_64 random(kSeed);
  const auto verdicts = Draw(20'000, uint64_t{20'000} * 1600, &random);  // as in a quarter of four thousand million
  CHECK(EncodeBlock(verdicts).size() < verdicts.size() * 2);
}

TEST_CASE("A block that was cut short or has a flipped bit is refused and adds nothing", "[replica][verdict_set]") {
  std::mt19937_64 random(kSeed);
  const auto verdicts = Draw(300, 4'000'000'000, &random);
  const std::string block = EncodeBlock(verdicts);
  std::vector<PackedVerdict> held = {Pack(7, Level::kHigh)};
  for (size_t length = 0; length < block.size(); ++length) {
    CHECK(absl::IsDataLoss(DecodeBlock(absl::string_view(block).substr(0, length), &held)));
  }
  CHECK(absl::IsDataLoss(DecodeBlock(block + "x", &held)));
  size_t taken = 0;
  for (size_t bit = 0; bit < block.size() * 8; ++bit) {
    std::string flipped = block;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    std::vector<PackedVerdict> out = held;
    if (DecodeBlock(flipped, &out).ok()) {
      ++taken;  // a bit of a frame's header that means nothing
      CHECK(std::vector<PackedVerdict>(out.begin() + 1, out.end()) == verdicts);
    } else {
      CHECK(out == held);
    }
  }
  CHECK(taken < 64);
}

TEST_CASE("Random bytes and blocks that claim too much are refused", "[replica][verdict_set]") {
  std::mt19937_64 random(kSeed);
  std::vector<PackedVerdict> out;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (!bytes.empty()) bytes[0] = 1;
    CHECK_FALSE(DecodeBlock(bytes, &out).ok());
  }
  const std::string claims = std::string("\x01\xff\xff\xff\xff", 5) + EncodeBlock(Draw(10, 1000, &random)).substr(5);
  CHECK(absl::IsDataLoss(DecodeBlock(claims, &out)));
  // A column that would grow a thousandfold: its frame says so, and is not even begun.
  const std::vector<PackedVerdict> one = {Pack(1, Level::kHigh)};
  std::vector<PackedVerdict> dense;
  for (uint64_t i = 1; i <= kBlockVerdictsMax; ++i) dense.push_back(Pack(i, Level::kHigh));
  std::string bomb = EncodeBlock(dense);
  CHECK(bomb.size() < 1000);
  bomb.replace(1, 4, EncodeBlock(one).substr(1, 4));
  CHECK(absl::IsDataLoss(DecodeBlock(bomb, &out)));
  CHECK(out.empty());
  CHECK(out.capacity() == 0);
}

TEST_CASE("A set finds what is in it and nothing else", "[replica][verdict_set]") {
  std::mt19937_64 random(kSeed);
  std::vector<PackedVerdict> verdicts = Draw(5000, 100'000, &random);
  std::map<uint64_t, Level> truth;
  for (const PackedVerdict verdict : verdicts) truth[DigitsOf(verdict)] = LevelOf(verdict);
  const uint64_t first = truth.begin()->first;
  std::shuffle(verdicts.begin(), verdicts.end(), random);
  const auto set = VerdictSet::Build(verdicts);
  REQUIRE(set.ok());
  CHECK(set->size() == 5000);
  for (uint64_t digits = first; digits < first + 100'000; ++digits) {
    const auto known = truth.find(digits);
    REQUIRE(set->Find(digits) == (known == truth.end() ? Level::kUnspecified : known->second));
  }
  CHECK(set->Find(kTenDigits) == Level::kUnspecified);
  verdicts.push_back(Pack(first, Level::kMedium));
  CHECK(absl::IsDataLoss(VerdictSet::Build(verdicts).status()));
}

TEST_CASE("The digest knows no order and sees every number and level", "[replica][verdict_set]") {
  SetDigest one, other, parts;
  one.Add(Pack(1, Level::kHigh));
  one.Add(Pack(2, Level::kMedium));
  other.Add(Pack(2, Level::kMedium));
  parts.Add(Pack(1, Level::kHigh));
  other.Add(parts);
  CHECK(one == other);
  SetDigest level, number;
  level.Add(Pack(1, Level::kHigh));
  level.Add(Pack(2, Level::kHigh));
  number.Add(Pack(1, Level::kHigh));
  number.Add(Pack(3, Level::kMedium));
  CHECK_FALSE(level == one);
  CHECK_FALSE(number == one);
}

TEST_CASE("Only Indian mobile numbers are in a set", "[replica][verdict_set]") {
  CHECK(MobileDigits({IdentifierType::kMobile, absl::StrCat("+91", 5'550'000'001)}) == 5'550'000'001);
  CHECK_FALSE(MobileDigits({IdentifierType::kLandline, absl::StrCat("+91", 5'550'000'001)}).has_value());
  CHECK_FALSE(MobileDigits({IdentifierType::kMobile, absl::StrCat("+91", 555'000'001)}).has_value());
  CHECK_FALSE(MobileDigits({IdentifierType::kUpiAddress, "somebody@testpsp"}).has_value());
}

}  // namespace
}  // namespace hub::replica
