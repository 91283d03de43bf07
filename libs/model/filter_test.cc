#include "libs/model/filter.h"

#include <random>

#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::model {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int Below(int n) { return static_cast<int>(engine_() % static_cast<uint64_t>(n)); }
  template <class Value>
  std::vector<Value> Some(const std::vector<Value>& from) {
    std::vector<Value> chosen;
    for (const Value& value : from) {
      if (Below(3) == 0) chosen.push_back(value);
    }
    return chosen;
  }
  FilterClause Clause() {
    FilterClause clause;
    clause.types = Some<IdentifierType>({IdentifierType::kMobile, IdentifierType::kImei, IdentifierType::kUrl});
    clause.level_min = static_cast<Level>(1 + Below(4));
    clause.reasons = Some<Reason>({Reason::kForgedDocuments, Reason::kCitizenReports, Reason::kSurrendered});
    clause.victim_states = Some<std::string>({"MH", "DL", "KA"});
    clause.operator_ids = Some<std::string>({"tsp-01", "tsp-02"});
    return clause;
  }
  Attributes Row() {
    Attributes row;
    row.type = std::vector<IdentifierType>{IdentifierType::kMobile, IdentifierType::kImei, IdentifierType::kUrl}[Below(3)];
    row.level = static_cast<Level>(1 + Below(4));
    row.reasons = Some<Reason>({Reason::kForgedDocuments, Reason::kCitizenReports, Reason::kSurrendered});
    row.victim_states = Some<std::string>({"DL", "KA", "MH"});
    row.operator_id = std::vector<std::string>{"", "tsp-01", "tsp-02"}[Below(3)];
    return row;
  }

 private:
  std::mt19937_64 engine_;
};

TEST_CASE("And matches exactly what both match", "[model][filter]") {
  Random random(1);
  int matched = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<FilterClause> one, two;
    for (int k = random.Below(3); k >= 0; --k) one.push_back(random.Clause());
    for (int k = random.Below(3); k >= 0; --k) two.push_back(random.Clause());
    const Filter a = Filter::AnyOf(one);
    const Filter b = Filter::AnyOf(two);
    const Filter both = a.And(b);
    for (int k = 0; k < 20; ++k) {
      const Attributes row = random.Row();
      REQUIRE(both.Matches(row) == (a.Matches(row) && b.Matches(row)));
      matched += both.Matches(row) ? 1 : 0;
    }
  }
  CHECK(matched > 1000);
}

TEST_CASE("the same filter written differently has one fingerprint", "[model][filter]") {
  FilterClause clause;
  clause.victim_states = {"MH", "DL", "MH"};
  FilterClause sorted;
  sorted.victim_states = {"DL", "MH"};
  CHECK(Filter::AnyOf({clause, sorted}).Fingerprint() == Filter::AnyOf({sorted}).Fingerprint());
  CHECK(Filter::AnyOf({clause}) == Filter::AnyOf({sorted}));
  FilterClause other;
  other.case_refs = {"DL", "MH"};
  CHECK(Filter::AnyOf({other}).Fingerprint() != Filter::AnyOf({sorted}).Fingerprint());
}

TEST_CASE("no clause matches nothing and an empty clause matches everything", "[model][filter]") {
  CHECK(Filter().matches_nothing());
  CHECK_FALSE(Filter().Matches(Attributes{}));
  CHECK(Filter::Everything().Matches(Attributes{}));
  CHECK(Filter::Everything().And(Filter()).matches_nothing());
}

TEST_CASE("constraints that exclude each other leave nothing", "[model][filter]") {
  FilterClause mobile, imei;
  mobile.types = {IdentifierType::kMobile};
  imei.types = {IdentifierType::kImei};
  CHECK(Filter::AnyOf({mobile}).And(Filter::AnyOf({imei})).matches_nothing());
}

TEST_CASE("users' filters are bounded", "[model][filter]") {
  CHECK(ValidateUserFilter({FilterClause{}}).ok());
  CHECK(RefusalOf(ValidateUserFilter(std::vector<FilterClause>(17)))->code == RefusalCode::kFilterTooLarge);
  FilterClause large;
  large.victim_states.assign(65, "MH");
  CHECK(RefusalOf(ValidateUserFilter({large}))->code == RefusalCode::kFilterTooLarge);
  FilterClause bad;
  bad.types = {IdentifierType::kUnspecified};
  CHECK(RefusalOf(ValidateUserFilter({bad}))->code == RefusalCode::kOutOfRange);
}

}  // namespace
}  // namespace hub::model
