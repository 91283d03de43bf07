#include "libs/model/token.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/model/base32.h"
#include "libs/model/refusal.h"

namespace hub::model {
namespace {

constexpr size_t kKeyBytes = 17;             // routing token || facet
constexpr size_t kEventIdBytes = kKeyBytes + 8;  // || version, big-endian
constexpr size_t kLogTokenBytes = 8;         // 12 base32 characters show 60 of these 64 bits
constexpr absl::string_view kIndicatorPrefix = "ind_";
constexpr absl::string_view kEventPrefix = "evt_";
constexpr absl::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";

base::Digest MacOf(const base::HmacKey& key, const Identifier& identifier) {
  std::string bytes;
  bytes.reserve(1 + identifier.canonical.size());
  bytes.push_back(static_cast<char>(identifier.type));
  bytes.append(identifier.canonical);
  return key.Mac(bytes);
}

int Base32Value(char c) {
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= '2' && c <= '7') return c - '2' + 26;
  return -1;
}

bool KeyFrom(absl::string_view bytes, IndicatorKey* key) {
  if (bytes.size() != kKeyBytes) return false;
  const uint8_t facet = static_cast<uint8_t>(bytes.back());
  if (facet < static_cast<uint8_t>(Facet::kRisk) || facet > static_cast<uint8_t>(Facet::kTrace)) return false;
  std::copy_n(bytes.begin(), key->token.size(), key->token.begin());
  key->facet = static_cast<Facet>(facet);
  return true;
}

}  // namespace

std::string Base32Lower(absl::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (count += 8; count >= 5; count -= 5) text.push_back(kBase32[bits >> (count - 5) & 31]);
    bits &= (1u << count) - 1;
  }
  if (count > 0) text.push_back(kBase32[bits << (5 - count) & 31]);
  return text;
}

bool Base32Decode(absl::string_view text, std::string* bytes) {
  bytes->clear();
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = Base32Value(c);
    if (value < 0) return false;
    bits = bits << 5 | static_cast<uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      bytes->push_back(static_cast<char>(bits >> count));
      bits &= (1u << count) - 1;
    }
  }
  return count < 5 && bits == 0;
}

Tokeniser::Tokeniser(base::HmacKey routing, base::HmacKey log) : routing_(std::move(routing)), log_(std::move(log)) {}

RoutingToken Tokeniser::Routing(const Identifier& identifier) const {
  const base::Digest mac = MacOf(routing_, identifier);
  RoutingToken token;
  std::copy_n(mac.begin(), token.size(), token.begin());
  return token;
}

std::string Tokeniser::ForLogs(const Identifier& identifier) const {
  const base::Digest mac = MacOf(log_, identifier);
  const std::string text = Base32Lower(absl::string_view(reinterpret_cast<const char*>(mac.data()), kLogTokenBytes));
  return absl::StrCat("t:", absl::string_view(text).substr(0, 12));
}

std::string ToBytes(const IndicatorKey& key) {
  std::string bytes(key.token.begin(), key.token.end());
  bytes.push_back(static_cast<char>(key.facet));
  return bytes;
}

absl::StatusOr<IndicatorKey> IndicatorKeyFromBytes(absl::string_view bytes) {
  IndicatorKey key;
  if (!KeyFrom(bytes, &key)) return absl::InvalidArgumentError("indicator key: want a 16-byte token and a facet");
  return key;
}

std::string IndicatorIdText(const IndicatorKey& key) { return absl::StrCat(kIndicatorPrefix, Base32Lower(ToBytes(key))); }

std::string EventIdText(const IndicatorKey& key, uint64_t version) {
  std::string bytes = ToBytes(key);
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(version >> shift));
  return absl::StrCat(kEventPrefix, Base32Lower(bytes));
}

absl::StatusOr<EventId> ParseEventId(absl::string_view text) {
  EventId id;
  std::string bytes;
  if (absl::StartsWithIgnoreCase(text, kEventPrefix) && text.size() <= 64 &&
      Base32Decode(text.substr(kEventPrefix.size()), &bytes) && bytes.size() == kEventIdBytes &&
      KeyFrom(absl::string_view(bytes).substr(0, kKeyBytes), &id.key)) {
    for (const char c : absl::string_view(bytes).substr(kKeyBytes)) id.version = id.version << 8 | static_cast<uint8_t>(c);
    if (id.version > 0) return id;  // versions are dense from 1
  }
  return Refuse(RefusalCode::kUnknownEvent, "", "want an event's id as the hub sent it (evt_...)");
}

absl::StatusOr<IndicatorKey> ParseIndicatorId(absl::string_view text) {
  IndicatorKey key;
  std::string bytes;
  if (absl::StartsWithIgnoreCase(text, kIndicatorPrefix) && text.size() <= 64 &&
      Base32Decode(text.substr(kIndicatorPrefix.size()), &bytes) && KeyFrom(bytes, &key)) {
    return key;
  }
  return Refuse(RefusalCode::kBadFormat, "", "want an indicator's id as the hub sent it (ind_...)");
}

}  // namespace hub::model
