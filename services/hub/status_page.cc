#include "services/hub/status_page.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"

namespace hub::hub_service {
namespace {

using registry::ProcessorPhase;

const char* Name(ProcessorPhase phase) {
  switch (phase) {
    case ProcessorPhase::kTakingOver:
      return "taking over";
    case ProcessorPhase::kRunning:
      return "running";
    case ProcessorPhase::kDeposed:
      return "deposed";
  }
  return "?";
}

std::string Age(absl::Time now, absl::Time then) {
  if (then == absl::InfinitePast()) return "never";
  return absl::StrCat(absl::FormatDuration(absl::Trunc(now - then, absl::Milliseconds(1))), " ago");
}

}  // namespace

std::string Unready(const PageParts& parts, absl::Time now, absl::Duration age_max) {
  std::string text;
  if (const absl::Status log = parts.log->Health(); !log.ok()) absl::StrAppend(&text, "log: ", log.ToString(), "\n");
  int partition = 0;
  for (const registry_service::PartitionStatus& status : parts.registry->Status()) {
    if (status.processor.phase != ProcessorPhase::kRunning) {
      absl::StrAppend(&text, "registry: partition ", partition, " is ", Name(status.processor.phase), "\n");
    } else if (status.processor.rules_version == 0) {
      absl::StrAppend(&text, "registry: partition ", partition, " has no rules yet\n");
    }
    ++partition;
  }
  if (const absl::Time until = parts.replica->CompleteUntil(); now - until > age_max) {
    absl::StrAppend(&text, "replica: complete until ", Age(now, until), "\n");
  }
  return text;
}

std::string StatusText(const PageParts& parts, absl::Time now) {
  std::string text;
  const absl::Status log = parts.log->Health();
  absl::StrAppend(&text, "log: id ", parts.log->log_id(), ", ", log.ToString(), "\n\nregistry\n");
  int partition = 0;
  for (const registry_service::PartitionStatus& status : parts.registry->Status()) {
    const registry::ProcessorStatus& p = status.processor;
    absl::StrAppend(&text, "  partition ", partition++, ": ", Name(p.phase), ", term ", p.term, ", rules ",
                    p.rules_version, ", reports ", p.reports_next, " of ", p.reports_end, ", outbox ", p.outbox_rows,
                    ", clock ", Age(now, p.clock));
    if (p.rebuilt) absl::StrAppend(&text, ", rebuilt from the log");
    if (status.restarts > 0) absl::StrAppend(&text, ", ", status.restarts, " restarts");
    if (!status.last_error.ok()) absl::StrAppend(&text, ", last error ", status.last_error.ToString());
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppend(&text, "\nfan-out: ", parts.fanout->streams(), " streams\n");
  const std::vector<fanout::PartitionPosition> heads = parts.fanout->dispatcher().Heads();
  const std::vector<int64_t> events = parts.replica->EventsNext();
  for (size_t i = 0; i < heads.size(); ++i) {
    absl::StrAppend(&text, "  partition ", i, ": taken in ", heads[i].offset, ", term ", heads[i].term, ", tick ",
                    Age(now, heads[i].tick), "; replica at ", i < events.size() ? events[i] : -1, "\n");
  }
  absl::StrAppend(&text, "\nreplica: complete until ", Age(now, parts.replica->CompleteUntil()), "\n");
  return text;
}

}  // namespace hub::hub_service
