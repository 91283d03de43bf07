#include "services/hubctl/rejects_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/hubctl/output.h"

namespace hub::hubctl {
namespace {
constexpr uint64_t kToldMax = 10;
}

absl::StatusOr<std::unique_ptr<RejectsFile>> RejectsFile::Open(const std::string& path, std::ostream* err) {
  auto rejects = std::unique_ptr<RejectsFile>(new RejectsFile(path, err));
  if (path.empty()) return rejects;
  // The original columns hold identifiers: nobody else reads them.
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return absl::InternalError(absl::StrCat(path, ": can't be written: ", std::strerror(errno)));
  close(fd);
  base::MutexLock lock(&rejects->mu_);
  rejects->file_.open(path, std::ios::binary | std::ios::trunc);
  return rejects;
}

void RejectsFile::SetHeader(const std::vector<std::string>& columns) {
  base::MutexLock lock(&mu_);
  if (!file_.is_open()) return;
  file_ << "line,code,field,message";
  for (const std::string& column : columns) file_ << ',' << CsvField(column);
  file_ << '\n';
}

void RejectsFile::Add(uint64_t line, const std::string& code, const std::string& field, const std::string& message,
                      const std::vector<std::string>& original) {
  base::MutexLock lock(&mu_);
  ++by_code_[code];
  ++total_;
  if (file_.is_open()) {
    file_ << line << ',' << CsvField(code) << ',' << CsvField(field) << ',' << CsvField(message);
    for (const std::string& text : original) file_ << ',' << CsvField(text);
    file_ << '\n';
  } else if (total_ <= kToldMax) {
    *err_ << "line " << line << ": " << code << (field.empty() ? "" : " ") << field << (message.empty() ? "" : ": ")
          << message << '\n';
  } else if (total_ == kToldMax + 1) {
    *err_ << "(further ones: --rejects FILE)\n";
  }
}

void RejectsFile::Add(uint64_t line, const model::Refusal& refusal, const std::vector<std::string>& original) {
  Add(line, std::string(model::Name(refusal.code)), refusal.field, refusal.message, original);
}

std::map<std::string, uint64_t> RejectsFile::by_code() const {
  base::MutexLock lock(&mu_);
  return by_code_;
}

uint64_t RejectsFile::total() const {
  base::MutexLock lock(&mu_);
  return total_;
}

absl::Status RejectsFile::Close() {
  base::MutexLock lock(&mu_);
  if (!file_.is_open()) return absl::OkStatus();
  file_.close();
  if (file_.fail()) return absl::InternalError(absl::StrCat(path_, ": not all rejected rows could be written"));
  if (total_ == 0) std::remove(path_.c_str());
  return absl::OkStatus();
}

}  // namespace hub::hubctl
