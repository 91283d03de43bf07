// The file system that holds the embedded log; with an empty path one that never fills up. Private to local_log.
//
// Thread safety: any thread, immutable.
#pragma once

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hub::eventlog::local {

class Space {
 public:
  Space(std::string path, int64_t free_bytes_min) : path_(std::move(path)), free_bytes_min_(free_bytes_min) {}
  // ResourceExhausted when there is less than the reserve.
  absl::Status Check() const {
    if (path_.empty()) return absl::OkStatus();
    struct statvfs now = {};
    if (statvfs(path_.c_str(), &now) != 0)
      return absl::UnavailableError(absl::StrCat(path_, ": ", std::strerror(errno)));
    const int64_t free_bytes = static_cast<int64_t>(now.f_bavail) * static_cast<int64_t>(now.f_frsize);
    if (free_bytes >= free_bytes_min_) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": disk full: ", free_bytes, " bytes free, want ", free_bytes_min_));
  }

 private:
  const std::string path_;
  const int64_t free_bytes_min_;
};

}  // namespace hub::eventlog::local
