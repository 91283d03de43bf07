#include "services/hubctl/settings.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/rpc/listen_sockets.h"
#include "services/hubctl/failure.h"

namespace hub::hubctl {
namespace {

std::string ProfilePath(bool* required) {
  const char* named = std::getenv("HUBCTL_PROFILE");
  *required = named != nullptr && *named != '\0';
  if (*required) return named;
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : absl::StrCat(home, "/.config/fraudhub/hubctl.textproto");
}

absl::string_view Unquoted(absl::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') return value.substr(1, value.size() - 2);
  return value;
}

}  // namespace

std::vector<std::string> ParseProfile(absl::string_view text, Settings* settings) {
  Settings read = *settings;
  const std::map<std::string, std::string*> texts = {{"server", &read.server},
                                                     {"stream_server", &read.stream_server},
                                                     {"query_server", &read.query_server},
                                                     {"server_name", &read.server_name},
                                                     {"identity", &read.identity},
                                                     {"output", &read.output},
                                                     {"timeout", &read.timeout},
                                                     {"purpose", &read.purpose},
                                                     {"case", &read.case_ref},
                                                     {"color", &read.color}};
  std::vector<std::string> problems;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) {
      problems.push_back(absl::StrCat("line ", number, ": want key: value"));
      continue;
    }
    const std::string key(absl::StripAsciiWhitespace(line.substr(0, colon)));
    const absl::string_view value = Unquoted(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    if (const auto found = texts.find(key); found != texts.end()) {
      *found->second = std::string(value);
    } else if (key == "insecure" && (value == "true" || value == "false")) {
      read.insecure = value == "true";
    } else if (key == "insecure") {
      problems.push_back(absl::StrCat("line ", number, ": insecure: want true or false"));
    } else {
      problems.push_back(absl::StrCat("line ", number, ": unknown key '", key, "'"));
    }
  }
  absl::Duration timeout;
  if (const absl::Status status = CheckSettings(read, &timeout); !status.ok()) problems.emplace_back(status.message());
  if (problems.empty()) *settings = read;
  return problems;
}

absl::Status LoadProfile(Settings* settings) {
  bool required = false;
  const std::string path = ProfilePath(&required);
  std::ifstream file(path, std::ios::binary);
  if (!file) return required ? Usage(absl::StrCat(path, ": can't be read (HUBCTL_PROFILE)")) : absl::OkStatus();
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> problems = ParseProfile(text.str(), settings);
  if (problems.empty()) return absl::OkStatus();
  return Usage(absl::StrCat(path, ": ", absl::StrJoin(problems, "; ")));
}

absl::Status CheckSettings(const Settings& settings, absl::Duration* timeout) {
  if (!absl::ParseDuration(settings.timeout, timeout) || *timeout <= absl::ZeroDuration() ||
      *timeout > absl::Hours(24)) {
    return Usage("timeout: want a duration such as 10s or 2m, at most 24h");
  }
  if (settings.output != "table" && settings.output != "json" && settings.output != "csv") {
    return Usage("output: want table, json or csv");
  }
  if (settings.color != "auto" && settings.color != "always" && settings.color != "never") {
    return Usage("color: want auto, always or never");
  }
  return absl::OkStatus();
}

const std::string& ServerOf(const Settings& settings, Serves what) {
  const std::string& special = what == Serves::kStreams ? settings.stream_server : settings.query_server;
  return what == Serves::kReports || special.empty() ? settings.server : special;
}

absl::StatusOr<client::ConnectionOptions> ConnectionOf(const Settings& settings, Serves what) {
  // The file of a UNIX socket says who may come; of several addresses, one that is none is asked with an identity.
  const std::vector<std::string> servers = absl::StrSplit(ServerOf(settings, what), ',');
  const bool all_unix = std::all_of(servers.begin(), servers.end(), [](absl::string_view server) {
    return rpc::IsUnixAddress(absl::StripAsciiWhitespace(server));
  });
  if (settings.identity.empty() && !settings.insecure && !all_unix) {
    return Usage("identity: want --identity DIR with cert.pem, key.pem and ca.pem (or `identity:` in the profile)");
  }
  client::ConnectionOptions options;
  options.server = ServerOf(settings, what);
  options.server_name = settings.server_name;
  if (!settings.insecure) options.identity_dir = settings.identity;
  return options;
}

}  // namespace hub::hubctl
