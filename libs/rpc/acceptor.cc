#include "libs/rpc/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/thread.h"
#include "libs/rpc/listen_sockets.h"

namespace hub::rpc {
namespace {

// The kernel's queue: further ones are not answered, and try again after a second. It is emptied as fast as the thread can.
constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;  // then the others have their turn
constexpr int kEventsPerTurn = 256;
constexpr absl::Duration kSweepInterval = absl::Milliseconds(250);  // of those that are silent for too long
constexpr absl::Duration kReopenInterval = absl::Seconds(1);
constexpr absl::Duration kPause = absl::Milliseconds(20);  // without a descriptor, and none to be had by giving one up
constexpr int kTurnsToEnd = 8;  // at the end, for epoll's word that every connection is over
// How many handshakes may begin at once after a time of rest: an eighth of a second of them.
constexpr double kBurstSeconds = 0.125;

// What epoll tells: a connection's id, or one of these.
constexpr uint64_t kWakeUp = UINT64_MAX;
constexpr uint64_t kListenerFirst = UINT64_MAX - 64;  // and the following ones

// A peer that doesn't acknowledge what was sent, or keeps its window shut, for so long is gone. gRPC sets it on its own sockets only.
constexpr unsigned int kUserTimeoutMillis = 10'000;
// Of what is not on its way yet, the kernel keeps so much; without it a peer that stopped reading has 4 MB of ours. What is on its way isn't
// limited, so a long way costs no speed.
constexpr int kUnsentBytesMax = 64 * 1024;

struct Probe {
  explicit Probe(base::Metrics* metrics)
      : accepted(metrics->AddCounter("fraudhub_connections_accepted_total", "Connections accepted, the refused included")),
        handed(metrics->AddCounter("fraudhub_connections_handed_over_total", "Connections that began a handshake")),
        no_descriptor(metrics->AddCounter("fraudhub_connections_refused_total", "Connections reset at once",
                                          {{"why", "no descriptor left"}})),
        reopened(metrics->AddCounter("fraudhub_listener_reopened_total", "Times the listening socket was opened again")),
        not_reopened(metrics->AddCounter("fraudhub_listener_reopen_failed_total", "Attempts at that which failed")) {}
  base::Counter accepted, handed, no_descriptor, reopened, not_reopened;
};

void SetOptions(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMillis, sizeof(kUserTimeoutMillis));
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytesMax, sizeof(kUnsentBytesMax));
}

void Reset(int fd) {
  const linger reset = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  close(fd);
}

// Errors of accept4 that are about the one connection, or pass; after any other the socket is of no use.
bool IsPassing(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EOPNOTSUPP:
    case ENOBUFS:
    case ENOMEM:
      return true;
    default:
      return false;
  }
}

// The address to connect to for a listening socket's: its own, or loopback where it takes any.
sockaddr_storage WayTo(int listener) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_INET6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) v6.sin6_addr = in6addr_loopback;
  } else if (address.ss_family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY)) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  return address;
}

// REQUIRES: host:port.
std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

// Turns at handshakes, so many a second.
class Turns {
 public:
  explicit Turns(double per_second) : per_second_(per_second), burst_(std::max(1.0, per_second * kBurstSeconds)), left_(burst_) {}
  bool Take(absl::Duration now) {
    left_ = std::min(burst_, left_ + per_second_ * absl::ToDoubleSeconds(now - at_));
    at_ = now;
    if (left_ < 1) return false;
    --left_;
    return true;
  }
  // REQUIRES: Take has just said no.
  absl::Duration Wait() const { return absl::Seconds((1 - left_) / per_second_); }

 private:
  const double per_second_, burst_;
  double left_;
  absl::Duration at_;
};

