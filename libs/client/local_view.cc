#include "libs/client/local_view.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/hash.h"
#include "libs/base/log.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/proto_time.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;
using replica::IndexVerdict;

constexpr size_t kRowsPerStep = 1000;  // of a sweep or a load; some milliseconds
// Further back than this, the clock that data was left with is no guide to its age.
constexpr absl::Duration kClockBackMax = absl::Seconds(10);
// Between the registries' ticks and the clock of who read a set.
constexpr absl::Duration kClocksDiffer = absl::Seconds(10);
constexpr char kFormat[] = "1";

uint64_t RandomKey() {
  const std::string bytes = base::RandomBytes(8);
  return store::DecodeKey64(bytes);
}

bool SeesUnflagged(const v1::Filter& filter) {
  return filter.any_of().empty() || std::any_of(filter.any_of().begin(), filter.any_of().end(), [](const auto& clause) {
           return clause.level_min() <= v1::LEVEL_NONE;
         });
}

std::string Micros(absl::Time time) { return absl::StrCat(absl::ToUnixMicros(time)); }

}  // namespace

LocalView::LocalView(store::Database* database, store::TableId first_table, const base::Clock* clock,
                     base::Metrics* metrics)
    : database_(database),
      rows_(first_table),
      meta_(first_table + 1),
      clock_(clock),
      index_({.hash_key = RandomKey()}) {
  const auto events = [&](const char* kind) {
    return metrics->AddCounter("fraudhub_edge_events_total", "Events of the hub, by what came of them",
                               {{"kind", kind}});
  };
  applied_ = events("applied");
  stale_ = events("stale");
  left_ = events("left_view");
  nameless_ = events("without_identifier");
  failed_ =
      metrics->AddCounter("fraudhub_edge_failed_commits_total", "Messages that could not be stored and came again");
  swept_ = metrics->AddCounter("fraudhub_edge_swept_total", "Indicators that a snapshot did not tell of any more");
  snapshots_ = metrics->AddCounter("fraudhub_edge_snapshots_total", "Snapshots that began");
}

LocalView::~LocalView() = default;

absl::StatusOr<std::unique_ptr<LocalView>> LocalView::Open(store::Database* database, store::TableId first_table,
                                                           const base::Clock* clock, base::Metrics* metrics) {
  std::unique_ptr<LocalView> view(new LocalView(database, first_table, clock, metrics));
  HUB_RETURN_IF_ERROR(view->Load());
  return view;
}

absl::Status LocalView::Load() {
  {
    base::MutexLock lock(&mu_);
    index_.BeginLoad(clock_->TimeNow());  // until it is loaded, lookups ask the disk
  }
  HUB_ASSIGN_OR_RETURN(const auto format, database_->Get(meta_, "format"));
  HUB_ASSIGN_OR_RETURN(const auto token, database_->Get(meta_, "token"));
  if (format != kFormat || !token.has_value() || token->empty()) return Forget();
  HUB_ASSIGN_OR_RETURN(const auto until, database_->Get(meta_, "until"));
  HUB_ASSIGN_OR_RETURN(const auto skew, database_->Get(meta_, "skew"));
  HUB_ASSIGN_OR_RETURN(const auto generation, database_->Get(meta_, "generation"));
  HUB_ASSIGN_OR_RETURN(const auto view, database_->Get(meta_, "view"));
  int64_t until_micros = 0, skew_micros = 0;
  uint32_t number = 0;
  v1::Filter filter;
  if (!absl::SimpleAtoi(until.value_or("0"), &until_micros) || !absl::SimpleAtoi(skew.value_or("0"), &skew_micros) ||
      !absl::SimpleAtoi(generation.value_or("0"), &number) || !filter.ParseFromString(view.value_or(""))) {
    return absl::DataLossError("replica: what is stored about the stream can't be read");
  }
  {
    base::MutexLock lock(&mu_);
    generation_ = number;
  }
  base::MutexLock lock(&fresh_mu_);
  token_ = *token;
  if (until_micros > 0) until_ = absl::FromUnixMicros(until_micros);
  skew_ = absl::Microseconds(skew_micros);
  sees_unflagged_ = SeesUnflagged(filter);
  return absl::OkStatus();
}

