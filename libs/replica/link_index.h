// Who names an identifier among its own links: the table that answers it the other way round. Private to this library.
//
//   links   two hashes of the identifier that is named (16) | state key (17) of who names it -> nothing
//   meta    "links" -> format, once the states of before are in
// An identifier's links are those of its own text, so rows are only ever added.
// Thread safety: plain functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/event.h"
#include "libs/model/identifier.h"
#include "libs/model/token.h"
#include "libs/store/database.h"

namespace hub::replica {

void PutLinks(store::TableId links, const model::IndicatorState& state, store::Batch* batch);

// State keys of those who name it, at most `limit`, in their order, those after `after` (empty: all). Among them may be some that don't (two identifiers of one hash): who reads their
// states sees it.
absl::StatusOr<std::vector<std::string>> NamersOf(const store::Database& database, store::TableId links,
                                                  const model::Identifier& named, absl::string_view after,
                                                  size_t limit);

}  // namespace hub::replica
