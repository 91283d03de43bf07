#include "services/query/verdict_sets.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/refusal.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/wire.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;
using model::Refuse;

constexpr char kRpc[] = "LookupService.GetVerdictSet";
constexpr size_t kQueueMax = 4;  // messages to be made; there is one turn, and who has it waits for one at a time
constexpr uint32_t kPartsMax = 1 << 12;
constexpr absl::Duration kComeAgain = absl::Seconds(5);
// Of one stakeholder: an edge renews its set each half of its age bound (half a minute) while its snapshot runs.
constexpr access::Rate kRate = {.per_second = 0.5, .burst = 6};

// Whether the caller's stream would name a number and its level.
bool ToldOnStreams(const access::Policy& policy, const access::Principal& caller) {
  v1::Indicator probe;
  probe.mutable_identifier()->set_canonical("x");
  probe.set_level(v1::LEVEL_HIGH);
  wire::Redact(wire::AudienceSet(policy.Fields(caller)), &probe);
  return policy.AuthorizeRpc(caller, "SubscriptionService.Subscribe").ok() && !probe.identifier().canonical().empty() &&
         probe.level() == v1::LEVEL_HIGH && policy.MayLookUp(caller, model::IdentifierType::kMobile);
}

}  // namespace

VerdictSets::VerdictSets(const LookupParts& parts, uint64_t part_states)
    : parts_(parts), part_states_(part_states), worker_("verdict_set", 1, kQueueMax, parts.metrics) {
  begun_ = parts.metrics->AddCounter("fraudhub_query_verdict_sets_total",
                                     "Sets of verdicts that were begun or gone on with");
  refused_ = parts.metrics->AddCounter("fraudhub_query_verdict_sets_refused_total", "Refused, because of too many");
  verdicts_ = parts.metrics->AddCounter("fraudhub_query_verdict_set_verdicts_total", "Verdicts sent in sets");
  bytes_ = parts.metrics->AddCounter("fraudhub_query_verdict_set_bytes_total", "Bytes of their blocks");
}

absl::StatusOr<std::unique_ptr<VerdictSets::Turn>> VerdictSets::Enter(const access::Principal& caller,
                                                                      std::function<void()> cut,
                                                                      absl::Duration* retry_after) {
  *retry_after = parts_.quota->Take(caller.stakeholder, "verdict_sets", 1, kRate);
  if (*retry_after > absl::ZeroDuration()) {
    refused_.Increment();
    return Refuse(RefusalCode::kQuotaExceeded, "", "too many sets; wait and try again");
  }
  base::MutexLock lock(&mu_);
  const absl::Duration now = parts_.clock->Monotonic();
  const bool others_next = now < next_until_ && next_ != caller.stakeholder;
  if (turn_ == nullptr && !others_next) {
    next_until_ = absl::ZeroDuration();
    std::unique_ptr<Turn> turn(new Turn(this, now, std::move(cut)));
    turn_ = turn.get();
    return turn;
  }
  if (!others_next) {
    next_ = caller.stakeholder;
    next_until_ = now + kTurnKept;
  }
  // Cut under the lock: a turn can't go meanwhile, and what it cuts with does not block. Its place is free when its call has ended.
  if (turn_ != nullptr && (now - turn_->waits_since_ > kStalledMax || now - turn_->began_ > kWalkMax)) turn_->cut_();
  refused_.Increment();
  *retry_after = kComeAgain;
  return Refuse(RefusalCode::kOverloaded, "", "another set is being read; come again later");
}

VerdictSets::Turn::~Turn() {
  base::MutexLock lock(&sets_->mu_);
  sets_->turn_ = nullptr;
}

void VerdictSets::Turn::WaitsSince(absl::Duration monotonic) {
  base::MutexLock lock(&sets_->mu_);
  waits_since_ = monotonic;
}

absl::StatusOr<std::unique_ptr<VerdictSets::Walk>> VerdictSets::Begin(const access::Policy& policy,
                                                                      const access::Principal& caller,
                                                                      const v1::GetVerdictSetRequest& request,
                                                                      std::unique_ptr<Turn> turn) {
  model::Filter filter = policy.Entitlement(caller);
  if (request.has_filter()) {
    HUB_ASSIGN_OR_RETURN(const model::Filter wanted, wire::FromProto(request.filter()));
    filter = filter.And(wanted);
  }
  const bool told = ToldOnStreams(policy, caller);
  HUB_ASSIGN_OR_RETURN(const uint32_t parts, CountParts(request));
  audit::Entry entry;
  entry.principal = caller.uri;
  entry.action = kRpc;
  entry.subject = absl::StrCat("verdicts of its view, parts ", request.first_part(), " to ", parts - 1, " of ", parts);
  entry.decision = told ? "granted" : "refused: NOT_ENTITLED";
  entry.policy_version = policy.version();
  if (!parts_.audit->Append(entry).ok()) {
    return absl::UnavailableError("the audit record can't be written, so nothing is answered");
  }
  if (!told) return Refuse(RefusalCode::kNotEntitled, "", "your stream does not tell of numbers and levels");
  begun_.Increment();
  return std::unique_ptr<Walk>(new Walk(this, std::move(turn), std::move(filter), parts, request.first_part()));
}

