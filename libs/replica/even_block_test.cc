// A block against a plain map, for suffixes that lie in every way we could think of, side by side, since a window shows its neighbours.
#include "libs/replica/even_block.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "tests/catch.h"

namespace hub::replica {
namespace {

using Random = std::mt19937_64;

template <class Suffix>
std::set<Suffix> Uniform(size_t count, Random& random) {
  std::set<Suffix> suffixes;
  while (suffixes.size() < count) suffixes.insert(static_cast<Suffix>(random()));
  return suffixes;
}

template <class Suffix>
std::set<Suffix> Range(uint64_t first, uint64_t end, uint64_t step = 1) {
  std::set<Suffix> suffixes;
  for (uint64_t suffix = first; suffix < end; suffix += step) suffixes.insert(static_cast<Suffix>(suffix));
  return suffixes;
}

template <class Suffix>
std::set<Suffix> Runs(size_t count, size_t longest, Random& random) {
  std::set<Suffix> suffixes;
  while (suffixes.size() < count) {
    const uint64_t first = static_cast<Suffix>(random());
    suffixes.merge(Range<Suffix>(first, first + 1 + random() % longest));  // past the end it goes on at the beginning
  }
  return suffixes;
}

// Halves of halves of halves, each with as many.
template <class Suffix>
std::set<Suffix> Steep(size_t each, Random& random) {
  std::set<Suffix> suffixes;
  for (int bits = 8 * sizeof(Suffix); bits > 0; --bits) {
    for (size_t i = 0; i < each; ++i) suffixes.insert(static_cast<Suffix>(random() & ((uint64_t{1} << bits) - 1)));
  }
  return suffixes;
}

// Under each prefix of a block suffixes of another shape; some have none.
template <class Suffix>
std::vector<std::set<Suffix>> Shapes(Random& random) {
  const uint64_t all = uint64_t{1} << (8 * sizeof(Suffix));
  return {
      {7},
      {},
      Uniform<Suffix>(163, random),
      {0, static_cast<Suffix>(all - 1)},
      Uniform<Suffix>(23, random),
      Range<Suffix>(0, 24),
      Range<Suffix>(all - 25, all),
      Uniform<Suffix>(1'023, random),
      Range<Suffix>(0, 65'536),
      {},
      Uniform<Suffix>(20'000, random),
      Runs<Suffix>(200, 100, random),
      Runs<Suffix>(5'000, 40, random),
      Range<Suffix>(all / 2 - 300, all / 2 + 300),
      Range<Suffix>(all / 3, all / 3 + 256),
      Range<Suffix>(0, 65'536, 64),
      Steep<Suffix>(40, random),
      Steep<Suffix>(2, random),
      Runs<Suffix>(163, 3, random),
      Range<Suffix>(all - 3, all),
  };
}

template <class Suffix, bool kHasByte>
class Filled {
 public:
  using Block = EvenBlock<Suffix, kHasByte>;
  Filled(std::vector<std::set<Suffix>> shapes, Random& random) : shapes_(std::move(shapes)) {
    typename Block::Draft draft;
    for (size_t prefix = 0; prefix < shapes_.size(); ++prefix) {
      draft.counts[prefix] = static_cast<uint32_t>(shapes_[prefix].size());
      for (const Suffix suffix : shapes_[prefix]) {
        draft.suffixes.push_back(suffix);
        if constexpr (kHasByte) draft.bytes.push_back(bytes_[{prefix, suffix}] = static_cast<uint8_t>(random()));
      }
    }
    block_ = Block::Build(draft, &words_);
  }

  // Whether what is said of a suffix is so.
  bool Right(size_t prefix, Suffix suffix) {
    const bool there = shapes_[prefix].contains(suffix);
    uint8_t byte = 0;
    const auto right = [&](bool found) {
      return found == there && (!found || !kHasByte || byte == bytes_[{prefix, suffix}]);
    };
    if (!right(Block::Find(words_[prefix], suffix, &byte))) return false;
    if (!Block::IsEven(words_[prefix])) return true;
    const uint32_t equal = Block::Look(words_[prefix], suffix, Block::kSuffixBits);
    if (equal == 0) return !there;
    byte = 0;
    return !Block::Take(words_[prefix], suffix, Block::kSuffixBits, equal, &byte) || right(true);
  }
  bool HoldsAll(size_t prefix) {
    std::vector<Suffix> held;
    bool right = true;
    Block::ForEach(words_[prefix], [&](const Suffix* suffixes, const uint8_t* bytes, uint32_t count) {
      for (uint32_t i = 0; i < count; ++i) {
        held.push_back(suffixes[i]);
        if constexpr (kHasByte) right &= bytes[i] == bytes_[{prefix, suffixes[i]}];
      }
    });
    return right && std::equal(held.begin(), held.end(), shapes_[prefix].begin(), shapes_[prefix].end());
  }
  size_t even() const { return static_cast<size_t>(std::count_if(words_.begin(), words_.end(), Block::IsEven)); }
  const Block& block() const { return *block_; }
  const std::vector<std::set<Suffix>>& shapes() const { return shapes_; }

 private:
  const std::vector<std::set<Suffix>> shapes_;
  std::map<std::pair<size_t, Suffix>, uint8_t> bytes_;
  std::unique_ptr<const Block> block_;
  typename Block::Words words_{};
};

TEST_CASE("a block finds what it holds and nothing else, however its suffixes lie", "[replica][even_block]") {
  const uint64_t seed = GENERATE(range(1, 4));
  CAPTURE(seed);
  Random random(seed);
  SECTION("16 bits and a byte: every suffix there is") {
    auto shapes = Shapes<uint16_t>(random);
    std::shuffle(shapes.begin(), shapes.end(), random);
    Filled<uint16_t, true> filled(std::move(shapes), random);
    for (size_t prefix = 0; prefix < filled.shapes().size(); ++prefix) {
      CAPTURE(prefix, filled.shapes()[prefix].size());
      size_t wrong = 0;
      for (uint32_t suffix = 0; suffix < 65'536; ++suffix)
        wrong += !filled.Right(prefix, static_cast<uint16_t>(suffix));
      CHECK(wrong == 0);
      CHECK(filled.HoldsAll(prefix));
    }
  }
  SECTION("32 bits: those that are there, those beside them, and any") {
    auto shapes = Shapes<uint32_t>(random);
    std::shuffle(shapes.begin(), shapes.end(), random);
    Filled<uint32_t, false> filled(std::move(shapes), random);
    for (size_t prefix = 0; prefix < filled.shapes().size(); ++prefix) {
      CAPTURE(prefix, filled.shapes()[prefix].size());
      size_t wrong = 0;
      for (const uint32_t suffix : filled.shapes()[prefix]) {
        for (const uint32_t asked : {suffix - 1, suffix, suffix + 1, static_cast<uint32_t>(random())})
          wrong += !filled.Right(prefix, asked);
      }
      CHECK(wrong == 0);
      CHECK(filled.HoldsAll(prefix));
    }
  }
}

TEST_CASE("what a window shows of its neighbour is not taken for its own", "[replica][even_block]") {
  using Block = EvenBlock<uint16_t, true>;
  const uint8_t shown = GENERATE(uint8_t{5}, uint8_t{7});
  Block::Draft draft;
  draft.counts[0] = 2;
  draft.counts[1] = 4;
  draft.suffixes = {1, 2, /*next prefix*/ 5, 40'000, 50'000, 60'000};
  draft.bytes = {shown, 0, /*next prefix*/ 31, 32, 33, 34};  // the window of 5 begins with the two bytes before it
  Block::Words words;
  const auto block = Block::Build(draft, &words);
  uint8_t byte = 0;
  CHECK(Block::Find(words[1], 5, &byte));
  CHECK(byte == 31);
  CHECK_FALSE(Block::Find(words[1], 7, &byte));
  CHECK(Block::Find(words[1], 60'000, &byte));
  CHECK(byte == 34);
}

TEST_CASE("suffixes at random are found in one look, and cost little more than themselves", "[replica][even_block]") {
  Random random(11);
  std::vector<std::set<uint16_t>> shapes;
  size_t count = 0;
  for (uint32_t prefix = 0; prefix < 64; ++prefix) {
    shapes.push_back(Uniform<uint16_t>(150 + random() % 26, random));
    count += shapes.back().size();
  }
  Filled<uint16_t, true> filled(std::move(shapes), random);
  CHECK(filled.even() >= 58);
  CHECK(filled.block().memory() < 3 * count + 200);
}

TEST_CASE("what lies unevenly costs a bounded amount of memory", "[replica][even_block]") {
  Random random(12);
  std::vector<std::set<uint16_t>> shapes(64);
  size_t count = 0;
  for (auto& shape : shapes) {
    shape = Runs<uint16_t>(300, 50, random);
    count += shape.size();
  }
  Filled<uint16_t, true> filled(std::move(shapes), random);
  CHECK(filled.block().memory() < 3 * count + count / 2);
}

}  // namespace
}  // namespace hub::replica
