#include "libs/eventlog/kafka_security.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/status_macros.h"

namespace hub::eventlog {

absl::StatusOr<std::map<std::string, std::string>> ParseKafkaSecurity(absl::string_view text) {
  std::map<std::string, std::string> settings;
  std::vector<std::string> problems;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    const absl::string_view name = absl::StripAsciiWhitespace(line.substr(0, std::min(equals, line.size())));
    if (equals == absl::string_view::npos || name.empty()) {
      problems.push_back(absl::StrCat("line ", number, ": want name = value"));
    } else if (!absl::StartsWith(name, "security.") && !absl::StartsWith(name, "ssl.") &&
               !absl::StartsWith(name, "sasl.")) {
      problems.push_back(absl::StrCat("line ", number, ": ", name, ", want security.*, ssl.* or sasl.*"));
    } else if (!settings.emplace(name, absl::StripAsciiWhitespace(line.substr(equals + 1))).second) {
      problems.push_back(absl::StrCat("line ", number, ": ", name, " is set twice"));
    }
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  return settings;
}

absl::StatusOr<std::map<std::string, std::string>> LoadKafkaSecurity(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::InvalidArgumentError("can't be read");
  HUB_ASSIGN_OR_RETURN(auto settings, ParseKafkaSecurity(text.str()));
  struct stat info {};
  const bool secret = settings.count("sasl.password") > 0 || settings.count("ssl.key.password") > 0;
  if (secret && stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    return absl::InvalidArgumentError("everybody may read it, and it holds a password: chmod o= it");
  }
  return settings;
}

}  // namespace hub::eventlog
