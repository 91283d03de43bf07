// What one event costs to match against 1,000 filters drawn at random: a look at each class (its mask first, as catch-up does for its one
// class) beside the dispatcher's index, on the same rows in the same run. Not a budget of its own; P1 holds what it is part of.
//
//   bench_class_index [PAIRS]     default 7; a table on stderr, one JSON line on stdout
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "bench/figures.h"
#include "libs/fanout/class_index.h"
#include "libs/fanout/filter_class.h"

namespace {

using namespace hub;  // a program of one page
using bench::Median;
using bench::ThreadCpuNanos;

constexpr size_t kFilters = 1000;
constexpr size_t kRows = 4096;

class Dice {
 public:
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }
  template <typename E>
  std::vector<E> Some(int one_in, int count, int last) {
    std::vector<E> values;
    for (int n = Below(one_in) == 0 ? 1 + Below(count) : 0; n > 0; --n)
      values.push_back(static_cast<E>(1 + Below(last)));
    return values;
  }
  std::vector<std::string> States(int one_in, int count) {
    std::vector<std::string> states;
    for (int n = Below(one_in) == 0 ? 1 + Below(count) : 0; n > 0; --n) {
      states.push_back({static_cast<char>('A' + Below(6)), static_cast<char>('A' + Below(6))});
    }
    return states;
  }
  // A few types or none, a level, and one attribute more, as stakeholders ask.
  model::Filter Filter() {
    std::vector<model::FilterClause> clauses;
    for (int n = 1 + Below(2); n > 0; --n) {
      model::FilterClause clause;
      clause.types = Some<model::IdentifierType>(2, 3, model::kIdentifierTypeMax);
      clause.level_min = static_cast<model::Level>(1 + Below(4));
      clause.reasons = Some<model::Reason>(3, 3, model::kReasonMax);
      clause.categories = Some<int>(3, 3, 30);
      clause.circles_of_issue = States(4, 3);
      clause.victim_states = States(3, 3);
      clauses.push_back(clause);
    }
    return model::Filter::AnyOf(std::move(clauses));
  }
  model::Attributes Row() {
    model::Attributes row;
    row.facet = model::Facet::kRisk;
    row.type = Below(2) == 0 ? model::IdentifierType::kMobile
                             : static_cast<model::IdentifierType>(1 + Below(model::kIdentifierTypeMax));
    row.level = static_cast<model::Level>(1 + Below(4));
    row.reasons = Some<model::Reason>(1, 2, model::kReasonMax);
    row.categories = Some<int>(1, 2, 30);
    row.circle_of_issue = States(1, 1)[0];
    row.victim_states = States(1, 2);
    return row;
  }

 private:
  std::mt19937_64 random_{1000};
};

}  // namespace

int main(int argc, char** argv) {
  const int pairs = std::max(3, argc > 1 ? std::atoi(argv[1]) : 7);
  Dice dice;
  const auto memory = std::make_shared<std::atomic<int64_t>>(0);
  const wire::AudienceSet everyone({model::FieldAudience::kAll});
  std::vector<std::unique_ptr<fanout::FilterClass>> classes;
  fanout::ClassIndex index;
  for (uint32_t number = 0; number < kFilters; ++number) {
    classes.push_back(std::make_unique<fanout::FilterClass>(number, dice.Filter(), everyone, 1, memory));
    index.Add(number, &classes.back()->filter());
  }
  std::vector<fanout::PendingEvent> events;
  for (size_t i = 0; i < kRows; ++i) {
    model::Event event;
    event.state.attributes = dice.Row();
    events.emplace_back(static_cast<eventlog::Offset>(i), std::move(event));
  }
  std::vector<double> each, indexed;
  uint64_t by_each = 0, by_index = 0;
  for (int pair = 0; pair < pairs; ++pair) {
    by_each = by_index = 0;
    double start = ThreadCpuNanos();
    for (const fanout::PendingEvent& event : events) {
      for (const auto& filter_class : classes) by_each += filter_class->Judge(event) == fanout::Verdict::kEvent ? 1 : 0;
    }
    each.push_back((ThreadCpuNanos() - start) / kRows);
    start = ThreadCpuNanos();
    std::vector<uint64_t> numbers;
    for (const fanout::PendingEvent& event : events) {
      index.Match(event.event().state.attributes, &numbers);
      for (const uint64_t word : numbers) by_index += static_cast<uint64_t>(std::popcount(word));
    }
    indexed.push_back((ThreadCpuNanos() - start) / kRows);
  }
  if (by_each != by_index) {
    std::fprintf(stderr, "class_index: %lu matches by a look at each, %lu by the index\n", by_each, by_index);
    return 1;
  }
  std::fprintf(stderr, "%zu filters, %.1f matches per event: each class %.0f ns, index %.0f ns\n", kFilters,
               static_cast<double>(by_each) / kRows, Median(each), Median(indexed));
  std::printf(
      "{\"id\":\"class_index\",\"unit\":\"ns\",\"ours\":%.0f,\"peer\":%.0f,\"ratio\":%.4f,\"filters\":%zu,\"matches\":%"
      ".1f,\"pairs\":%d}\n",
      Median(indexed), Median(each), Median(indexed) / Median(each), kFilters, static_cast<double>(by_each) / kRows,
      pairs);
  return 0;
}
