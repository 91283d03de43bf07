#include "libs/client/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/check.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/listen_sockets.h"
#include "libs/rpc/tls.h"

namespace hub::client {
namespace {

// A batch of the hub may hold up to 16 MiB that the client has not acknowledged; one message is smaller.
constexpr int kMessageBytesMax = 16 << 20;
// base * 2^30 is beyond every cap.
constexpr int kAttemptMax = 30;

grpc::ChannelArguments Arguments(const ConnectionOptions& options) {
  static std::atomic<int> next_channel{0};  // relaxed: only has to differ
  grpc::ChannelArguments arguments;
  arguments.SetInt("fraudhub.channel", next_channel.fetch_add(1, std::memory_order_relaxed));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no bound: idle streams send no data
  // Who calls decides when to try again (Backoff); gRPC's own pauses, up to two minutes, would come on top.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // time that one attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);  // no TXT look-ups
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  return arguments;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ConnectionOptions& options) {
  const std::string server(absl::StripAsciiWhitespace(options.server.substr(0, options.server.find(','))));
  if (rpc::IsUnixAddress(server)) {
    const std::string problem = rpc::UnixAddressProblem(server);
    if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat("server: ", problem));
    return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), Arguments(options));
  }
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == server.size()) {
    return absl::InvalidArgumentError("server: want host:port or unix:/path");
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.identity_dir.empty()) {
    HUB_ASSIGN_OR_RETURN(credentials, rpc::ClientIdentity(options.identity_dir));
  }
  return grpc::CreateCustomChannel(server, credentials, Arguments(options));
}

absl::StatusOr<Channels> Channels::Make(const ConnectionOptions& options) {
  Channels made;
  ConnectionOptions one = options;
  const std::vector<std::string> servers = absl::StrSplit(options.server, ',');
  if (servers.size() > kAddressesMax) {
    return absl::InvalidArgumentError(absl::StrCat("server: want at most ", kAddressesMax, " addresses"));
  }
  for (const std::string& server : servers) {
    one.server = server;
    HUB_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, Connect(one));
    made.channels_.push_back(std::move(channel));
  }
  made.start_ = made.at_ = RandomSeed() % made.channels_.size();
  return made;
}

bool Channels::Next() {
  at_ = (at_ + 1) % channels_.size();
  failed_ = std::min(failed_ + 1, channels_.size());
  return failed_ == channels_.size();
}

Backoff::Backoff(absl::Duration base, absl::Duration cap, uint64_t seed) : base_(base), cap_(cap), random_(seed) {
  HUB_CHECK(base > absl::ZeroDuration() && cap >= base);
}

absl::Duration Backoff::Next(absl::Duration server_hint) {
  const absl::Duration limit = std::min(cap_, base_ * static_cast<double>(int64_t{1} << attempt_));
  attempt_ = std::min(attempt_ + 1, kAttemptMax);
  // splitmix64
  uint64_t z = random_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  const double share = static_cast<double>(z >> 11) / static_cast<double>(uint64_t{1} << 53);
  return std::max(server_hint, absl::ZeroDuration()) + limit * share;
}

void Backoff::Reset() { attempt_ = 0; }

uint64_t RandomSeed() {
  const std::string bytes = base::RandomBytes(sizeof(uint64_t));
  uint64_t seed;
  std::memcpy(&seed, bytes.data(), sizeof(seed));
  return seed;
}

}  // namespace hub::client
