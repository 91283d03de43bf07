// One leg of a fan-out benchmark: connects light subscribers to a server that runs already, publishes, waits until everybody has
// everything, and says what that cost the server. bench/fanout.sh runs the legs in pairs.
//
//   bench_fanout --target hub|nats|redis|raw --server 127.0.0.1:PORT --pid PID [--also PID] --mode flood|paced|idle ...
// One JSON line on stdout. Exit status 1: something was lost or broke; the leg is worth nothing.
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/fanout/process_figures.h"
#include "bench/fanout/publisher.h"
#include "bench/fanout/subscribers.h"
#include "libs/base/clock.h"
#include "libs/base/thread.h"

namespace {

using hub::bench::Lane;
using hub::bench::Target;

// Unread, the peers' buffers would fill until they cut a subscriber; the hub needs no such mercy.
constexpr uint64_t kPeerWindow = 1024;
constexpr uint64_t kPipelined = 64;
constexpr absl::Duration kTimeout = absl::Seconds(180);

enum class Mode { kFlood, kPaced, kIdle };

struct Leg {
  hub::bench::SubscriberOptions subscribers;
  hub::bench::PublisherOptions publisher;
  Mode mode = Mode::kFlood;
  pid_t pid = 0;
  std::vector<pid_t> also;  // others that work for the leg: the broker
  uint64_t events = 30'000;
  double rate = 2000, urgent_rate = 0;
  double seconds = 5;
  double warm_up = 0;  // paced: seconds of the same load before, which count for nothing
};

struct Published {
  std::atomic<uint64_t> events{0};
  std::atomic<uint64_t> stamps{0};
  std::atomic<bool> failed{false};
};

void SleepUntil(absl::Time when) {
  const timespec at = absl::ToTimespec(when);
  clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, nullptr);  // tidy:sleep-ok paced load
}

class Run {
 public:
  explicit Run(const Leg& leg) : leg_(leg) {}

  absl::Status Do() {
    auto subscribers = hub::bench::Subscribers::Create(leg_.subscribers);
    if (!subscribers.ok()) return subscribers.status();
    subscribers_ = *std::move(subscribers);
    if (leg_.subscribers.target != Target::kRaw && leg_.mode != Mode::kIdle) {
      auto publisher = hub::bench::Publisher::Open(leg_.publisher);
      if (!publisher.ok()) return publisher.status();
      publisher_ = *std::move(publisher);
    }
    resident_before_ = hub::bench::ResidentBytes(leg_.pid);
    if (absl::Status connected = subscribers_->Connect(kTimeout); !connected.ok()) return connected;
    if (absl::Status settled = Receive(absl::Seconds(leg_.mode == Mode::kIdle ? 3 : 0.5)); !settled.ok())
      return settled;
    resident_after_ = hub::bench::ResidentBytes(leg_.pid);
    subscribers_->Clear();
    if (leg_.warm_up > 0 && leg_.mode == Mode::kPaced) {
      if (absl::Status warm = Load(leg_.warm_up); !warm.ok()) return warm;
      first_ += published_.events;
      published_.events = published_.stamps = 0;
      subscribers_->Clear();
    }

    Mark();
    absl::Status done = leg_.mode == Mode::kIdle ? Receive(absl::Seconds(leg_.seconds)) : Load(leg_.seconds);
    Measure();
    if (!done.ok() || leg_.mode == Mode::kIdle) return done;
    // The raw server knows no stamps.
    if (leg_.subscribers.target == Target::kRaw) return absl::OkStatus();
    return subscribers_->Check(published_.events, published_.stamps);
  }

  std::string Report() const {
    const hub::bench::Receipt& got = subscribers_->receipt();
    const auto deliveries = static_cast<double>(std::max<uint64_t>(got.deliveries, 1));
    const double wall = absl::ToDoubleSeconds(wall_);
    const auto quantile = [](const hub::swarm::Latency& latency, double share) {
      return absl::ToDoubleMilliseconds(latency.Quantile(share));
    };
    return absl::StrFormat(
        "{\"subscribers\":%d,\"events\":%d,\"deliveries\":%d,\"seconds\":%.3f,\"server_us_per_delivery\":%.4f,"
        "\"server_cores\":%.4f,\"client_cores\":%.3f,\"events_per_message\":%.1f,\"bytes_per_delivery\":%.0f,"
        "\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"tenths_p99_ms\":[%s],\"max_ms\":%.2f,\"urgent_events\":%d,\"urgent_p99_ms\":%.2f,"
        "\"behind_copies\":%d,\"behind_p99_ms\":%.2f,\"resident_mb\":%.1f,\"resident_peak_mb\":%.1f,\"kb_per_stream\":%"
        ".2f,"
        "\"foreign_percent\":%.1f}",
        leg_.subscribers.connections, published_.events.load(), got.deliveries, wall,
        absl::ToDoubleMicroseconds(server_cpu_) / deliveries, absl::ToDoubleSeconds(server_cpu_) / wall,
        absl::ToDoubleSeconds(own_cpu_) / wall, deliveries / static_cast<double>(std::max<uint64_t>(got.messages, 1)),
        static_cast<double>(got.bytes) / deliveries, quantile(got.latency, 0.5), quantile(got.latency, 0.99),
        absl::StrJoin(tenths_p99_ms_, ","), absl::ToDoubleMilliseconds(got.latency.max()), got.urgent_latency.count(),
        quantile(got.urgent_latency, 0.99),
        got.behind_latency.count(), quantile(got.behind_latency, 0.99),
        static_cast<double>(resident_after_) / 1048576.0, static_cast<double>(resident_peak_) / 1048576.0,
        static_cast<double>(resident_after_ - resident_before_) / 1024.0 / leg_.subscribers.connections,
        foreign_percent_);
  }

