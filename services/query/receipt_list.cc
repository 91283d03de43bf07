#include "services/query/receipt_list.h"

#include <algorithm>

#include "libs/rpc/proto_time.h"
#include "services/query/audience.h"

namespace hub::query {

void ListReceipts(const access::Policy& policy, const model::Event& event,
                  const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts,
                  fraudhub::v1::ListReceiptsResponse* response) {
  std::map<std::string, model::ReceiptUpdate::Receipt> lines = receipts;
  for (const model::StakeholderSpec& stakeholder : policy.spec().stakeholders) {
    const auto rows = RowsOfSubscriber(policy, stakeholder);
    if (rows && MaySee(*rows, event)) lines.try_emplace(stakeholder.id);
  }
  for (const auto& [stakeholder, receipt] : lines) {
    fraudhub::v1::Receipt* line = response->add_receipts();
    line->set_stakeholder(stakeholder);
    // Who has confirmed was told, whatever became of the record that said so.
    const absl::Time sent_at = std::min(receipt.sent_at, receipt.confirmed_at);
    if (rpc::IsFinite(sent_at)) {
      rpc::ToProto(sent_at, line->mutable_sent_at());
      response->set_told(response->told() + 1);
    }
    if (rpc::IsFinite(receipt.confirmed_at)) {
      rpc::ToProto(receipt.confirmed_at, line->mutable_confirmed_at());
      response->set_confirmed(response->confirmed() + 1);
    }
  }
  response->set_version(event.state.version);
  if (rpc::IsFinite(event.decided_at)) rpc::ToProto(event.decided_at, response->mutable_decided_at());
}

}  // namespace hub::query
