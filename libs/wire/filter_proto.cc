#include "libs/wire/filter_proto.h"

#include <algorithm>
#include <vector>

#include "fraudhub/v1/indicator.pb.h"
#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

namespace api = fraudhub::v1;

template <class From, class Value>
void EnumsIn(const From& from, std::vector<Value>* to) {
  for (const int value : from) to->push_back(static_cast<Value>(value));
}

// Numbers beyond what this release knows, of enums that a client of a newer release may send.
template <class Values>
bool Known(const Values& values, bool (*valid)(int)) {
  return std::all_of(values.begin(), values.end(), [&](int value) { return valid(value); });
}

}  // namespace

model::FilterClause ClauseFromProto(const api::FilterClause& clause) {
  model::FilterClause out;
  EnumsIn(clause.facets(), &out.facets);
  EnumsIn(clause.types(), &out.types);
  out.level_min = std::max(model::Level::kNone, static_cast<model::Level>(clause.level_min()));
  EnumsIn(clause.reasons(), &out.reasons);
  EnumsIn(clause.categories(), &out.categories);
  out.circles_of_issue.assign(clause.circles_of_issue().begin(), clause.circles_of_issue().end());
  out.victim_states.assign(clause.victim_states().begin(), clause.victim_states().end());
  out.handling_units.assign(clause.handling_units().begin(), clause.handling_units().end());
  out.case_refs.assign(clause.case_refs().begin(), clause.case_refs().end());
  out.operator_ids.assign(clause.operator_ids().begin(), clause.operator_ids().end());
  return out;
}

void ClauseToProto(const model::FilterClause& clause, api::FilterClause* out) {
  for (const model::Facet value : clause.facets) out->add_facets(static_cast<api::Facet>(value));
  for (const model::IdentifierType value : clause.types) out->add_types(static_cast<api::IdentifierType>(value));
  out->set_level_min(static_cast<api::Level>(clause.level_min));
  for (const model::Reason value : clause.reasons) out->add_reasons(static_cast<api::Reason>(value));
  for (const int value : clause.categories) out->add_categories(static_cast<api::FraudCategory>(value));
  for (const std::string& value : clause.circles_of_issue) out->add_circles_of_issue(value);
  for (const std::string& value : clause.victim_states) out->add_victim_states(value);
  for (const std::string& value : clause.handling_units) out->add_handling_units(value);
  for (const std::string& value : clause.case_refs) out->add_case_refs(value);
  for (const std::string& value : clause.operator_ids) out->add_operator_ids(value);
}

absl::StatusOr<model::Filter> FromProto(const api::Filter& filter) {
  std::vector<model::FilterClause> clauses;
  for (int i = 0; i < filter.any_of_size(); ++i) {
    const api::FilterClause& clause = filter.any_of(i);
    if (!Known(clause.facets(), api::Facet_IsValid) || !Known(clause.types(), api::IdentifierType_IsValid) ||
        !Known(clause.reasons(), api::Reason_IsValid) || !api::Level_IsValid(clause.level_min())) {
      return model::Refuse(model::RefusalCode::kOutOfRange, absl::StrCat("filter.any_of[", i, "]"), "want values this hub knows");
    }
    clauses.push_back(ClauseFromProto(clause));
  }
  if (clauses.empty()) return model::Filter::Everything();
  if (absl::Status status = model::ValidateUserFilter(clauses); !status.ok()) return model::WithFieldPrefix(status, "filter");
  return model::Filter::AnyOf(std::move(clauses));
}

// Parts that a conjunction could not merge (FilterClause::also) are not shown: the effective filter is then narrower than its picture.
void ToProto(const model::Filter& filter, api::Filter* out) {
  for (const model::FilterClause& clause : filter.clauses()) ClauseToProto(clause, out->add_any_of());
}

}  // namespace hub::wire
