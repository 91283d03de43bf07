#include "bench/fanout/subscribers.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "bench/fanout/peer_protocol.h"
#include "bench/swarm/endpoint.h"
#include "bench/swarm/event_run.h"
#include "bench/swarm/h2_stream.h"
#include "bench/swarm/view.h"
#include "bench/swarm/wire_scan.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/clock.h"

namespace hub::bench {
namespace {

namespace api = fraudhub::v1;

constexpr char kPath[] = "/fraudhub.v1.SubscriptionService/Subscribe";
constexpr int kConnecting = 64;  // handshakes at a time
constexpr int kAgainMax = 500;   // streams begun once more because they broke before they stood
constexpr int64_t kAckBytes = 512 * 1024;
constexpr absl::Duration kAckInterval = absl::Seconds(1);  // as the SDK
constexpr absl::Duration kAckLookInterval = absl::Milliseconds(50);
constexpr uint32_t kBehindWindow = 128 * 1024;  // with an acknowledgement a second

// Number `number` of the filters that match every event of load_event.h.
api::Filter FilterOf(int number) {
  static constexpr api::IdentifierType kMore[] = {api::IDENTIFIER_TYPE_LANDLINE,      api::IDENTIFIER_TYPE_MACHINE,
                                                  api::IDENTIFIER_TYPE_FOREIGN_PHONE, api::IDENTIFIER_TYPE_UPI_ADDRESS,
                                                  api::IDENTIFIER_TYPE_BANK_ACCOUNT,  api::IDENTIFIER_TYPE_URL,
                                                  api::IDENTIFIER_TYPE_WHATSAPP,      api::IDENTIFIER_TYPE_TELEGRAM,
                                                  api::IDENTIFIER_TYPE_EMAIL,         api::IDENTIFIER_TYPE_IP_ADDRESS};
  api::Filter filter;
  auto* clause = filter.add_any_of();
  clause->add_types(api::IDENTIFIER_TYPE_MOBILE);
  for (size_t bit = 0; bit < std::size(kMore); ++bit) {
    if (((number >> bit) & 1) != 0) clause->add_types(kMore[bit]);
  }
  return filter;
}

// By partition, what a stream was told and acknowledges.
struct Told {
  int64_t offsets[64] = {};
  int partitions = 0;
  void Take(absl::string_view entry) {
    size_t partition = 0;
    int64_t offset = 0;
    swarm::ScanFields(entry, [&](int part, uint64_t number, absl::string_view) {
      if (part == 1) partition = static_cast<size_t>(number);
      if (part == 2) offset = static_cast<int64_t>(number);
    });
    if (partition >= std::size(offsets)) return;
    offsets[partition] = offset;
    partitions = std::max(partitions, static_cast<int>(partition) + 1);
  }
};

struct Connection {
  int index = 0;
  bool scanned = false;
  bool behind = false;
  bool subscribed = false;
  bool waits_to_write = false;  // epoll is asked for it
  uint64_t events = 0, stamps = 0;
  absl::flat_hash_set<int64_t> copies;  // stamps of those whose event hasn't come yet

  // The hub.
  std::unique_ptr<swarm::H2Stream> stream;
  Told positions, urgent_positions;
  int64_t unacked = 0;
  absl::Duration acked_at;

  // A peer.
  int fd = -1;
  bool connected = false;
  std::unique_ptr<PeerProtocol> protocol;
  std::string in;

  ~Connection() {
    if (stream == nullptr && fd >= 0) close(fd);
  }
};

class Impl final : public Subscribers {
 public:
  explicit Impl(const SubscriberOptions& options) : options_(options) {}

  absl::Status Open() {
    absl::StatusOr<sockaddr_in> server = swarm::ParseAddress(options_.server);
    if (!server.ok()) return server.status();
    server_ = *server;
    if (!options_.identity.empty()) {
      auto identity = swarm::LoadIdentity(options_.identity);
      if (!identity.ok()) return identity.status();
      identity_ = *std::move(identity);
    }
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    return absl::OkStatus();
  }

  ~Impl() override { close(epoll_); }

