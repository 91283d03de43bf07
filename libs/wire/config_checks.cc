#include "libs/wire/config_checks.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hub::wire {

namespace fs = std::filesystem;

bool IsHostPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  return colon != std::string::npos && colon > 0 && absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
         port <= 65535;
}

std::string FolderProblem(const std::string& folder) {
  if (folder.empty()) return "not set, want a folder";
  std::error_code error;
  fs::path there = fs::absolute(folder, error);
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, error)) return absl::StrCat(there.string(), " is not a folder");
  if (::access(there.c_str(), R_OK | W_OK | X_OK) == 0) return "";
  return absl::StrCat("may not write to ", there.string(), ": change its owner, or set another folder");
}

}  // namespace hub::wire