// As many as keep a part about as large as wanted. Who goes on says how many there were; the states may have become more since.
absl::StatusOr<uint32_t> VerdictSets::CountParts(const v1::GetVerdictSetRequest& request) const {
  HUB_ASSIGN_OR_RETURN(const uint64_t states, parts_.replica->CountAbout());
  const auto parts = static_cast<uint32_t>(
      std::bit_ceil(std::clamp<uint64_t>((states + part_states_ - 1) / part_states_, 1, kPartsMax)));
  if (request.parts() == 0) {
    if (request.first_part() == 0) return parts;
    return Refuse(RefusalCode::kOutOfRange, "first_part", "want 0 where parts is 0");
  }
  if (!std::has_single_bit(request.parts()) || request.parts() > kPartsMax || request.parts() < parts / 2) {
    return Refuse(RefusalCode::kOutOfRange, "parts", "want what the call said that is gone on with; else begin again");
  }
  if (request.first_part() < request.parts()) return request.parts();
  return Refuse(RefusalCode::kOutOfRange, "first_part", "want less than parts");
}

absl::Status VerdictSets::Walk::ReadPart() {
  const LookupParts& with = sets_->parts_;
  const absl::Status behind =
      absl::UnavailableError("this node's states are behind the log; try again later, or another node");
  complete_until_ = with.replica->CompleteUntil();
  if (with.clock->TimeNow() - complete_until_ > with.age_max) return behind;
  verdicts_.clear();
  sent_ = 0;
  bool too_many = false;
  const auto heads = with.replica->VisitPart(part_, parts_, [&](const replica::Answer& answer) {
    const model::IndicatorState& state = answer.state;
    if (state.key.facet != model::Facet::kRisk || state.attributes.level == model::Level::kUnspecified ||
        !filter_.Matches(state.attributes)) {
      return;
    }
    const std::optional<uint64_t> digits = replica::MobileDigits(state.identifier);
    if (!digits.has_value()) return;
    too_many = too_many || verdicts_.size() >= 2 * sets_->part_states_;
    if (!too_many) verdicts_.push_back(replica::Pack(*digits, state.attributes.level));
  });
  HUB_RETURN_IF_ERROR(heads.status());
  if (too_many) return Refuse(RefusalCode::kOutOfRange, "parts", "they have become too large; begin again");
  if (with.replica->CompleteUntil() == absl::InfinitePast()) return behind;  // a gap came meanwhile (R9)
  hub_time_ = with.clock->TimeNow();
  std::sort(verdicts_.begin(), verdicts_.end());
  const auto same = [](replica::PackedVerdict a, replica::PackedVerdict b) {
    return replica::DigitsOf(a) == replica::DigitsOf(b);
  };
  verdicts_.erase(std::unique(verdicts_.begin(), verdicts_.end(), same), verdicts_.end());
  digest_ = {};
  for (const replica::PackedVerdict verdict : verdicts_) digest_.Add(verdict);
  read_ = true;
  return absl::OkStatus();
}

absl::StatusOr<bool> VerdictSets::Walk::Next(v1::GetVerdictSetResponse* response) {
  turn_->WaitsSince(absl::InfiniteDuration());  // a part takes seconds to read
  response->Clear();
  if (part_ == parts_) return false;
  if (!read_) HUB_RETURN_IF_ERROR(ReadPart());
  response->set_part(part_);
  response->set_parts(parts_);
  rpc::ToProto(complete_until_, response->mutable_complete_until());
  rpc::ToProto(hub_time_, response->mutable_hub_time());
  const size_t count = std::min(verdicts_.size() - sent_, replica::kBlockVerdictsMax);
  if (count > 0) {
    response->set_block(replica::EncodeBlock(absl::MakeConstSpan(verdicts_).subspan(sent_, count)));
    sent_ += count;
    sets_->verdicts_.Increment(static_cast<double>(count));
    sets_->bytes_.Increment(static_cast<double>(response->block().size()));
  }
  if (sent_ == verdicts_.size()) {
    v1::VerdictSetDigest* const digest = response->mutable_digest();
    digest->set_count(digest_.count);
    digest->set_sum(digest_.sums[0]);
    digest->set_other_sum(digest_.sums[1]);
    read_ = false;
    ++part_;
  }
  turn_->WaitsSince(sets_->parts_.clock->Monotonic());
  return true;
}

}  // namespace hub::query