std::string LocalView::token() const {
  base::MutexLock lock(&fresh_mu_);
  return token_;
}

absl::Status LocalView::OnOpened(const v1::Opened& opened) {
  pending_.clear();  // of a stream that broke: it comes again
  // A stream that goes on from before a snapshot has left it.
  in_snapshot_ = in_snapshot_ && (sweep_due_ || opened.snapshot_resumed());
  // Nobody said ViewChanged to who was away. None stored: the first stream, and a set is as new as it.
  const auto view = database_->Get(meta_, "view");
  HUB_RETURN_IF_ERROR(Noted(view.status()));
  if (view->has_value() && **view != opened.effective_filter().SerializeAsString()) DropFirstVerdicts();
  return SetView(opened.effective_filter());
}

absl::Status LocalView::OnViewChanged(const v1::ViewChanged& changed) {
  DropFirstVerdicts();
  return SetView(changed.effective_filter());
}

absl::Status LocalView::SetView(const v1::Filter& filter) {
  store::Batch batch;
  batch.Put(meta_, "view", filter.SerializeAsString());
  HUB_RETURN_IF_ERROR(Noted(database_->Commit(batch, store::Durability::kBuffered)));
  sees_unflagged_ = SeesUnflagged(filter);
  return absl::OkStatus();
}

void LocalView::OnEvent(const v1::Event& event) {
  // There is nothing to find it by.
  if (event.indicator().identifier().canonical().empty()) return nameless_.Increment();
  pending_.push_back(event);
}

absl::Status LocalView::OnBatch() {
  struct Edit {
    std::optional<Row> before, now;
    bool changed = false;
  };
  const std::vector<v1::Event> events = std::exchange(pending_, {});
  std::map<std::string, Edit> edits;
  std::vector<std::string> keys;
  for (const v1::Event& event : events) {
    std::string key = KeyOf(event);
    if (edits.emplace(key, Edit()).second) keys.push_back(std::move(key));
  }
  auto known = database_->MultiGet(rows_, keys);
  HUB_RETURN_IF_ERROR(Noted(known.status()));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!(*known)[i].has_value()) continue;
    auto row = DecodeRow(*(*known)[i]);
    HUB_RETURN_IF_ERROR(Noted(row.status()));
    edits[keys[i]].now = edits[keys[i]].before = *std::move(row);
  }
  base::MutexLock lock(&mu_);
  for (const v1::Event& event : events) {
    Edit& edit = edits[KeyOf(event)];
    Row row = RowOf(event, generation_);
    // Equal versions are taken again: a snapshot under other rights has other fields.
    if (edit.now.has_value() && row.stamp < edit.now->stamp) {
      stale_.Increment();
      edit.changed = edit.changed || edit.now->generation != generation_;
      edit.now->generation = generation_;
      continue;
    }
    (row.gone ? left_ : applied_).Increment();
    edit.now = std::move(row);
    edit.changed = true;
  }
  store::Batch batch;
  for (const auto& [key, edit] : edits) {
    if (edit.changed) batch.Put(rows_, key, EncodeRow(*edit.now));
  }
  if (batch.empty()) return absl::OkStatus();
  HUB_RETURN_IF_ERROR(CommitLocked(&batch));
  for (const auto& [key, edit] : edits) {
    if (edit.changed) IndexRow(key, edit.before ? &*edit.before : nullptr, &*edit.now);
  }
  return absl::OkStatus();
}

absl::Status LocalView::OnProgress(const v1::Progress& progress) {
  if (sweep_due_) HUB_RETURN_IF_ERROR(OnSnapshotEnds());  // a disk that was full, perhaps
  if (in_snapshot_) return absl::OkStatus();
  const absl::Time until =
      progress.has_complete_until() ? rpc::FromProto(progress.complete_until()) : absl::InfinitePast();
  const absl::Time hub_time = progress.has_hub_time() ? rpc::FromProto(progress.hub_time()) : clock_->TimeNow();
  const absl::Duration skew = clock_->TimeNow() - hub_time;
  store::Batch batch;
  batch.Put(meta_, "token", progress.token());
  if (until != absl::InfinitePast()) batch.Put(meta_, "until", Micros(until));
  batch.Put(meta_, "skew", absl::StrCat(absl::ToInt64Microseconds(skew)));
  HUB_RETURN_IF_ERROR(Noted(database_->Commit(batch, store::Durability::kBuffered)));
  base::MutexLock lock(&fresh_mu_);
  token_ = progress.token();
  until_ = std::max(until_, until);
  hub_time_ = hub_time;
  received_ = clock_->Monotonic();
  skew_ = skew;
  behind_ = progress.records_behind();
  return absl::OkStatus();
}

