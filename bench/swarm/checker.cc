#include "bench/swarm/checker.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"

namespace hub::swarm {
namespace {

constexpr const char* kNames[] = {"no_gap", "progress",  "order",      "once",     "monotone", "rows",
                                  "fields", "resume",    "no_phantom", "snapshot", "age",      "urgent",
                                  "dense",  "heartbeat", "drain",      "recovery"};
static_assert(std::size(kNames) == static_cast<size_t>(Invariant::kCount));
constexpr size_t kArrivalsMax = 500'000;  // events ahead of the auditor; what comes beyond is not judged
constexpr size_t kSuspectsMax = 100'000;
constexpr size_t kProblemsPerKind = 3;
constexpr int64_t kLiveRecords = 1000;  // a stream so close to the end is live
// A turn of the loop that took longer says that this process stood still: silence is not the hub's then.
constexpr absl::Duration kStoodStill = absl::Seconds(1);

bool UsesSelf(const fraudhub::config::v1::Policy& policy, int role) {
  for (const auto& grant : policy.grants()) {
    if (grant.role() != role) continue;
    for (const auto& clause : grant.may_see()) {
      for (const auto* list : {&clause.operator_ids(), &clause.handling_units()}) {
        if (std::find(list->begin(), list->end(), "$self") != list->end()) return true;
      }
    }
  }
  return false;
}

}  // namespace

Checker::Checker(const fraudhub::config::v1::Policy& policy, const CheckerOptions& options)
    : policy_(policy), options_(options), ledger_(options.ledger_entries_max) {}

int Checker::AddStream(const fraudhub::config::v1::Stakeholder& stakeholder, const fraudhub::v1::Filter& filter,
                       bool auditor, const Receiver* receiver) {
  Stream stream;
  stream.auditor = auditor;
  stream.receiver = receiver;
  const std::string self = UsesSelf(policy_, stakeholder.role()) ? stakeholder.id() : "";
  stream.kind = ledger_.AddKind(absl::StrCat(stakeholder.role(), "/", self, "/", filter.SerializeAsString()),
                                std::make_unique<ExpectedView>(policy_, stakeholder, filter));
  const Audiences audiences(policy_, stakeholder.role());
  const auto same = std::find_if(audiences_.begin(), audiences_.end(),
                                 [&](const Audiences& a) { return !(a < audiences) && !(audiences < a); });
  stream.audiences = static_cast<size_t>(same - audiences_.begin());
  if (same == audiences_.end()) audiences_.push_back(audiences);
  const int number = static_cast<int>(streams_.size());
  if (auditor) auditor_ = number;
  streams_.push_back(std::move(stream));
  return number;
}

void Checker::Broken(Invariant invariant, int stream, const std::string& what) {
  if (++broken_[static_cast<size_t>(invariant)] > kProblemsPerKind) return;
  problems_.push_back(absl::StrCat(kNames[static_cast<size_t>(invariant)], ": stream ", stream, ": ", what));
}

bool Checker::ok() const {
  return std::all_of(broken_.begin(), broken_.end(), [](uint64_t count) { return count == 0; });
}

std::vector<std::string> Checker::NotTested(const std::vector<std::string>& names) const {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    const auto* known = std::find(std::begin(kNames), std::end(kNames), name);
    if (known == std::end(kNames) || exercised_[static_cast<size_t>(known - kNames)] == 0) missing.push_back(name);
  }
  return missing;
}

void Checker::OnConnect(int number, size_t node, bool resumes, absl::Duration now) {
  Stream& stream = streams_[static_cast<size_t>(number)];
  if (stream.ever_open) ++reconnects_;
  if (resumes && node != stream.node) ++other_node_;
  stream.node = node;
  stream.resumed = resumes;
  stream.open = stream.drained = stream.live = stream.silent = false;
  if (!resumes) {
    stream.fresh = true;
    stream.mark.waits = false;
    stream.complete_until = 0;
  }
  stream.token_at_open = stream.receiver->token_positions();
  stream.first_message = stream.messages + 1;
  stream.hub_time = 0;  // of another machine
  stream.positions.clear();
  stream.catchup_bytes = 0;
  stream.last_message = now;
}