  absl::Status Connect(absl::Duration timeout) override {
    const absl::Duration until = clock_.Monotonic() + timeout;
    while (subscribed_ < options_.connections) {
      while (static_cast<int>(connections_.size()) < options_.connections &&
             static_cast<int>(connections_.size()) < subscribed_ + kConnecting) {
        if (absl::Status begun = Begin(); !begun.ok()) return begun;
      }
      if (absl::Status turned = Turn(absl::Milliseconds(10)); !turned.ok()) return turned;
      if (clock_.Monotonic() > until) {
        return absl::DeadlineExceededError(
            absl::StrCat(subscribed_, " of ", options_.connections, " subscriptions stand"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Turn(absl::Duration wait) override {
    const int count = epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()),
                                 static_cast<int>(wait / absl::Milliseconds(1)));
    monotonic_ = clock_.Monotonic();
    now_micros_ = absl::ToUnixMicros(clock_.TimeNow());
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(ready_[static_cast<size_t>(i)].data.ptr);
      absl::Status status = connection->stream != nullptr ? connection->stream->OnReady() : OnPeer(connection);
      if (!status.ok() && !connection->subscribed && connection->stream != nullptr && again_++ < kAgainMax) {
        status = BeginStream(connection);  // nobody has promised it anything yet
      }
      if (!status.ok()) return status;
      Watch(connection, EPOLL_CTL_MOD);
    }
    // A hub whose window is full sends nothing more that would bring this up.
    if (options_.target == Target::kHub && monotonic_ - looked_at_ >= kAckLookInterval) {
      looked_at_ = monotonic_;
      for (const auto& connection : connections_) {
        if (connection->unacked == 0 || monotonic_ - connection->acked_at < kAckInterval) continue;
        Acknowledge(connection.get());
        Watch(connection.get(), EPOLL_CTL_MOD);
      }
    }
    live_deliveries_.store(live_, std::memory_order_relaxed);  // a counter; nothing hangs on it
    return absl::OkStatus();
  }

  void Clear() override {
    receipt_ = {};
    live_ = 0;
    live_deliveries_.store(0, std::memory_order_relaxed);
    for (const auto& connection : connections_) connection->events = connection->stamps = 0;
  }
  const Receipt& receipt() const override { return receipt_; }
  uint64_t deliveries() const override { return live_deliveries_.load(std::memory_order_relaxed); }

  absl::Status Check(uint64_t events, uint64_t stamps) const override {
    if (broken_) return absl::DataLossError("a run of events was damaged");
    int wrong = 0, first = -1;
    for (size_t i = 0; i < connections_.size(); ++i) {
      const Connection& connection = *connections_[i];
      if (connection.behind) continue;
      const bool right = connection.events == events && (!connection.scanned || connection.stamps == stamps);
      if (!right && wrong++ == 0) first = static_cast<int>(i);
    }
    if (wrong == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(wrong, " connections have not received each event once; number ", first,
                                            " has ", connections_[static_cast<size_t>(first)]->events, " of ", events));
  }

 private:
  absl::Status Begin() {
    auto owned = std::make_unique<Connection>();
    Connection* const connection = owned.get();
    const auto index = static_cast<int>(connections_.size());
    connection->behind = index < options_.behind;
    connection->scanned = connection->behind || index % options_.scan_every == 0;
    connection->index = index;
    connections_.push_back(std::move(owned));
    if (options_.target == Target::kHub) return BeginStream(connection);

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) return absl::ResourceExhaustedError("no socket: raise the limit of open files (ulimit -n)");
    const int on = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(connection->fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0 &&
        errno != EINPROGRESS)
      return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(errno)));
    connection->protocol = options_.target == Target::kNats    ? NatsProtocol()
                           : options_.target == Target::kRedis ? RedisProtocol()
                                                               : RawProtocol();
    Watch(connection, EPOLL_CTL_ADD);
    return absl::OkStatus();
  }

  absl::Status BeginStream(Connection* connection) {
    connection->stream = std::make_unique<swarm::H2Stream>(
        identity_.get(), server_, kPath, [this, connection](absl::string_view bytes) { OnMessage(connection, bytes); });
    if (absl::Status begun = connection->stream->Connect(); !begun.ok()) return begun;
    api::SubscribeRequest request;
    auto* open = request.mutable_open();
    *open->mutable_filter() = FilterOf(options_.filters > 0 ? connection->index % options_.filters : 0);
    open->set_start(connection->behind ? api::STREAM_START_EARLIEST : api::STREAM_START_NOW);
    open->set_urgent(options_.urgent);
    if (connection->behind) open->set_unacked_bytes_max(kBehindWindow);
    open->set_packed(true);
    open->set_client_id("bench");
    connection->stream->Send(request.SerializeAsString());
    Watch(connection, EPOLL_CTL_ADD);
    return absl::OkStatus();
  }

  void Watch(Connection* connection, int what) {
    epoll_event event{};
    const bool writes = connection->stream != nullptr ? connection->stream->wants_write() : !connection->connected;
    if (what == EPOLL_CTL_MOD && writes == connection->waits_to_write) return;  // as it is
    connection->waits_to_write = writes;
    event.events = EPOLLIN | (writes ? static_cast<uint32_t>(EPOLLOUT) : 0u);
    event.data.ptr = connection;
    epoll_ctl(epoll_, what, connection->stream != nullptr ? connection->stream->fd() : connection->fd, &event);
  }

  void Subscribed(Connection* connection) {
    if (!std::exchange(connection->subscribed, true)) ++subscribed_;
  }

