// The hub's topics and how identifiers map to partitions (DESIGN.md 5). Names and mapping are stored: frozen.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "libs/eventlog/log.h"

namespace hub::eventlog {

inline constexpr char kReportsTopic[] = "hub.reports.v1";
inline constexpr char kEventsTopic[] = "hub.events.v1";
inline constexpr char kUrgentTopic[] = "hub.urgent.v1";
inline constexpr char kHistoryTopic[] = "hub.history.v1";
inline constexpr char kControlTopic[] = "hub.control.v1";
inline constexpr char kQuarantineTopic[] = "hub.quarantine.v1";
inline constexpr char kCursorsTopic[] = "hub.cursors.v1";
inline constexpr char kReceiptsTopic[] = "hub.receipts.v1";

// All topics; reports, events, urgent and history have `partitions` each, the others one.
std::vector<TopicSpec> HubTopics(int32_t partitions);

// The partition of a routing token (16 bytes from model::RoutingKey): its first 8 bytes, big-endian, modulo.
// REQUIRES: token.size() >= 8, partitions > 0.
int32_t PartitionOf(absl::string_view routing_token, int32_t partitions);

}  // namespace hub::eventlog
