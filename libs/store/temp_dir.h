// For tests only, of this library and of those above it: a folder of one's own, and a small disk that a test can fill up.
//
// Not thread-safe. Both clean up when they are destroyed.
#pragma once

#include <stdlib.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "libs/base/check.h"

namespace hub::store {

class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "hub-test-XXXXXX").string()) {
    HUB_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDir() {
    std::error_code ignored;  // a leftover in the temporary folder fails no test
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class SmallDisk {
 public:
  // That of another process, which outlives this one.
  struct Use {
    std::string path;
  };
  explicit SmallDisk(const Use& other) : path_(other.path) {}
  explicit SmallDisk(size_t bytes) : path_(folder_.path()) {
    const std::string size = "size=" + std::to_string(bytes);
    mounted_ = mount("tmpfs", path().c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path().c_str(), MNT_DETACH);
  }
  // False where mounting is not allowed (not root): the test then says so, aloud, and returns.
  bool ok() const { return mounted_; }
  const std::string& path() const { return path_; }
  int64_t FreeBytes() const {
    struct statvfs now = {};
    HUB_CHECK(statvfs(path().c_str(), &now) == 0);
    return static_cast<int64_t>(now.f_bavail) * static_cast<int64_t>(now.f_frsize);
  }
  // One file that takes all but `leave` bytes of what is free now.
  void Fill(int64_t leave) {
    std::ofstream file(Filler(), std::ios::binary | std::ios::app);
    const std::string page(4096, 'f');
    while (FreeBytes() - static_cast<int64_t>(page.size()) >= leave && file.write(page.data(), 4096).flush()) {
    }
  }
  void Free() { std::filesystem::remove(Filler()); }

 private:
  std::string Filler() const { return path() + "/filler"; }
  const TempDir folder_;
  const std::string path_;
  bool mounted_ = false;
};

}  // namespace hub::store
