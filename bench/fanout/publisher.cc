#include "bench/fanout/publisher.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/fanout/peer_protocol.h"
#include "bench/swarm/endpoint.h"
#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/kafka_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"

namespace hub::bench {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
// A registry at work commits about so often, and at most so much.
constexpr absl::Duration kCommit = absl::Milliseconds(5);
constexpr size_t kCommitMax = 512;

absl::StatusOr<int> Dial(const std::string& server) {
  absl::StatusOr<sockaddr_in> address = swarm::ParseAddress(server);
  if (!address.ok()) return address.status();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    close(fd);
    return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(errno)));
  }
  return fd;
}

// A peer: commands are gathered until Flush; what the server answers is thrown away.
class PeerPublisher final : public Publisher {
 public:
  PeerPublisher(Target target, int fd) : target_(target), fd_(fd) {
    if (target_ == Target::kNats) out_ = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
  }
  ~PeerPublisher() override { close(fd_); }

  absl::Status Publish(uint64_t number, absl::Time stamp, Lane) override {
    const std::string event = MakePublicEvent(number, stamp);
    if (target_ == Target::kNats) {
      absl::StrAppend(&out_, "PUB ", kSubject, " ", event.size(), "\r\n", event, "\r\n");
    } else {
      absl::StrAppend(&out_, "*3\r\n$7\r\nPUBLISH\r\n$", std::strlen(kSubject), "\r\n", kSubject, "\r\n$", event.size(),
                      "\r\n", event, "\r\n");
    }
    return absl::OkStatus();
  }
  absl::Status Flush() override {
    Listen();
    for (size_t done = 0; done < out_.size();) {
      const ssize_t sent = send(fd_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
      if (sent < 0) return absl::UnavailableError(absl::StrCat("publish: ", std::strerror(errno)));
      done += static_cast<size_t>(sent);
    }
    out_.clear();
    return absl::OkStatus();
  }
  absl::Status Finish(absl::Duration) override { return Flush(); }

 private:
  void Listen() {
    char buffer[64 * 1024];
    while (recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
  }
  const Target target_;
  const int fd_;
  std::string out_;
};

// The hub: appends to `events` as a registry does, all that a commit decided at once, ticks included, and of an urgent event a copy to
// `urgent` once it has landed.
class LogPublisher final : public Publisher {
 public:
  explicit LogPublisher(int32_t partitions) : partitions_(partitions) {}

  absl::Status Start(const PublisherOptions& options) {
    eventlog::KafkaLogOptions kafka;
    kafka.bootstrap_servers = options.brokers;
    kafka.topic_prefix = options.topic_prefix;
    auto log = eventlog::OpenKafkaLog(kafka, &clock_, &metrics_, absl::Seconds(10));
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return log_->EnsureTopics(eventlog::HubTopics(partitions_));
  }

  absl::Status Publish(uint64_t number, absl::Time stamp, Lane lane) override {
    newest_ = number;
    newest_stamp_ = stamp;
    held_.push_back({number, stamp, lane});
    const absl::Duration now = clock_.Monotonic();
    if (now - committed_at_ >= kCommit || held_.size() >= kCommitMax) Commit(now);
    return failed_ ? absl::UnavailableError("the log refused a record") : absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }  // the next commit will come
  absl::Status Finish(absl::Duration timeout) override {
    const absl::Duration until = clock_.Monotonic() + timeout;
    Commit(clock_.Monotonic());
    while (pending_ > 0) {
      if (clock_.Monotonic() > until) return absl::DeadlineExceededError("the log has not acknowledged everything");
      poll(nullptr, 0, 1);
    }
    return failed_ ? absl::UnavailableError("the log refused a record") : absl::OkStatus();
  }

 private:
  struct Held {
    uint64_t number;
    absl::Time stamp;
    Lane lane;
  };

  void Commit(absl::Duration now) {
    committed_at_ = now;
    for (const Held& held : held_) Put(held.number, held.stamp, held.lane);
    held_.clear();
    if (now - ticked_at_ < kTick) return;
    ticked_at_ = now;
    for (int32_t p = 0; p < partitions_; ++p) {
      Put({eventlog::kEventsTopic, p},
          {"tick", wire::EncodeRecord({1, newest_ + 1}, model::Tick{newest_stamp_, 1})}, [](int64_t) {});
    }
  }

  void Put(uint64_t number, absl::Time stamp, Lane lane) {
    LoadRecord record = MakeRecord(number, stamp, lane);
    const auto partition = static_cast<int32_t>(number % static_cast<uint64_t>(partitions_));
    Put({eventlog::kEventsTopic, partition}, {std::move(record.key), std::move(record.value)},
        [=, this](int64_t offset) {
          if (lane == Lane::kOrdinary) return;
          LoadRecord copy = MakeCopy(number, stamp, offset);
          Put({eventlog::kUrgentTopic, partition}, {std::move(copy.key), std::move(copy.value)}, [](int64_t) {});
        });
  }

  void Put(const eventlog::TopicPartition& to, eventlog::Record record, std::function<void(int64_t)> landed_at) {
    ++pending_;
    log_->Append(to, std::move(record),
                 [this, landed_at = std::move(landed_at)](absl::StatusOr<eventlog::Offset> landed) {
                   if (landed.ok()) {
                     landed_at(*landed);
                   } else {
                     failed_ = true;
                   }
                   --pending_;
                 });
  }
  const int32_t partitions_;
  const base::RealClock clock_;
  base::Metrics metrics_;
  std::vector<Held> held_;  // since the last commit
  uint64_t newest_ = 0;
  absl::Time newest_stamp_ = absl::InfinitePast();  // what comes later has a later one, however late it comes
  absl::Duration committed_at_, ticked_at_;
  // Counters that the log's threads change; sequentially consistent: nobody is in a hurry here.
  std::atomic<int64_t> pending_{0};
  std::atomic<bool> failed_{false};
  std::unique_ptr<eventlog::Log> log_;  // the last: its callbacks use the rest
};

}  // namespace

absl::StatusOr<std::unique_ptr<Publisher>> Publisher::Open(const PublisherOptions& options) {
  if (options.target == Target::kHub) {
    auto publisher = std::make_unique<LogPublisher>(options.partitions);
    if (absl::Status started = publisher->Start(options); !started.ok()) return started;
    return publisher;
  }
  absl::StatusOr<int> fd = Dial(options.server);
  if (!fd.ok()) return fd.status();
  return std::make_unique<PeerPublisher>(options.target, *fd);
}

absl::Status StartRawFlood(const std::string& server, uint64_t events) {
  absl::StatusOr<int> fd = Dial(server);
  if (!fd.ok()) return fd.status();
  const bool said = send(*fd, &events, sizeof events, MSG_NOSIGNAL) == sizeof events;
  char answer;
  shutdown(*fd, SHUT_WR);
  while (recv(*fd, &answer, 1, 0) > 0) {
  }
  close(*fd);
  return said ? absl::OkStatus() : absl::UnavailableError("the raw server doesn't listen");
}

}  // namespace hub::bench
