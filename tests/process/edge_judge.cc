// Asks an edge that is killed, cut off and damaged meanwhile, and knows what is true of whatever it asks about.
//
//   hub_edge_judge --server host:port --mobiles N --addresses N --withdrawn N --kept N [--rate 10000] [--batch 100] [--in-flight 4] [--moments FILE]
//
// Numbers and addresses as bench/test_range.h counts them: the first --withdrawn numbers were flagged and are not any more; from --kept to
// --mobiles all are flagged, and so are the first --addresses; numbers from --mobiles on are not, but for the last --kept, which are left alone, as
// are those between --withdrawn and --kept. What is UNKNOWN is never wrong.
//
// Until SIGTERM; then one JSON line on stdout. A call that fails is made again on a new connection. --moments gets a line whenever something that
// had stopped goes on again: "answers" or "certain" (of numbers), Unix milliseconds, and for how many milliseconds it had not.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "bench/percentile.h"
#include "bench/test_range.h"
#include "fraudhub/v1/lookup.pb.h"
#include "libs/base/clock.h"
#include "libs/client/connection.h"
#include "libs/client/lookup.h"

namespace {

namespace v1 = fraudhub::v1;

constexpr absl::Duration kAgain = absl::Milliseconds(5);  // after a call that failed
constexpr absl::Duration kTimeout = absl::Seconds(1);     // of a call
constexpr absl::Duration kBehindMax =
    absl::Milliseconds(50);  // a caller that is later than this drops what it has missed

struct Options {
  hub::client::ConnectionOptions connection;
  uint64_t mobiles = 0, addresses = 0, withdrawn = 0, kept = 0;
  double rate = 10'000;
  int batch = 100, in_flight = 4;
  std::string moments;
};

struct Tally {
  int64_t asked = 0, answered = 0, unknown = 0, unknown_addresses = 0;
  int64_t refused = 0, lost = 0;  // identifiers of calls: nobody was there; or somebody was, and did not answer
  int64_t missing = 0, invented = 0, brought_back = 0;  // wrong answers
  std::vector<double> call_ms;
};

enum class Truth { kFlagged, kNotFlagged, kWithdrawn };

// When answers, and certain answers, stopped and came again. Thread safety: all methods from any thread.
class Watch {
 public:
  Watch(const hub::base::Clock* clock, const std::string& moments) : clock_(clock) {
    if (!moments.empty()) file_.open(moments, std::ios::app);
  }
  void Failed() {
    const std::lock_guard lock(mu_);
    silent_ = true;
  }
  void Answered(bool certain) {
    const absl::Duration now = clock_->Monotonic();
    const std::lock_guard lock(mu_);
    if (silent_ && last_ > absl::ZeroDuration()) Note("answers", now - last_, &silences_);
    silent_ = false;
    last_ = now;
    if (!certain) {
      if (uncertain_since_ == absl::ZeroDuration()) uncertain_since_ = now;
    } else if (uncertain_since_ != absl::ZeroDuration()) {
      Note("certain", now - uncertain_since_, &uncertain_);
      uncertain_since_ = absl::ZeroDuration();
    }
  }
  // What still lasts counts, too.
  void Print() {
    const std::lock_guard lock(mu_);
    const absl::Duration now = clock_->Monotonic();
    if (silent_) silences_.push_back(absl::ToDoubleMilliseconds(now - last_));
    if (uncertain_since_ != absl::ZeroDuration()) {
      uncertain_.push_back(absl::ToDoubleMilliseconds(now - uncertain_since_));
    }
    std::printf("\"silences\":%zu,\"silence_ms_p50\":%.0f,\"silence_ms_max\":%.0f,\"unknown_ms_max\":%.0f",
                silences_.size(), hub::bench::Percentile(&silences_, 0.5), hub::bench::Percentile(&silences_, 1),
                hub::bench::Percentile(&uncertain_, 1));
  }

