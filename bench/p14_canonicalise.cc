// P14: nanoseconds of CPU to canonicalise an Indian mobile number in its +91 form, beside libphonenumber (parse, check, format) on the
// same numbers in the same run. "ours" is the whole call that the product makes; "fast_path" its core, from text to ten digits without a
// string. Numbers are drawn at run time and never leave memory.
//
//   bench_p14_canonicalise [PAIRS]     at least 5, default 7; a table on stderr, one JSON line on stdout
#include <phonenumbers/phonenumberutil.h>  // tidy:third-party-ok the peer it is measured against
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "libs/model/identifier.h"

namespace {

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

// Of this thread only: what others do on the machine counts as little as it can.
double ThreadCpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

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

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void Print(const char* name, const std::vector<double>& values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  std::fprintf(stderr, "%-18s median %9.1f ns   min %9.1f   max %9.1f\n", name, Median(values), *min, *max);
}

std::string Machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, model = "unknown";
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) {
      model = line.substr(std::min(line.size(), line.find(':') + 2));
      break;
    }
  }
  model.erase(std::remove_if(model.begin(), model.end(), [](char c) { return c == '"' || c == '\\'; }), model.end());
  return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, gcc " + __VERSION__;
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
  Print("ParseIndianMobile", parse);
  Print("Canonicalise", canonicalise);
  Print("libphonenumber", peer);
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
