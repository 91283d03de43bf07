#include "tests/faults/proxy/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hub::faults {
namespace {

constexpr int kSocketBuffer = 32 * 1024;  // a slow line has no megabytes in the kernel
// A network's. Loopback's segments are of 64 KB, more than such a buffer takes: they wait for room, for the timer of 200 ms if need be.
constexpr int kSegment = 1448;
constexpr absl::Duration kBurst = absl::Milliseconds(50);  // of a line's bytes, or a segment

absl::StatusOr<sockaddr_in> ParseAddress(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  int port = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
      inet_pton(AF_INET, parts[0].c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError("upstream: want an IPv4 address and a port, 127.0.0.1:7443");
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

// One direction of a connection.
struct Pipe {
  struct Chunk {
    absl::Duration due;
    std::string bytes;
  };
  int from = -1, to = -1;
  std::deque<Chunk> queue;
  size_t queued = 0;
  size_t written = 0;  // of the first chunk
  absl::Duration last_due, refilled;
  double allowance = 0;  // bytes that the bandwidth allows now
  bool ended = false;    // `from` sends no more
  bool shut = false;     // `to` was told
  bool held_back = false;
  bool more = false;  // `from` may have more, and no edge will say so

  // Of the first chunk, what a line of so many bytes a second lets arrive now. A packet arrives when all of it has gone through.
  size_t Allowed(int64_t rate) const {
    const size_t size = queue.front().bytes.size() - written;
    if (rate <= 0 || allowance >= static_cast<double>(size)) return size;
    return allowance < kSegment ? 0 : static_cast<size_t>(allowance);
  }
  // From the last refill on; REQUIRES: Allowed(rate) == 0.
  absl::Duration UntilAllowed(int64_t rate) const {
    const auto packet = static_cast<double>(std::min<size_t>(queue.front().bytes.size() - written, kSegment));
    return absl::Seconds((packet - allowance) / static_cast<double>(rate));
  }
};

}  // namespace

struct Proxy::Connection {
  Pipe down, up;
  int client = -1, upstream = -1;
  int64_t passed = 0;
  int64_t reset_at = -1, silent_at = -1;  // bytes in both directions; -1 = never
  bool silent = false, gone = false;
  bool woken = true;  // an edge was told
  std::mt19937_64 random;
  bool HasSomething() const {
    return woken || !down.queue.empty() || !up.queue.empty() || down.more || up.more;
  }
  ~Connection() {
    if (client >= 0) close(client);
    if (upstream >= 0) close(upstream);
  }
};

absl::Status ParseRules(absl::string_view text, Rules* rules) {
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" ,"), absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> rule = absl::StrSplit(word, absl::MaxSplits('=', 1));
    const auto [name, value] = rule;
    bool good = false;
    if (name == "delay") good = absl::ParseDuration(value, &rules->delay);
    if (name == "jitter") good = absl::ParseDuration(value, &rules->jitter);
    if (name == "down") good = absl::SimpleAtoi(value, &rules->down_bytes_per_second);
    if (name == "up") good = absl::SimpleAtoi(value, &rules->up_bytes_per_second);
    if (name == "reset") good = absl::SimpleAtod(value, &rules->reset_share);
    if (name == "silent") good = absl::SimpleAtod(value, &rules->silent_share);
    if (name == "after") good = absl::SimpleAtoi(value, &rules->fault_after_bytes);
    if (!good) {
      return absl::InvalidArgumentError(
          absl::StrCat("rule \"", word,
                       "\": want delay=200ms, jitter=20ms, down=8000, up=8000, reset=0.1, silent=0.1 or after=65536"));
    }
  }
  return absl::OkStatus();
}

Proxy::Proxy(const base::Clock* clock, const Rules& rules, uint64_t seed) : clock_(clock), rules_(rules), seed_(seed) {}

