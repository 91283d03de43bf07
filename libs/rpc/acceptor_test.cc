// The listener against real sockets on loopback; in gRPC's place stands a list of descriptors, but for the last cases.
#include "libs/rpc/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/rpc/canary.h"
#include "libs/rpc/server.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;

int OpenDescriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// A client's end.
class Client {
 public:
  explicit Client(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    name_ = absl::StrCat("ipv4:127.0.0.1:", ntohs(address.sin_port));
  }
  ~Client() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  Client& Say() {
    send(fd_, "hello", 5, MSG_NOSIGNAL);
    return *this;
  }
  // It was closed from the other side, with a reset or an end of file.
  bool IsEnded() const {
    char byte;
    const ssize_t got = recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  }
  bool IsReset() const {
    char byte;
    return recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == ECONNRESET;
  }
  const std::string& name() const { return name_; }

 private:
  int fd_;
  std::string name_;
};

class Listener {
 public:
  explicit Listener(ConnectionLimits limits = {}, const std::string& address = "127.0.0.1:0") : connections(limits, &metrics) {
    auto opened = Acceptor::Open(address, &connections, &metrics);
    REQUIRE(opened.ok());
    acceptor = *std::move(opened);
  }
  ~Listener() {
    acceptor.reset();
    CloseAll();
  }
  Listener& Start() {
    acceptor->Start([this](int fd) {
      base::MutexLock lock(&mu_);
      handed_.push_back(fd);
    });
    return *this;
  }
  size_t handed() {
    base::MutexLock lock(&mu_);
    return handed_.size();
  }
  // As gRPC does when a connection is over.
  void CloseAll() {
    base::MutexLock lock(&mu_);
    for (const int fd : handed_) {
      shutdown(fd, SHUT_RDWR);
      close(fd);
    }
    handed_.clear();
  }
  bool AwaitOpen(int count) {
    return Eventually([&] { return connections.open() == count; });
  }
  bool AwaitHanded(size_t count) {
    return Eventually([&] { return handed() == count; });
  }
  double Refused(const char* why) {
    return metrics.AddCounter("fraudhub_connections_refused_total", "", {{"why", why}}).Value();
  }
  double Ended(const char* why) { return metrics.AddCounter("fraudhub_connections_ended_total", "", {{"why", why}}).Value(); }

  base::Metrics metrics;
  Connections connections;
  std::unique_ptr<Acceptor> acceptor;

 private:
  base::Mutex mu_;
  std::vector<int> handed_ ABSL_GUARDED_BY(mu_);
};

ConnectionLimits OfAtMost(int connections) {
  ConnectionLimits limits;
  limits.connections_max = connections;
  return limits;
}

}  // namespace

TEST_CASE("What other listeners of the process may take is taken off, beyond the reserve", "[rpc][acceptor]") {
  ConnectionLimits limits;
  limits.descriptors_reserved = 100;
  base::Metrics metrics, others;
  const int alone = Connections(limits, &metrics).max();
  limits.descriptors_elsewhere = 64;
  CHECK(Connections(limits, &others).max() == alone - 32);
}

TEST_CASE("A connection is handed over when its first bytes are there, and forgotten when it ends", "[rpc][acceptor]") {
  Listener listener;
  listener.Start();
  Client silent(listener.acceptor->port()), speaker(listener.acceptor->port());
  REQUIRE(listener.AwaitOpen(2));
  CHECK(listener.handed() == 0);
  speaker.Say();
  REQUIRE(listener.AwaitHanded(1));
  silent.Close();
  CHECK(listener.AwaitOpen(1));
  // What is gRPC's ends when gRPC says so: a client that only stopped sending may still read.
  speaker.Close();
  listener.CloseAll();
  CHECK(listener.AwaitOpen(0));
}

TEST_CASE("Nothing is left over after many connections, whichever way they ended", "[rpc][acceptor]") {
  Listener listener(OfAtMost(64));
  listener.Start();
  const int before = OpenDescriptors();
  for (int round = 0; round < 30; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 12; ++i) clients.push_back(std::make_unique<Client>(listener.acceptor->port()));
    for (size_t i = 0; i < 8; ++i) clients[i]->Say();
    REQUIRE(listener.AwaitHanded(8));
    CHECK(listener.connections.Cut(clients[0]->name()));
    clients.resize(10);
    if (round % 2 == 0) clients.clear();
    listener.CloseAll();
    clients.clear();
    REQUIRE(listener.AwaitOpen(0));
  }
  CHECK(Eventually([&] { return OpenDescriptors() == before; }));
}

