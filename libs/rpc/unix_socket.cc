#include "libs/rpc/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/descriptor.h"
#include "libs/base/status_macros.h"

namespace hub::rpc {
namespace {

constexpr absl::string_view kScheme = "unix:";
constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;  // the kernel's, less the zero at its end
constexpr mode_t kMode = 0660;

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

sockaddr_un NameOf(const std::string& path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  return name;
}

absl::Status Failure(const std::string& path, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(kScheme, path, ": ", what));
}

int Bind(int fd, const sockaddr_un& name) {
  return bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 ? 0 : errno;
}

// REQUIRES: the folder's lock is held: nobody else replaces the file meanwhile.
absl::Status RemoveStale(const std::string& path, const sockaddr_un& name) {
  struct stat there = {};
  if (lstat(path.c_str(), &there) != 0) return errno == ENOENT ? absl::OkStatus() : Failure(path, std::strerror(errno));
  if (!S_ISSOCK(there.st_mode))
    return Failure(path, "something else than a socket is there; remove it, or set another path");
  const base::Descriptor probe(NewSocket());
  if (probe.get() < 0) return Failure(path, std::strerror(errno));
  const bool connected = connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  if (connected || errno == EAGAIN) return Failure(path, "another process listens there");
  if (errno != ECONNREFUSED) return Failure(path, std::strerror(errno));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failure(path, std::strerror(errno));
  return absl::OkStatus();
}

}  // namespace

bool IsUnixAddress(absl::string_view address) { return absl::StartsWith(address, kScheme); }

std::string UnixAddressProblem(absl::string_view address) {
  const absl::string_view path = absl::StripPrefix(address, kScheme);
  if (!absl::StartsWith(path, "/") || absl::EndsWith(path, "/")) return "want unix:/absolute/path/of/a/socket";
  if (absl::StrContains(path, ",")) return "want a path without a comma, which separates addresses";
  if (path.size() <= kPathBytesMax) return "";
  return absl::StrCat("the path has ", path.size(), " bytes, want at most ", kPathBytesMax);
}

absl::StatusOr<ListenSockets> ListenUnix(const std::string& address, int backlog) {
  if (const std::string problem = UnixAddressProblem(address); !problem.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": ", problem));
  }
  const std::string path(absl::StripPrefix(address, kScheme));
  const sockaddr_un name = NameOf(path);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  // Locked while the file changes hands: of two that start at once, the later finds the earlier listening.
  const base::Descriptor lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0) return Failure(path, absl::StrCat("its folder: ", std::strerror(errno)));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return Failure(path, "another process is about to listen in this folder; try again");
  base::Descriptor fd(NewSocket());
  if (fd.get() < 0) return Failure(path, std::strerror(errno));
  int error = Bind(fd.get(), name);
  if (error == EADDRINUSE) {
    HUB_RETURN_IF_ERROR(RemoveStale(path, name));
    error = Bind(fd.get(), name);
  }
  if (error != 0) return Failure(path, std::strerror(error));
  // Nobody can connect before listen, so the file is never open to more than these.
  struct stat made = {};
  if (chmod(path.c_str(), kMode) != 0 || ::listen(fd.get(), backlog) != 0 || lstat(path.c_str(), &made) != 0) {
    error = errno;
    unlink(path.c_str());
    return Failure(path, std::strerror(error));
  }
  ListenSockets sockets;
  sockets.descriptors.push_back(fd.Release());
  sockets.file = {path, made.st_dev, made.st_ino};
  return sockets;
}

bool IsThere(const SocketFile& file) {
  struct stat there = {};
  if (lstat(file.path.c_str(), &there) != 0) return errno != ENOENT && errno != ENOTDIR;
  return there.st_dev == file.device && there.st_ino == file.inode;
}

void RemoveSocketFile(const SocketFile& file) {
  struct stat there = {};
  if (file.path.empty() || lstat(file.path.c_str(), &there) != 0) return;
  if (there.st_dev == file.device && there.st_ino == file.inode) unlink(file.path.c_str());
}

}  // namespace hub::rpc
