#include "libs/model/token.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/model/refusal.h"

namespace hub::model {
namespace {

constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648 base32, lower case
constexpr size_t kKeyBytes = 17;

std::string Encode32(absl::string_view bytes) {
  std::string text;
  uint32_t window = 0;
  int bits = 0;
  for (const char c : bytes) {
    window = (window << 8) | static_cast<uint8_t>(c);
    for (bits += 8; bits >= 5; bits -= 5) text.push_back(kAlphabet[(window >> (bits - 5)) & 31]);
  }
  if (bits > 0) text.push_back(kAlphabet[(window << (5 - bits)) & 31]);
  return text;
}

// False for foreign characters and for left-over bits that are not zero: one value has one text.
bool Decode32(absl::string_view text, std::string* bytes) {
  uint32_t window = 0;
  int bits = 0;
  for (const char c : text) {
    const char* at = std::find(kAlphabet, kAlphabet + 32, c);
    if (at == kAlphabet + 32) return false;
    window = (window << 5) | static_cast<uint32_t>(at - kAlphabet);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes->push_back(static_cast<char>(window >> bits));
    }
  }
  return bits < 5 && (window & ((1u << bits) - 1)) == 0;
}

base::Digest MacOf(const base::HmacKey& key, const Identifier& identifier) {
  return key.Mac(absl::StrCat(std::string(1, static_cast<char>(identifier.type)), identifier.canonical));
}

}  // namespace

Tokeniser::Tokeniser(base::HmacKey routing, base::HmacKey log) : routing_(std::move(routing)), log_(std::move(log)) {}

RoutingToken Tokeniser::Routing(const Identifier& identifier) const {
  const base::Digest digest = MacOf(routing_, identifier);
  RoutingToken token;
  std::copy(digest.begin(), digest.begin() + token.size(), token.begin());
  return token;
}

std::string Tokeniser::ForLogs(const Identifier& identifier) const {
  const base::Digest digest = MacOf(log_, identifier);
  return absl::StrCat("t:", Encode32(absl::string_view(reinterpret_cast<const char*>(digest.data()), 8)).substr(0, 12));
}

std::string ToBytes(const IndicatorKey& key) {
  std::string bytes(reinterpret_cast<const char*>(key.token.data()), key.token.size());
  bytes.push_back(static_cast<char>(key.facet));
  return bytes;
}

absl::StatusOr<IndicatorKey> IndicatorKeyFromBytes(absl::string_view bytes) {
  if (bytes.size() != kKeyBytes || bytes[16] < 1 || bytes[16] > 3) return absl::DataLossError("not the key of an indicator");
  IndicatorKey key;
  std::copy(bytes.begin(), bytes.begin() + 16, key.token.begin());
  key.facet = static_cast<Facet>(bytes[16]);
  return key;
}

std::string IndicatorIdText(const IndicatorKey& key) { return absl::StrCat("ind_", Encode32(ToBytes(key))); }

std::string EventIdText(const IndicatorKey& key, uint64_t version) {
  std::string bytes = ToBytes(key);
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(version >> shift));
  return absl::StrCat("evt_", Encode32(bytes));
}

absl::StatusOr<EventId> ParseEventId(absl::string_view text) {
  const absl::Status bad = Refuse(RefusalCode::kUnknownEvent, "", "want the id of an event, evt_...");
  std::string bytes;
  if (text.size() > 64 || !absl::ConsumePrefix(&text, "evt_") || !Decode32(text, &bytes) || bytes.size() != kKeyBytes + 8) {
    return bad;
  }
  absl::StatusOr<IndicatorKey> key = IndicatorKeyFromBytes(absl::string_view(bytes).substr(0, kKeyBytes));
  if (!key.ok()) return bad;
  EventId id;
  id.key = *key;
  for (size_t i = kKeyBytes; i < bytes.size(); ++i) id.version = (id.version << 8) | static_cast<uint8_t>(bytes[i]);
  return id;
}

absl::StatusOr<IndicatorKey> ParseIndicatorId(absl::string_view text) {
  const absl::Status bad = Refuse(RefusalCode::kBadFormat, "", "want the id of an indicator, ind_...");
  std::string bytes;
  if (text.size() > 64 || !absl::ConsumePrefix(&text, "ind_") || !Decode32(text, &bytes)) return bad;
  absl::StatusOr<IndicatorKey> key = IndicatorKeyFromBytes(bytes);
  if (!key.ok()) return bad;
  return key;
}

}  // namespace hub::model