class EpollAcceptor final : public Acceptor {
 public:
  EpollAcceptor(std::string address, Connections* connections, base::Metrics* metrics)
      : address_(std::move(address)),
        connections_(connections),
        probe_(metrics),
        turns_(connections->limits().handshakes_per_second),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_up_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        spare_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    HUB_CHECK(epoll_ >= 0 && wake_up_ >= 0);
    Watch(wake_up_, EPOLLIN, kWakeUp);
  }

  ~EpollAcceptor() override {
    StopAccepting();
    connections_->EndAll();
    thread_.RequestStop();
    Wake();
    thread_.Stop();
    for (const int fd : {epoll_, wake_up_, spare_}) {
      if (fd >= 0) close(fd);
    }
    RemoveSocketFile(listening_.file);
    for (const int fd : listening_.descriptors) close(fd);  // it never started
  }

  absl::Status Listen() {
    absl::StatusOr<ListenSockets> sockets = rpc::Listen(address_, kBacklog);
    if (!sockets.ok()) return sockets.status();
    port_ = sockets->port;
    for (const int fd : sockets->descriptors) reachable_at_.push_back(WayTo(fd));
    listening_ = *std::move(sockets);
    return absl::OkStatus();
  }

  int port() const override { return port_; }
  std::vector<sockaddr_storage> ReachableAt() const override { return reachable_at_; }
  void ExpectCanary(const PeerAddress& from) override {
    base::MutexLock lock(&mu_);
    canary_ = from;
  }

  void Start(std::function<void(int fd)> hand_over) override {
    hand_over_ = std::move(hand_over);
    WatchListeners();
    thread_ = base::Thread("acceptor", [this](std::stop_token stop) { Run(stop); });
    started_ = true;
  }

  void StopAccepting() override {
    if (!started_) return;
    stop_accepting_.store(true, std::memory_order_relaxed);
    Wake();
    base::MutexLock lock(&mu_);
    while (!closed_) changed_.Wait(&mu_);
  }

 private:
  void Run(const std::stop_token& stop);
  absl::Duration Work();
  void AcceptSome(int listener);
  void TakeIn(int fd, const sockaddr_storage& address);
  void OnConnection(Connections::Id id, uint32_t events);
  void HandOver(Connections::Id id, int fd);
  void Forget(Connections::Id id);
  bool RefuseWithoutDescriptor(int listener);
  void Break(const char* why);
  void Mend();
  void CloseListeners();
  void WatchListeners();
  void Watch(int fd, uint32_t events, uint64_t what) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = what;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  // Closing alone would not do: epoll knows the connection, and that has another descriptor.
  void Unwatch(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }
  void Wake() {
    const uint64_t one = 1;
    (void)!write(wake_up_, &one, sizeof(one));
  }

  const std::string address_;
  Connections* const connections_;
  mutable Probe probe_;
  const base::RealClock clock_;
  std::function<void(int fd)> hand_over_;
  std::atomic<bool> stop_accepting_{false};  // relaxed: the wake-up orders it
  int port_ = 0;
  std::vector<sockaddr_storage> reachable_at_;
  bool started_ = false;
  base::Mutex mu_;
  base::CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<PeerAddress> canary_ ABSL_GUARDED_BY(mu_);

  // The thread's.
  Turns turns_;
  const int epoll_, wake_up_;
  int spare_;  // given up for a moment to accept, and reset, when there is no other descriptor left
  ListenSockets listening_;
  Connections::Id canary_id_ = 0;
  uint64_t nameless_ = 0;  // connections over a UNIX socket so far
  absl::Duration now_, sweep_at_, mend_at_;
  bool broken_ = false;  // the listening sockets are to be opened again
  bool paused_ = false;  // they are not watched, for want of descriptors

  base::Thread thread_;
};

void EpollAcceptor::Run(const std::stop_token& stop) {
  std::vector<epoll_event> events(kEventsPerTurn);
  bool closed = false;
  int turns_to_end = kTurnsToEnd;
  while (true) {
    now_ = clock_.Monotonic();
    if (stop_accepting_.load(std::memory_order_relaxed) && !closed) {
      closed = true;
      CloseListeners();
      connections_->EndWaiting();
      base::MutexLock lock(&mu_);
      closed_ = true;
      changed_.NotifyAll();
    }
    if (stop.stop_requested() && (connections_->open() == 0 || --turns_to_end < 0)) return;
    const absl::Duration wait = closed ? kSweepInterval : Work();
    // A millisecond more than asked: epoll's are whole ones, and too early would be a turn for nothing.
    const int timeout = static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
    const int count = epoll_wait(epoll_, events.data(), kEventsPerTurn, timeout);
    now_ = clock_.Monotonic();
    for (int i = 0; i < count; ++i) {
      const uint64_t what = events[static_cast<size_t>(i)].data.u64;
      if (what == kWakeUp) {
        uint64_t many = 0;
        (void)!read(wake_up_, &many, sizeof(many));
      } else if (what >= kListenerFirst) {
        const size_t place = what - kListenerFirst;
        if (place < listening_.descriptors.size()) AcceptSome(listening_.descriptors[place]);
      } else {
        OnConnection(what, events[static_cast<size_t>(i)].events);
      }
    }
  }
}

// What is due; how long until the next is.
absl::Duration EpollAcceptor::Work() {
  if ((broken_ || paused_) && now_ >= mend_at_) Mend();
  if (now_ >= sweep_at_) {
    connections_->EndOverdue(now_);
    // Who cleans a folder takes its sockets along, and nobody would come any more, without an error here.
    if (!broken_ && !listening_.file.path.empty() && !IsThere(listening_.file)) Break("its file is gone");
    sweep_at_ = now_ + kSweepInterval;
  }
  absl::Duration next = sweep_at_;
  if (broken_ || paused_) next = std::min(next, mend_at_);
  while (connections_->has_queued()) {
    if (!turns_.Take(now_)) return std::min(now_ + turns_.Wait(), next) - now_;
    const std::optional<Connections::Waiting> first = connections_->TakeQueued();
    if (!first) break;
    HandOver(first->id, first->fd);
  }
  return next - now_;
}

