#include "bench/swarm/h2_stream.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/base/internal/endian.h"
#include "absl/strings/str_cat.h"

namespace hub::swarm {
namespace {

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7, kWindowUpdate = 8;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr uint32_t kWindow = 0x7fffffff;
constexpr int64_t kReturnCreditAt = 1 << 28;
constexpr size_t kReadMax = 256 * 1024;

std::string Big32(uint32_t value) {
  std::string bytes(4, '\0');
  absl::big_endian::Store32(bytes.data(), value);
  return bytes;
}

// A literal field without indexing and without Huffman coding; names and values here are shorter than 127 bytes.
void AppendHeader(absl::string_view name, absl::string_view value, std::string* block) {
  block->push_back('\0');
  block->push_back(static_cast<char>(name.size()));
  block->append(name.data(), name.size());
  block->push_back(static_cast<char>(value.size()));
  block->append(value.data(), value.size());
}

std::string Setting(uint16_t id, uint32_t value) {
  std::string bytes(2, '\0');
  absl::big_endian::Store16(bytes.data(), id);
  return bytes + Big32(value);
}

// Why the last call of OpenSSL failed.
std::string TlsReason() {
  const char* const reason = ERR_reason_error_string(ERR_get_error());
  return reason == nullptr ? "connection closed" : reason;
}

}  // namespace

H2Stream::H2Stream(SSL_CTX* context, const sockaddr_in& server, std::string path,
                   std::function<void(absl::string_view)> on_message)
    : context_(context), server_(server), path_(std::move(path)), on_message_(std::move(on_message)) {}

H2Stream::~H2Stream() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  if (fd_ >= 0) close(fd_);
}

absl::Status H2Stream::Connect() {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return absl::ResourceExhaustedError("no socket: raise the limit of open files (ulimit -n)");
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0 && errno != EINPROGRESS) {
    return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(errno)));
  }
  if (context_ != nullptr) {
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    SSL_set_tlsext_host_name(ssl_, "localhost");
    SSL_set_connect_state(ssl_);
  }
  return absl::OkStatus();
}

void H2Stream::QueueFrame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  std::string& to = type == kData && !open_ ? before_open_ : out_;
  const auto size = static_cast<uint32_t>(payload.size());
  const char head[5] = {static_cast<char>(size >> 16), static_cast<char>(size >> 8), static_cast<char>(size),
                        static_cast<char>(type), static_cast<char>(flags)};
  to.append(head, sizeof head);
  to.append(Big32(stream));
  to.append(payload.data(), payload.size());
}

void H2Stream::QueuePreface() {
  out_.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  // Header table size 0: nothing of the server's headers has to be remembered. Push off, largest windows.
  QueueFrame(kSettings, 0, 0, Setting(1, 0) + Setting(2, 0) + Setting(4, kWindow) + Setting(5, 1 << 20));
  QueueFrame(kWindowUpdate, 0, 0, Big32(kWindow - 65535));
  std::string block;
  AppendHeader(":method", "POST", &block);
  AppendHeader(":scheme", context_ != nullptr ? "https" : "http", &block);
  AppendHeader(":path", path_, &block);
  AppendHeader(":authority", "localhost", &block);
  AppendHeader("te", "trailers", &block);
  AppendHeader("content-type", "application/grpc", &block);
  QueueFrame(kHeaders, kEndHeaders, 1, block);
  out_.append(before_open_);
  before_open_.clear();
  open_ = true;
}

void H2Stream::Send(absl::string_view message) {
  std::string framed(1, '\0');
  framed += Big32(static_cast<uint32_t>(message.size()));
  framed.append(message.data(), message.size());
  QueueFrame(kData, 0, 1, framed);
}

bool H2Stream::wants_write() const { return !connected_ || tls_wants_write_ || out_done_ < out_.size(); }

absl::Status H2Stream::Handshake() {
  if (!connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(error)));
    connected_ = true;
  }
  if (ssl_ == nullptr) {
    QueuePreface();
    return absl::OkStatus();
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  tls_wants_write_ = false;
  if (result == 1) {
    QueuePreface();
    return absl::OkStatus();
  }
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return absl::OkStatus();
  if (error == SSL_ERROR_WANT_WRITE) {
    tls_wants_write_ = true;
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("TLS handshake: ", TlsReason()));
}

absl::Status H2Stream::Flush() {
  while (out_done_ < out_.size()) {
    const char* data = out_.data() + out_done_;
    const size_t left = out_.size() - out_done_;
    ssize_t written;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      written = SSL_write(ssl_, data, static_cast<int>(left));
      if (written <= 0) {
        const int error = SSL_get_error(ssl_, static_cast<int>(written));
        if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) return absl::OkStatus();
        return absl::UnavailableError(absl::StrCat("write: ", TlsReason()));
      }
    } else {
      written = send(fd_, data, left, MSG_NOSIGNAL);
      if (written < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return absl::OkStatus();
        return absl::UnavailableError(absl::StrCat("write: ", std::strerror(errno)));
      }
    }
    out_done_ += static_cast<size_t>(written);
  }
  out_.clear();
  out_done_ = 0;
  return absl::OkStatus();
}

