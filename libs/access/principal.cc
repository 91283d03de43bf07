#include "libs/access/principal.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"

namespace hub::access {
namespace {

constexpr absl::string_view kScheme = "fraudhub://";
constexpr size_t kUriBytesMax = 256;  // longer is refused unread

// Why never says what was there: a URI may come from anybody who holds a certificate.
absl::Status BadUri() {
  return absl::InvalidArgumentError("URI: want fraudhub://<trust domain>/<stakeholder>/<principal>, at most 256 bytes");
}

bool AllOf(absl::string_view text, bool (*allowed)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

bool IsDomainCharacter(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
         c == '.' || c == '-';
}

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

bool IsName(absl::string_view text) {
  // "." and ".." would be steps of a path to whoever writes the name into one.
  return AllOf(text, IsNameCharacter) && text != "." && text != "..";
}

}  // namespace

absl::StatusOr<ParsedUri> ParseHubUri(absl::string_view uri) {
  if (uri.size() > kUriBytesMax || uri.substr(0, kScheme.size()) != kScheme) return BadUri();
  uri.remove_prefix(kScheme.size());
  const size_t first = uri.find('/');
  if (first == absl::string_view::npos) return BadUri();
  const size_t second = uri.find('/', first + 1);
  if (second == absl::string_view::npos) return BadUri();
  const absl::string_view domain = uri.substr(0, first);
  const absl::string_view stakeholder = uri.substr(first + 1, second - first - 1);
  const absl::string_view principal = uri.substr(second + 1);
  if (!AllOf(domain, IsDomainCharacter) || !IsName(stakeholder) || !IsName(principal)) return BadUri();
  return ParsedUri{std::string(domain), std::string(stakeholder), std::string(principal)};
}

}  // namespace hub::access
