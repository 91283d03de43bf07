// The open connections of a server: how many there may be and from where, who has not said anything yet, and how to end one from our side.
//
// A connection is silent until its first bytes are there, then it waits for a turn at a handshake, then it is gRPC's. The acceptor moves it
// along; handlers say who has called (rpc::Gate does it for them); who finds a peer that blocks a write cuts it:
//
//   connections->Cut(context->peer());   // its calls end with what a broken connection gives, within milliseconds
//
// Thread safety: NoteCall, Cut, EndAll and the counts from any thread; the rest is the acceptor's and its thread's.
// Ownership: of one descriptor per connection until Remove: the connection's own, or, once it is gRPC's, a duplicate.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/metrics.h"
#include "libs/base/mutex.h"
#include "libs/rpc/peer_address.h"

namespace hub::rpc {

struct ConnectionLimits {
  // Of this process at most. 0: half of the descriptors that it may open, less the reserve. The next one takes the place of the oldest
  // that has not called yet, or is reset.
  int connections_max = 0;
  int descriptors_reserved = 0;  // for all else: files, the log, our own clients. 0: a quarter of the limit, 100 to 3,000
  int descriptors_elsewhere = 0;  // beyond the reserve: what this process's other listeners may take
  int per_source_max = 512;      // from one IPv4 address or IPv6 /64; one more is reset
  bool loopback_is_exempt = true;  // from per_source_max: proxies and benches
  double handshakes_per_second = 250;  // more wait for a turn, sources taken in turn
  absl::Duration queue_time_max = absl::Seconds(10);  // who would wait longer for a turn is reset at once
  absl::Duration silent_max = absl::Seconds(5);       // without a byte, then ended
  absl::Duration uncalled_max = absl::Seconds(330);   // without a call; gRPC's own limit of idleness comes first
};

class Connections {
 public:
  using Id = uint64_t;  // never 0, never used again

  Connections(const ConnectionLimits& limits, base::Metrics* metrics);
  ~Connections();  // closes what is left

  // A call has come from `peer`, as grpc::ServerContext::peer() spells it: from now on it isn't ended to make room.
  void NoteCall(absl::string_view peer);
  // Ends the connection at once, unsent bytes are dropped. False: there is none.
  // A peer that has two connections from one port, to two addresses of ours, loses the newer.
  bool Cut(absl::string_view peer);
  void EndAll();
  int open() const;
  int max() const { return max_; }
  const ConnectionLimits& limits() const { return limits_; }

  // --- the acceptor's ---

  // Takes a connection in; nothing: refused, and the descriptor stays the caller's. `always`: our own canary, which is never refused.
  std::optional<Id> Enter(const PeerAddress& peer, int fd, absl::Duration now, bool always);
  // Its first bytes are there: it waits for a turn, the first one if `first`. False: it would wait too long.
  bool Queue(Id id, bool first);
  struct Waiting {
    Id id = 0;
    int fd = -1;
  };
  std::optional<Waiting> TakeQueued();
  bool has_queued() const;
  // It is gRPC's now; `duplicate` of its descriptor takes the place of the one that gRPC got. False: it was ended meanwhile; both stay the
  // caller's.
  bool HandOver(Id id, int duplicate, absl::Duration now);
  // The connection is over. Its descriptor, now the caller's; -1: unknown.
  int Remove(Id id);
  // Ends those that were not handed over.
  void EndWaiting();
  // Ends those that were silent, or without a call, for too long.
  void EndOverdue(absl::Duration now);

 private:
  enum class Stage { kSilent, kQueued, kGrpc };
  struct Entry {
    PeerAddress peer;
    int fd = -1;
    Stage stage = Stage::kSilent;
    absl::Duration since;  // in this stage
    bool called = false;
    bool ending = false;  // cut by us; the kernel's word that it is over is on its way
    std::list<Id>::iterator place;  // in silent_ or uncalled_; good while Listed()
    bool Listed() const { return !ending && !called && stage != Stage::kQueued; }
  };
  using Source = std::array<uint8_t, 16>;

  bool MakeRoomLocked(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool EndOldestLocked(const std::list<Id>& list, absl::Duration before, base::Counter* counter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UnlistLocked(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsCounted(const PeerAddress& peer) const { return !(limits_.loopback_is_exempt && peer.IsLoopback()); }
  void ShowLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ConnectionLimits limits_;
  const int max_;
  base::Gauge open_, silent_gauge_, queued_gauge_, uncalled_gauge_;
  base::Counter full_, source_, queue_, evicted_, silent_out_, uncalled_out_, cut_;

  mutable base::Mutex mu_;
  Id next_id_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<Id, Entry> entries_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<PeerAddress, Id> by_peer_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<Source, int> per_source_ ABSL_GUARDED_BY(mu_);
  std::list<Id> silent_ ABSL_GUARDED_BY(mu_);    // oldest first
  std::list<Id> uncalled_ ABSL_GUARDED_BY(mu_);  // gRPC's, oldest first
  // Each source's in order; taken in turn, so that many from one don't hold up the one of another. May name some that are over.
  std::map<Source, std::deque<Id>> queues_ ABSL_GUARDED_BY(mu_);
  Source last_turn_ ABSL_GUARDED_BY(mu_) = {};
  int queued_ ABSL_GUARDED_BY(mu_) = 0;
  int ending_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hub::rpc
