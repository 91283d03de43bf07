// A whole hub in one thread: reporters, registry owners, fan-out nodes, streams and clients over one memory log, under a seeded fault plan.
//
// The very code of the product runs; only Clock, Log and Database are replaced. Everything that happens is drawn from one seed, so a
// failing seed replays. Invariants are checked while it runs and, after the faults have ended and everything has drained, on the
// final state (Check).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/metrics.h"
#include "libs/eventlog/memory_log.h"
#include "libs/fanout/dispatcher.h"
#include "libs/fanout/session.h"
#include "libs/fanout/snapshot_source.h"
#include "libs/model/records.h"
#include "libs/model/token.h"
#include "libs/registry/processor.h"
#include "libs/replica/replica.h"
#include "libs/store/database.h"
#include "libs/wire/cursor_token.h"
#include "libs/wire/wire.h"
#include "tests/simulation/faulty_seams.h"

namespace fraudhub::v1 {
class SnapshotMark;
}

namespace hub::simulation {

inline constexpr int32_t kPartitions = 2;
// Of resumption; shorter than compaction's lag, as in the product.
inline constexpr absl::Duration kWindow = absl::Seconds(40);
inline constexpr int kNodes = 3;  // of the fan-out

class World {
 public:
  World(uint64_t seed, Bug bug);
  ~World();

  // Random actions and faults, then quiet, then the final checks. Empty: every invariant held; else what broke first.
  std::string Run(int steps);

  // How often each fault really happened: a run without faults proves nothing.
  const std::map<std::string, int>& fired() const { return fired_; }
  // Two faults of which the second came while the first had hardly been noticed.
  const std::map<std::string, int>& pairs() const { return pairs_; }

 private:
  struct Owner;
  struct Node;
  struct Client;
  struct Submitted;