TEST_CASE("Without room a newcomer takes the place of the oldest that has not called, once that had its time", "[rpc][acceptor]") {
  Listener listener(OfAtMost(3));
  listener.Start();
  const int port = listener.acceptor->port();
  Client silent(port), calls(port), idle(port);
  calls.Say();
  idle.Say();
  REQUIRE(listener.AwaitHanded(2));
  listener.connections.NoteCall(calls.name());
  REQUIRE(listener.AwaitOpen(3));
  Client too_soon(port);
  CHECK(Eventually([&] { return too_soon.IsReset(); }));
  CHECK(listener.Refused("full") == 1);

  // The silent one goes first; then the one without a call; the one that called stays.
  std::vector<std::unique_ptr<Client>> later;
  const auto come = [&] {
    return Eventually([&] {
      later.push_back(std::make_unique<Client>(port));
      return !Eventually([&] { return later.back()->IsEnded(); }, absl::Milliseconds(30));
    });
  };
  REQUIRE(come());
  CHECK(Eventually([&] { return silent.IsEnded(); }));
  CHECK_FALSE(idle.IsEnded());
  later.back()->Say();
  REQUIRE(listener.AwaitHanded(3));
  listener.connections.NoteCall(later.back()->name());
  REQUIRE(come());
  CHECK(listener.Ended("made room") == 2);
  listener.CloseAll();
  CHECK(Eventually([&] { return idle.IsEnded(); }));
  CHECK(listener.AwaitOpen(1));
}

TEST_CASE("One address gets no more than its share", "[rpc][acceptor]") {
  ConnectionLimits limits;
  limits.per_source_max = 2;
  const bool exempt = GENERATE(false, true);
  limits.loopback_is_exempt = exempt;
  Listener listener(limits);
  listener.Start();
  const int port = listener.acceptor->port();
  Client first(port), second(port);
  REQUIRE(listener.AwaitOpen(2));
  Client third(port);
  if (exempt) {
    CHECK(listener.AwaitOpen(3));
    return;
  }
  CHECK(Eventually([&] { return third.IsReset(); }));
  CHECK(listener.Refused("too many of one source") == 1);
  first.Close();
  REQUIRE(listener.AwaitOpen(1));
  Client fourth(port);
  CHECK(listener.AwaitOpen(2));
  CHECK_FALSE(fourth.IsEnded());
}

TEST_CASE("Cutting ends the one connection of that peer", "[rpc][acceptor]") {
  const char* const address = GENERATE("127.0.0.1:0", "[::]:0");  // the latter takes IPv4 as well
  INFO(address);
  Listener listener({}, address);
  listener.Start();
  Client one(listener.acceptor->port()), other(listener.acceptor->port());
  one.Say();
  other.Say();
  REQUIRE(listener.AwaitHanded(2));
  CHECK_FALSE(listener.connections.Cut("ipv4:127.0.0.1:1"));
  CHECK_FALSE(listener.connections.Cut("nonsense"));
  CHECK(listener.connections.Cut(one.name()));
  CHECK(Eventually([&] { return one.IsEnded(); }));
  CHECK(listener.AwaitOpen(1));
  CHECK_FALSE(other.IsEnded());
  CHECK_FALSE(listener.connections.Cut(one.name()));
  CHECK(listener.Ended("cut") == 1);
}

TEST_CASE("Handshakes begin no faster than the rate, and who would wait too long is reset", "[rpc][acceptor]") {
  ConnectionLimits limits;
  limits.handshakes_per_second = 20;  // two at once, then one each 50 ms
  limits.queue_time_max = absl::Milliseconds(250);
  Listener listener(limits);
  const base::RealClock clock;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(listener.acceptor->port()));
    clients.back()->Say();
  }
  const absl::Duration began = clock.Monotonic();
  listener.Start();
  const auto reset = [&] {
    return std::count_if(clients.begin(), clients.end(), [](const auto& client) { return client->IsEnded(); });
  };
  REQUIRE(Eventually([&] { return reset() > 0 && static_cast<size_t>(reset()) + listener.handed() == clients.size(); }));
  const absl::Duration took = clock.Monotonic() - began;
  CHECK(listener.handed() >= 5);
  CHECK(absl::ToDoubleSeconds(took) >= (static_cast<double>(listener.handed()) - 2.5) / 20 - 0.01);
  CHECK(listener.Refused("too many wait for a handshake") == static_cast<double>(reset()));
}

TEST_CASE("Who says nothing is sent away after its time", "[rpc][acceptor]") {
  ConnectionLimits limits;
  limits.silent_max = absl::Milliseconds(100);
  Listener listener(limits);
  listener.Start();
  Client silent(listener.acceptor->port()), speaker(listener.acceptor->port());
  speaker.Say();
  CHECK(Eventually([&] { return silent.IsEnded(); }));
  CHECK_FALSE(speaker.IsEnded());
  CHECK(listener.Ended("silent") == 1);
}

