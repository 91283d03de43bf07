// The floor that every fan-out is compared with: one thread, epoll and send, the same bytes to every connection, in chunks of so many
// events as the hub puts in a message. No protocol, no filter, no acknowledgement, no memory of anybody.
//
//   bench_raw_server --batch 128
// Prints `port=N`. Connections that say nothing are subscribers; one that sends eight bytes, a number of events, starts the flood to all
// of them. Ends with SIGTERM.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "bench/fanout/load_event.h"

namespace {

struct Peer {
  int fd = -1;
  int64_t left = 0;  // bytes of the flood
  size_t at = 0;     // in the chunk
};

class RawServer {
 public:
  explicit RawServer(int batch) {
    for (int i = 0; i < batch; ++i) {
      chunk_ += hub::bench::MakePublicSlice(1'000'000, absl::UnixEpoch() + absl::Hours(24 * 365 * 55));
      event_bytes_ = chunk_.size() / static_cast<size_t>(i + 1);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 4096) != 0) {
      std::perror("bench_raw_server");
      std::exit(1);
    }
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("port=%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    Watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
  }

  [[noreturn]] void Run() {
    std::vector<epoll_event> ready(512);
    while (true) {
      const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = ready[static_cast<size_t>(i)];
        if (event.data.fd == listener_) {
          Accept();
        } else if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
          Hear(event.data.fd);
        } else {
          Push(&peers_[static_cast<size_t>(event.data.fd)]);
        }
      }
    }
  }

 private:
  void Watch(int what, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_, what, fd, &event);
  }
  void Accept() {
    int fd;
    while ((fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (peers_.size() <= static_cast<size_t>(fd)) peers_.resize(static_cast<size_t>(fd) + 1);
      peers_[static_cast<size_t>(fd)] = {.fd = fd};
      Watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
  }
  void Hear(int fd) {
    uint64_t events = 0;
    if (recv(fd, &events, sizeof events, 0) != sizeof events) {
      close(fd);
      peers_[static_cast<size_t>(fd)] = {};
      return;
    }
    for (Peer& peer : peers_) {
      if (peer.fd < 0 || peer.fd == fd) continue;
      peer.left = static_cast<int64_t>(events * event_bytes_);
      peer.at = 0;
      Watch(EPOLL_CTL_MOD, peer.fd, EPOLLIN | EPOLLOUT);
    }
  }
  // One chunk, then the next peer's turn: as a fan-out that serves all alike.
  void Push(Peer* peer) {
    const size_t size = std::min(chunk_.size() - peer->at, static_cast<size_t>(peer->left));
    const ssize_t sent = send(peer->fd, chunk_.data() + peer->at, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    peer->left -= sent;
    peer->at = (peer->at + static_cast<size_t>(sent)) % chunk_.size();
    if (peer->left == 0) Watch(EPOLL_CTL_MOD, peer->fd, EPOLLIN);
  }

  std::string chunk_;
  size_t event_bytes_ = 0;
  int listener_ = -1, epoll_ = -1;
  std::vector<Peer> peers_;  // by fd
};

}  // namespace

int main(int argc, char** argv) {
  int batch = 128;
  CLI::App app{"Sends the same bytes to every connection."};
  app.add_option("--batch", batch, "events in a chunk")->check(CLI::Range(1, 4096));
  CLI11_PARSE(app, argc, argv);
  RawServer(batch).Run();
}
