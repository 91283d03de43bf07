// P14: nanoseconds of CPU to canonicalise an Indian mobile number in its +91 form, beside libphonenumber (parse, check, format) on the
// same numbers in the same run. "ours" is the whole call that the product makes; "fast_path" its core, from text to ten digits without a
// string. Numbers are drawn at run time and never leave memory.
//
//   bench_p14_canonicalise [PAIRS]     at least 5, default 7; a table on stderr, one JSON line on stdout
#include <phonenumbers/phonenumberutil.h>  // tidy:third-party-ok the peer it is measured against

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "bench/figures.h"
#include "libs/model/identifier.h"

namespace {

using hub::bench::Machine;
using hub::bench::Median;
using hub::bench::PrintRow;
using hub::bench::ThreadCpuNanos;
using hub::model::IdentifierType;
using hub::model::LineKind;

constexpr double kGoalNanos = 25;
constexpr int kPairsMin = 5;
constexpr size_t kNumbers = 4096;  // 64 KB: they stay in the cache, as a message being parsed does
constexpr size_t kOurCalls = 4'000'000;
constexpr size_t kPeerCalls = 20'000;
constexpr size_t kWarmUpCalls = 2'000;

std::vector<std::string> DrawNumbers() {
  std::mt19937_64 random(14);
  std::vector<std::string> numbers(kNumbers, "+91");
  for (std::string& number : numbers) {
    number.push_back(static_cast<char>('6' + random() % 4));
    while (number.size() < 13) number.push_back(static_cast<char>('0' + random() % 10));
  }
  return numbers;
}

// What the compiler must not throw away. Every function adds 1 per accepted number.
volatile uint64_t sink;

template <typename Call>
double NanosPerCall(const std::vector<std::string>& numbers, size_t calls, Call&& call) {
  uint64_t accepted = 0;
  const double start = ThreadCpuNanos();
  for (size_t i = 0; i < calls; ++i) accepted += call(numbers[i % kNumbers]);
  const double took = ThreadCpuNanos() - start;
  sink = accepted;
  if (accepted != calls) {
    std::fprintf(stderr, "p14: a number was refused\n");
    std::exit(1);
  }
  return took / static_cast<double>(calls);
}

uint64_t Parse(const std::string& number) {
  uint64_t digits = 0;
  return hub::model::ParseIndianMobile(number, false, &digits) && digits > 0 ? 1 : 0;
}

uint64_t Canonicalise(const std::string& number) {
  const auto result = hub::model::Canonicalise(IdentifierType::kMobile, number, LineKind::kMobile, {});
  return result.ok() && !result->identifier.canonical.empty() ? 1 : 0;
}

uint64_t Peer(const std::string& number) {
  using i18n::phonenumbers::PhoneNumber;
  using i18n::phonenumbers::PhoneNumberUtil;
  static const PhoneNumberUtil& util = *PhoneNumberUtil::GetInstance();
  PhoneNumber parsed;
  std::string canonical;
  if (util.Parse(number, "IN", &parsed) != PhoneNumberUtil::NO_PARSING_ERROR || !util.IsPossibleNumber(parsed))
    return 0;
  util.Format(parsed, PhoneNumberUtil::E164, &canonical);
  return canonical.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = std::max(kPairsMin, argc > 1 ? std::atoi(argv[1]) : 7);
  const std::vector<std::string> numbers = DrawNumbers();
  NanosPerCall(numbers, kWarmUpCalls, Peer);
  NanosPerCall(numbers, kWarmUpCalls, Canonicalise);
  std::vector<double> parse, canonicalise, peer;
  for (int pair = 0; pair < pairs; ++pair) {
    peer.push_back(NanosPerCall(numbers, kPeerCalls, Peer));
    parse.push_back(NanosPerCall(numbers, kOurCalls, Parse));
    canonicalise.push_back(NanosPerCall(numbers, kOurCalls, Canonicalise));
  }
  PrintRow("ParseIndianMobile", parse);
  PrintRow("Canonicalise", canonicalise);
  PrintRow("libphonenumber", peer);
  const double ours = Median(canonicalise);
  const auto [min, max] = std::minmax_element(canonicalise.begin(), canonicalise.end());
  std::printf(
      "{\"id\":\"P14\",\"unit\":\"ns\",\"ours\":%.1f,\"peer\":%.1f,\"ratio\":%.5f,\"goal\":%.0f,\"pass\":%s,\"pairs\":%"
      "d,"
      "\"spread\":[%.1f,%.1f],\"machine\":\"%s\",\"fast_path\":%.1f}\n",
      ours, Median(peer), ours / Median(peer), kGoalNanos, ours <= kGoalNanos ? "true" : "false", pairs, *min, *max,
      Machine().c_str(), Median(parse));
  return 0;
}
