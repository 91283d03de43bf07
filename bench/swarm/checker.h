// Judges what every stream of a swarm receives, from outside: against what the auditor's stream was told (ledger.h), by an evaluation of filters
// and rights that shares nothing with the hub's.
//
// Told of everything as it comes, in one thread. A problem names stream, key and version by number, never an identifier. How often each
// invariant was put to the test is counted: one that never was proves nothing (exercised(), and --require of the swarm).
// What can't be decided, because the auditor's entry has gone or never came to be before the end, is counted as not judged.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "bench/swarm/content.h"
#include "bench/swarm/latency.h"
#include "bench/swarm/ledger.h"
#include "bench/swarm/receiver.h"

namespace hub::swarm {

enum class Invariant {
  kNoGap,      // a progress mark has passed an event of the view: the stream told it, or a newer one (S1, S7)
  kProgress,   // ... before the mark, not after (S5)
  kOrder,      // versions of one key don't go down in one stream (S2)
  kOnce,       // nothing twice in one stream, unless the log holds it twice (S3)
  kMonotone,   // positions, complete_until and the hub's clock never go back (S4)
  kRows,       // each event is of the view; who lost a row had it (S6)
  kFields,     // no field beyond the rights, and those there are as the auditor has them (S6, S9, S15)
  kResume,     // a stream goes on where its token says: nothing again that the token had passed (S8)
  kNoPhantom,  // everything told is in the ledger (S9)
  kSnapshot,   // what a start from scratch leaves is the view as of its first progress mark (S10, S11)
  kAge,        // nothing decided before `complete_until` comes after it
  kUrgent,     // a copy ahead of the order has its twin, at the place it says (R11, R12)
  kDense,      // the auditor misses no version
  kHeartbeat,  // an open stream is never silent for too long (L5)
  kDrain,      // who is sent away has a token (L6)
  kRecovery,   // a broken stream is live again in time (L3)
  kCount,
};

struct CheckerOptions {
  absl::Duration heartbeat_max = absl::Seconds(10);
  absl::Duration recovery_max = absl::InfiniteDuration();  // from the break to live
  bool dense = true;                                       // false: the log is compacted under the readers
  size_t ledger_entries_max = 1'000'000;
};

class Checker {
 public:
  Checker(const fraudhub::config::v1::Policy& policy, const CheckerOptions& options);

  // The number to name it by. `policy`, `stakeholder` and `filter` live as long as the checker.
  int AddStream(const fraudhub::config::v1::Stakeholder& stakeholder, const fraudhub::v1::Filter& filter, bool auditor,
                const Receiver* receiver);
  // A connection was made to one of the hub's nodes. `resumes`: with the receiver's token.
  void OnConnect(int stream, size_t node, bool resumes, absl::Duration now);
  void OnEvent(int stream, const Told& told);
  // After all its events; the receiver has it all. `bytes`: its size.
  void OnMessage(int stream, const Message& message, size_t bytes, absl::Duration now, int64_t wall_micros);
  // `by_hub`: the hub ended the stream in order, with a status; not: a connection that broke or that we closed.
  void OnBreak(int stream, bool by_hub, absl::Duration now);
  // Every turn of the loop.
  void OnTurn(absl::Duration now);
  // Nothing comes any more and the auditor has everything. Judges what is left.
  void Finish();

  uint64_t exercised(Invariant invariant) const { return exercised_[static_cast<size_t>(invariant)]; }
  uint64_t broken(Invariant invariant) const { return broken_[static_cast<size_t>(invariant)]; }
  bool ok() const;
  // Of these names, those that were not put to the test.
  std::vector<std::string> NotTested(const std::vector<std::string>& names) const;
  const std::vector<std::string>& problems() const { return problems_; }  // the first of each kind
  // One JSON object.
  std::string Report() const;

 private:
  struct Mark {  // a progress mark that waits for the auditor to pass it
    bool waits = false;
    Positions positions;
    uint32_t message = 0;
  };
  struct Stream {
    int kind = -1;
    size_t audiences = 0;
    bool auditor = false;
    const Receiver* receiver = nullptr;
    // Of the chain of streams that tokens tie together.
    bool fresh = true;    // no mark has been judged since it began from scratch
    uint64_t judged = 0;  // ledger entries before this one have been passed by a mark and judged
    Mark mark;
    int64_t complete_until = 0, hub_time = 0;
    // Of the present stream.
    bool open = false, resumed = false, drained = false, live = false;
    Positions token_at_open;
    Positions positions;
    uint32_t messages = 0, first_message = 0;
    std::vector<uint32_t> applied_at;  // number of the message that brought what is held, by key
    absl::Duration last_message, broke_at = absl::InfiniteDuration();
    bool silent = false;
    size_t node = 0;
    bool ever_open = false;
    uint64_t catchup_bytes = 0;
  };
  struct Arrival {  // of an event that the auditor has not been told yet
    int stream = 0;
    uint64_t term = 0;
    bool left_view = false, any_term = false, copy = false;
    int32_t partition = 0;
    int64_t position = 0;
    std::shared_ptr<const std::string> bytes;
  };
  struct Suspect {  // told again; good if the log holds it twice
    int stream = 0;
    KeyId key = 0;
    uint64_t term = 0, version = 0;
    Invariant invariant = Invariant::kOnce;
  };

  void OnAuditorEvent(const Stream* stream, const Told& told);
  void NoteRepeat(int number, Stream* stream, const Told& told);
  void JudgeArrivals(uint64_t number);
  void JudgeArrival(Ledger::Entry* entry, const Arrival& arrival, absl::string_view bytes);
  void JudgeContent(Ledger::Entry* entry, const Arrival& arrival, absl::string_view bytes);
  void JudgeMark(int number);
  void JudgeFresh(int number, uint64_t until);
  void JudgeEntry(int number, const Ledger::Entry& entry);
  uint64_t PassedBy(const Stream& stream, const Positions& positions) const;
  void Suspicious(const Suspect& suspect);
  void JudgeSuspects();
  void Forget();
  uint32_t AppliedAt(const Stream& stream, KeyId key) const {
    return key < stream.applied_at.size() ? stream.applied_at[key] : 0;
  }
  void Tested(Invariant invariant) { ++exercised_[static_cast<size_t>(invariant)]; }
  void Broken(Invariant invariant, int stream, const std::string& what);

  const fraudhub::config::v1::Policy& policy_;
  const CheckerOptions options_;
  Ledger ledger_;
  std::vector<Audiences> audiences_;
  std::vector<Stream> streams_;
  int auditor_ = -1;
  absl::flat_hash_map<std::pair<KeyId, uint64_t>, std::vector<Arrival>> arrivals_;  // by key and version
  uint64_t arrivals_judged_ = 0;                                                    // up to this entry
  std::vector<Suspect> suspects_;
  absl::Duration turn_, awake_since_;

  std::array<uint64_t, static_cast<size_t>(Invariant::kCount)> exercised_{}, broken_{};
  std::vector<std::string> problems_;
  uint64_t not_judged_ = 0, reconnects_ = 0, other_node_ = 0, resumed_ = 0, snapshots_ = 0, copies_ = 0,
           catchup_bytes_ = 0, resent_ = 0;
  Latency staleness_, recovery_;
};

}  // namespace hub::swarm
