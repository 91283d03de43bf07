// URLs and hosts, e-mail, messaging handles, apps, IP addresses.
#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/model/canonical_forms.h"

namespace hub::model {
namespace {

bool Printable(absl::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f) return false;
  }
  return true;
}

// Lower case, no trailing dot. Internationalised hosts come in their punycode form (xn--...).
absl::StatusOr<std::string> CanonicalHost(absl::string_view text) {
  std::string host = absl::AsciiStrToLower(text);
  while (!host.empty() && host.back() == '.') host.pop_back();
  if (host.empty()) return RefuseValue(RefusalCode::kBadFormat, "want a host");
  if (host.size() > 253) return RefuseValue(RefusalCode::kTooLong, "want a host of at most 253 bytes");
  int labels = 0;
  for (const absl::string_view label : absl::StrSplit(host, '.')) {
    ++labels;
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return RefuseValue(RefusalCode::kBadFormat, "want labels of 1 to 63 characters between the dots of a host");
    }
    for (const char c : label) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') {
        return RefuseValue(RefusalCode::kBadCharacter, "want letters, digits and dashes in a host; other scripts as xn--");
      }
    }
  }
  if (labels < 2) return RefuseValue(RefusalCode::kBadFormat, "want a whole host name with a dot");
  return host;
}

}  // namespace

// host or host/path: scheme, default port, query and fragment are taken off (queries carry victims' tokens).
absl::StatusOr<CanonicalIdentifier> CanonicalUrl(absl::string_view text) {
  if (!Printable(text)) return RefuseValue(RefusalCode::kBadCharacter, "want printable ASCII; other scripts as xn-- or percent-encoded");
  absl::string_view rest = text;
  int default_port = 0;
  const size_t scheme_end = rest.find("://");
  if (scheme_end != absl::string_view::npos && scheme_end < 12) {
    const std::string scheme = absl::AsciiStrToLower(rest.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https" && scheme != "hxxp" && scheme != "hxxps" && scheme != "ftp") {
      return RefuseValue(RefusalCode::kBadFormat, "want http or https");
    }
    default_port = scheme == "https" || scheme == "hxxps" ? 443 : scheme == "ftp" ? 21 : 80;
    rest.remove_prefix(scheme_end + 3);
  }
  rest = rest.substr(0, rest.find_first_of("?#"));
  const size_t slash = rest.find('/');
  absl::string_view authority = rest.substr(0, slash);
  absl::string_view path = slash == absl::string_view::npos ? "" : rest.substr(slash);
  if (absl::StrContains(authority, '@')) return RefuseValue(RefusalCode::kBadFormat, "want no user name in front of the host");
  std::string port;
  if (const size_t colon = authority.find(':'); colon != absl::string_view::npos) {
    int number = 0;
    const absl::string_view digits = authority.substr(colon + 1);
    if (!AllDigits(digits) || !absl::SimpleAtoi(digits, &number) || number < 1 || number > 65535) {
      return RefuseValue(RefusalCode::kBadFormat, "want a port of 1 to 65535 after the host, and no other scheme than http");
    }
    const bool is_default = default_port != 0 ? number == default_port : number == 80 || number == 443;
    if (!is_default) port = absl::StrCat(":", number);
    authority = authority.substr(0, colon);
  }
  absl::StatusOr<std::string> host = CanonicalHost(authority);
  if (!host.ok()) return host.status();
  while (absl::EndsWith(path, "/")) path.remove_suffix(1);
  CanonicalIdentifier result;
  result.identifier = {IdentifierType::kUrl, absl::StrCat(*host, port, path)};
  if (!path.empty() || !port.empty()) result.links.push_back({Relation::kHostOf, {IdentifierType::kUrl, *host}});
  return result;
}

absl::StatusOr<std::string> CanonicalEmail(absl::string_view text) {
  if (!Printable(text)) return RefuseValue(RefusalCode::kBadCharacter, "want printable ASCII without spaces");
  const size_t at = text.rfind('@');
  if (at == absl::string_view::npos || at == 0 || text.find('@') != at) return RefuseValue(RefusalCode::kBadFormat, "want name@domain");
  if (text.size() > 254 || at > 64) return RefuseValue(RefusalCode::kTooLong, "want at most 64 bytes before @ and 254 in all");
  absl::StatusOr<std::string> host = CanonicalHost(text.substr(at + 1));
  if (!host.ok()) return host;
  return absl::StrCat(text.substr(0, at), "@", *host);
}

// A handle, with or without @ or its t.me address.
absl::StatusOr<std::string> CanonicalTelegram(absl::string_view text) {
  std::string lower = absl::AsciiStrToLower(text);
  absl::string_view handle = lower;
  for (const absl::string_view prefix : {"https://", "http://"}) absl::ConsumePrefix(&handle, prefix);
  for (const absl::string_view prefix : {"t.me/", "telegram.me/", "@"}) absl::ConsumePrefix(&handle, prefix);
  if (handle.size() < 4) return RefuseValue(RefusalCode::kTooShort, "want a handle of 4 to 32 characters");
  if (handle.size() > 32) return RefuseValue(RefusalCode::kTooLong, "want a handle of 4 to 32 characters");
  for (const char c : handle) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') {
      return RefuseValue(RefusalCode::kBadCharacter, "want letters, digits and underscores");
    }
  }
  return std::string(handle);
}

// SHA-256 of a package, or package name, optionally with ':' and the SHA-256 of its signing certificate.
absl::StatusOr<std::string> CanonicalApp(absl::string_view text) {
  const auto is_hash = [](absl::string_view part) {
    if (part.size() != 64) return false;
    for (const char c : part) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
    }
    return true;
  };
  if (is_hash(text)) return absl::AsciiStrToLower(text);
  const size_t colon = text.find(':');
  const absl::string_view package = text.substr(0, colon);
  if (package.size() > 255) return RefuseValue(RefusalCode::kTooLong, "want a package name of at most 255 bytes");
  if (!absl::StrContains(package, '.')) return RefuseValue(RefusalCode::kBadFormat, "want a package name with a dot, or 64 hexadecimal digits");
  for (const char c : package) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') {
      return RefuseValue(RefusalCode::kBadCharacter, "want letters, digits, dots and underscores in a package name");
    }
  }
  if (colon == absl::string_view::npos) return std::string(package);
  if (!is_hash(text.substr(colon + 1))) return RefuseValue(RefusalCode::kBadFormat, "want 64 hexadecimal digits after the colon");
  return absl::StrCat(package, ":", absl::AsciiStrToLower(text.substr(colon + 1)));
}

absl::StatusOr<std::string> CanonicalIp(absl::string_view text) {
  const std::string address(text);
  unsigned char bytes[16];
  char canonical[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, address.c_str(), bytes) == 1) return std::string(inet_ntop(family, bytes, canonical, sizeof canonical));
  }
  return RefuseValue(RefusalCode::kBadFormat, "want an IPv4 or IPv6 address");
}

}  // namespace hub::model