absl::Status H2Stream::ReadAll() {
  // Of all streams of a thread, so that what is read is taken apart where it lands; what is left of a frame is kept in in_. Larger than the
  // largest frame, and as much again.
  alignas(64) static thread_local char buffer[4 << 20];
  size_t end = in_.size();
  std::memcpy(buffer, in_.data(), end);
  size_t begin = 0;
  absl::Status status = absl::OkStatus();
  // Bounded, so that one busy stream can't starve the others; level-triggered epoll brings us back. But not to what OpenSSL has read ahead.
  for (int turn = 0; turn < 8 || (ssl_ != nullptr && SSL_has_pending(ssl_) == 1); ++turn) {
    if (sizeof buffer - end < sizeof buffer / 2) {
      std::memmove(buffer, buffer + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    const absl::StatusOr<size_t> got = ReadSome(buffer + end, std::min(sizeof buffer - end, kReadMax));
    if (!got.ok() || *got == 0) {
      status = got.status();
      break;
    }
    end += *got;
    status = ParseFrames(absl::string_view(buffer + begin, end - begin), &begin);
    if (!status.ok()) break;
    if (begin == end) begin = end = 0;
  }
  in_.assign(buffer + begin, end - begin);
  return status;
}

// 0: there is nothing now.
absl::StatusOr<size_t> H2Stream::ReadSome(char* to, size_t room) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int got = SSL_read(ssl_, to, static_cast<int>(room));
    if (got > 0) return static_cast<size_t>(got);
    const int error = SSL_get_error(ssl_, got);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    return absl::UnavailableError(TlsReason());
  }
  const ssize_t got = recv(fd_, to, room, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got == 0) return absl::UnavailableError("connection closed");
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  return absl::UnavailableError(absl::StrCat("read: ", std::strerror(errno)));
}

// Adds to `taken` the bytes of the whole frames.
absl::Status H2Stream::ParseFrames(absl::string_view in, size_t* taken) {
  size_t at = 0;
  absl::Status ended = absl::OkStatus();
  while (in.size() - at >= 9 && ended.ok()) {
    const auto* head = reinterpret_cast<const uint8_t*>(in.data() + at);
    const size_t size = (size_t{head[0]} << 16) | (size_t{head[1]} << 8) | head[2];
    if (in.size() - at < 9 + size) break;
    const uint8_t type = head[3];
    const uint8_t flags = head[4];
    const absl::string_view payload(in.data() + at + 9, size);
    at += 9 + size;
    switch (type) {
      case kData:
        TakeMessages(payload);
        unreturned_ += static_cast<int64_t>(size);
        if (unreturned_ >= kReturnCreditAt) {
          QueueFrame(kWindowUpdate, 0, 0, Big32(static_cast<uint32_t>(unreturned_)));
          QueueFrame(kWindowUpdate, 0, 1, Big32(static_cast<uint32_t>(unreturned_)));
          unreturned_ = 0;
        }
        if ((flags & kEndStream) != 0) ended = absl::UnavailableError("stream ended");
        break;
      case kHeaders:
        if ((flags & kEndStream) != 0) {
          // Trailers. grpc-status is a literal; show what is printable, it is for a person.
          std::string text;
          for (const char c : payload) text.push_back(c >= ' ' && c < 0x7f ? c : ' ');
          ended = absl::UnavailableError(absl::StrCat("stream ended: ", text));
        }
        break;
      case kSettings:
        if ((flags & kAck) == 0) QueueFrame(kSettings, kAck, 0, "");
        break;
      case kPing:
        if ((flags & kAck) == 0) QueueFrame(kPing, kAck, 0, payload);
        break;
      case kReset:
        ended = absl::UnavailableError("stream reset");
        break;
      case kGoAway:
        // The server drains; what it still sends on the stream comes first.
        break;
      default:
        break;
    }
  }
  *taken += at;
  return ended;
}

// Mostly a frame holds whole messages, which are read where they stand.
void H2Stream::TakeMessages(absl::string_view payload) {
  if (!message_.empty()) {
    message_.append(payload.data(), payload.size());
    payload = message_;
  }
  size_t at = 0;
  while (payload.size() - at >= 5) {
    const size_t size = absl::big_endian::Load32(payload.data() + at + 1);
    if (payload.size() - at - 5 < size) break;
    on_message_(payload.substr(at + 5, size));
    at += 5 + size;
  }
  if (message_.empty()) {
    message_.assign(payload.data() + at, payload.size() - at);
  } else {
    message_.erase(0, at);
  }
}

absl::Status H2Stream::OnReady() {
  if (!open_) {
    if (absl::Status status = Handshake(); !status.ok()) return status;
    if (!open_) return absl::OkStatus();
  }
  if (absl::Status status = ReadAll(); !status.ok()) return status;
  return Flush();
}

}  // namespace hub::swarm