  absl::Status OnPeer(Connection* connection) {
    if (!connection->connected) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(error)));
      connection->connected = true;
      const std::string greeting = connection->protocol->Greeting();
      if (send(connection->fd, greeting.data(), greeting.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(greeting.size()))
        return absl::UnavailableError("the greeting was not taken");
      if (connection->protocol->subscribed()) Subscribed(connection);
      return absl::OkStatus();
    }
    alignas(64) static thread_local char buffer[256 * 1024];
    const ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
    if (got == 0) return absl::UnavailableError("connection closed");
    if (got < 0) return errno == EAGAIN ? absl::OkStatus() : absl::UnavailableError(std::strerror(errno));
    ++receipt_.messages;
    receipt_.bytes += static_cast<uint64_t>(got);
    absl::string_view bytes(buffer, static_cast<size_t>(got));
    if (!connection->in.empty()) {
      connection->in.append(buffer, static_cast<size_t>(got));
      bytes = connection->in;
    }
    const int64_t taken = connection->protocol->Take(
        bytes, [this, connection](absl::string_view event) { OnEvent(connection, event, false); });
    if (taken < 0) return absl::InternalError("the server said something that isn't understood");
    if (connection->in.empty()) {
      connection->in.assign(buffer + taken, static_cast<size_t>(got - taken));
    } else {
      connection->in.erase(0, static_cast<size_t>(taken));
    }
    if (connection->protocol->subscribed()) Subscribed(connection);
    return absl::OkStatus();
  }

  void OnEvent(Connection* connection, absl::string_view bytes, bool copy) {
    if (copy) {
      ++receipt_.urgent_deliveries;
    } else {
      ++receipt_.deliveries;
      ++connection->events;
      if (!connection->behind) ++live_;
    }
    if (!connection->scanned) return;
    swarm::EventHead head;
    if (!swarm::ScanEvent(bytes, &head)) return;
    const absl::Duration took = absl::Microseconds(now_micros_ - head.received_micros);
    if (!copy) connection->stamps += static_cast<uint64_t>(head.received_micros);
    const bool overtakes = head.kind == api::EVENT_KIND_RETRACTED;
    if (connection->behind) {
      if (copy) receipt_.behind_latency.Add(took);
    } else if (overtakes) {
      // Of an event and its copy, what came first.
      const bool first = copy ? connection->copies.insert(head.received_micros).second
                              : connection->copies.erase(head.received_micros) == 0;
      if (first) receipt_.urgent_latency.Add(took);
    } else {
      receipt_.latency.Add(took);
    }
  }

  void OnRun(Connection* connection, const swarm::EventRun& run) {
    absl::string_view slices;
    if (connection->scanned) {
      if (!run.Unpack(&unpacked_, &slices)) broken_ = true;
      if (broken_) return;
      swarm::ScanFields(slices, [&](int field, uint64_t, absl::string_view event) {
        if (field == 1) OnEvent(connection, event, false);
      });
      return;
    }
    receipt_.deliveries += run.events();
    connection->events += run.events();
    if (!connection->behind) live_ += run.events();
  }

  void OnMessage(Connection* connection, absl::string_view bytes) {
    ++receipt_.messages;
    receipt_.bytes += bytes.size();
    connection->unacked += static_cast<int64_t>(bytes.size());
    swarm::ScanFields(bytes, [&](int field, uint64_t, absl::string_view value) {
      switch (field) {
        case 1:
          OnEvent(connection, value, false);
          break;
        case 2:
          connection->positions.Take(value);
          break;
        case 3:
          Subscribed(connection);
          break;
        case 6:
          swarm::ScanFields(value, [&](int part, uint64_t, absl::string_view event) {
            if (part == 1) OnEvent(connection, event, true);
          });
          break;
        case 7:
          connection->urgent_positions.Take(value);
          break;
        case 10:
          OnRun(connection, swarm::EventRun(value));
          break;
        default:
          break;
      }
    });
    const bool much = connection->unacked >= kAckBytes && !connection->behind;
    if (much || monotonic_ - connection->acked_at >= kAckInterval) Acknowledge(connection);
  }

  void Acknowledge(Connection* connection) {
    const Told& told = connection->positions;
    const Told& urgent = connection->urgent_positions;
    if (told.partitions == 0) return;
    connection->unacked = 0;
    connection->acked_at = monotonic_;
    api::SubscribeRequest request;
    for (int i = 0; i < told.partitions; ++i) (*request.mutable_ack()->mutable_positions())[i] = told.offsets[i];
    // Copies that nobody acknowledges fill the window.
    for (int i = 0; i < urgent.partitions; ++i)
      (*request.mutable_ack()->mutable_urgent_positions())[i] = urgent.offsets[i];
    connection->stream->Send(request.SerializeAsString());
  }

  const SubscriberOptions options_;
  const base::RealClock clock_;
  sockaddr_in server_{};
  swarm::SslContext identity_;
  int epoll_ = -1;
  std::vector<epoll_event> ready_{512};
  std::vector<std::unique_ptr<Connection>> connections_;
  int subscribed_ = 0;
  int again_ = 0;
  Receipt receipt_;
  std::string unpacked_;  // of the run that is looked into
  bool broken_ = false;   // a run was damaged
  uint64_t live_ = 0;     // deliveries to connections that live at the log's end
  std::atomic<uint64_t> live_deliveries_{0};
  absl::Duration monotonic_, looked_at_;
  int64_t now_micros_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Subscribers>> Subscribers::Create(const SubscriberOptions& options) {
  auto subscribers = std::make_unique<Impl>(options);
  if (absl::Status opened = subscribers->Open(); !opened.ok()) return opened;
  return subscribers;
}

}  // namespace hub::bench
