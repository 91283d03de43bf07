#include "libs/wire/config_checks.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hub::wire {

namespace fs = std::filesystem;

bool IsHostPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535)
    return false;
  std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::string signs = bracketed ? ":.%" : "-._";
  return !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || signs.find(c) != std::string::npos;
  });
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
