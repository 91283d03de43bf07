#include "services/registry/kept_rules.h"

#include <utility>
#include <variant>

#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/model/records.h"
#include "libs/wire/wire.h"

namespace hub::registry_service {
namespace {

constexpr char kKey[] = "rules";  // stored: frozen

eventlog::TopicPartition Control() { return {eventlog::kControlTopic, 0}; }

// Offsets of a topic, which a log that starts up may not know at once.
absl::StatusOr<eventlog::OffsetRange> Range(eventlog::Log* log, const base::Clock* clock, absl::Duration until) {
  while (true) {
    absl::StatusOr<eventlog::OffsetRange> range = log->Offsets(Control());
    if (range.ok() || !absl::IsUnavailable(range.status()) || clock->Monotonic() >= until) return range;
    log->Wait({{Control(), 0}}, absl::Milliseconds(50));
  }
}

}  // namespace

absl::StatusOr<std::optional<model::Rules>> ReadKeptRules(eventlog::Log* log, const base::Clock* clock,
                                                          absl::Duration timeout) {
  const absl::Duration until = clock->Monotonic() + timeout;
  HUB_ASSIGN_OR_RETURN(const eventlog::OffsetRange range, Range(log, clock, until));
  std::optional<model::Rules> newest;
  eventlog::Offset at = range.first;
  while (at < range.end) {
    absl::StatusOr<eventlog::ReadResult> read = log->Read(Control(), at, {});
    if (!read.ok() && !absl::IsUnavailable(read.status())) return read.status();
    const bool moved = read.ok() && read->next > at;
    if (!moved) {
      if (clock->Monotonic() >= until)
        return absl::UnavailableError("the control topic can't be read to its end in time");
      log->Wait({{Control(), at}}, absl::Milliseconds(50));
      continue;
    }
    for (const eventlog::StoredRecord& record : read->records) {
      if (record.key != kKey) continue;
      absl::StatusOr<wire::DecodedRecord> decoded = wire::DecodeRecord(record.value);
      auto* update = decoded.ok() ? std::get_if<model::RulesUpdate>(&decoded->body) : nullptr;
      if (update == nullptr) {
        HUB_LOG(WARN, "kept_rules_unreadable", {{"offset", record.offset}});
      } else if (!newest || update->rules.version > newest->version) {
        newest = std::move(update->rules);
      }
    }
    at = read->next;
  }
  return newest;
}

absl::Status KeepRules(eventlog::Log* log, const model::Rules& rules, absl::Duration timeout) {
  return eventlog::AppendSync(log, Control(), {kKey, wire::EncodeRecord({}, model::RulesUpdate{rules})}, timeout)
      .status();
}

}  // namespace hub::registry_service