 private:
  struct Spent {
    absl::Duration at, server, own, also, machine;
  };
  Spent Now() const {
    Spent spent{
        clock_.Monotonic(), hub::bench::CpuOf(leg_.pid), hub::bench::CpuOf(getpid()), {}, hub::bench::CpuOfMachine()};
    for (const pid_t pid : leg_.also) spent.also += hub::bench::CpuOf(pid);
    return spent;
  }
  void Mark() { mark_ = Now(); }
  void Measure() {
    const Spent now = Now();
    wall_ = now.at - mark_.at;
    server_cpu_ = now.server - mark_.server;
    own_cpu_ = now.own - mark_.own;
    resident_peak_ = hub::bench::ResidentBytesPeak(leg_.pid);
    const absl::Duration foreign = (now.machine - mark_.machine) - server_cpu_ - own_cpu_ - (now.also - mark_.also);
    const auto cores = static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    foreign_percent_ = std::max(0.0, 100 * absl::FDivDuration(foreign, wall_) / cores);
  }

  absl::Status Receive(absl::Duration how_long) {
    const absl::Duration until = clock_.Monotonic() + how_long;
    while (clock_.Monotonic() < until) {
      if (absl::Status turned = subscribers_->Turn(absl::Milliseconds(5)); !turned.ok()) return turned;
    }
    return absl::OkStatus();
  }

  absl::Status Load(double seconds) {
    if (leg_.subscribers.target == Target::kRaw) {
      published_.events = leg_.events;
      if (absl::Status started = hub::bench::StartRawFlood(leg_.subscribers.server, leg_.events); !started.ok())
        return started;
      return ReceiveAll(nullptr);
    }
    std::atomic<bool> finished{false};
    const hub::base::Thread thread("publisher", [&](std::stop_token stop) {
      const absl::Status status = leg_.mode == Mode::kFlood ? Flood(stop) : Pace(seconds, stop);
      if (!status.ok()) {
        std::fprintf(stderr, "bench_fanout: publisher: %s\n", std::string(status.message()).c_str());
        published_.failed = true;
      }
      finished = true;
    });
    return ReceiveAll(&finished);
  }