void Checker::OnEvent(int number, const Told& told) {
  Stream& stream = streams_[static_cast<size_t>(number)];
  if (stream.auditor) return OnAuditorEvent(&stream, told);
  if (told.copy) ++copies_;
  const bool from_scratch = stream.fresh || stream.receiver->in_snapshot();
  Arrival arrival{.stream = number,
                  .term = told.head.term,
                  .left_view = told.head.left_view,
                  .any_term = from_scratch,
                  .copy = told.copy};
  arrival.partition = told.partition;
  arrival.position = told.position;
  Ledger::Entry* entry = ledger_.Find(told.key, told.head.term, told.head.version, from_scratch);
  if (entry != nullptr) {
    JudgeArrival(entry, arrival, told.bytes);
  } else if (ledger_.HasForgotten(told.key) && told.head.version <= ledger_.newest(told.key)) {
    ++not_judged_;
  } else if (arrivals_.size() >= kArrivalsMax) {
    ++not_judged_;
  } else {
    std::vector<Arrival>& waiting = arrivals_[{told.key, told.head.version}];
    const auto same = std::find_if(waiting.rbegin(), waiting.rend(), [&](const Arrival& other) { return *other.bytes == told.bytes; });
    if (same != waiting.rend()) arrival.bytes = same->bytes;
    if (arrival.bytes == nullptr) arrival.bytes = std::make_shared<const std::string>(told.bytes);
    waiting.push_back(std::move(arrival));
  }
  if (!told.copy) {
    Tested(Invariant::kOrder);
    Tested(Invariant::kOnce);
  }
  if (!told.applied) return NoteRepeat(number, &stream, told);
  if (!from_scratch && !told.copy && told.head.version > told.version_before && stream.complete_until > 0) {
    Tested(Invariant::kAge);
    if (told.head.decided_micros > 0 && told.head.decided_micros < stream.complete_until) {
      Broken(Invariant::kAge, number,
             absl::StrCat("key ", told.key, " version ", told.head.version, " was decided ",
                          (stream.complete_until - told.head.decided_micros) / 1000,
                          " ms before what was said to be complete"));
    }
  }
  if (told.key >= stream.applied_at.size())
    stream.applied_at.resize(std::max<size_t>(told.key + 1, stream.applied_at.size() * 3 / 2));
  stream.applied_at[told.key] = stream.messages + 1;
}

// The reference itself: what it misses nobody would miss.
void Checker::OnAuditorEvent(const Stream* stream, const Told& told) {
  if (told.head.left_view)
    return Broken(Invariant::kRows, auditor_, absl::StrCat("key ", told.key, " left the view of who sees everything"));
  const uint64_t newest = ledger_.newest(told.key);
  if (options_.dense && newest > 0 && !stream->fresh) {
    Tested(Invariant::kDense);
    if (told.head.version > newest + 1)
      Broken(Invariant::kDense, auditor_,
             absl::StrCat("key ", told.key, ": version ", newest, ", then ", told.head.version));
  }
  ledger_.Add(told, !stream->fresh);
}

// The auditor's message is over: whoever had these events before it can be judged.
void Checker::JudgeArrivals(uint64_t number) {
  Ledger::Entry* entry = &ledger_.at(number);
  const auto waiting = arrivals_.find({entry->key, entry->version});
  if (waiting == arrivals_.end()) return;
  std::erase_if(waiting->second, [&](const Arrival& arrival) {
    if (!arrival.any_term && arrival.term != entry->term) return false;
    JudgeArrival(entry, arrival, *arrival.bytes);
    return true;
  });
  if (waiting->second.empty()) arrivals_.erase(waiting);
}

// Not greater than what is held: told before, unless it overtook, or the log holds it twice.
void Checker::NoteRepeat(int number, Stream* stream, const Told& told) {
  if (told.copy || told.applied_ahead || stream->fresh || stream->receiver->in_snapshot()) return;
  const bool older = std::pair(told.head.term, told.head.version) < std::pair(told.term_before, told.version_before);
  if (AppliedAt(*stream, told.key) >= stream->first_message) {
    Suspicious({number, told.key, told.head.term, told.head.version, older ? Invariant::kOrder : Invariant::kOnce});
    return;
  }
  ++resent_;
  const Ledger::Entry* entry = ledger_.Find(told.key, told.head.term, told.head.version, false);
  if (entry == nullptr || !stream->resumed || !ledger_.GroupIsOver(entry->group)) return;
  Tested(Invariant::kResume);
  if (stream->token_at_open.Covers(ledger_.group_end(entry->group)))
    Suspicious({number, told.key, told.head.term, told.head.version, Invariant::kResume});
}

void Checker::Suspicious(const Suspect& suspect) {
  if (suspects_.size() < kSuspectsMax) {
    suspects_.push_back(suspect);
  } else {
    ++not_judged_;
  }
}

