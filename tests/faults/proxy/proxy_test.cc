// Real sockets on loopback; the clock of the proxy is the test's, where time matters.
#include "tests/faults/proxy/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/catch.h"

namespace hub::faults {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A server that the test plays, and a proxy before it.
class Line {
 public:
  explicit Line(absl::string_view rules_text, uint64_t seed = 1) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener_, 64) == 0);
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    Rules rules;
    REQUIRE(ParseRules(rules_text, &rules).ok());
    auto proxy = Proxy::Create(&clock_, 0, absl::StrCat("127.0.0.1:", ntohs(address.sin_port)), rules, seed);
    REQUIRE(proxy.ok());
    proxy_ = *std::move(proxy);
  }
  ~Line() {
    for (const int fd : {client_, server_, listener_}) {
      if (fd >= 0) close(fd);
    }
  }
  void Connect() {
    if (client_ >= 0) close(client_);
    if (server_ >= 0) close(server_);
    server_ = -1;
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const sockaddr_in address = Loopback(proxy_->port());
    (void)connect(client_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    for (int turn = 0; turn < 1000 && server_ < 0; ++turn) {
      proxy_->Turn(absl::Milliseconds(1));
      server_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
  }
  void Turns(int count = 20) {
    for (int i = 0; i < count; ++i) proxy_->Turn(absl::Milliseconds(1));
  }
  // What has come to `fd`; `*ended` is 0 for not, 1 for an orderly end, else errno.
  static std::string Take(int fd, int* ended = nullptr) {
    std::string bytes;
    char buffer[65536];
    while (true) {
      const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got > 0) {
        bytes.append(buffer, static_cast<size_t>(got));
        continue;
      }
      if (ended != nullptr) *ended = got == 0 ? 1 : errno == EAGAIN ? 0 : errno;
      return bytes;
    }
  }
  static void Put(int fd, const std::string& bytes) { REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0); }

  base::ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  std::unique_ptr<Proxy> proxy_;
  int listener_ = -1, client_ = -1, server_ = -1;
};

TEST_CASE("the proxy passes bytes both ways and the end of each", "[faults][proxy]") {
  Line line("");
  line.Connect();
  Line::Put(line.client_, "question");
  Line::Put(line.server_, "answer");
  line.Turns();
  CHECK(Line::Take(line.server_) == "question");
  CHECK(Line::Take(line.client_) == "answer");
  shutdown(line.server_, SHUT_WR);
  line.Turns();
  int ended = 0;
  Line::Take(line.client_, &ended);
  CHECK(ended == 1);
  Line::Put(line.client_, "more");  // the other direction goes on
  line.Turns();
  CHECK(Line::Take(line.server_) == "more");
}

TEST_CASE("segments are as small as a network's", "[faults][proxy]") {
  Line line("");
  line.Connect();
  for (const int fd : {line.client_, line.server_}) {
    int segment = 0;
    socklen_t size = sizeof segment;
    REQUIRE(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &size) == 0);
    CHECK(segment <= 1448);
  }
}

TEST_CASE("bytes come no sooner than the delay says", "[faults][proxy]") {
  Line line("delay=200ms");
  line.Connect();
  Line::Put(line.server_, "slow");
  line.Turns();
  line.clock_.Advance(absl::Milliseconds(199));
  line.Turns();
  CHECK(Line::Take(line.client_) == "");
  line.clock_.Advance(absl::Milliseconds(1));
  line.Turns();
  CHECK(Line::Take(line.client_) == "slow");
  CHECK(line.proxy_->counts().delayed > 0);
}

TEST_CASE("bandwidth is bounded, and the sender feels it", "[faults][proxy]") {
  Line line("down=8000");
  line.Connect();
  const std::string block(16 * 1024, 'x');
  size_t put = 0, taken = 0;
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 20; ++i) {
      const ssize_t sent = send(line.server_, block.data(), block.size(), MSG_NOSIGNAL);
      if (sent > 0) put += static_cast<size_t>(sent);
      line.Turns(2);
      line.clock_.Advance(absl::Milliseconds(50));
      taken += Line::Take(line.client_).size();
    }
  }
  CHECK(taken > 70'000);
  CHECK(taken <= 80'000);
  CHECK(put < size_t{20} << 20);
  CHECK(line.proxy_->counts().held_back > 0);
}

TEST_CASE("a slow line brings packets, not bytes", "[faults][proxy]") {
  Line line("down=8000");
  line.Connect();
  Line::Put(line.server_, std::string(2000, 'x'));
  std::vector<size_t> came;
  for (int i = 0; i < 60; ++i) {
    line.Turns(2);
    line.clock_.Advance(absl::Milliseconds(5));
    if (const size_t size = Line::Take(line.client_).size(); size > 0) came.push_back(size);
  }
  REQUIRE(came.size() == 2);
  CHECK(came[0] >= 1448);
  CHECK(came[0] + came[1] == 2000);
}

TEST_CASE("a silent connection passes nothing and ends nothing", "[faults][proxy]") {
  Line line("");
  line.Connect();
  line.proxy_->SilenceAll();
  Line::Put(line.client_, "hello?");
  shutdown(line.server_, SHUT_WR);
  line.Turns();
  int ended = 0;
  CHECK(Line::Take(line.server_) == "");
  Line::Take(line.client_, &ended);
  CHECK(ended == 0);
  CHECK(line.proxy_->counts().silenced == 1);
  line.Connect();  // another one is well
  Line::Put(line.client_, "hello");
  line.Turns();
  CHECK(Line::Take(line.server_) == "hello");
}

TEST_CASE("a reset reaches both ends as one", "[faults][proxy]") {
  Line line("");
  line.Connect();
  line.proxy_->ResetAll();
  int client = 0, server = 0;
  Line::Take(line.client_, &client);
  Line::Take(line.server_, &server);
  CHECK(client == ECONNRESET);
  CHECK(server == ECONNRESET);
}

TEST_CASE("the same seed strikes the same connections at the same places", "[faults][proxy]") {
  const auto fates = [](uint64_t seed) {
    Line line("reset=0.5 after=1000", seed);
    std::string text;
    for (int i = 0; i < 12; ++i) {
      line.Connect();
      int64_t before = line.proxy_->counts().up_bytes;
      for (int part = 0; part < 12; ++part) {
        (void)send(line.client_, std::string(100, 'x').data(), 100, MSG_NOSIGNAL);
        line.Turns(3);
      }
      absl::StrAppend(&text, line.proxy_->counts().up_bytes - before, ",");
    }
    return text;
  };
  CHECK(fates(7) == fates(7));
  CHECK(fates(7) != fates(8));
}

TEST_CASE("who is refused is reset", "[faults][proxy]") {
  Line line("");
  line.proxy_->Refuse(true);
  line.client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_in address = Loopback(line.proxy_->port());
  (void)connect(line.client_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  line.Turns();
  int ended = 0;
  Line::Take(line.client_, &ended);
  CHECK(ended == ECONNRESET);
}

TEST_CASE("a rule that is none is refused", "[faults][proxy]") {
  Rules rules;
  for (const char* text : {"slow", "delay=fast", "down=", "reset=often"}) {
    INFO(text);
    CHECK_FALSE(ParseRules(text, &rules).ok());
  }
}

}  // namespace
}  // namespace hub::faults
