// Inside libs/wire: filter clauses of the API and of the policy file.
#pragma once

#include "libs/model/filter.h"

namespace fraudhub::v1 {
class FilterClause;
}

namespace hub::wire {

// Field by field, unchecked: an unset level_min becomes NONE.
model::FilterClause ClauseFromProto(const fraudhub::v1::FilterClause& clause);
void ClauseToProto(const model::FilterClause& clause, fraudhub::v1::FilterClause* out);

}  // namespace hub::wire
