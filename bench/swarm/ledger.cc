#include "bench/swarm/ledger.h"

#include <algorithm>

#include "fraudhub/v1/indicator.pb.h"

namespace hub::swarm {

int Ledger::AddKind(const std::string& name, std::unique_ptr<ExpectedView> view) {
  const auto known = kind_numbers_.find(name);
  if (known != kind_numbers_.end()) return known->second;
  if (kinds_.size() >= kKindsMax) return -1;
  const int number = static_cast<int>(kinds_.size());
  kinds_.push_back(std::move(view));
  kind_numbers_[name] = number;
  return number;
}

bool Ledger::Add(const Told& told, bool exact) {
  if (told.key >= keys_.size()) keys_.resize(told.key + 1);
  Key& key = keys_[told.key];
  if (std::pair(told.head.term, told.head.version) <= std::pair(key.term, key.version)) {
    if (Entry* entry = Find(told.key, told.head.term, told.head.version, false); entry != nullptr) ++entry->repeats;
    return false;
  }
  fraudhub::v1::Event event;
  if (!event.ParseFromArray(told.bytes.data(), static_cast<int>(told.bytes.size()))) return false;
  Entry entry;
  entry.key = told.key;
  entry.term = told.head.term;
  entry.version = told.head.version;
  entry.exact = exact;
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    if (kinds_[kind]->Expects(event.indicator())) entry.matches[kind / 64] |= uint64_t{1} << kind % 64;
  }
  entry.matched_before = key.matches;
  entry.before_known = key.term == entry.term && key.version + 1 == entry.version;
  entry.group = first_group_ + groups_.size();
  entry.bytes.assign(told.bytes.data(), told.bytes.size());
  key.term = entry.term;
  key.version = entry.version;
  key.matches = entry.matches;
  key.entries.push_back(end());
  entries_.push_back(std::move(entry));
  if (entries_.size() > entries_max_) DropOldest();
  return true;
}

void Ledger::EndGroup(const Positions& positions) {
  if (!entries_.empty() && entries_.back().group == first_group_ + groups_.size()) groups_.push_back(positions);
}

Ledger::Entry* Ledger::Find(KeyId key, uint64_t term, uint64_t version, bool any_term) {
  if (key >= keys_.size()) return nullptr;
  const std::vector<uint64_t>& entries = keys_[key].entries;
  for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
    Entry& entry = at(*it);
    if (entry.version == version && (any_term || entry.term == term)) return &entry;
  }
  return nullptr;
}

void Ledger::ForgetBefore(uint64_t number) {
  while (first_ < number && !entries_.empty()) DropOldest();
  const uint64_t group = entries_.empty() ? first_group_ + groups_.size() : entries_.front().group;
  while (first_group_ < group && !groups_.empty()) {
    groups_.pop_front();
    ++first_group_;
  }
}

void Ledger::DropOldest() {
  Key& key = keys_[entries_.front().key];
  key.forgotten = true;
  key.entries.erase(key.entries.begin());
  entries_.pop_front();
  ++first_;
}

}  // namespace hub::swarm
