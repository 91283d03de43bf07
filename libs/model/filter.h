// Which indicators somebody wants or may see: a disjunction of clauses over Attributes, in a canonical form.
//
// A clause matches when every constraint it carries matches; an empty list constrains nothing. List attributes match when any value is
// in the clause's list. Filters are values; canonical form (sorted, merged, no duplicate or subsumed-by-equality clauses) gives equal
// filters equal bytes and fingerprints. Thread safety: immutable after construction.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/indicator.h"

namespace hub::model {

inline constexpr size_t kFilterClausesMax = 16;       // a user's; intersections may hold up to 16 x the entitlement's
inline constexpr size_t kFilterValuesMax = 64;        // per list

struct FilterClause {
  std::vector<Facet> facets;
  std::vector<IdentifierType> types;
  Level level_min = Level::kNone;
  std::vector<Reason> reasons;
  std::vector<int> categories;
  std::vector<std::string> circles_of_issue;
  std::vector<std::string> victim_states;
  std::vector<std::string> handling_units;
  std::vector<std::string> case_refs;
  std::vector<std::string> operator_ids;
  // What And can't merge: two lists about one attribute that holds several values ("any of A" and "any of B"). Every one must match.
  // Empty in what users write.
  std::vector<FilterClause> also;
  friend bool operator==(const FilterClause&, const FilterClause&) = default;
  friend std::strong_ordering operator<=>(const FilterClause&, const FilterClause&) = default;
};

class Filter {
 public:
  // Matches nothing.
  Filter() = default;
  static Filter Everything();
  // REQUIRES nothing: any clauses are brought into canonical form.
  static Filter AnyOf(std::vector<FilterClause> clauses);

  // Matches what both match.
  Filter And(const Filter& other) const;
  bool Matches(const Attributes& attributes) const;
  bool matches_nothing() const { return clauses_.empty(); }
  const std::vector<FilterClause>& clauses() const { return clauses_; }

  // Equal filters have equal canonical bytes; the fingerprint is Mix64 of them.
  std::string CanonicalBytes() const;
  uint64_t Fingerprint() const;
  // Bytes in memory, to bound what one client may cost.
  size_t Cost() const;

  friend bool operator==(const Filter&, const Filter&) = default;

 private:
  std::vector<FilterClause> clauses_;
};

// Checks the bounds above and the values' syntax; Refuse(kFilterTooLarge or kOutOfRange, path, ...).
absl::Status ValidateUserFilter(const std::vector<FilterClause>& clauses);

}  // namespace hub::model