void Checker::JudgeArrival(Ledger::Entry* entry, const Arrival& arrival, absl::string_view bytes) {
  const Stream& stream = streams_[static_cast<size_t>(arrival.stream)];
  const auto name = [&] { return absl::StrCat("key ", entry->key, " version ", entry->version); };
  Tested(Invariant::kNoPhantom);
  if (stream.kind >= 0) {
    Tested(Invariant::kRows);
    const bool wanted = entry->Matches(stream.kind);
    if (!arrival.left_view && !wanted) {
      Broken(Invariant::kRows, arrival.stream, absl::StrCat(name(), " is not of its view"));
    } else if (arrival.left_view && wanted) {
      Broken(Invariant::kRows, arrival.stream, absl::StrCat(name(), " did not leave its view"));
    } else if (arrival.left_view && entry->before_known && !entry->MatchedBefore(stream.kind)) {
      Broken(Invariant::kRows, arrival.stream, absl::StrCat(name(), " left a view that it never was of"));
    }
  }
  if (arrival.copy) {
    Tested(Invariant::kUrgent);
    // The twin stands before the end of the auditor's message that told it.
    if (ledger_.GroupIsOver(entry->group) && arrival.partition >= 0 &&
        ledger_.group_end(entry->group).at(static_cast<size_t>(arrival.partition)) <= arrival.position) {
      Broken(Invariant::kUrgent, arrival.stream,
             absl::StrCat("the twin of ", name(), " does not stand where its copy says"));
    }
  }
  JudgeContent(entry, arrival, bytes);
}

void Checker::JudgeContent(Ledger::Entry* entry, const Arrival& arrival, absl::string_view bytes) {
  const Stream& stream = streams_[static_cast<size_t>(arrival.stream)];
  Tested(Invariant::kFields);
  const uint64_t hash = absl::HashOf(bytes, stream.audiences, arrival.any_term);
  if (std::find(entry->verified.begin(), entry->verified.end(), hash) != entry->verified.end()) return;
  const ContentProblem problem =
      CompareContent(bytes, entry->bytes, audiences_[stream.audiences], arrival.any_term || !entry->exact);
  if (problem == ContentProblem::kNone) {
    entry->verified.push_back(hash);
    return;
  }
  Broken(Invariant::kFields, arrival.stream,
         absl::StrCat("key ", entry->key, " version ", entry->version,
                      problem == ContentProblem::kHiddenField ? " shows what it may not see"
                      : problem == ContentProblem::kDiffers   ? " is not as the auditor has it"
                                                              : " is malformed"));
}

void Checker::OnMessage(int number, const Message& message, size_t bytes, absl::Duration now, int64_t wall_micros) {
  Stream& stream = streams_[static_cast<size_t>(number)];
  ++stream.messages;
  if (stream.open) Tested(Invariant::kHeartbeat);
  stream.last_message = now;
  stream.silent = false;
  if (message.opened) {
    stream.open = stream.ever_open = true;
    stream.positions = message.start;
    if (stream.resumed) {
      ++resumed_;
      Tested(Invariant::kResume);
      const Positions& token = stream.receiver->token_positions();
      if (!message.start.Covers(token)) {
        Broken(Invariant::kResume, number, "begins before where its token was given");
      } else if (stream.receiver->token_is_exact() && !token.Covers(message.start)) {
        Broken(Invariant::kResume, number, "begins beyond where its token was given");
      }
    }
  }
  if (message.snapshot_begins) {
    stream.fresh = true;
    stream.mark.waits = false;
    stream.complete_until = 0;
  }
  if (message.snapshot_ends) ++snapshots_;
  for (const auto& [partition, offset] : message.moved) {
    Tested(Invariant::kMonotone);
    if (partition < 0 || offset < stream.positions.at(static_cast<size_t>(partition)))
      Broken(Invariant::kMonotone, number, absl::StrCat("partition ", partition, " went back to ", offset));
    if (partition >= 0) stream.positions.Set(static_cast<size_t>(partition), offset);
  }
  if (message.drain) {
    stream.drained = true;
    Tested(Invariant::kDrain);
    if (!message.has_token && !stream.fresh) Broken(Invariant::kDrain, number, "was sent away without a token");
  }
  if (!stream.live) stream.catchup_bytes += bytes;
  if (message.progress) {
    Tested(Invariant::kMonotone);
    if (message.complete_until_micros > 0 && message.complete_until_micros < stream.complete_until)
      Broken(Invariant::kMonotone, number, "complete_until went back");
    if (message.hub_time_micros < stream.hub_time || message.records_behind < 0)
      Broken(Invariant::kMonotone, number, "the hub's clock went back, or less than nothing is left");
    if (message.complete_until_micros > message.hub_time_micros)
      Broken(Invariant::kAge, number, "complete until later than the hub's own clock");
    stream.complete_until = std::max(stream.complete_until, message.complete_until_micros);
    stream.hub_time = message.hub_time_micros;
    if (!message.has_token) Broken(Invariant::kProgress, number, "a progress mark without a token");
    if (message.records_behind <= kLiveRecords) {
      if (!stream.live) {
        stream.live = true;
        if (stream.resumed) catchup_bytes_ += stream.catchup_bytes;
        if (stream.broke_at != absl::InfiniteDuration()) {
          const absl::Duration took = now - stream.broke_at;
          recovery_.Add(took);
          Tested(Invariant::kRecovery);
          if (took > options_.recovery_max)
            Broken(Invariant::kRecovery, number,
                   absl::StrCat("live only ", absl::ToInt64Milliseconds(took), " ms after it broke"));
          stream.broke_at = absl::InfiniteDuration();
        }
      }
      if (message.complete_until_micros > 0)
        staleness_.Add(absl::Microseconds(wall_micros - message.complete_until_micros));
    }
    if (!stream.mark.waits) stream.mark = {true, stream.positions, stream.messages};
  }
  if (!stream.auditor) return JudgeMark(number);
  if (message.progress) stream.fresh = false;
  ledger_.EndGroup(stream.positions);
  for (arrivals_judged_ = std::max(arrivals_judged_, ledger_.first()); arrivals_judged_ < ledger_.end();
       ++arrivals_judged_)
    JudgeArrivals(arrivals_judged_);
}

