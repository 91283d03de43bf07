#include "libs/registry/group_edits.h"

#include <string>
#include <utility>

#include "libs/base/status_macros.h"

namespace hub::registry {
namespace {

absl::Time DueOf(const Group& group) {
  return group.states.risk.has_value() ? group.states.risk->next_check_at : absl::InfiniteFuture();
}

}  // namespace

absl::Status GroupEdits::Load(const std::vector<model::RoutingToken>& tokens) {
  std::vector<std::string> keys;
  std::vector<model::RoutingToken> missing;
  for (const model::RoutingToken& token : tokens) {
    if (entries_.contains(token)) continue;
    keys.push_back(keys_.State(token));
    missing.push_back(token);
  }
  HUB_ASSIGN_OR_RETURN(const auto rows, database_->MultiGet(tables_.states, keys));
  for (size_t i = 0; i < missing.size(); ++i) {
    Entry entry;
    if (rows[i].has_value()) {
      HUB_ASSIGN_OR_RETURN(entry.group, DecodeGroup(*rows[i]));
      entry.due_before = DueOf(entry.group);
    }
    entries_.emplace(missing[i], std::move(entry));
  }
  return absl::OkStatus();
}

Group* GroupEdits::Edit(const model::RoutingToken& token) {
  Entry& entry = entries_.at(token);
  entry.edited = true;
  return &entry.group;
}

void GroupEdits::Write(store::Batch* batch) const {
  for (const auto& [token, entry] : entries_) {
    if (entry.edited) {
      batch->Put(tables_.states, keys_.State(token), EncodeGroup(entry.group));
      const absl::Time due = DueOf(entry.group);
      if (due != entry.due_before) {
        if (entry.due_before != absl::InfiniteFuture()) batch->Delete(tables_.due, keys_.Due(entry.due_before, token));
        if (due != absl::InfiniteFuture()) batch->Put(tables_.due, keys_.Due(due, token), "");
      }
    }
    if (entry.dirty) batch->Put(tables_.dirty, keys_.Dirty(token), "");
  }
}

}  // namespace hub::registry
