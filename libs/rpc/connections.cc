#include "libs/rpc/connections.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace hub::rpc {
namespace {

// Left alone so long even when there is no room, because an honest one is about to: one that is silent (a client's hello comes right behind
// the packet that completes the connection), and one that has called nothing yet (some round trips and its turn at the processor).
constexpr absl::Duration kEvictSilentAfter = absl::Milliseconds(50);
constexpr absl::Duration kEvictUncalledAfter = absl::Milliseconds(300);
// Connections that we ended and whose descriptors may still be open for a moment; further newcomers are reset. The reserve has room for them.
constexpr int kEndingMax = 24;
constexpr int kDescriptorsEach = 2;  // gRPC's and our duplicate

int ConnectionsMax(const ConnectionLimits& limits) {
  if (limits.connections_max > 0) return limits.connections_max;
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  const int descriptors = static_cast<int>(std::min<rlim_t>(files.rlim_cur, 1 << 20));
  const int reserved =
      limits.descriptors_reserved > 0 ? limits.descriptors_reserved : std::clamp(descriptors / 4, 100, 3000);
  return std::max((descriptors - reserved - limits.descriptors_elsewhere) / kDescriptorsEach, 1);
}

base::Gauge StageGauge(base::Metrics* metrics, const char* stage) {
  return metrics->AddGauge("fraudhub_connections_open", "Connections by how far they are", {{"stage", stage}});
}
base::Counter Refused(base::Metrics* metrics, const char* why) {
  return metrics->AddCounter("fraudhub_connections_refused_total", "Connections reset at once", {{"why", why}});
}
base::Counter Ended(base::Metrics* metrics, const char* why) {
  return metrics->AddCounter("fraudhub_connections_ended_total", "Connections ended by the hub", {{"why", why}});
}

}  // namespace

Connections::Connections(const ConnectionLimits& limits, base::Metrics* metrics)
    : limits_(limits),
      max_(ConnectionsMax(limits)),
      open_(StageGauge(metrics, "any")),
      silent_gauge_(StageGauge(metrics, "silent")),
      queued_gauge_(StageGauge(metrics, "waits for its handshake")),
      uncalled_gauge_(StageGauge(metrics, "no call yet")),
      full_(Refused(metrics, "full")),
      source_(Refused(metrics, "too many of one source")),
      queue_(Refused(metrics, "too many wait for a handshake")),
      evicted_(Ended(metrics, "made room")),
      silent_out_(Ended(metrics, "silent")),
      uncalled_out_(Ended(metrics, "no call")),
      cut_(Ended(metrics, "cut")) {
  metrics->AddGauge("fraudhub_connections_max", "Connections that the limit of open files allows").Set(max_);
}

Connections::~Connections() {
  for (const auto& [id, entry] : entries_) close(entry.fd);
}

void Connections::NoteCall(absl::string_view peer) {
  const std::optional<PeerAddress> address = PeerAddress::FromGrpc(peer);
  if (!address) return;
  base::MutexLock lock(&mu_);
  const auto found = by_peer_.find(*address);
  if (found == by_peer_.end()) return;
  Entry& entry = entries_.at(found->second);
  if (entry.called || entry.stage != Stage::kGrpc) return;
  UnlistLocked(&entry);
  entry.called = true;
  ShowLocked();
}

bool Connections::Cut(absl::string_view peer) {
  const std::optional<PeerAddress> address = PeerAddress::FromGrpc(peer);
  if (!address) return false;
  base::MutexLock lock(&mu_);
  const auto found = by_peer_.find(*address);
  if (found == by_peer_.end()) return false;
  Entry& entry = entries_.at(found->second);
  if (!entry.ending) cut_.Increment();
  EndLocked(&entry);
  return true;
}

void Connections::EndAll() {
  base::MutexLock lock(&mu_);
  for (auto& [id, entry] : entries_) {
    if (!entry.ending) cut_.Increment();
    EndLocked(&entry);
  }
}

int Connections::open() const {
  base::MutexLock lock(&mu_);
  return static_cast<int>(entries_.size());
}

std::optional<Connections::Id> Connections::Enter(const PeerAddress& peer, int fd, absl::Duration now, bool always) {
  base::MutexLock lock(&mu_);
  int* from_source = IsCounted(peer) ? &per_source_[peer.Source()] : nullptr;
  if (!always) {
    // Half of all at most, where the limit of open files is low.
    if (from_source != nullptr && *from_source >= std::min(limits_.per_source_max, std::max(max_ / 2, 1))) {
      source_.Increment();
      return std::nullopt;
    }
    if (!MakeRoomLocked(now)) {
      full_.Increment();
      if (from_source != nullptr && *from_source == 0) per_source_.erase(peer.Source());
      return std::nullopt;
    }
  }
  if (from_source != nullptr) ++*from_source;
  const Id id = next_id_++;
  Entry& entry = entries_[id];
  entry.peer = peer;
  entry.fd = fd;
  entry.since = now;
  entry.place = silent_.insert(silent_.end(), id);
  by_peer_[peer] = id;
  ShowLocked();
  return id;
}

