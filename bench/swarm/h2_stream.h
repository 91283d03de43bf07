// One gRPC stream over one TLS connection, read by hand: just enough HTTP/2 (RFC 9113) and HPACK (RFC 7541, literals only) for a client
// that opens a bidi stream, drains messages and sends a few small ones. A gRPC client costs as much as the server under test;
// this costs a fraction.
//
// Not thread-safe: one thread, readiness told by epoll. Huge receive windows are announced, so the server is never held back by
// flow control but only by a reader that doesn't read.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace hub::swarm {

class H2Stream {
 public:
  // `context`: client certificate and trust, ALPN h2; null = clear text. Borrowed.
  H2Stream(SSL_CTX* context, const sockaddr_in& server, std::string path,
           std::function<void(absl::string_view)> on_message);
  ~H2Stream();
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  // Starts connecting; messages sent before the connection is up are kept.
  absl::Status Connect();
  void Send(absl::string_view message);
  // The socket may be ready. An error: the stream is over (its text says how); destroy the object.
  absl::Status OnReady();

  int fd() const { return fd_; }
  bool wants_write() const;
  bool open() const { return open_; }

 private:
  absl::Status Handshake();
  absl::Status Flush();
  absl::Status ReadAll();
  absl::StatusOr<size_t> ReadSome(char* to, size_t room);
  absl::Status ParseFrames(absl::string_view in, size_t* taken);
  void QueueFrame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload);
  void QueuePreface();
  void TakeMessages(absl::string_view payload);

  SSL_CTX* const context_;
  const sockaddr_in server_;
  const std::string path_;
  const std::function<void(absl::string_view)> on_message_;
  int fd_ = -1;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  bool open_ = false;  // TLS is up and the request has been queued
  bool tls_wants_write_ = false;
  std::string out_;  // bytes to write
  size_t out_done_ = 0;
  std::string before_open_;  // DATA frames queued before the connection was up
  std::string in_;           // frames not parsed yet
  std::string message_;      // gRPC messages not complete yet
  int64_t unreturned_ = 0;   // flow-control credit to give back
};

}  // namespace hub::swarm
