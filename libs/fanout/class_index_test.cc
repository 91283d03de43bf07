#include "libs/fanout/class_index.h"

#include <algorithm>
#include <map>
#include <random>

#include "tests/catch.h"

namespace hub::fanout {
namespace {

using model::Attributes;
using model::Filter;
using model::FilterClause;

// Rows and filters over few values, so that all of them meet.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }
  template <typename E>
  std::vector<E> Some(int count_max, int last) {
    std::vector<E> values;
    for (int n = Below(3) == 0 ? Below(count_max + 1) : 0; n > 0; --n)
      values.push_back(static_cast<E>(1 + Below(last)));
    return values;
  }
  std::string Word() { return std::string(1, static_cast<char>('a' + Below(5))); }
  std::vector<std::string> Words(int count_max) {
    std::vector<std::string> words;
    for (int n = Below(4) == 0 ? Below(count_max + 1) : 0; n > 0; --n) words.push_back(Word());
    return words;
  }
  Attributes Row() {
    Attributes row;
    row.facet = static_cast<model::Facet>(1 + Below(3));
    row.type = static_cast<model::IdentifierType>(1 + Below(model::kIdentifierTypeMax));
    row.level = static_cast<model::Level>(Below(5));
    for (int n = Below(4); n > 0; --n) row.reasons.push_back(static_cast<model::Reason>(1 + Below(model::kReasonMax)));
    for (int n = Below(3); n > 0; --n) row.categories.push_back(Below(6));
    if (Below(2) == 0) row.circle_of_issue = Word();
    for (int n = Below(3); n > 0; --n) row.victim_states.push_back(Word());
    for (int n = Below(2); n > 0; --n) row.handling_units.push_back(Word());
    for (int n = Below(2); n > 0; --n) row.case_refs.push_back(Word());
    if (Below(2) == 0) row.operator_id = Word();
    return row;
  }
  Filter Any() {
    if (Below(30) == 0) return Filter::Everything();
    if (Below(30) == 0) return Filter();
    std::vector<FilterClause> clauses;
    for (int n = 1 + Below(4); n > 0; --n) {
      FilterClause clause;
      clause.facets = Some<model::Facet>(2, 3);
      clause.types = Some<model::IdentifierType>(6, model::kIdentifierTypeMax);
      clause.level_min = static_cast<model::Level>(Below(5));
      clause.reasons = Some<model::Reason>(4, model::kReasonMax);
      clause.categories = Some<int>(3, 5);
      clause.circles_of_issue = Words(3);
      clause.victim_states = Words(3);
      clause.handling_units = Words(3);
      clause.case_refs = Words(3);
      clause.operator_ids = Words(3);
      clauses.push_back(clause);
    }
    const Filter filter = Filter::AnyOf(std::move(clauses));
    return Below(3) == 0 ? filter.And(Any()) : filter;
  }

 private:
  std::mt19937_64 random_;
};

bool Has(const std::vector<uint64_t>& numbers, uint32_t number) {
  return number / 64 < numbers.size() && (numbers[number / 64] >> number % 64 & 1) != 0;
}

TEST_CASE("The index finds exactly the filters that match, whoever comes and goes", "[fanout][index]") {
  Dice dice(20261128);
  std::map<uint32_t, Filter> filters;  // stays where it is
  ClassIndex index;
  std::vector<uint64_t> numbers;
  size_t matched = 0, passed_over = 0, with_also = 0;
  for (int round = 0; round < 150; ++round) {
    for (int change = 0; change < 20; ++change) {
      const auto number = static_cast<uint32_t>(dice.Below(200));
      if (const auto it = filters.find(number); it != filters.end()) {
        if (dice.Below(2) == 0) continue;
        index.Remove(number);
        filters.erase(it);
      } else {
        const Filter& added = filters.emplace(number, dice.Any()).first->second;
        index.Add(number, &added);
        for (const FilterClause& clause : added.clauses()) with_also += clause.also.empty() ? 0 : 1;
      }
    }
    REQUIRE(index.size() == filters.size());
    for (int i = 0; i < 20; ++i) {
      const Attributes row = dice.Row();
      index.Match(row, &numbers);
      for (const auto& [number, filter] : filters) {
        INFO("round " << round << ", row " << i << ", filter " << number);
        const bool matches = filter.Matches(row);
        REQUIRE(Has(numbers, number) == matches);
        ++(matches ? matched : passed_over);
      }
      for (uint32_t number = 0; number < 200; ++number) {
        if (!filters.contains(number)) REQUIRE(!Has(numbers, number));
      }
    }
  }
  CHECK(matched > 10'000);
  CHECK(passed_over > 10'000);
  CHECK(with_also > 100);
}

}  // namespace
}  // namespace hub::fanout
