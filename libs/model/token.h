// Keyed tokens: what stands for an identifier wherever its plain form must not be (log keys, logs, metrics, error texts, ids).
//
// Thread safety: immutable; share freely.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/hash.h"
#include "libs/model/identifier.h"

namespace hub::model {

// HMAC-SHA-256(routing key, type byte || canonical), first 16 bytes. The routing key never rotates: partitions, ids and
// stored keys depend on it; escrow it with the backup.
using RoutingToken = std::array<uint8_t, 16>;

class Tokeniser {
 public:
  // `routing`: never rotates. `log`: for tokens in log lines; may rotate, at the price of no longer matching old lines.
  Tokeniser(base::HmacKey routing, base::HmacKey log);
  RoutingToken Routing(const Identifier& identifier) const;
  // 12 characters for log lines, "t:" in front.
  std::string ForLogs(const Identifier& identifier) const;

 private:
  base::HmacKey routing_;
  base::HmacKey log_;
};

// The key of an indicator in every store and topic: routing token || facet, 17 bytes.
struct IndicatorKey {
  RoutingToken token{};
  Facet facet = Facet::kRisk;
  friend bool operator==(const IndicatorKey&, const IndicatorKey&) = default;
  friend auto operator<=>(const IndicatorKey&, const IndicatorKey&) = default;
};
std::string ToBytes(const IndicatorKey& key);
absl::StatusOr<IndicatorKey> IndicatorKeyFromBytes(absl::string_view bytes);

// Ids that people may copy: "ind_" or "evt_" and lower-case base32 (RFC 4648, no padding). The event's id holds the key
// and the version, so that an ACTION_TAKEN in reply to it finds its partition.
std::string IndicatorIdText(const IndicatorKey& key);
std::string EventIdText(const IndicatorKey& key, uint64_t version);
struct EventId {
  IndicatorKey key;
  uint64_t version = 0;
};
absl::StatusOr<EventId> ParseEventId(absl::string_view text);  // Refuse(kUnknownEvent, ...)
absl::StatusOr<IndicatorKey> ParseIndicatorId(absl::string_view text);

}  // namespace hub::model
