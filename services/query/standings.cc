#include "services/query/standings.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/rpc/proto_time.h"
#include "services/query/audience.h"

namespace hub::query {

Standings::Standings(const access::Policy& policy) {
  for (const model::StakeholderSpec& stakeholder : policy.spec().stakeholders) {
    std::optional<model::Filter> rows = RowsOfSubscriber(policy, stakeholder);
    if (!rows) continue;
    rows_.emplace(stakeholder.id, *std::move(rows));
    lines_.try_emplace(stakeholder.id);
  }
}

void Standings::AddCorrection(const model::Event& event,
                              const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts) {
  const auto count = [&](const std::string& stakeholder, bool confirmed) {
    Line& line = lines_[stakeholder];
    ++line.corrections;
    if (confirmed) {
      ++line.confirmed;
    } else {
      line.oldest_unconfirmed = std::min(line.oldest_unconfirmed, event.decided_at);
    }
  };
  for (const auto& [stakeholder, receipt] : receipts) count(stakeholder, rpc::IsFinite(receipt.confirmed_at));
  for (const auto& [stakeholder, rows] : rows_) {
    if (!receipts.contains(stakeholder) && MaySee(rows, event)) count(stakeholder, false);
  }
}

void Standings::AddActions(const std::string& stakeholder, const ActionBook::Total& total) {
  lines_[stakeholder].actions = total;
}

void Standings::Finish(fraudhub::v1::ListStandingsResponse* response) const {
  for (const auto& [stakeholder, line] : lines_) {
    fraudhub::v1::Standing* standing = response->add_standings();
    standing->set_stakeholder(stakeholder);
    standing->set_corrections(line.corrections);
    standing->set_confirmed(line.confirmed);
    if (rpc::IsFinite(line.oldest_unconfirmed)) {
      rpc::ToProto(line.oldest_unconfirmed, standing->mutable_oldest_unconfirmed());
    }
    standing->set_actions(line.actions.actions);
    if (rpc::IsFinite(line.actions.last_at)) rpc::ToProto(line.actions.last_at, standing->mutable_last_action_at());
  }
}

}  // namespace hub::query