// Entries that somebody at `positions` has passed, from where the stream was judged last.
uint64_t Checker::PassedBy(const Stream& stream, const Positions& positions) const {
  uint64_t until = std::max(stream.judged, ledger_.first());
  while (until < ledger_.end() && ledger_.GroupIsOver(ledger_.at(until).group) &&
         positions.Covers(ledger_.group_end(ledger_.at(until).group))) {
    ++until;
  }
  return until;
}

void Checker::JudgeMark(int number) {
  Stream& stream = streams_[static_cast<size_t>(number)];
  if (!stream.mark.waits || stream.kind < 0 || auditor_ < 0) return;
  // Before the auditor has passed it, too, nobody knows what must have been told.
  if (!streams_[static_cast<size_t>(auditor_)].positions.Covers(stream.mark.positions)) return;
  const uint64_t until = PassedBy(stream, stream.mark.positions);
  if (stream.judged < ledger_.first()) not_judged_ += ledger_.first() - stream.judged;
  if (stream.fresh) {
    JudgeFresh(number, until);
  } else {
    for (uint64_t i = std::max(stream.judged, ledger_.first()); i < until; ++i) JudgeEntry(number, ledger_.at(i));
  }
  stream.judged = until;
  stream.fresh = false;
  stream.mark.waits = false;
}

void Checker::JudgeEntry(int number, const Ledger::Entry& entry) {
  const Stream& stream = streams_[static_cast<size_t>(number)];
  const bool wanted = entry.Matches(stream.kind);
  if (!wanted && !(entry.before_known && entry.MatchedBefore(stream.kind))) return;
  Tested(Invariant::kNoGap);
  const View& view = stream.receiver->view();
  const auto held = std::pair(view.term(entry.key), view.version(entry.key));
  const auto due = std::pair(entry.term, entry.version);
  if (held < due || (held == due && view.Holds(entry.key) != wanted)) {
    Broken(Invariant::kNoGap, number,
           absl::StrCat("key ", entry.key, " version ", entry.version, " was passed and never told; version ",
                        held.second, " is held"));
    return;
  }
  Tested(Invariant::kProgress);
  if (held == due && AppliedAt(stream, entry.key) > stream.mark.message)
    Broken(Invariant::kProgress, number,
           absl::StrCat("key ", entry.key, " version ", entry.version, " came after the mark that had passed it"));
}

// From scratch only the last state of each key counts.
void Checker::JudgeFresh(int number, uint64_t until) {
  const Stream& stream = streams_[static_cast<size_t>(number)];
  const View& view = stream.receiver->view();
  absl::flat_hash_map<KeyId, uint64_t> last;
  for (uint64_t i = ledger_.first(); i < until; ++i) last[ledger_.at(i).key] = i;
  for (const auto& [key, at] : last) {
    const Ledger::Entry& entry = ledger_.at(at);
    Tested(Invariant::kSnapshot);
    const uint64_t version = view.version(key);
    if (entry.Matches(stream.kind) && (version < entry.version || (version == entry.version && !view.Holds(key)))) {
      Broken(Invariant::kSnapshot, number,
             absl::StrCat("key ", key, " version ", entry.version, " is missing after a start from scratch"));
    } else if (!entry.Matches(stream.kind) && view.Holds(key) && version <= entry.version) {
      Broken(Invariant::kSnapshot, number,
             absl::StrCat("key ", key, " is held, and version ", entry.version, " left the view"));
    }
  }
}