void EpollAcceptor::AcceptSome(int listener) {
  for (int i = 0; i < kAcceptsPerTurn && !broken_ && !paused_; ++i) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      probe_.accepted.Increment();
      TakeIn(fd, address);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno == EMFILE || errno == ENFILE) {
      if (RefuseWithoutDescriptor(listener)) continue;
      paused_ = true;
      mend_at_ = now_ + kPause;
      for (const int fd_of_all : listening_.descriptors) Unwatch(fd_of_all);
    } else if (!IsPassing(errno)) {
      Break(std::strerror(errno));
    }
  }
}

void EpollAcceptor::TakeIn(int fd, const sockaddr_storage& address) {
  const std::optional<PeerAddress> peer =
      address.ss_family == AF_UNIX ? PeerAddress::Nameless(++nameless_) : PeerAddress::FromSocket(address);
  bool is_canary = false;
  {
    base::MutexLock lock(&mu_);
    is_canary = peer && canary_ == peer;
  }
  std::optional<Connections::Id> id;
  if (peer) id = connections_->Enter(*peer, fd, now_, is_canary);
  if (!id) return Reset(fd);
  if (is_canary) canary_id_ = *id;
  SetOptions(fd);
  Watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET, *id);
}

// The backlog must get shorter also when the process has no descriptor left, whoever has them: else those behind would wait for ever.
bool EpollAcceptor::RefuseWithoutDescriptor(int listener) {
  HUB_LOG_EVERY(5, ERROR, "no_descriptor_left", {{"connections", connections_->open()}, {"max", connections_->max()}});
  if (spare_ >= 0) close(spare_);
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) {
    probe_.accepted.Increment();
    probe_.no_descriptor.Increment();
    Reset(fd);
  }
  spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return fd >= 0;
}

void EpollAcceptor::OnConnection(Connections::Id id, uint32_t events) {
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return Forget(id);
  // Of what is gRPC's, EPOLLIN isn't asked for; and EPOLLRDHUP alone is not its end: the peer may still read.
  if ((events & EPOLLIN) == 0) return;
  if ((events & EPOLLRDHUP) != 0 || !connections_->Queue(id, id == canary_id_)) Forget(id);
}

void EpollAcceptor::HandOver(Connections::Id id, int fd) {
  const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    probe_.no_descriptor.Increment();
    return Forget(id);
  }
  Unwatch(fd);
  if (!connections_->HandOver(id, duplicate, now_)) {
    close(duplicate);
    return Forget(id);
  }
  // If it has ended since, this tells at once.
  Watch(duplicate, EPOLLRDHUP | EPOLLET, id);
  probe_.handed.Increment();
  hand_over_(fd);
}

// No linger here: what gRPC said last may still be on its way.
void EpollAcceptor::Forget(Connections::Id id) {
  const int fd = connections_->Remove(id);
  if (fd < 0) return;
  Unwatch(fd);
  close(fd);
}

void EpollAcceptor::Break(const char* why) {
  HUB_LOG(ERROR, "listener_broke", {{"address", address_}, {"why", why}});
  broken_ = true;
  mend_at_ = now_;
}

void EpollAcceptor::Mend() {
  if (broken_) {
    CloseListeners();
    absl::StatusOr<ListenSockets> sockets =
        rpc::Listen(IsUnixAddress(address_) ? address_ : absl::StrCat(HostOf(address_), ":", port_), kBacklog);
    if (!sockets.ok()) {
      probe_.not_reopened.Increment();
      HUB_LOG_EVERY(5, ERROR, "listener_not_reopened", {{"status", sockets.status().ToString()}});
      mend_at_ = now_ + kReopenInterval;
      return;
    }
    probe_.reopened.Increment();
    listening_ = *std::move(sockets);
  }
  broken_ = paused_ = false;
  WatchListeners();
}

void EpollAcceptor::CloseListeners() {
  RemoveSocketFile(std::exchange(listening_.file, {}));
  for (const int fd : listening_.descriptors) {
    Unwatch(fd);
    close(fd);
  }
  listening_.descriptors.clear();
}

void EpollAcceptor::WatchListeners() {
  for (size_t i = 0; i < listening_.descriptors.size(); ++i) Watch(listening_.descriptors[i], EPOLLIN, kListenerFirst + i);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Open(const std::string& address, Connections* connections,
                                                         base::Metrics* metrics) {
  auto acceptor = std::make_unique<EpollAcceptor>(address, connections, metrics);
  const absl::Status listening = acceptor->Listen();
  if (!listening.ok()) return listening;
  return acceptor;
}

}  // namespace hub::rpc