void LocalView::OnSnapshotBegins() {
  HUB_LOG(INFO, "snapshot_begins");
  snapshots_.Increment();
  pending_.clear();
  unchanged_.clear();
  in_snapshot_ = true;
  sweep_due_ = false;
  base::MutexLock lock(&mu_);
  ++generation_;  // stored with the next commit
}

void LocalView::OnUnchanged(const std::string& indicator_id) { unchanged_.insert(indicator_id); }

absl::Status LocalView::OnSnapshotEnds() {
  if (!in_snapshot_) return absl::OkStatus();
  sweep_due_ = true;
  const auto cursor = database_->Scan(rows_, "", "");
  int64_t swept = 0;
  while (cursor->Valid()) {
    base::MutexLock lock(&mu_);
    store::Batch batch;
    std::vector<std::pair<std::string, Row>> removed;
    for (size_t i = 0; i < kRowsPerStep && cursor->Valid(); ++i, cursor->Next()) {
      auto row = DecodeRow(cursor->value());
      HUB_RETURN_IF_ERROR(Noted(row.status()));
      if (row->generation == generation_) continue;
      v1::LookupResult answer;
      if (!unchanged_.empty() && answer.ParseFromString(row->answer) &&
          unchanged_.contains(answer.indicator().indicator_id()))
        continue;
      batch.Delete(rows_, cursor->key());
      removed.emplace_back(std::string(cursor->key()), *std::move(row));
    }
    if (batch.empty()) continue;
    HUB_RETURN_IF_ERROR(CommitLocked(&batch));
    for (const auto& [key, row] : removed) {
      IndexRow(key, &row, nullptr);
      if (!row.gone) ++swept;
    }
  }
  HUB_RETURN_IF_ERROR(Noted(cursor->status()));
  in_snapshot_ = sweep_due_ = false;
  unchanged_.clear();
  swept_.Increment(static_cast<double>(swept));
  HUB_LOG(INFO, "snapshot_ends", {{"not_told_of_any_more", swept}});
  return absl::OkStatus();
}

absl::Status LocalView::Forget() {
  DropFirstVerdicts();
  pending_.clear();
  unchanged_.clear();
  in_snapshot_ = sweep_due_ = false;
  const absl::Time now = freshness().hub_now;
  base::MutexLock lock(&mu_);
  store::Batch batch;
  for (const store::TableId table : {rows_, meta_}) batch.DeleteRange(table, "", std::string(64, '\xff'));
  batch.Put(meta_, "format", kFormat);
  HUB_RETURN_IF_ERROR(Noted(database_->Commit(batch, store::Durability::kSynced)));
  generation_ = 0;
  index_.BeginLoad(now);
  index_.FinishLoad();
  indicators_ = 0;
  counted_ = true;
  base::MutexLock fresh(&fresh_mu_);
  token_.clear();
  until_ = hub_time_ = absl::InfinitePast();
  behind_ = 0;
  return absl::OkStatus();
}

bool LocalView::IndexWantsLoad() const {
  const absl::Time now = freshness().hub_now;
  base::MutexLock lock(&mu_);
  return !counted_ || index_.WantsLoad(now);
}