 private:
  void Note(const char* what, absl::Duration lasted, std::vector<double>* all) {
    all->push_back(absl::ToDoubleMilliseconds(lasted));
    if (file_.is_open()) {
      file_ << what << ' ' << absl::ToUnixMillis(clock_->TimeNow()) << ' ' << absl::ToInt64Milliseconds(lasted)
            << std::endl;
    }
  }

  const hub::base::Clock* const clock_;
  std::mutex mu_;
  std::ofstream file_;
  bool silent_ = false;
  absl::Duration last_, uncertain_since_;  // monotonic; zero: never, not now
  std::vector<double> silences_, uncertain_;
};

// One caller; one thread's.
class Caller {
 public:
  Caller(const Options& options, const hub::base::Clock* clock, Watch* watch, uint64_t seed)
      : options_(options), clock_(clock), watch_(watch), random_(seed) {}

  void Call() {
    if (lookup_ == nullptr) {
      auto made = hub::client::Lookup::Create(options_.connection);
      if (!made.ok()) return;
      lookup_ = *std::move(made);
    }
    v1::LookupRequest request;
    request.set_purpose("TEST");
    truths_.clear();
    for (int i = 0; i < options_.batch; ++i) Draw(request.add_identifiers());
    const absl::Duration sent = clock_->Monotonic();
    const auto response = lookup_->Get(request, kTimeout);
    tally_.asked += options_.batch;
    if (!response.ok()) {
      const bool nobody = absl::StrContains(response.status().message(), "failed to connect") ||
                          absl::StrContains(response.status().message(), "onnection refused");
      (nobody ? tally_.refused : tally_.lost) += options_.batch;
      watch_->Failed();
      lookup_ = nullptr;  // a connection of gRPC's would wait before it tries again
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(kAgain));  // tidy:sleep-ok paced load
      return;
    }
    tally_.call_ms.push_back(absl::ToDoubleMilliseconds(clock_->Monotonic() - sent));
    Judge(request, *response);
  }
  Tally& tally() { return tally_; }

 private:
  void Draw(v1::RawIdentifier* identifier) {
    const uint64_t kind = random_() % 100;
    const bool address = kind < 10 && options_.addresses > 0;
    Truth truth = kind % 2 == 0 ? Truth::kFlagged : Truth::kNotFlagged;
    if (!address && kind >= 90 && options_.withdrawn > 0) truth = Truth::kWithdrawn;
    uint64_t first = options_.kept, end = options_.mobiles;
    if (truth == Truth::kWithdrawn) first = 0, end = options_.withdrawn;
    if (truth == Truth::kNotFlagged) first = options_.mobiles, end = hub::bench::kTestNumbers - options_.kept;
    if (address) first = truth == Truth::kFlagged ? 0 : uint64_t{1} << 40, end = first + options_.addresses;
    const uint64_t index = first + random_() % (end - first);
    identifier->set_type(address ? v1::IDENTIFIER_TYPE_UPI_ADDRESS : v1::IDENTIFIER_TYPE_MOBILE);
    identifier->set_value(address ? hub::bench::TestAddress(index) : hub::bench::TestNumber(index));
    truths_.push_back(truth);
  }

  void Judge(const v1::LookupRequest& request, const v1::LookupResponse& response) {
    bool certain = true;
    for (int i = 0; i < response.results_size(); ++i) {
      const v1::LookupVerdict verdict = response.results(i).verdict();
      const Truth truth = truths_[static_cast<size_t>(i)];
      if (verdict == v1::LOOKUP_VERDICT_UNKNOWN) {
        const bool address = request.identifiers(i).type() == v1::IDENTIFIER_TYPE_UPI_ADDRESS;
        ++(address ? tally_.unknown_addresses : tally_.unknown);
        certain = certain && address;
        continue;
      }
      ++tally_.answered;
      const bool flagged = verdict == v1::LOOKUP_VERDICT_INDICATOR;
      if (!flagged && (truth == Truth::kFlagged || verdict != v1::LOOKUP_VERDICT_NO_INDICATOR)) ++tally_.missing;
      if (flagged && truth == Truth::kNotFlagged) ++tally_.invented;
      if (flagged && truth == Truth::kWithdrawn) ++tally_.brought_back;
    }
    watch_->Answered(certain);
  }

