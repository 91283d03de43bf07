// How each stakeholder stands, for the analysts' board: corrections it was to have and has not confirmed, actions it reported.
//
// Built up one correction at a time, so that no more than one set of receipts is in memory. Thread safety: one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "fraudhub/v1/operations.pb.h"
#include "libs/access/policy.h"
#include "libs/model/event.h"
#include "libs/model/filter.h"
#include "libs/model/records.h"
#include "services/query/action_book.h"

namespace hub::query {

class Standings {
 public:
  // Everybody who may subscribe has a line.
  explicit Standings(const access::Policy& policy);
  // In any order. Who may see the row now or before was to have it; so was who was told all the same.
  void AddCorrection(const model::Event& event, const std::map<std::string, model::ReceiptUpdate::Receipt>& receipts);
  void AddActions(const std::string& stakeholder, const ActionBook::Total& total);
  void Finish(fraudhub::v1::ListStandingsResponse* response) const;

 private:
  struct Line {
    uint32_t corrections = 0;
    uint32_t confirmed = 0;
    absl::Time oldest_unconfirmed = absl::InfiniteFuture();
    ActionBook::Total actions;
  };
  std::map<std::string, model::Filter> rows_;  // what each may see
  std::map<std::string, Line> lines_;
};

}  // namespace hub::query