absl::StatusOr<bool> LocalView::LoadIndex(const std::function<bool()>& stop) {
  const absl::Time now = freshness().hub_now;
  std::unique_ptr<store::Cursor> cursor;
  {
    base::MutexLock lock(&mu_);
    counted_ = false;
    indicators_ = 0;
    index_.BeginLoad(now);
    cursor = database_->Scan(rows_, "", "");
  }
  while (cursor->Valid()) {
    if (stop()) return false;
    base::MutexLock lock(&mu_);
    if (counted_) return true;  // everything was forgotten meanwhile
    std::vector<std::string> old;
    for (size_t i = 0; i < kRowsPerStep && cursor->Valid(); ++i, cursor->Next()) {
      auto row = DecodeRow(cursor->value());
      HUB_RETURN_IF_ERROR(Noted(row.status()));
      if (row->gone) {
        if (row->lapses_at < now) old.emplace_back(cursor->key());
        continue;
      }
      ++indicators_;
      if (static_cast<model::Facet>(cursor->key()[0]) != model::Facet::kRisk) continue;
      auto identifier = IdentifierOfKey(cursor->key());
      HUB_RETURN_IF_ERROR(Noted(identifier.status()));
      index_.Load(*identifier, row->level, row->lapses_at);
    }
    ForgetGoneLocked(old, now).IgnoreError();  // a disk that is full: the next time
  }
  HUB_RETURN_IF_ERROR(Noted(cursor->status()));
  base::MutexLock lock(&mu_);
  if (counted_) return true;
  counted_ = true;
  return index_.FinishLoad();
}

size_t LocalView::index_bytes() const {
  base::MutexLock lock(&mu_);
  return index_.bytes();
}

Freshness LocalView::freshness() const {
  base::MutexLock lock(&fresh_mu_);
  Freshness fresh;
  fresh.complete_until = until_;
  fresh.skew = skew_;
  fresh.records_behind = behind_;
  fresh.hub_now =
      hub_time_ == absl::InfinitePast() ? clock_->TimeNow() - skew_ : hub_time_ + (clock_->Monotonic() - received_);
  if (until_ == absl::InfinitePast()) return fresh;
  const absl::Duration age = fresh.hub_now - until_;
  if (hub_time_ == absl::InfinitePast() && age < -kClockBackMax) return fresh;
  fresh.age = std::max(age, absl::ZeroDuration());
  return fresh;
}

IndexVerdict LocalView::Verdict(const model::Identifier& identifier, absl::Time hub_now,
                                replica::VerdictIndex::Reader* reader) {
  if (reader == nullptr) return {};
  const IndexVerdict verdict = reader->Get(identifier, hub_now);
  if (verdict.kind != IndexVerdict::Kind::kAbsent) reader->Idle();  // the disk may take its time
  return verdict;
}

void LocalView::Lookup(const model::Identifier& identifier, absl::Time hub_now, const IndexVerdict& verdict,
                       v1::LookupResult* result) const {
  if (verdict.kind == IndexVerdict::Kind::kAbsent) return result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
  const auto bytes = database_->Get(rows_, RowKey(model::Facet::kRisk, identifier));
  if (!Noted(bytes.status()).ok()) return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
  if (!bytes->has_value()) return result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
  const auto row = DecodeRow(**bytes);
  if (!Noted(row.status()).ok()) return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
  AnswerFromRow(*row, hub_now, result);
}

void LocalView::AnswerFromRow(const Row& row, absl::Time hub_now, v1::LookupResult* result) const {
  if (row.gone) return result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
  if (!result->ParseFromString(row.answer)) {
    Noted(absl::DataLossError("replica: an answer can't be read")).IgnoreError();
    result->Clear();
    return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
  }
  if (replica::LevelAt(row.level, row.lapses_at, hub_now) != row.level) AnswerLapsed(result);
}

bool LocalView::incomplete() const {
  if (in_snapshot_) return true;
  base::MutexLock lock(&fresh_mu_);
  return until_ == absl::InfinitePast();
}

void LocalView::UseFirstVerdicts(uint64_t view_number, std::shared_ptr<const FirstVerdicts> verdicts) {
  base::MutexLock lock(&fresh_mu_);
  if (view_number == view_number_) first_ = std::move(verdicts);
}

void LocalView::DropFirstVerdicts() {
  base::MutexLock lock(&fresh_mu_);
  ++view_number_;
  first_ = nullptr;
}

std::shared_ptr<const FirstVerdicts> LocalView::first_verdicts() const {
  base::MutexLock lock(&fresh_mu_);
  return first_;
}

Freshness LocalView::FreshnessOf(const FirstVerdicts& verdicts) const {
  Freshness fresh;
  fresh.complete_until = verdicts.complete_until;
  fresh.hub_now = verdicts.HubNow(clock_->Monotonic());
  fresh.age = std::max(fresh.hub_now - fresh.complete_until, absl::ZeroDuration());
  return fresh;
}

