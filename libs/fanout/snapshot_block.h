// The states of one part of a snapshot that a class sees, as runs.
//
// Made by one thread; once finished it is immutable, and any thread reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/eventlog/log.h"
#include "libs/fanout/segment.h"

namespace hub::fanout {

class SnapshotBlock {
 public:
  // One framed element of SubscribeResponse.events.
  void Add(absl::string_view event);
  // Nothing is added any more. What this block may have seen lies before `heads`.
  void Finish(std::vector<eventlog::Offset> heads);

  size_t events() const { return events_; }  // in all
  const std::vector<eventlog::Offset>& heads() const { return heads_; }
  size_t runs() const { return runs_.size(); }
  struct Piece {
    Slice slice;
    int events = 0;
    size_t unpacked = 0;  // bytes, about
    size_t next = 0;      // run
  };
  // Runs from number `from` on, at most about `bytes_max` and at least one; for readers who don't ask for runs they are unpacked.
  // REQUIRES: from < runs().
  static Piece Read(const std::shared_ptr<const SnapshotBlock>& block, size_t from, size_t bytes_max, EventForm form);
  size_t memory() const;

 private:
  struct Run {
    uint32_t end;       // in bytes_
    uint32_t unpacked;  // bytes
    uint32_t events;
  };
  void Close();

  std::string bytes_;
  std::vector<Run> runs_;
  size_t events_ = 0;
  std::string open_;  // events of the run that grows
  uint32_t open_events_ = 0;
  std::vector<eventlog::Offset> heads_;
};

}  // namespace hub::fanout