TEST_CASE("Without a descriptor left those who knock are reset, and the next are served when there are some again", "[rpc][acceptor]") {
  Listener listener;
  const int port = listener.acceptor->port();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(port));
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(OpenDescriptors()) + 16;
  setrlimit(RLIMIT_NOFILE, &low);
  std::vector<int> taken;
  int one;
  while ((one = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) taken.push_back(one);
  listener.Start();
  for (const auto& client : clients) CHECK(Eventually([&] { return client->IsReset(); }));
  for (const int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(listener.Refused("no descriptor left") == 4);
  Client next(port);
  next.Say();
  CHECK(listener.AwaitHanded(1));
}

TEST_CASE("A listening socket that breaks is opened again", "[rpc][acceptor]") {
  Listener listener;
  listener.Start();
  const int port = listener.acceptor->port();
  // Finds it among the process's descriptors.
  for (int fd = 0; fd < 1024; ++fd) {
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    sockaddr_in address = {};
    size = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    if (ntohs(address.sin_port) == port) shutdown(fd, SHUT_RDWR);
  }
  const base::Counter reopened = listener.metrics.AddCounter("fraudhub_listener_reopened_total", "");
  REQUIRE(Eventually([&] { return reopened.Value() == 1; }));
  Client client(port);
  client.Say();
  CHECK(listener.AwaitHanded(1));
}

TEST_CASE("Stopping closes the listener and ends who waits, and leaves what was handed over", "[rpc][acceptor]") {
  Listener listener;
  listener.Start();
  const std::string address = absl::StrCat("127.0.0.1:", listener.acceptor->port());
  Client silent(listener.acceptor->port()), speaker(listener.acceptor->port());
  speaker.Say();
  REQUIRE(listener.AwaitHanded(1));
  listener.acceptor->StopAccepting();
  CHECK(Eventually([&] { return silent.IsEnded(); }));
  CHECK_FALSE(speaker.IsEnded());
  base::Metrics metrics;
  Connections connections({}, &metrics);
  CHECK(Acceptor::Open(address, &connections, &metrics).ok());
}

TEST_CASE("An address that can't be listened on says why", "[rpc][acceptor]") {
  base::Metrics metrics;
  Connections connections({}, &metrics);
  const auto open = [&](const std::string& address) { return Acceptor::Open(address, &connections, &metrics).status(); };
  for (const char* bad : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", ":1", "::1:7443"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(open(bad)));
  }
  auto first = Acceptor::Open("127.0.0.1:0", &connections, &metrics);
  REQUIRE(first.ok());
  const absl::Status taken = open(absl::StrCat("127.0.0.1:", (*first)->port()));
  CHECK(absl::IsUnavailable(taken));
  CHECK(absl::StrContains(taken.message(), "is the port taken"));
  CHECK(absl::IsUnavailable(open("192.0.2.1:0")));  // another machine's
}

TEST_CASE("The canary goes red when nobody answers, and green again", "[rpc][acceptor]") {
  // A listening socket alone: the kernel connects, and nobody says anything.
  base::Metrics metrics;
  Connections connections({}, &metrics);
  auto deaf = Acceptor::Open("127.0.0.1:0", &connections, &metrics);
  REQUIRE(deaf.ok());
  const std::string address = absl::StrCat("127.0.0.1:", (*deaf)->port());
  CanaryOptions options;
  options.addresses = (*deaf)->ReachableAt();
  options.tls = false;
  options.interval = options.interval_of_doubt = absl::Milliseconds(20);
  options.patience = absl::Milliseconds(100);
  Canary canary(options, &metrics, [](const PeerAddress&) {});
  const base::Gauge alive = metrics.AddGauge("fraudhub_listener_alive", "");
  CHECK(canary.Problem().empty());
  REQUIRE(Eventually([&] { return !canary.Problem().empty(); }));
  CHECK(absl::StartsWith(canary.Problem(), "listener: "));
  CHECK(alive.Value() == 0);

  deaf->reset();
  ServerOptions server_options;
  server_options.insecure_for_benches = true;
  server_options.address = address;
  auto server = Server::Start(server_options, {});
  REQUIRE(server.ok());
  CHECK(Eventually([&] { return canary.Problem().empty(); }));
  CHECK(alive.Value() == 1);
  CHECK((*server)->ListenerProblem().empty());
}

TEST_CASE("The canary is let in though there is no room", "[rpc][acceptor]") {
  base::Metrics metrics;
  Connections connections(OfAtMost(1), &metrics);
  auto acceptor = Acceptor::Open("127.0.0.1:0", &connections, &metrics);
  REQUIRE(acceptor.ok());
  (*acceptor)->Start([](int fd) {
    static const char kSettings[] = "\0\0\0\4\0\0\0\0";
    (void)!write(fd, kSettings, 9);
    shutdown(fd, SHUT_RDWR);
    close(fd);
  });
  const Client holds_it((*acceptor)->port());
  REQUIRE(Eventually([&] { return connections.open() == 1; }));
  CanaryOptions options;
  options.addresses = (*acceptor)->ReachableAt();
  options.tls = false;
  options.interval = options.interval_of_doubt = absl::Milliseconds(10);
  const Canary canary(options, &metrics, [&](const PeerAddress& from) { (*acceptor)->ExpectCanary(from); });
  const base::Counter answered =
      metrics.AddCounter("fraudhub_listener_probes_total", "", {{"result", "answered"}});
  CHECK(Eventually([&] { return answered.Value() >= 5; }));
  CHECK_FALSE(holds_it.IsEnded());
  CHECK(metrics.AddCounter("fraudhub_listener_probes_total", "", {{"result", "failed"}}).Value() == 0);
}

}  // namespace hub::rpc
