#include "services/fanout/stream_board.h"

#include "absl/strings/str_cat.h"
#include "libs/model/refusal.h"

namespace hub::fanout_service {

namespace v1 = ::fraudhub::v1;

StreamBoard::Entry::~Entry() {
  base::MutexLock lock(&board_->mu_);
  const auto it = board_->entries_.find(stakeholder_);
  if (it == board_->entries_.end()) return;
  it->second.erase(this);
  if (it->second.empty()) board_->entries_.erase(it);
}

void StreamBoard::Entry::Update(v1::SubscriptionState state) {
  base::MutexLock lock(&board_->mu_);
  state_ = std::move(state);
}

absl::StatusOr<std::unique_ptr<StreamBoard::Entry>> StreamBoard::Open(const std::string& stakeholder,
                                                                      uint32_t streams_max) {
  auto entry = std::make_unique<Entry>(this, stakeholder);
  {
    base::MutexLock lock(&mu_);
    std::set<const Entry*>& open = entries_[stakeholder];
    if (open.size() < streams_max) {
      open.insert(entry.get());
      return entry;
    }
  }
  return model::Refuse(model::RefusalCode::kQuotaExceeded, "",
                       absl::StrCat("want at most ", streams_max, " streams at a time"));
}

std::vector<v1::SubscriptionState> StreamBoard::Of(const std::string& stakeholder) const {
  constexpr size_t kMax = 1000;
  std::vector<v1::SubscriptionState> states;
  base::MutexLock lock(&mu_);
  const auto it = entries_.find(stakeholder);
  if (it == entries_.end()) return states;
  for (const Entry* entry : it->second) {
    if (states.size() < kMax) states.push_back(entry->state_);
  }
  return states;
}

std::vector<v1::StakeholderStreams> StreamBoard::All() const {
  std::vector<v1::StakeholderStreams> all;
  base::MutexLock lock(&mu_);
  for (const auto& [stakeholder, entries] : entries_) {
    v1::StakeholderStreams streams;
    streams.set_stakeholder(stakeholder);
    for (const Entry* entry : entries) *streams.add_streams() = entry->state_;
    all.push_back(std::move(streams));
  }
  return all;
}

}  // namespace hub::fanout_service
