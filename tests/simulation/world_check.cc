// What must hold at every step, and once the faults have ended and everything has drained.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/eventlog/topics.h"
#include "libs/registry/decide.h"
#include "libs/wire/wire.h"
#include "tests/simulation/world.h"

namespace hub::simulation {

// Reads `events` as every reader must (R7, R8), and checks what must hold at every step.
void World::Observe() {
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    const eventlog::TopicPartition at{eventlog::kEventsTopic, partition};
    eventlog::ReadLimits limits;
    auto result = log_->Read(at, observed_[static_cast<size_t>(partition)], limits);
    if (!result.ok()) return Fail(absl::StrCat("observer: ", result.status().message()));
    uint64_t& in_force = term_in_force_[static_cast<size_t>(partition)];
    for (const eventlog::StoredRecord& record : result->records) {
      auto decoded = wire::DecodeRecord(record.value);
      if (!decoded.ok()) return Fail("an event record doesn't decode");
      const uint64_t term = decoded->header.term;
      if (std::holds_alternative<model::TermMark>(decoded->body)) {
        if (term > in_force) in_force = term;
        continue;
      }
      if (term < in_force) {
        ++fired_["record fenced"];
        CopyFenced(partition, record, *decoded);
        continue;
      }
      const model::IndicatorState* state = nullptr;
      int64_t reports_offset = -1;
      bool is_event = false;
      if (auto* event = std::get_if<model::Event>(&decoded->body)) {
        state = &event->state;
        reports_offset = event->reports_offset;
        is_event = true;
        if (event->urgent) urgent_twin_[partition] = {record.offset, term};
      } else if (auto* update = std::get_if<model::StateUpdate>(&decoded->body)) {
        state = &update->state;
        reports_offset = update->reports_offset;
      }
      if (state == nullptr) continue;
      Seen& seen = truth_[model::IndicatorIdText(state->key)];
      const model::VersionStamp stamp{term, state->version, reports_offset};
      if (seen.stamp.version != 0 && stamp <= seen.stamp) continue;
      const std::string id = model::IndicatorIdText(state->key);
      accepted_[id][stamp] = state->attributes;
      report_counts_[id][stamp] = state->report_count;
      if (is_event) {
        events_[static_cast<size_t>(partition)].push_back(
            {record.offset, id, stamp, state->attributes, std::get<model::Event>(decoded->body).previous});
      }
      if (is_event && state->version > seen.last_event_version + 1) {
        return Fail(absl::StrCat("versions are not dense: ", seen.last_event_version, " then ", state->version));
      }
      seen = {stamp, *state, std::max(seen.last_event_version, state->version), partition};
    }
    observed_[static_cast<size_t>(partition)] = result->next;
  }
}

// The registry's state must be what a replay of the log gives: every acknowledged report once, in log order.
std::string World::CheckAgainstReplay() {
  struct Group {
    registry::FacetStates states;
    model::RoutingToken token{};
  };
  std::map<std::string, Group> groups;
  std::set<std::pair<std::string, std::string>> ids;
  for (int32_t partition = 0; partition < kPartitions; ++partition) {
    model::Rules rules;
    absl::Time now = absl::InfinitePast();
    uint64_t tick_term = 0;
    eventlog::Offset next = 0;
    const eventlog::Offset end = owners_.empty() ? 0 : [&] {
      for (const auto& owner : owners_) {
        if (owner->partition == partition) return owner->processor->Status().reports_next;
      }
      return int64_t{0};
    }();
    while (next < end) {
      auto result = log_->Read({eventlog::kReportsTopic, partition}, next, {});
      if (!result.ok()) return absl::StrCat("replay: ", result.status().message());
      for (const eventlog::StoredRecord& record : result->records) {
        if (record.offset >= end) break;
        auto decoded = wire::DecodeRecord(record.value);
        if (!decoded.ok()) return "replay: a report doesn't decode";
        if (auto* update = std::get_if<model::RulesUpdate>(&decoded->body)) {
          if (update->rules.version > rules.version) rules = update->rules;
        } else if (auto* tick = std::get_if<model::Tick>(&decoded->body)) {
          if (tick->term < tick_term || tick->now <= now) continue;
          tick_term = tick->term;
          now = tick->now;
          for (auto& [canonical, group] : groups) {
            if (group.token[7] % kPartitions != partition % kPartitions) continue;
            const registry::DecisionContext context{&rules, now, record.offset};
            while (group.states.risk.has_value() && group.states.risk->next_check_at <= now) {
              const absl::Time before = group.states.risk->next_check_at;
              group.states = registry::DecideLapse(context, group.states).states;
              if (group.states.risk->next_check_at == before) break;
            }
          }
        } else if (auto* report = std::get_if<model::Report>(&decoded->body)) {
          const std::string id = model::ToText(report->id);
          if (!ids.insert({report->reporter.stakeholder, id}).second) continue;
          Group& group = groups[report->identifier.canonical];
          group.token = tokeniser_.Routing(report->identifier);
          const registry::DecisionContext context{&rules, now, record.offset};
          group.states = registry::Decide(context, group.states, group.token, *report).states;
        }
      }
      if (result->next == next) break;
      next = result->next;
    }
  }
  for (const auto& [canonical, group] : groups) {
    for (const auto* facet : {&group.states.risk, &group.states.connection, &group.states.trace}) {
      if (!facet->has_value()) continue;
      const model::IndicatorState& expected = **facet;
      const auto seen = truth_.find(model::IndicatorIdText(expected.key));
      if (seen == truth_.end()) return "an indicator that the replay knows never reached the log of events";
      const model::IndicatorState& state = seen->second.state;
      if (state.attributes.level != expected.attributes.level) {
        return absl::StrCat("level ", model::Name(state.attributes.level), ", a replay gives ",
                            model::Name(expected.attributes.level));
      }
      if (state.report_count != expected.report_count) {
        return absl::StrCat("report count ", state.report_count, ", a replay gives ", expected.report_count);
      }
      if (state.version != expected.version) {
        return absl::StrCat("version ", state.version, ", a replay gives ", expected.version);
      }
      if (!(state.attributes == expected.attributes)) return "attributes differ from a replay's";
    }
  }
  return "";
}

std::string World::CheckViews() {
  for (const auto& client : clients_) {
    size_t missing = 0, extra = 0, other = 0;
    for (const auto& [id, seen] : truth_) {
      const bool wanted = client->wants(seen.state.attributes) && seen.last_event_version > 0;
      const auto it = client->view.find(id);
      const bool held = it != client->view.end() && it->second.held;
      if (wanted && !held) ++missing;
      if (!wanted && held) ++extra;
      if (wanted && held && it->second.stamp.version != seen.state.version) ++other;
    }
    if (missing + extra + other > 0) {
      return absl::StrCat("view of \"", client->name, "\": missing ", missing, ", extra ", extra, ", other version ",
                          other);
    }
  }
  return "";
}

std::string World::Check() {
  for (const Submitted& submitted : submitted_) {
    if (!submitted.acknowledged) return "a report never got through";
  }
  for (const auto& owner : owners_) {
    const auto status = owner->processor->Status();
    if (status.phase != registry::ProcessorPhase::kRunning) return "an owner never came to run";
    // The owner ticks for ever; all but its own newest ticks must have been read.
    if (status.reports_next + 4 < status.reports_end) return "an owner never caught up";
  }
  if (std::string problem = CheckAgainstReplay(); !problem.empty()) return problem;
  return CheckViews();
}

}  // namespace hub::simulation
