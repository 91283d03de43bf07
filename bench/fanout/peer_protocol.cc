#include "bench/fanout/peer_protocol.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/swarm/wire_scan.h"

namespace hub::bench {
namespace {

// The line that begins at `at`, without its end; `next`: what follows it. False: not complete.
bool Line(absl::string_view bytes, size_t at, absl::string_view* line, size_t* next) {
  const void* end = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
  if (end == nullptr) return false;
  const auto size = static_cast<size_t>(static_cast<const char*>(end) - (bytes.data() + at));
  *line = bytes.substr(at, size > 0 ? size - 1 : 0);
  *next = at + size + 1;
  return true;
}

// The number at the end of the line.
size_t LastNumber(absl::string_view line) {
  size_t number = 0, scale = 1;
  for (size_t i = line.size(); i > 0 && line[i - 1] >= '0' && line[i - 1] <= '9'; --i, scale *= 10) {
    number += static_cast<size_t>(line[i - 1] - '0') * scale;
  }
  return number;
}

class Nats final : public PeerProtocol {
 public:
  std::string Greeting() const override {
    return absl::StrCat("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB ", kSubject, " 1\r\nPING\r\n");
  }
  int64_t Take(absl::string_view bytes, const std::function<void(absl::string_view)>& sink) override {
    size_t at = 0;
    absl::string_view line;
    for (size_t next = 0; at < bytes.size() && Line(bytes, at, &line, &next);) {
      if (absl::StartsWith(line, "MSG ")) {
        const size_t size = LastNumber(line);
        if (next + size + 2 > bytes.size()) break;
        sink(bytes.substr(next, size));
        at = next + size + 2;
        continue;
      }
      if (absl::StartsWith(line, "-ERR")) return -1;
      if (line == "PONG") subscribed_ = true;
      at = next;  // INFO, PONG; the server's PING comes after minutes only
    }
    return static_cast<int64_t>(at);
  }
};

class Redis final : public PeerProtocol {
 public:
  std::string Greeting() const override {
    return absl::StrCat("*2\r\n$9\r\nSUBSCRIBE\r\n$", std::strlen(kSubject), "\r\n", kSubject, "\r\n");
  }
  int64_t Take(absl::string_view bytes, const std::function<void(absl::string_view)>& sink) override {
    size_t at = 0;
    while (at < bytes.size()) {
      absl::string_view line, kind;
      size_t next = 0;
      if (bytes[at] != '*') return -1;
      if (!Line(bytes, at, &line, &next)) break;
      if (!Line(bytes, next, &line, &next)) break;  // $7
      if (!Line(bytes, next, &kind, &next)) break;  // message
      if (!Line(bytes, next, &line, &next)) break;  // $6
      if (!Line(bytes, next, &line, &next)) break;  // events
      if (!Line(bytes, next, &line, &next)) break;  // $LEN, or :1 of the answer to SUBSCRIBE
      if (kind == "subscribe") {
        subscribed_ = true;
        at = next;
        continue;
      }
      const size_t size = LastNumber(line);
      if (next + size + 2 > bytes.size()) break;
      sink(bytes.substr(next, size));
      at = next + size + 2;
    }
    return static_cast<int64_t>(at);
  }
};

class Raw final : public PeerProtocol {
 public:
  Raw() { subscribed_ = true; }
  std::string Greeting() const override { return ""; }
  int64_t Take(absl::string_view bytes, const std::function<void(absl::string_view)>& sink) override {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    const char* done = at;
    while (at < end) {
      uint64_t tag = 0, size = 0;
      if (!swarm::ReadVarint(&at, end, &tag) || !swarm::ReadVarint(&at, end, &size)) break;
      if (tag != 10) return -1;
      if (size > static_cast<uint64_t>(end - at)) break;
      sink(absl::string_view(at, size));
      at += size;
      done = at;
    }
    return done - bytes.data();
  }
};

}  // namespace

std::unique_ptr<PeerProtocol> NatsProtocol() { return std::make_unique<Nats>(); }
std::unique_ptr<PeerProtocol> RedisProtocol() { return std::make_unique<Redis>(); }
std::unique_ptr<PeerProtocol> RawProtocol() { return std::make_unique<Raw>(); }

}  // namespace hub::bench