  void Act();
  void Work();
  void Harm();
  void Submit(bool again);
  void AppendReport(size_t index);
  void ChangeRules();
  void StartOwner(int32_t partition);
  void CrashOwner(Owner* owner);
  void StepOwners();
  void AddClients();
  void RestartNode(Node* node);
  void DrainNode(Node* node);
  void StepNodes();
  void OpenStates(Node* node);
  void FeedStates(Node* node, int32_t partition);
  void CrashClient(Client* client);
  void ChangeRows(Client* client);
  void ChangeFields(Client* client);
  void StepClient(Client* client);
  void OpenStream(Client* client);
  void StartAfresh(Client* client);
  // With a snapshot, or put off until there can be one.
  void StartSnapshot(Client* client);
  fanout::SessionOptions StreamOptions(const Client& client) const;
  std::shared_ptr<fanout::FilterClass> ClassOf(const Client& client);
  absl::StatusOr<std::unique_ptr<fanout::Session>> Resume(Client* client);
  void Opened(Client* client);
  void KeepToken(Client* client, const std::string& token);
  void OnMark(Client* client, const fraudhub::v1::SnapshotMark& mark);
  void CheckForeignToken(const Client& client);
  void CheckStart(const Client& client, const std::string& token);
  void CheckProgress(Client* client);
  void Acknowledge(Client* client);
  void OnEvent(Client* client, absl::string_view bytes);
  void OnCopy(Client* client, absl::string_view bytes);
  void CopyFenced(int32_t partition, const eventlog::StoredRecord& record, const wire::DecodedRecord& decoded);
  bool AlterUrgent(int32_t partition, eventlog::StoredRecord* record);
  void Observe();
  void Quiesce();
  std::string Check();
  std::string CheckAgainstReplay();
  std::string CheckViews();
  int Draw(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  void Fail(const std::string& what);

  const Bug bug_;
  const int identifiers_;  // few: much happens to each; many: each event counts
  std::mt19937_64 random_;
  base::ManualClock clock_;
  base::Metrics metrics_;
  std::unique_ptr<eventlog::MemoryLog> log_;
  LogView::Swallow swallow_;             // of what the registry's owners write
  std::unique_ptr<LogView> fanout_log_;  // as the dispatcher sees it
  model::Tokeniser tokeniser_;
  wire::CursorSealer sealer_;
  bool calm_ = false;  // no more faults

  std::vector<Submitted> submitted_;
  uint64_t rules_version_ = 0;
  std::vector<std::unique_ptr<Owner>> owners_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;

  // What an observer that never misses a record believes (R7, R8): the newest accepted state per indicator.
  struct Seen {
    model::VersionStamp stamp;
    model::IndicatorState state;
    uint64_t last_event_version = 0;
    int32_t partition = 0;
  };
  std::map<std::string, Seen> truth_;
  // Every stamp that was ever in force, per indicator, with what it says.
  std::map<std::string, std::map<model::VersionStamp, model::Attributes>> accepted_;
  std::map<std::string, std::map<model::VersionStamp, uint64_t>> report_counts_;  // likewise
  // The events among them, per partition, in order.
  struct Event {
    eventlog::Offset offset = 0;
    std::string id;
    model::VersionStamp stamp;
    model::Attributes attributes;
    std::optional<model::Attributes> previous;
  };
  std::vector<std::vector<Event>> events_;
  std::vector<eventlog::Offset> observed_;
  std::vector<uint64_t> term_in_force_;
  std::vector<absl::Time> owned_;  // when the partition last had an owner that had taken over
  std::map<int32_t, uint64_t> highest_owner_term_;
  std::map<int32_t, std::pair<eventlog::Offset, uint64_t>>
      urgent_twin_;  // the newest urgent event in force, and its term

  std::map<std::string, int> fired_, pairs_;
  std::string failure_;
};

struct World::Owner {
  int32_t partition = 0;
  std::unique_ptr<eventlog::Log> client;  // its process's own
  std::unique_ptr<LogView> view;
  std::shared_ptr<store::MemoryDatabase> disk;
  std::unique_ptr<LossyDatabase> lossy;
  std::unique_ptr<registry::Processor> processor;
  bool paused = false;  // a process that was stopped for a while, and wakes as a zombie
};

struct World::Node {
  store::MemoryDatabase disk{replica::ReplicaTables().size()};
  std::unique_ptr<fanout::Dispatcher> dispatcher;
  std::unique_ptr<replica::Replica> states;
  std::unique_ptr<fanout::SnapshotSource> snapshots;
  bool paused = false;  // falls behind the log and the other nodes
};

struct World::Client {
  std::string name;
  model::Filter filter;
  std::function<bool(const model::Attributes&)> asks;  // the same, written independently
  bool narrow = false;                                 // its rights show MEDIUM and up only
  bool all_fields = true;
  // Filter and rights.
  model::Filter effective() const;
  bool wants(const model::Attributes& attributes) const {
    return asks(attributes) && (!narrow || attributes.level >= model::Level::kMedium);
  }
  std::unique_ptr<fanout::Session> session;
  Node* node = nullptr;
  std::string token;
  Node* token_from = nullptr;
  uint64_t token_filter = 0;                // fingerprint under which it was given
  std::vector<eventlog::Offset> positions;  // as told
  std::vector<size_t> judged;               // of events_, per partition
  bool stalled = false;
  bool sees_all = false;
  bool urgent = false;     // asks for copies ahead of the order
  fanout::EventForm form = fanout::EventForm::kPlain;
  bool snapshots = false;  // begins and recovers by snapshot
  uint32_t parts = 0;      // of the snapshot on this stream
  struct Sweep {
    bool on = false;             // a snapshot began, and has not ended
    std::set<std::string> told;  // of since then
  };
  Sweep sweep, safe_sweep;
  std::map<std::string, std::pair<int32_t, eventlog::Offset>> ahead;  // applied ahead of the order, and its place there
  struct Held {
    model::VersionStamp stamp;
    bool held = false;
    bool dense = true;  // the next version must be the next that comes
  };
  std::map<std::string, Held> view;  // by indicator id
  bool dense = true;                 // its stream reads where compaction removes nothing any more (R9)
  // As of its last acknowledgement; of one partition, perhaps.
  std::map<std::string, Held> safe_view;
  int64_t safe_parts = -1;  // `parts` when all was acknowledged last on this stream; -1: not yet
  std::string safe_token;
  uint64_t safe_filter = 0;
  std::map<int32_t, eventlog::Offset> unacked, urgent_unacked;
};

struct World::Submitted {
  model::Report report;
  int32_t partition = 0;
  bool acknowledged = false;
  bool in_flight = false;
};

}  // namespace hub::simulation
