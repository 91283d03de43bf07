// A crowd that takes up connections: half of them say nothing, half say a TLS client's hello and then nothing. Who is sent away comes back
// after a while.
//
//   hub_hostile_crowd PORT CONNECTIONS SECONDS SECONDS_AWAY
//
// Prints one JSON object at the end: how often it connected, was sent away, and how many it held at most.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "libs/base/clock.h"
#include "libs/rpc/canary.h"

namespace {

struct Intruder {
  int fd = -1;
  bool speaks = false, spoke = false;
  absl::Duration back_at;
};

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0) (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "hub_hostile_crowd PORT CONNECTIONS SECONDS SECONDS_AWAY\n";
    return 2;
  }
  const int port = std::atoi(argv[1]);
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const hub::base::RealClock clock;
  const absl::Duration end = clock.Monotonic() + absl::Seconds(std::atoi(argv[3]));
  const absl::Duration away = absl::Seconds(std::atof(argv[4]));
  const std::string hello = hub::rpc::TlsHello();

  std::vector<Intruder> crowd(static_cast<size_t>(std::max(std::atoi(argv[2]), 1)));
  for (size_t i = 0; i < crowd.size(); ++i) crowd[i].speaks = i % 2 == 1;
  std::vector<pollfd> watched(crowd.size());
  int connects = 0, sent_away = 0, held_most = 0;
  while (clock.Monotonic() < end) {
    const absl::Duration now = clock.Monotonic();
    for (size_t i = 0; i < crowd.size(); ++i) {
      Intruder& one = crowd[i];
      if (one.fd < 0 && now >= one.back_at && (one.fd = Connect(port)) >= 0) {
        ++connects;
        one.spoke = false;
      }
      watched[i].fd = one.fd;
      watched[i].events = static_cast<short>(one.speaks && !one.spoke ? POLLIN | POLLOUT : POLLIN);
    }
    if (poll(watched.data(), watched.size(), 50) < 0) break;
    int held = 0;
    for (size_t i = 0; i < crowd.size(); ++i) {
      Intruder& one = crowd[i];
      if (one.fd < 0) continue;
      bool gone = (watched[i].revents & (POLLERR | POLLHUP)) != 0;
      if (!gone && (watched[i].revents & POLLIN) != 0) {
        char answer[4096];
        gone = recv(one.fd, answer, sizeof(answer), 0) == 0;
      }
      if (!gone && (watched[i].revents & POLLOUT) != 0 && one.speaks && !one.spoke) {
        one.spoke = true;
        gone = send(one.fd, hello.data(), hello.size(), MSG_NOSIGNAL) < 0;
      }
      if (gone) {
        close(one.fd);
        one.fd = -1;
        one.back_at = now + away;
        ++sent_away;
      } else {
        ++held;
      }
    }
    held_most = std::max(held_most, held);
  }
  std::cout << "{\"connects\":" << connects << ",\"sent_away\":" << sent_away << ",\"held_most\":" << held_most << "}\n";
  return 0;
}
