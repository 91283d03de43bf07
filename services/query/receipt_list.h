// Who must have an urgent event, and who has it: the policy's word on who may see it, beside the receipts. A plain function.
#pragma once

#include <map>
#include <string>

#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "libs/access/policy.h"
#include "libs/model/event.h"
#include "libs/model/records.h"

namespace hub::query {

// A correction and who has it, redacted.
struct CorrectionReceipts {
  fraudhub::v1::Event
      event;  // key, version, row and decision: the book keeps no more of it, of an identifier its type alone
  fraudhub::v1::Indicator before;  // its level; unspecified: there was none
  fraudhub::v1::ListReceiptsResponse receipts;
};

// One line for each stakeholder that may subscribe and may see the event's row as it is now or was before, and for each that was told all
// the same, under the policy of then.
void ListReceipts(const access::Policy& policy, const model::Event& event,
                  const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts,
                  fraudhub::v1::ListReceiptsResponse* response);

}  // namespace hub::query