  const Options& options_;
  const hub::base::Clock* const clock_;
  Watch* const watch_;
  std::mt19937_64 random_;
  std::unique_ptr<hub::client::Lookup> lookup_;
  std::vector<Truth> truths_;
  Tally tally_;
};

std::atomic<bool> stopped{false};  // relaxed: the callers see it soon enough
void Stop(int) { stopped.store(true, std::memory_order_relaxed); }

int Run(const Options& options) {
  const hub::base::RealClock clock;
  Watch watch(&clock, options.moments);
  std::mutex mu;
  Tally all;
  std::vector<std::thread> threads;
  const absl::Duration interval = absl::Seconds(options.batch * options.in_flight / options.rate);
  for (int i = 0; i < options.in_flight; ++i) {
    threads.emplace_back([&, i] {
      Caller caller(options, &clock, &watch, static_cast<uint64_t>(i) + 1);
      absl::Duration due = clock.Monotonic() + interval * i / options.in_flight;
      while (!stopped.load(std::memory_order_relaxed)) {
        const absl::Duration now = clock.Monotonic();
        due = std::max(due, now - kBehindMax);
        if (due > now) std::this_thread::sleep_for(absl::ToChronoNanoseconds(due - now));  // tidy:sleep-ok paced load
        due += interval;
        caller.Call();
      }
      const Tally& mine = caller.tally();
      const std::lock_guard lock(mu);
      all.asked += mine.asked, all.answered += mine.answered;
      all.unknown += mine.unknown, all.unknown_addresses += mine.unknown_addresses;
      all.refused += mine.refused, all.lost += mine.lost;
      all.missing += mine.missing, all.invented += mine.invented, all.brought_back += mine.brought_back;
      all.call_ms.insert(all.call_ms.end(), mine.call_ms.begin(), mine.call_ms.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  const int64_t wrong = all.missing + all.invented + all.brought_back;
  std::printf(
      "{\"asked\":%ld,\"answered\":%ld,\"unknown\":%ld,\"unknown_addresses\":%ld,\"refused\":%ld,\"lost\":%ld,"
      "\"wrong\":%ld,\"missing\":%ld,\"invented\":%ld,\"brought_back\":%ld,\"call_ms_p99\":%.2f,",
      static_cast<long>(all.asked), static_cast<long>(all.answered), static_cast<long>(all.unknown),
      static_cast<long>(all.unknown_addresses), static_cast<long>(all.refused), static_cast<long>(all.lost),
      static_cast<long>(wrong), static_cast<long>(all.missing), static_cast<long>(all.invented),
      static_cast<long>(all.brought_back), hub::bench::Percentile(&all.call_ms, 0.99));
  watch.Print();
  std::printf("}\n");
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Asks an edge and judges its answers, until SIGTERM."};
  app.add_option("--server", options.connection.server, "host:port of the edge")->required();
  app.add_option("--mobiles", options.mobiles, "numbers that are flagged")->required();
  app.add_option("--addresses", options.addresses, "UPI addresses that are flagged");
  app.add_option("--withdrawn", options.withdrawn, "the first numbers, whose flags were withdrawn");
  app.add_option("--kept", options.kept, "numbers at either end that are asked about only if withdrawn");
  app.add_option("--rate", options.rate, "identifiers per second")->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batch, "identifiers per call")->check(CLI::Range(1, 1000));
  app.add_option("--in-flight", options.in_flight, "calls at a time")->check(CLI::Range(1, 64));
  app.add_option("--moments", options.moments, "file of what went on again, and when");
  CLI11_PARSE(app, argc, argv);
  if (options.withdrawn > options.kept || options.kept >= options.mobiles ||
      options.mobiles + options.kept >= hub::bench::kTestNumbers) {
    std::cerr << "hub_edge_judge: want withdrawn <= kept < mobiles < 10,000,000 - kept\n";
    return 2;
  }
  std::signal(SIGTERM, Stop);
  return Run(options);
}
