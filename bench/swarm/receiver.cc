#include "bench/swarm/receiver.h"

#include "bench/swarm/event_run.h"
#include "bench/swarm/wire_scan.h"

namespace hub::swarm {
namespace {

int64_t SecondsAndNanosAsMicros(absl::string_view bytes) {
  int64_t micros = 0;
  ScanFields(bytes, [&](int field, uint64_t number, absl::string_view) {
    if (field == 1) micros += static_cast<int64_t>(number) * 1'000'000;
    if (field == 2) micros += static_cast<int64_t>(number) / 1000;
  });
  return micros;
}

std::pair<int32_t, int64_t> MapEntry(absl::string_view bytes) {
  std::pair<int32_t, int64_t> entry{0, 0};
  ScanFields(bytes, [&](int field, uint64_t number, absl::string_view) {
    if (field == 1) entry.first = static_cast<int32_t>(number);
    if (field == 2) entry.second = static_cast<int64_t>(number);
  });
  return entry;
}

void SetFrom(absl::string_view map_entry, Positions* positions) {
  const auto [partition, offset] = MapEntry(map_entry);
  if (partition >= 0) positions->Set(static_cast<size_t>(partition), offset);
}

}  // namespace

void Receiver::OnConnect() {
  positions_.clear();  // acknowledgements are of what this stream sent
  urgent_positions_.clear();
  snapshot_parts_ = 0;
}

void Receiver::ForgetAll() {
  ForgetToken();
  view_ = View();
  ahead_.clear();
}

// First what must come before events, then events, then what speaks of them.
bool Receiver::OnMessage(absl::string_view bytes, absl::FunctionRef<void(const Told&)> on_event, Message* message) {
  std::vector<absl::string_view> late_positions, urgent_positions, snapshot_marks, urgent;
  std::vector<EventRun> runs;
  absl::string_view progress, drain;
  bool well_formed = ScanFields(bytes, [&](int field, uint64_t, absl::string_view value) {
    switch (field) {
      case 1:
        ++message->events;
        break;
      case 2:
        late_positions.push_back(value);
        break;
      case 3:
        message->opened = true;
        ScanFields(value, [&](int part, uint64_t number, absl::string_view text) {
          if (part == 3) SetFrom(text, &message->start);
          if (part == 7) SetFrom(text, &message->end);
          if (part == 8) message->snapshot_resumed = number != 0;
        });
        break;
      case 4:
        message->progress = true;
        progress = value;
        break;
      case 5:
        message->drain = true;
        drain = value;
        break;
      case 6:
        urgent.push_back(value);
        break;
      case 7:
        urgent_positions.push_back(value);
        break;
      case 8:
        snapshot_marks.push_back(value);
        ScanFields(value, [&](int part, uint64_t number, absl::string_view) {
          if (part == 1 && number != 0) message->snapshot_begins = true;
          if (part == 2 && number != 0) message->snapshot_ends = true;
        });
        break;
      case 9:
        message->view_changed = true;
        break;
      case 10:
        runs.emplace_back(value);
        message->events += static_cast<int>(runs.back().events());
        break;
      default:
        break;
    }
  });
  if (!well_formed) return false;
  if (message->opened) {
    positions_ = message->start;
    if (!message->snapshot_resumed) in_snapshot_ = false;
  }
  if (message->snapshot_begins) {
    in_snapshot_ = true;
    told_since_begin_.assign(keys_->size(), false);
  }
  if (!looks_into_) urgent.clear();
  for (const absl::string_view copy : urgent) {
    absl::string_view event;
    int32_t partition = 0;
    int64_t position = 0;
    well_formed &= ScanFields(copy, [&](int part, uint64_t number, absl::string_view text) {
      if (part == 1) event = text;
      if (part == 2) partition = static_cast<int32_t>(number);
      if (part == 3) position = static_cast<int64_t>(number);
    });
    OnEvent(event, true, partition, position, on_event);
  }
  if (looks_into_) {
    ScanFields(bytes, [&](int field, uint64_t, absl::string_view value) {
      if (field == 1) OnEvent(value, false, 0, 0, on_event);
    });
    for (const EventRun& run : runs) well_formed &= OnRun(run, on_event);
  }
  for (const absl::string_view entry : late_positions) {
    const auto [partition, offset] = MapEntry(entry);
    message->moved.emplace_back(partition, offset);
    if (partition >= 0) positions_.Set(static_cast<size_t>(partition), offset);
  }
  for (const absl::string_view entry : urgent_positions) SetFrom(entry, &urgent_positions_);
  if (!late_positions.empty() && !ahead_.empty()) {
    absl::erase_if(ahead_, [&](const auto& entry) {
      return positions_.at(static_cast<size_t>(entry.second.first)) > entry.second.second;
    });
  }
  const auto take_token = [&](absl::string_view token, bool exact) {
    message->has_token = !token.empty();
    if (token.empty()) return;
    token_.assign(token.data(), token.size());
    token_positions_ = positions_;
    token_is_exact_ = exact;
  };
  if (message->progress) {
    ScanFields(progress, [&](int part, uint64_t number, absl::string_view text) {
      if (part == 1) take_token(text, true);
      if (part == 2) message->complete_until_micros = SecondsAndNanosAsMicros(text);
      if (part == 3) message->records_behind = static_cast<int64_t>(number);
      if (part == 4) message->hub_time_micros = SecondsAndNanosAsMicros(text);
    });
  }
  for (const absl::string_view mark : snapshot_marks) {
    ScanFields(mark, [&](int part, uint64_t number, absl::string_view text) {
      if (part == 3) snapshot_parts_ = static_cast<uint32_t>(number);
      if (part == 5 && !text.empty()) take_token(text, false);
    });
  }
  if (message->snapshot_ends) Sweep();
  if (message->drain) {
    ScanFields(drain, [&](int part, uint64_t, absl::string_view text) {
      if (part == 1) take_token(text, false);
      if (part == 2) message->reconnect_after = absl::Microseconds(SecondsAndNanosAsMicros(text));
    });
  }
  return well_formed;
}

bool Receiver::OnRun(const EventRun& run, absl::FunctionRef<void(const Told&)> on_event) {
  absl::string_view slices;
  if (!run.Unpack(&unpacked_, &slices)) return false;
  uint64_t events = 0;
  const bool well_formed = ScanFields(slices, [&](int field, uint64_t, absl::string_view value) {
    if (field != 1) return;
    ++events;
    OnEvent(value, false, 0, 0, on_event);
  });
  return well_formed && events == run.events();
}

void Receiver::OnEvent(absl::string_view bytes, bool copy, int32_t partition, int64_t position,
                       absl::FunctionRef<void(const Told&)> on_event) {
  EventHead head;
  if (!ScanEvent(bytes, &head)) return;
  const KeyId key = keys_->Intern(head.indicator_id, last_key_);
  last_key_ = key;
  Told told{.key = key, .head = head, .bytes = bytes};
  told.held_before = view_.Holds(key);
  told.term_before = view_.term(key);
  told.version_before = view_.version(key);
  told.copy = copy;
  told.partition = partition;
  told.position = position;
  told.applied_ahead = !ahead_.empty() && ahead_.contains(key);
  // What the order has passed already is no copy of anything new.
  const bool passed = copy && partition >= 0 && positions_.at(static_cast<size_t>(partition)) > position;
  told.applied = !passed && view_.Apply(key, head);
  if (told.applied && copy) ahead_[key] = {partition, position};
  if (in_snapshot_) {
    if (key >= told_since_begin_.size()) told_since_begin_.resize(key + size_t{1024}, false);
    told_since_begin_[key] = true;
  }
  on_event(told);
}

void Receiver::Sweep() {
  if (!in_snapshot_) return;
  in_snapshot_ = false;
  for (KeyId key = 0; key < view_.size(); ++key) {
    const bool told = key < told_since_begin_.size() && told_since_begin_[key];
    if (!told && view_.Holds(key) && !ahead_.contains(key)) view_.Forget(key);
  }
}

}  // namespace hub::swarm
