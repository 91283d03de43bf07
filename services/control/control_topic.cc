#include "services/control/control_topic.h"

#include "absl/strings/escaping.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"

namespace hub::control {

eventlog::TopicPartition ControlPartition() { return {eventlog::kControlTopic, 0}; }

absl::Status PutItem(eventlog::Log* log, const model::ControlItem& item, absl::Duration timeout) {
  return eventlog::AppendSync(log, ControlPartition(), {item.name, wire::EncodeRecord({}, item)}, timeout).status();
}

absl::Status KeepRules(eventlog::Log* log, const model::Rules& rules, absl::Duration timeout) {
  return eventlog::AppendSync(log, ControlPartition(), {kRulesItem, wire::EncodeRecord({}, model::RulesUpdate{rules})},
                              timeout)
      .status();
}

absl::StatusOr<std::map<int32_t, int64_t>> PutRules(eventlog::Log* log, int32_t partitions, const model::Rules& rules,
                                                    absl::Duration timeout) {
  HUB_RETURN_IF_ERROR(KeepRules(log, rules, timeout));
  std::map<int32_t, int64_t> positions;
  for (int32_t partition = 0; partition < partitions; ++partition) {
    HUB_ASSIGN_OR_RETURN(
        positions[partition],
        eventlog::AppendSync(log, {eventlog::kReportsTopic, partition},
                             {kRulesItem, wire::EncodeRecord({}, model::RulesUpdate{rules})}, timeout));
  }
  HUB_LOG(INFO, "rules_applied", {{"version", rules.version}});
  return positions;
}

std::string ShortHash(absl::string_view text) {
  const base::Digest digest = base::Sha256(text);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), 8));
}

std::string ShortHash(const model::Rules& rules) {
  return ShortHash(wire::EncodeRecord({}, model::RulesUpdate{rules}));
}

}  // namespace hub::control