// The set knows all that was decided before its `complete_until`; a row that was decided later is newer, unless the set's last look came
// later still. Where both may be right, nobody is told of a flag.
void LocalView::LookupFirst(const FirstVerdicts& verdicts, const model::Identifier& identifier, absl::Time hub_now,
                            v1::LookupResult* result) const {
  const std::optional<uint64_t> digits = replica::MobileDigits(identifier);
  if (!digits.has_value()) return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
  const model::Level level = verdicts.set.Find(*digits);
  const bool in_set = level != model::Level::kUnspecified;
  const auto bytes = database_->Get(rows_, RowKey(model::Facet::kRisk, identifier));
  if (!Noted(bytes.status()).ok()) return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
  if (bytes->has_value()) {
    const auto row = DecodeRow(**bytes);
    if (!Noted(row.status()).ok()) return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    const bool dated = row->decided_at != absl::InfinitePast();
    const bool newer = dated ? row->decided_at >= verdicts.complete_until : row->gone;
    if (newer && !row->gone && (!in_set || level < row->level) &&
        row->decided_at <= verdicts.read_until + kClocksDiffer) {
      return result->set_verdict(v1::LOOKUP_VERDICT_UNKNOWN);
    }
    if (newer || (in_set && !row->gone && row->level == level)) return AnswerFromRow(*row, hub_now, result);
  }
  if (!in_set) return result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
  result->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
  result->set_details_pending(true);
  v1::Indicator* const indicator = result->mutable_indicator();
  indicator->mutable_identifier()->set_type(static_cast<v1::IdentifierType>(identifier.type));
  indicator->mutable_identifier()->set_canonical(identifier.canonical);
  indicator->set_facet(v1::FACET_RISK);
  indicator->set_level(static_cast<v1::Level>(level));
}

// As the hub answers once its tick has passed the lapse: without a flag, to those who see what has none.
void LocalView::AnswerLapsed(v1::LookupResult* result) const {
  if (!sees_unflagged_) {
    result->Clear();
    return result->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
  }
  v1::Indicator* indicator = result->mutable_indicator();
  indicator->set_level(v1::LEVEL_NONE);
  indicator->set_standing(v1::EVENT_KIND_EXPIRED);
  indicator->clear_reasons();
  indicator->clear_expires_at();
  indicator->clear_review_due();
}

// The first word of damage is passed on; nothing else is to be expected of the files from then on.
absl::Status LocalView::Noted(absl::Status status) const {
  if (absl::IsDataLoss(status) && damaged_) damaged_();
  return status;
}

absl::Status LocalView::CommitLocked(store::Batch* batch) {
  batch->Put(meta_, "generation", absl::StrCat(generation_));
  const absl::Status kept = Noted(database_->Commit(*batch, store::Durability::kBuffered));
  if (!kept.ok()) failed_.Increment();
  return kept;
}

absl::Status LocalView::ForgetGoneLocked(const std::vector<std::string>& keys, absl::Time now) {
  store::Batch batch;
  for (const std::string& key : keys) {
    HUB_ASSIGN_OR_RETURN(const auto bytes, database_->Get(rows_, key));  // it may have come back since the walk began
    if (!bytes.has_value()) continue;
    HUB_ASSIGN_OR_RETURN(const Row row, DecodeRow(*bytes));
    if (row.gone && row.lapses_at < now) batch.Delete(rows_, key);
  }
  return batch.empty() ? absl::OkStatus() : CommitLocked(&batch);
}

void LocalView::IndexRow(const std::string& key, const Row* before, const Row* now) {
  const bool was = before != nullptr && !before->gone, is = now != nullptr && !now->gone;
  indicators_ += static_cast<int64_t>(is) - static_cast<int64_t>(was);
  if (static_cast<model::Facet>(key[0]) != model::Facet::kRisk) return;
  const auto identifier = IdentifierOfKey(key);
  if (!identifier.ok()) return;  // a snapshot tells of nothing without an identifier
  if (is) {
    index_.Put(*identifier, now->level, now->lapses_at);
  } else {
    index_.Remove(*identifier);
  }
}

}  // namespace hub::client
