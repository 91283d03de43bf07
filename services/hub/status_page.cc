#include "services/hub/status_page.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/eventlog/topics.h"

namespace hub::hub_service {
namespace {

using registry::ProcessorPhase;

constexpr absl::Duration kControlAgeMax = absl::Seconds(15);
constexpr absl::Duration kClockBehindMax = absl::Seconds(10);  // beyond what delivery and two good clocks differ by

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

void AppendRegistry(const registry_service::RegistryApp& registry, absl::Time now, std::string* text) {
  absl::StrAppend(text, "\nregistry\n");
  int partition = 0;
  for (const registry_service::PartitionStatus& status : registry.Status()) {
    const registry::ProcessorStatus& p = status.processor;
    absl::StrAppend(text, "  partition ", partition++, ": ");
    if (!status.assigned) {
      absl::StrAppend(text, "another's\n");
      continue;
    }
    absl::StrAppend(text, Name(p.phase), ", term ", p.term, ", rules ", p.rules_version, ", reports ", p.reports_next,
                    " of ", p.reports_end, ", outbox ", p.outbox_rows, ", clock ", Age(now, p.clock));
    if (p.rebuilt) absl::StrAppend(text, ", rebuilt from the log");
    if (status.restarts > 0) absl::StrAppend(text, ", ", status.restarts, " restarts");
    if (!status.last_error.ok()) absl::StrAppend(text, ", last error ", status.last_error.ToString());
    absl::StrAppend(text, "\n");
  }
}

void AppendFanout(const fanout_service::FanoutApp& fanout, absl::Time now, std::string* text) {
  absl::StrAppend(text, "\nfan-out: ", fanout.streams(), " streams\n");
  int partition = 0;
  for (const fanout::PartitionPosition& head : fanout.dispatcher().Heads()) {
    absl::StrAppend(text, "  partition ", partition++, ": taken in ", head.offset, ", term ", head.term, ", tick ",
                    Age(now, head.tick), "\n");
  }
}

}  // namespace

std::string Unready(const PageParts& parts, const base::Clock& clock, absl::Duration age_max) {
  const absl::Time now = clock.TimeNow();
  std::string text;
  if (const absl::Status log = parts.log->Health(); !log.ok()) absl::StrAppend(&text, "log: ", log.ToString(), "\n");
  if (const absl::Duration since = clock.Monotonic() - parts.control->last_at_end(); since > kControlAgeMax) {
    absl::StrAppend(&text, "control: policy and rules may be old, the newest were last looked for ",
                    absl::FormatDuration(absl::Trunc(since, absl::Seconds(1))), " ago\n");
  }
  if (parts.group != nullptr && !parts.group->Health().ok()) {
    absl::StrAppend(&text, "group: ", parts.group->Health().ToString(), "\n");
  }
  if (parts.registry != nullptr) {
    int partition = -1;
    for (const registry_service::PartitionStatus& status : parts.registry->Status()) {
      ++partition;
      if (!status.assigned) continue;
      if (status.processor.phase != ProcessorPhase::kRunning) {
        absl::StrAppend(&text, "registry: partition ", partition, " is ", Name(status.processor.phase), "\n");
      } else if (status.processor.rules_version == 0) {
        absl::StrAppend(&text, "registry: partition ", partition, " has no rules yet\n");
      }
    }
  }
  if (parts.replica != nullptr) {
    const absl::Time until = parts.replica->CompleteUntil();
    if (now - until > age_max) absl::StrAppend(&text, "replica: complete until ", Age(now, until), "\n");
    // Ticks are the clocks of other machines, too. Behind them, old data would look fresh here.
    if (until - now > kClockBehindMax) {
      absl::StrAppend(&text, "clock: this machine's is ", absl::FormatDuration(absl::Trunc(until - now, absl::Seconds(1))),
                      " behind the registry's: set it\n");
    }
  }
  return text;
}

std::string StatusText(const PageParts& parts, absl::Time now) {
  std::string text;
  const absl::Status log = parts.log->Health();
  absl::StrAppend(&text, "log: id ", parts.log->log_id(), ", ", log.ToString(), "\n");
  if (parts.registry != nullptr) AppendRegistry(*parts.registry, now, &text);
  if (parts.fanout != nullptr) AppendFanout(*parts.fanout, now, &text);
  if (parts.replica != nullptr) {
    absl::StrAppend(&text, "\nreplica: complete until ", Age(now, parts.replica->CompleteUntil()), ", events at ",
                    absl::StrJoin(parts.replica->EventsNext(), " "), "\n");
  }
  return text;
}

}  // namespace hub::hub_service
