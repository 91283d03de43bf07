// How the SDK reaches a hub: address, identity, and the back-off shared by its parts.
//
// Thread safety: Connect may be called from any thread; a Backoff belongs to one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}

namespace hub::client {

struct ConnectionOptions {  // as fraudhub::Connection has it
  std::string server;
  std::string identity_dir;
  std::string server_name;
};

// One connection to each address of `server`, made when it is first turned to. A call that failed turns to the next; which one comes
// first is drawn, so that many clients spread.
//
// Thread safety: one thread at a time; at() from any.
class Channels {
 public:
  static constexpr size_t kAddressesMax = 64;
  // InvalidArgument as of Connect, whichever address it is about, and for more than kAddressesMax.
  static absl::StatusOr<Channels> Make(const ConnectionOptions& options);
  const std::shared_ptr<grpc::Channel>& current() const { return channels_[at_]; }
  // Counted from where this client begins, and round.
  const std::shared_ptr<grpc::Channel>& at(size_t i) const { return channels_[(start_ + i) % channels_.size()]; }
  // True: every address has had its turn since the last success.
  bool Next();
  void NoteSuccess() { failed_ = 0; }
  size_t size() const { return channels_.size(); }

 private:
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  size_t start_ = 0;
  size_t at_ = 0;
  size_t failed_ = 0;
};

// To the first address of `server`. Each call makes a TCP connection of its own (channels with equal arguments would share one). It
// doesn't wait for it to stand: InvalidArgument for a bad address or identity, everything else shows on the first call.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options);

// Exponential with full jitter: the n-th pause is uniform in [0, min(cap, base * 2^n)]. A hint from the server comes on top: nobody is
// back before it, and those who got the same hint are not back all at once.
class Backoff {
 public:
  // REQUIRES: base > 0, cap >= base.
  Backoff(absl::Duration base, absl::Duration cap, uint64_t seed);
  absl::Duration Next(absl::Duration server_hint = absl::ZeroDuration());
  void Reset();

 private:
  const absl::Duration base_;
  const absl::Duration cap_;
  uint64_t random_;
  int attempt_ = 0;
};

// A seed that differs from client to client.
uint64_t RandomSeed();

}  // namespace hub::client