bool Connections::MakeRoomLocked(absl::Duration now) {
  if (static_cast<int>(entries_.size()) - ending_ < max_) return true;
  if (ending_ >= kEndingMax) return false;
  return EndOldestLocked(silent_, now - kEvictSilentAfter, &evicted_) ||
         EndOldestLocked(uncalled_, now - kEvictUncalledAfter, &evicted_);
}

bool Connections::EndOldestLocked(const std::list<Id>& list, absl::Duration before, base::Counter* counter) {
  if (list.empty()) return false;
  Entry& oldest = entries_.at(list.front());
  if (oldest.since > before) return false;
  counter->Increment();
  EndLocked(&oldest);
  return true;
}

bool Connections::Queue(Id id, bool first) {
  base::MutexLock lock(&mu_);
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.stage != Stage::kSilent || found->second.ending) return true;
  if (!first && queued_ >= limits_.handshakes_per_second * absl::ToDoubleSeconds(limits_.queue_time_max)) {
    queue_.Increment();
    return false;
  }
  Entry& entry = found->second;
  UnlistLocked(&entry);
  entry.stage = Stage::kQueued;
  ++queued_;
  std::deque<Id>& queue = queues_[first ? Source{} : entry.peer.Source()];  // :: is nobody's address, and the lowest
  first ? queue.push_front(id) : queue.push_back(id);
  if (first) last_turn_.fill(0xff);
  ShowLocked();
  return true;
}

std::optional<Connections::Waiting> Connections::TakeQueued() {
  base::MutexLock lock(&mu_);
  while (!queues_.empty()) {
    auto turn = queues_.upper_bound(last_turn_);
    if (turn == queues_.end()) turn = queues_.begin();
    last_turn_ = turn->first;
    const Id id = turn->second.front();
    turn->second.pop_front();
    if (turn->second.empty()) queues_.erase(turn);
    const auto found = entries_.find(id);
    if (found != entries_.end() && !found->second.ending) return Waiting{id, found->second.fd};
  }
  return std::nullopt;
}

bool Connections::has_queued() const {
  base::MutexLock lock(&mu_);
  return queued_ > 0;
}

bool Connections::HandOver(Id id, int duplicate, absl::Duration now) {
  base::MutexLock lock(&mu_);
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.ending) return false;
  Entry& entry = found->second;
  --queued_;
  entry.stage = Stage::kGrpc;
  entry.fd = duplicate;
  entry.since = now;
  entry.called = entry.peer.IsNameless();  // nobody could say later that it was this one that called
  if (!entry.called) entry.place = uncalled_.insert(uncalled_.end(), id);
  ShowLocked();
  return true;
}

int Connections::Remove(Id id) {
  base::MutexLock lock(&mu_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return -1;
  Entry& entry = found->second;
  UnlistLocked(&entry);
  if (entry.stage == Stage::kQueued) --queued_;
  if (entry.ending) --ending_;
  if (const auto peer = by_peer_.find(entry.peer); peer != by_peer_.end() && peer->second == id) by_peer_.erase(peer);
  if (IsCounted(entry.peer)) {
    const auto source = per_source_.find(entry.peer.Source());
    if (--source->second == 0) per_source_.erase(source);
  }
  const int fd = entry.fd;
  entries_.erase(found);
  ShowLocked();
  return fd;
}

void Connections::EndWaiting() {
  base::MutexLock lock(&mu_);
  for (auto& [id, entry] : entries_) {
    if (entry.stage != Stage::kGrpc) EndLocked(&entry);
  }
}

void Connections::EndOverdue(absl::Duration now) {
  base::MutexLock lock(&mu_);
  while (EndOldestLocked(silent_, now - limits_.silent_max, &silent_out_)) {
  }
  while (EndOldestLocked(uncalled_, now - limits_.uncalled_max, &uncalled_out_)) {
  }
}

// Without the linger, a peer that stopped reading leaves megabytes of ours in FIN_WAIT1. The kernel tells the acceptor's epoll at once, and
// gRPC as well; who of the two closes last sends the reset.
void Connections::EndLocked(Entry* entry) {
  if (entry->ending) return;
  UnlistLocked(entry);
  entry->ending = true;
  ++ending_;
  const linger reset = {1, 0};
  setsockopt(entry->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  shutdown(entry->fd, SHUT_RDWR);
  ShowLocked();
}

void Connections::UnlistLocked(Entry* entry) {
  if (!entry->Listed()) return;
  (entry->stage == Stage::kSilent ? silent_ : uncalled_).erase(entry->place);
}

void Connections::ShowLocked() {
  open_.Set(static_cast<double>(entries_.size()));
  silent_gauge_.Set(static_cast<double>(silent_.size()));
  queued_gauge_.Set(queued_);
  uncalled_gauge_.Set(static_cast<double>(uncalled_.size()));
}

}  // namespace hub::rpc
