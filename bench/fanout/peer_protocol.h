// The little of the peers' protocols that a subscriber needs: what to say first, and where the payloads are in what comes back.
//
// Not thread-safe: one object per connection.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace hub::bench {

class PeerProtocol {
 public:
  virtual ~PeerProtocol() = default;
  // To be sent as soon as the connection is up.
  virtual std::string Greeting() const = 0;
  // Takes whole messages off the front of `bytes` and returns how much that was; payloads go to `sink`. -1: not this protocol.
  virtual int64_t Take(absl::string_view bytes, const std::function<void(absl::string_view)>& sink) = 0;
  // The server has said that the subscription stands.
  bool subscribed() const { return subscribed_; }

 protected:
  bool subscribed_ = false;
};

inline constexpr char kSubject[] = "events";

std::unique_ptr<PeerProtocol> NatsProtocol();
std::unique_ptr<PeerProtocol> RedisProtocol();
// The raw server (raw_server.cc): fields of SubscribeResponse one after another, no greeting.
std::unique_ptr<PeerProtocol> RawProtocol();

}  // namespace hub::bench
