#include "services/hubctl/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace hub::hubctl {
namespace {

absl::Status Failed(const std::string& path, const char* what) {
  return absl::InternalError(absl::StrCat(path, ": can't be ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::string> TokenFile::Load() const {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return std::string();
  std::stringstream text;
  text << file.rdbuf();
  std::string token;
  const std::string line(absl::StripAsciiWhitespace(text.str()));
  if (line.empty() || !absl::Base64Unescape(line, &token)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": holds no token of a watch; give another file, or remove it to start afresh"));
  }
  return token;
}

absl::Status TokenFile::Save(const std::string& token) const {
  const std::string fresh = path_ + ".new";
  const std::string line = absl::Base64Escape(token) + "\n";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(fresh, "written");
  const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(fd) == 0;
  if (close(fd) != 0 || !written) return Failed(fresh, "written");
  if (rename(fresh.c_str(), path_.c_str()) != 0) return Failed(path_, "replaced");
  return absl::OkStatus();
}

}  // namespace hub::hubctl
