#include "libs/model/filter.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/model/refusal.h"

namespace hub::model {
namespace {

template <class Value>
void SortUnique(std::vector<Value>* values) {
  std::sort(values->begin(), values->end());
  values->erase(std::unique(values->begin(), values->end()), values->end());
}

// Calls visit(list of a, list of b) for every list of two clauses: the one place that names them all.
template <class Clause, class Visit>
void ForEachList(Clause& a, Clause& b, Visit visit) {
  visit(a.facets, b.facets);
  visit(a.types, b.types);
  visit(a.reasons, b.reasons);
  visit(a.categories, b.categories);
  visit(a.circles_of_issue, b.circles_of_issue);
  visit(a.victim_states, b.victim_states);
  visit(a.handling_units, b.handling_units);
  visit(a.case_refs, b.case_refs);
  visit(a.operator_ids, b.operator_ids);
}

// Attributes with one value: both lists at once are their intersection. False: nothing can be in both.
template <class Value>
bool Intersect(std::vector<Value>* into, const std::vector<Value>& other) {
  if (other.empty()) return true;
  if (into->empty()) {
    *into = other;
    return true;
  }
  std::vector<Value> both;
  std::set_intersection(into->begin(), into->end(), other.begin(), other.end(), std::back_inserter(both));
  *into = std::move(both);
  return !into->empty();
}

// Attributes with several values: a row may hold one value of each list, so the lists merge only when one contains the other.
// False: `other` has to be kept beside `into`.
template <class Value>
bool Narrow(std::vector<Value>* into, const std::vector<Value>& other) {
  if (other.empty() || std::includes(other.begin(), other.end(), into->begin(), into->end())) {
    if (into->empty()) *into = other;
    return true;
  }
  if (into->empty() || std::includes(into->begin(), into->end(), other.begin(), other.end())) {
    *into = other;
    return true;
  }
  return false;
}

template <class Value>
bool AllowsOne(const std::vector<Value>& wanted, const Value& value) {
  return wanted.empty() || std::binary_search(wanted.begin(), wanted.end(), value);
}

template <class Value>
bool AllowsAny(const std::vector<Value>& wanted, const std::vector<Value>& present) {
  return wanted.empty() || std::any_of(present.begin(), present.end(), [&](const Value& value) {
           return std::binary_search(wanted.begin(), wanted.end(), value);
         });
}

bool ClauseMatches(const FilterClause& clause, const Attributes& a) {
  return a.level >= clause.level_min && AllowsOne(clause.facets, a.facet) && AllowsOne(clause.types, a.type) &&
         AllowsAny(clause.reasons, a.reasons) && AllowsAny(clause.categories, a.categories) &&
         AllowsOne(clause.circles_of_issue, a.circle_of_issue) && AllowsAny(clause.victim_states, a.victim_states) &&
         AllowsAny(clause.handling_units, a.handling_units) && AllowsAny(clause.case_refs, a.case_refs) &&
         AllowsOne(clause.operator_ids, a.operator_id) &&
         std::all_of(clause.also.begin(), clause.also.end(), [&](const FilterClause& also) { return ClauseMatches(also, a); });
}

bool Both(const FilterClause& a, const FilterClause& b, FilterClause* both) {
  *both = a;
  both->level_min = std::max(a.level_min, b.level_min);
  if (!Intersect(&both->facets, b.facets) || !Intersect(&both->types, b.types) ||
      !Intersect(&both->circles_of_issue, b.circles_of_issue) || !Intersect(&both->operator_ids, b.operator_ids)) {
    return false;
  }
  FilterClause beside;
  if (!Narrow(&both->reasons, b.reasons)) beside.reasons = b.reasons;
  if (!Narrow(&both->categories, b.categories)) beside.categories = b.categories;
  if (!Narrow(&both->victim_states, b.victim_states)) beside.victim_states = b.victim_states;
  if (!Narrow(&both->handling_units, b.handling_units)) beside.handling_units = b.handling_units;
  if (!Narrow(&both->case_refs, b.case_refs)) beside.case_refs = b.case_refs;
  both->also.insert(both->also.end(), b.also.begin(), b.also.end());
  if (!(beside == FilterClause{})) both->also.push_back(std::move(beside));
  return true;
}

void Canonical(FilterClause* clause) {
  ForEachList(*clause, *clause, [](auto& list, auto&) { SortUnique(&list); });
  clause->level_min = std::max(clause->level_min, Level::kNone);
  for (FilterClause& also : clause->also) Canonical(&also);
  SortUnique(&clause->also);
}

std::string Text(const std::string& value) { return absl::StrCat(value.size(), ":", value); }
template <class Value>
std::string Text(Value value) {
  return absl::StrCat(static_cast<int>(value));
}

void AppendClause(const FilterClause& clause, std::string* out) {
  absl::StrAppend(out, "{", static_cast<int>(clause.level_min));
  ForEachList(clause, clause, [&](const auto& list, const auto&) {
    absl::StrAppend(out, ";");
    for (const auto& value : list) absl::StrAppend(out, Text(value), ",");
  });
  for (const FilterClause& also : clause.also) AppendClause(also, out);
  out->push_back('}');
}

absl::Status TooLarge(absl::string_view path, absl::string_view what) {
  return Refuse(RefusalCode::kFilterTooLarge, path, what);
}

}  // namespace

Filter Filter::Everything() { return AnyOf({FilterClause{}}); }

Filter Filter::AnyOf(std::vector<FilterClause> clauses) {
  for (FilterClause& clause : clauses) Canonical(&clause);
  SortUnique(&clauses);
  Filter filter;
  filter.clauses_ = std::move(clauses);
  return filter;
}

Filter Filter::And(const Filter& other) const {
  std::vector<FilterClause> clauses;
  for (const FilterClause& a : clauses_) {
    for (const FilterClause& b : other.clauses_) {
      FilterClause both;
      if (Both(a, b, &both)) clauses.push_back(std::move(both));
    }
  }
  return AnyOf(std::move(clauses));
}

bool Filter::Matches(const Attributes& attributes) const {
  return std::any_of(clauses_.begin(), clauses_.end(),
                     [&](const FilterClause& clause) { return ClauseMatches(clause, attributes); });
}

std::string Filter::CanonicalBytes() const {
  std::string bytes;
  for (const FilterClause& clause : clauses_) AppendClause(clause, &bytes);
  return bytes;
}

uint64_t Filter::Fingerprint() const { return base::Mix64(CanonicalBytes()); }

size_t Filter::Cost() const { return sizeof(FilterClause) * clauses_.size() + CanonicalBytes().size(); }

absl::Status ValidateUserFilter(const std::vector<FilterClause>& clauses) {
  if (clauses.size() > kFilterClausesMax) {
    return TooLarge("any_of", absl::StrCat("want at most ", kFilterClausesMax, " clauses"));
  }
  for (size_t i = 0; i < clauses.size(); ++i) {
    const std::string path = absl::StrCat("any_of[", i, "]");
    absl::Status status = absl::OkStatus();
    ForEachList(clauses[i], clauses[i], [&](const auto& list, const auto&) {
      if (list.size() > kFilterValuesMax) {
        status = TooLarge(path, absl::StrCat("want at most ", kFilterValuesMax, " values in a list"));
      }
      for (const auto& value : list) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
          if (value.empty() || value.size() > 64) status = Refuse(RefusalCode::kOutOfRange, path, "want texts of 1 to 64 bytes");
        } else {
          if (static_cast<int>(value) <= 0) status = Refuse(RefusalCode::kOutOfRange, path, "want no UNSPECIFIED value");
        }
      }
    });
    if (!status.ok()) return status;
    if (!clauses[i].also.empty()) return TooLarge(path, "want plain clauses");
  }
  return absl::OkStatus();
}

}  // namespace hub::model
