// The rows of an import that were not taken: a CSV with line, code, field and message in front of the original columns, so that it can be
// put right and imported again with the same map. Made anew by each import, readable by its owner only; removed when it stays empty.
//
// Without a path it counts, and tells the first few on the error stream. Thread safety: any thread.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/model/refusal.h"

namespace hub::hubctl {

class RejectsFile {
 public:
  // `err` gets the first few when `path` is empty. Internal: the file can't be made.
  static absl::StatusOr<std::unique_ptr<RejectsFile>> Open(const std::string& path, std::ostream* err);

  // Before the first row; the columns may be unknown when the file has none.
  void SetHeader(const std::vector<std::string>& columns);
  void Add(uint64_t line, const std::string& code, const std::string& field, const std::string& message,
           const std::vector<std::string>& original);
  void Add(uint64_t line, const model::Refusal& refusal, const std::vector<std::string>& original);
  std::map<std::string, uint64_t> by_code() const;
  uint64_t total() const;
  // Internal when not everything could be written.
  absl::Status Close();

 private:
  RejectsFile(std::string path, std::ostream* err) : path_(std::move(path)), err_(err) {}

  const std::string path_;
  std::ostream* const err_;
  mutable base::Mutex mu_;
  std::ofstream file_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> by_code_ ABSL_GUARDED_BY(mu_);
  uint64_t total_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::hubctl