void Checker::OnBreak(int number, bool by_hub, absl::Duration now) {
  Stream& stream = streams_[static_cast<size_t>(number)];
  if (stream.open && by_hub && !stream.drained) {
    Tested(Invariant::kDrain);
    Broken(Invariant::kDrain, number, "was ended without being told to come back");
  }
  if (stream.open) stream.broke_at = now;
  stream.open = false;
}

void Checker::OnTurn(absl::Duration now) {
  if (now - turn_ > kStoodStill) awake_since_ = now;
  turn_ = now;
  for (size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = streams_[i];
    if (!stream.open || stream.silent || now - std::max(stream.last_message, awake_since_) <= options_.heartbeat_max)
      continue;
    stream.silent = true;
    Broken(Invariant::kHeartbeat, static_cast<int>(i),
           absl::StrCat("nothing for ", absl::ToInt64Seconds(options_.heartbeat_max), " s"));
  }
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (!streams_[i].auditor) JudgeMark(static_cast<int>(i));
  }
  Forget();
}

// What came twice is excused when the auditor got it twice, too; it had until the end to.
void Checker::JudgeSuspects() {
  for (const Suspect& suspect : suspects_) {
    const Ledger::Entry* entry = ledger_.Find(suspect.key, suspect.term, suspect.version, false);
    if (entry == nullptr) {
      ++not_judged_;
    } else if (entry->repeats == 0) {
      const char* what = suspect.invariant == Invariant::kOrder  ? " after a newer one"
                         : suspect.invariant == Invariant::kOnce ? " twice in one stream"
                                                                 : " again, which its token had passed";
      Broken(suspect.invariant, suspect.stream, absl::StrCat("key ", suspect.key, " version ", suspect.version, what));
    }
  }
  suspects_.clear();
}

void Checker::Forget() {
  uint64_t needed = ledger_.end();
  for (const Stream& stream : streams_) {
    if (!stream.auditor && stream.kind >= 0) needed = std::min(needed, stream.judged);
  }
  // Some stay, for what is told again and for suspects.
  constexpr uint64_t kKept = 200'000;
  if (needed > ledger_.first() + 2 * kKept) ledger_.ForgetBefore(needed - kKept);
}

void Checker::Finish() {
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (!streams_[i].auditor) JudgeMark(static_cast<int>(i));
  }
  JudgeSuspects();
  for (const auto& [key_and_version, waiting] : arrivals_) {
    for (const Arrival& arrival : waiting) {
      if (!options_.dense && ledger_.newest(key_and_version.first) > key_and_version.second) {
        ++not_judged_;  // compaction may have taken it before the auditor came by
        continue;
      }
      Tested(Invariant::kNoPhantom);
      Broken(Invariant::kNoPhantom, arrival.stream,
             absl::StrCat("key ", key_and_version.first, " version ", key_and_version.second, " of term ", arrival.term,
                          " is not in the log as the auditor reads it"));
    }
  }
  arrivals_.clear();
}

std::string Checker::Report() const {
  std::string tested, broken, text;
  for (size_t i = 0; i < exercised_.size(); ++i) {
    absl::StrAppend(&tested, i == 0 ? "" : ",", "\"", kNames[i], "\":", exercised_[i]);
    if (broken_[i] > 0) absl::StrAppend(&broken, broken.empty() ? "" : ",", "\"", kNames[i], "\":", broken_[i]);
  }
  return absl::StrFormat(
      "{\"check_ok\":%s,\"tested\":{%s},\"broken\":{%s},\"not_judged\":%d,\"resumed\":%d,\"resumed_elsewhere\":%d,"
      "\"resent\":%d,"
      "\"catchup_bytes\":%d,\"snapshots\":%d,\"urgent_copies\":%d,\"staleness_p999_ms\":%.0f,\"recovery_p50_ms\":%.0f,"
      "\"recovery_max_ms\":%.0f}",
      ok() ? "true" : "false", tested, broken, not_judged_, resumed_, other_node_, resent_, catchup_bytes_, snapshots_,
      copies_, absl::ToDoubleMilliseconds(staleness_.Quantile(0.999)),
      absl::ToDoubleMilliseconds(recovery_.Quantile(0.5)), absl::ToDoubleMilliseconds(recovery_.max()));
}

}  // namespace hub::swarm
