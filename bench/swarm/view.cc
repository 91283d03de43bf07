#include "bench/swarm/view.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "bench/swarm/wire_scan.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"

namespace hub::swarm {

struct Auditor::Known {
  uint64_t term = 0;
  uint64_t version = 0;
  fraudhub::v1::Indicator indicator;
};

namespace {

int64_t TimestampMicros(absl::string_view bytes) {
  int64_t micros = 0;
  ScanFields(bytes, [&](int field, uint64_t number, absl::string_view) {
    if (field == 1) micros += static_cast<int64_t>(number) * 1'000'000;
    if (field == 2) micros += static_cast<int64_t>(number) / 1000;
  });
  return micros;
}

template <class Values, class Value>
bool Allows(const Values& wanted, const Value& value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

template <class Values, class Present>
bool AllowsAny(const Values& wanted, const Present& present) {
  return wanted.empty() || std::any_of(present.begin(), present.end(), [&](const auto& value) {
           return std::find(wanted.begin(), wanted.end(), value) != wanted.end();
         });
}

// "$self" in the policy's rows stands for the stakeholder.
std::vector<std::string> Expand(const google::protobuf::RepeatedPtrField<std::string>& values,
                                const std::string& self) {
  std::vector<std::string> expanded(values.begin(), values.end());
  for (std::string& value : expanded) {
    if (value == "$self") value = self;
  }
  return expanded;
}

bool ClauseMatches(const fraudhub::v1::FilterClause& clause, const fraudhub::v1::Indicator& indicator,
                   const std::string& self) {
  return Allows(clause.facets(), indicator.facet()) && Allows(clause.types(), indicator.identifier().type()) &&
         indicator.level() >= clause.level_min() && AllowsAny(clause.reasons(), indicator.reasons()) &&
         AllowsAny(clause.categories(), indicator.categories()) &&
         Allows(clause.circles_of_issue(), indicator.circle_of_issue()) &&
         AllowsAny(clause.victim_states(), indicator.victim_states()) &&
         AllowsAny(Expand(clause.handling_units(), self), indicator.handling_units()) &&
         AllowsAny(clause.case_refs(), indicator.case_refs()) &&
         Allows(Expand(clause.operator_ids(), self), indicator.operator_id());
}

}  // namespace

bool ScanEvent(absl::string_view bytes, EventHead* head) {
  return ScanFields(bytes, [&](int field, uint64_t number, absl::string_view value) {
    switch (field) {
      case 2:
        head->kind = static_cast<int>(number);
        break;
      case 3:
        ScanFields(value, [&](int part, uint64_t n, absl::string_view) {
          if (part == 1) head->term = n;
          if (part == 2) head->version = n;
          if (part == 3) head->reports_offset = static_cast<int64_t>(n);
        });
        break;
      case 4:
        ScanFields(value, [&](int part, uint64_t, absl::string_view text) {
          if (part == 1) head->indicator_id = text;
        });
        break;
      case 5:
        head->left_view = number != 0;
        break;
      case 7:
        head->decided_micros = TimestampMicros(value);
        break;
      case 8:
        head->received_micros = TimestampMicros(value);
        break;
      default:
        break;
    }
  });
}

KeyId KeyTable::Intern(absl::string_view indicator_id, KeyId previous) {
  if (previous < next_.size() && ids_[next_[previous]] == indicator_id) return next_[previous];
  Numbers& numbers = numbers_[(absl::Hash<absl::string_view>()(indicator_id) >> 32) % kParts];
  auto it = numbers.find(indicator_id);
  if (it == numbers.end()) {
    const auto id = static_cast<KeyId>(ids_.size());
    it = numbers.emplace(ids_.emplace_back(indicator_id), id).first;
    next_.push_back(id);
  }
  if (previous < next_.size()) next_[previous] = it->second;
  return it->second;
}

uint64_t HeldHash(KeyId key, uint64_t version) {
  uint64_t h = (uint64_t{key} << 32) ^ version ^ 0x9e3779b97f4a7c15ull;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

bool View::Apply(KeyId key, const EventHead& event) {
  while (key >= size()) chunks_.push_back(std::make_unique<Chunk>());
  Entry& entry = (*chunks_[key / kChunk])[key % kChunk];
  if (event.term < entry.term || (event.term == entry.term && event.version < entry.version)) return false;
  // The same again, unless the view has changed meanwhile.
  if (event.term == entry.term && event.version == entry.version && entry.held != event.left_view) return false;
  if (entry.held) {
    set_hash_ -= HeldHash(key, entry.version);
    --held_;
  }
  entry = {static_cast<uint32_t>(event.term), static_cast<uint32_t>(event.version), !event.left_view};
  if (entry.held) {
    set_hash_ += HeldHash(key, entry.version);
    ++held_;
  }
  return true;
}

void View::Forget(KeyId key) {
  if (!Holds(key)) return;
  Entry& entry = (*chunks_[key / kChunk])[key % kChunk];
  set_hash_ -= HeldHash(key, entry.version);
  --held_;
  entry.held = false;
}

Auditor::Auditor() = default;
Auditor::~Auditor() = default;

void Auditor::Apply(KeyId key, const fraudhub::v1::Event& event) {
  if (key >= known_.size()) known_.resize(key + 1);
  const auto& version = event.version();
  std::unique_ptr<Known>& known = known_[key];
  if (known != nullptr && std::pair(version.term(), version.version()) <= std::pair(known->term, known->version)) return;
  if (known == nullptr) known = std::make_unique<Known>();
  *known = {version.term(), version.version(), event.indicator()};
}

ExpectedView::ExpectedView(const fraudhub::config::v1::Policy& policy,
                           const fraudhub::config::v1::Stakeholder& stakeholder, const fraudhub::v1::Filter& filter)
    : policy_(policy), stakeholder_(stakeholder), filter_(filter) {}

bool ExpectedView::Expects(const fraudhub::v1::Indicator& indicator) const {
  const bool wanted =
      filter_.any_of().empty() || std::any_of(filter_.any_of().begin(), filter_.any_of().end(),
                                              [&](const auto& clause) { return ClauseMatches(clause, indicator, ""); });
  if (!wanted) return false;
  for (const auto& grant : policy_.grants()) {
    if (grant.role() != stakeholder_.role()) continue;
    for (const auto& clause : grant.may_see()) {
      if (ClauseMatches(clause, indicator, stakeholder_.id())) return true;
    }
  }
  return false;
}

std::string Compare(const View& view, const Auditor& auditor, const ExpectedView& expected) {
  size_t missing = 0, extra = 0, other = 0;
  uint64_t hash = 0;
  const auto& known = auditor.known();
  for (KeyId key = 0; key < known.size(); ++key) {
    const bool wanted = known[key] != nullptr && expected.Expects(known[key]->indicator);
    if (wanted) hash += HeldHash(key, known[key]->version);
    if (wanted && !view.Holds(key)) ++missing;
    if (!wanted && view.Holds(key)) ++extra;
    if (wanted && view.Holds(key) && view.version(key) != known[key]->version) ++other;
  }
  for (KeyId key = static_cast<KeyId>(known.size()); key < view.size(); ++key) extra += view.Holds(key) ? 1 : 0;
  if (missing == 0 && extra == 0 && other == 0 && hash == view.set_hash()) return "";
  return absl::StrCat("missing ", missing, ", extra ", extra, ", other version ", other);
}

}  // namespace hub::swarm
