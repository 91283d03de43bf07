// What policy.textproto says, as plain values: who the stakeholders are and what each role may do. libs/access turns it into decisions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/model/filter.h"
#include "libs/model/vocabulary.h"

namespace hub::model {

struct PrincipalSpec {
  std::string name;  // last part of the URI SAN
  std::string uri;   // the exact URI SAN; empty = fraudhub://<trust_domain>/<stakeholder>/<name>
};

struct StakeholderSpec {
  std::string id;     // [a-z0-9-]{1,48}
  std::string title;  // "Bank PSB-01"
  Role role = Role::kUnspecified;
  std::string kind;   // BANK_PSB, POLICE_STATE, ... for people and reports only
  std::string ownership_group;  // empty = its own id
  std::string state;            // police: victim_state it handles, for default filters
  std::vector<PrincipalSpec> principals;
};

// Clause values "$self" stand for the stakeholder's id (operator_ids, handling_units).
struct RoleGrant {
  Role role = Role::kUnspecified;
  std::vector<std::string> rpcs;          // "ReportService.SubmitReports"
  std::vector<InputKind> may_report;
  std::vector<FilterClause> may_see;      // rows: any of these
  std::vector<FieldAudience> fields;      // beyond kAll
  std::vector<IdentifierType> may_look_up;
  double reports_per_second = 1000;       // sustained; burst is ten times that
  double lookups_per_second = 1000;
  uint32_t streams_max = 4;               // open at a time, per stakeholder
};

struct PolicySpec {
  uint64_t version = 0;
  std::string trust_domain;  // of fraudhub:// and spiffe:// SANs
  std::vector<StakeholderSpec> stakeholders;
  std::vector<RoleGrant> grants;
  std::vector<std::string> denied_uris;  // principals cut off at once, also on open streams
};

}  // namespace hub::model
