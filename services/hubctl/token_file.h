// Where a watch keeps its resume token between runs: one line of base64, replaced atomically, readable by its owner only.
//
// Thread safety: none needed; one watch uses one file.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hub::hubctl {

class TokenFile {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  // Empty when there is no such file yet. InvalidArgument when it holds something else.
  absl::StatusOr<std::string> Load() const;
  // Durable when it returns.
  absl::Status Save(const std::string& token) const;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace hub::hubctl