  absl::Status ReceiveAll(const std::atomic<bool>* finished) {
    const auto live = static_cast<uint64_t>(leg_.subscribers.connections - leg_.subscribers.behind);
    const absl::Duration began = clock_.Monotonic(), until = began + absl::Seconds(leg_.seconds) + kTimeout;
    hub::swarm::Latency before;
    tenths_p99_ms_.clear();
    while ((finished != nullptr && !*finished) || subscribers_->deliveries() < live * published_.events) {
      if (absl::Status turned = subscribers_->Turn(absl::Milliseconds(1)); !turned.ok()) return turned;
      if (published_.failed) return absl::UnavailableError("the publisher gave up");
      const absl::Duration now = clock_.Monotonic();
      if (leg_.mode == Mode::kPaced && tenths_p99_ms_.size() < 10 &&
          now - began >= absl::Seconds(leg_.seconds / 10) * (tenths_p99_ms_.size() + 1)) {
        const hub::swarm::Latency& all = subscribers_->receipt().latency;
        tenths_p99_ms_.push_back(absl::ToInt64Milliseconds(all.Since(before).Quantile(0.99)));
        before = all;
      }
      if (now > until) {
        return absl::DataLossError(
            absl::StrCat("received ", subscribers_->deliveries(), " of ", live * published_.events));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Give(uint64_t number, absl::Time stamp, Lane lane) {
    published_.stamps += static_cast<uint64_t>(absl::ToUnixMicros(stamp));
    ++published_.events;
    return publisher_->Publish(first_ + number, stamp, lane);
  }

  absl::Status Flood(const std::stop_token& stop) {
    const absl::Time start = clock_.TimeNow();
    const auto live = static_cast<uint64_t>(leg_.subscribers.connections);
    const bool window = leg_.subscribers.target != Target::kHub;
    for (uint64_t i = 0; i < leg_.events && !stop.stop_requested(); ++i) {
      if (absl::Status given = Give(i, start + absl::Microseconds(i), Lane::kOrdinary); !given.ok()) return given;
      if ((i + 1) % kPipelined != 0) continue;
      if (absl::Status flushed = publisher_->Flush(); !flushed.ok()) return flushed;
      while (window && (i + 1 > kPeerWindow) && subscribers_->deliveries() < (i + 1 - kPeerWindow) * live &&
             !stop.stop_requested())
        SleepUntil(clock_.TimeNow() + absl::Microseconds(50));
    }
    return publisher_->Finish(kTimeout);
  }

  // Each event at its time; the stamp is the time at which it was due.
  absl::Status Pace(double seconds, const std::stop_token& stop) {
    const absl::Time start = clock_.TimeNow() + absl::Milliseconds(100);
    const auto count = static_cast<uint64_t>(leg_.rate * seconds);
    const auto urgent_every = leg_.urgent_rate > 0 ? static_cast<uint64_t>(leg_.rate / leg_.urgent_rate) : 0;
    for (uint64_t i = 0; i < count && !stop.stop_requested(); ++i) {
      const absl::Time due =
          absl::FromUnixMicros(absl::ToUnixMicros(start + absl::Seconds(static_cast<double>(i) / leg_.rate)));
      if (due > clock_.TimeNow()) {
        if (absl::Status flushed = publisher_->Flush(); !flushed.ok()) return flushed;
        SleepUntil(due);
      }
      const bool urgent = urgent_every > 0 && i % urgent_every == urgent_every - 1;
      if (absl::Status given = Give(i, due, urgent ? Lane::kUrgent : Lane::kOrdinary); !given.ok()) return given;
    }
    return publisher_->Finish(kTimeout);
  }

  const Leg leg_;
  const hub::base::RealClock clock_;
  // Keys of one run differ from those of another: a second event of the same version would be nothing new.
  uint64_t first_ = static_cast<uint64_t>(absl::ToUnixMicros(clock_.TimeNow()));
  std::unique_ptr<hub::bench::Subscribers> subscribers_;
  std::unique_ptr<hub::bench::Publisher> publisher_;
  Published published_;
  Spent mark_;
  absl::Duration wall_, server_cpu_, own_cpu_;
  std::vector<int64_t> tenths_p99_ms_;  // of a paced load's ten equal parts: whether it was even
  int64_t resident_before_ = 0, resident_after_ = 0, resident_peak_ = 0;
  double foreign_percent_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Leg leg;
  CLI::App app{"One leg of a fan-out benchmark."};
  const std::map<std::string, Target> targets = {
      {"hub", Target::kHub}, {"nats", Target::kNats}, {"redis", Target::kRedis}, {"raw", Target::kRaw}};
  const std::map<std::string, Mode> modes = {{"flood", Mode::kFlood}, {"paced", Mode::kPaced}, {"idle", Mode::kIdle}};
  app.add_option("--target", leg.subscribers.target, "hub, nats, redis or raw")
      ->transform(CLI::CheckedTransformer(targets))
      ->required();
  app.add_option("--server", leg.subscribers.server, "host:port")->required();
  app.add_option("--pid", leg.pid, "the server's process")->required();
  app.add_option("--also", leg.also, "processes that work for it");
  app.add_option("--mode", leg.mode, "flood, paced or idle")->transform(CLI::CheckedTransformer(modes))->required();
  app.add_option("--identity", leg.subscribers.identity,
                 "the hub: folder of cert.pem, key.pem, ca.pem; none = clear text");
  app.add_option("--subscribers", leg.subscribers.connections, "connections, one subscription each")
      ->check(CLI::PositiveNumber);
  app.add_option("--filters", leg.subscribers.filters, "the hub: different filters")->check(CLI::Range(1, 1024));
  app.add_option("--behind", leg.subscribers.behind,
                 "the hub: so many of them start at the log's beginning and stay behind");
  app.add_flag("--urgent", leg.subscribers.urgent, "the hub: urgent events ahead of the order");
  app.add_option("--brokers", leg.publisher.brokers, "the hub's log");
  app.add_option("--topic-prefix", leg.publisher.topic_prefix, "of the hub's log");
  app.add_option("--partitions", leg.publisher.partitions, "of the hub's log");
  app.add_option("--events", leg.events, "flood: how many");
  app.add_option("--rate", leg.rate, "paced: events per second");
  app.add_option("--urgent-rate", leg.urgent_rate, "paced: of these, events per second that overtake");
  app.add_option("--seconds", leg.seconds, "paced and idle: how long");
  app.add_option("--warm-up", leg.warm_up, "paced: seconds of the load before that, not counted");
  CLI11_PARSE(app, argc, argv);
  leg.publisher.target = leg.subscribers.target;
  leg.publisher.server = leg.subscribers.server;

  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);

  Run run(leg);
  const absl::Status status = run.Do();
  if (!status.ok()) {
    std::fprintf(stderr, "bench_fanout: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  std::printf("%s\n", run.Report().c_str());
  return 0;
}