absl::StatusOr<std::unique_ptr<Proxy>> Proxy::Create(const base::Clock* clock, uint16_t port,
                                                     const std::string& upstream, const Rules& rules, uint64_t seed) {
  if (absl::StatusOr<sockaddr_in> address = ParseAddress(upstream); !address.ok()) return address.status();
  std::unique_ptr<Proxy> proxy(new Proxy(clock, rules, seed));
  proxy->upstream_ = upstream;
  proxy->listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(proxy->listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(proxy->listener_, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  setsockopt(proxy->listener_, IPPROTO_TCP, TCP_MAXSEG, &kSegment, sizeof kSegment);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (bind(proxy->listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(proxy->listener_, 1024) != 0 ||
      getsockname(proxy->listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::UnavailableError(absl::StrCat("listen on port ", port, ": ", std::strerror(errno)));
  }
  proxy->port_ = ntohs(address.sin_port);
  proxy->epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(proxy->epoll_, EPOLL_CTL_ADD, proxy->listener_, &event);
  return proxy;
}

Proxy::~Proxy() {
  connections_.clear();
  if (listener_ >= 0) close(listener_);
  if (epoll_ >= 0) close(epoll_);
}

void Proxy::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    auto connection = std::make_unique<Connection>();
    connection->client = client;
    const int64_t number = ++counts_.connections;
    if (refuse_) {
      End(connection.get(), /*reset=*/true);
      continue;
    }
    connection->random.seed(seed_ * 1'000'003 + static_cast<uint64_t>(number));
    const auto draw = [&] { return std::uniform_real_distribution<double>(0, 1)(connection->random); };
    const bool reset = draw() < rules_.reset_share, silent = draw() < rules_.silent_share;
    const auto where = static_cast<int64_t>(draw() * static_cast<double>(rules_.fault_after_bytes));
    if (reset) connection->reset_at = where;
    if (silent) connection->silent_at = where;
    connection->upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(connection->upstream, SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
    setsockopt(connection->upstream, IPPROTO_TCP, TCP_MAXSEG, &kSegment, sizeof kSegment);
    const int on = 1;
    for (const int fd : {client, connection->upstream}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address = *ParseAddress(upstream_);
    if (connect(connection->upstream, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS) {
      End(connection.get(), /*reset=*/true);
      continue;
    }
    connection->down.from = connection->up.to = connection->upstream;
    connection->up.from = connection->down.to = client;
    connection->down.refilled = connection->up.refilled = clock_->Monotonic();
    for (const int fd : {client, connection->upstream}) {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
      event.data.ptr = connection.get();
      epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }
    connections_.push_back(std::move(connection));
  }
}

void Proxy::Move(Connection* connection) {
  static thread_local char buffer[16 * 1024];
  const absl::Duration now = clock_->Monotonic();
  connection->woken = false;
  for (Pipe* pipe : {&connection->down, &connection->up}) {
    const bool down = pipe == &connection->down;
    const int64_t rate = down ? rules_.down_bytes_per_second : rules_.up_bytes_per_second;
    while (!pipe->ended && !connection->silent && pipe->queued < kQueuedMax) {
      const ssize_t got = recv(pipe->from, buffer, sizeof buffer, 0);
      if (got < 0 && (WouldBlock() || errno == ENOTCONN || errno == EINTR)) break;
      if (got < 0) return End(connection, /*reset=*/true);  // the one end's reset is the other's
      if (got == 0) {
        pipe->ended = true;
        break;
      }
      absl::Duration due = now + rules_.delay;
      if (rules_.jitter > absl::ZeroDuration())
        due += rules_.jitter * std::uniform_real_distribution<double>(0, 1)(connection->random);
      due = std::max(due, pipe->last_due);  // TCP keeps the order
      pipe->last_due = due;
      if (due > now) ++counts_.delayed;
      pipe->queue.push_back({due, std::string(buffer, static_cast<size_t>(got))});
      pipe->queued += static_cast<size_t>(got);
    }
    pipe->more = !pipe->ended && !connection->silent && pipe->queued >= kQueuedMax;
    if (rate > 0) {
      const double bytes_per_second = static_cast<double>(rate);
      pipe->allowance += bytes_per_second * absl::ToDoubleSeconds(now - pipe->refilled);
      pipe->allowance = std::min(pipe->allowance, std::max<double>(kSegment, bytes_per_second * absl::ToDoubleSeconds(kBurst)));
    }
    pipe->refilled = now;
    while (!pipe->queue.empty() && !connection->silent && pipe->queue.front().due <= now) {
      const std::string& bytes = pipe->queue.front().bytes;
      const size_t size = pipe->Allowed(rate);
      if (size < bytes.size() - pipe->written && !std::exchange(pipe->held_back, true)) ++counts_.held_back;
      if (size == 0) break;
      const ssize_t sent = send(pipe->to, bytes.data() + pipe->written, size, MSG_NOSIGNAL);
      if (sent < 0 && (WouldBlock() || errno == ENOTCONN || errno == EINTR)) break;
      if (sent < 0) return End(connection, /*reset=*/true);
      pipe->allowance -= rate > 0 ? static_cast<double>(sent) : 0;
      pipe->written += static_cast<size_t>(sent);
      pipe->queued -= static_cast<size_t>(sent);
      (down ? counts_.down_bytes : counts_.up_bytes) += sent;
      connection->passed += sent;
      if (pipe->written == bytes.size()) {
        pipe->queue.pop_front();
        pipe->written = 0;
      }
      if (connection->reset_at >= 0 && connection->passed >= connection->reset_at) {
        ++counts_.resets;
        return End(connection, /*reset=*/true);
      }
      if (connection->silent_at >= 0 && connection->passed >= connection->silent_at && !connection->silent) {
        connection->silent = true;
        ++counts_.silenced;
      }
    }
    if (pipe->ended && pipe->queue.empty() && !pipe->shut && !connection->silent) {
      pipe->shut = true;
      shutdown(pipe->to, SHUT_WR);
    }
  }
  if (connection->down.shut && connection->up.shut) End(connection, /*reset=*/false);
}

void Proxy::End(Connection* connection, bool reset) {
  const linger now{1, 0};
  for (int* fd : {&connection->client, &connection->upstream}) {
    if (*fd < 0) continue;
    if (reset) setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(*fd);
    *fd = -1;
  }
  connection->gone = true;
}

absl::Duration Proxy::NextDue() const {
  const absl::Duration now = clock_->Monotonic();
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& connection : connections_) {
    if (connection->silent) continue;
    for (const Pipe* pipe : {&connection->down, &connection->up}) {
      if (pipe->more && pipe->queued < kQueuedMax) return absl::ZeroDuration();
      if (pipe->queue.empty()) continue;
      const int64_t rate = pipe == &connection->down ? rules_.down_bytes_per_second : rules_.up_bytes_per_second;
      const absl::Duration allowed = pipe->Allowed(rate) > 0 ? now : pipe->refilled + pipe->UntilAllowed(rate);
      next = std::min(next, std::max(pipe->queue.front().due, allowed) - now);
    }
  }
  return next;
}

void Proxy::Turn(absl::Duration at_most) {
  epoll_event events[64];
  absl::Duration wait = std::min(at_most, NextDue());
  // Due now and not gone means that the other end takes nothing: its edge will tell.
  if (wait <= absl::ZeroDuration()) wait = absl::Milliseconds(1);
  const auto millis = static_cast<int>(absl::ToInt64Milliseconds(wait + absl::Microseconds(999)));
  const int count = epoll_wait(epoll_, events, std::size(events), millis);
  bool arrived = false;
  for (int i = 0; i < count; ++i) {
    auto* const connection = static_cast<Connection*>(events[i].data.ptr);
    arrived |= connection == nullptr;  // the listener's
    if (connection != nullptr) connection->woken = true;
  }
  if (arrived) Accept();
  for (const auto& connection : connections_) {
    if (connection->HasSomething()) Move(connection.get());
  }
  std::erase_if(connections_, [](const auto& connection) { return connection->gone; });
}

void Proxy::ResetAll() {
  for (const auto& connection : connections_) {
    ++counts_.resets;
    End(connection.get(), /*reset=*/true);
  }
  connections_.clear();
}

void Proxy::SilenceAll() {
  for (const auto& connection : connections_) {
    counts_.silenced += connection->silent ? 0 : 1;
    connection->silent = true;
  }
}

Counts Proxy::counts() const {
  Counts counts = counts_;
  counts.open = static_cast<int64_t>(connections_.size());
  return counts;
}

}  // namespace hub::faults
