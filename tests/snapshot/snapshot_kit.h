// What the tests of snapshots share: a node with states beside its dispatcher, fed when the test says so.
#pragma once

#include <memory>
#include <vector>

#include "libs/base/check.h"
#include "libs/eventlog/topics.h"
#include "libs/fanout/fanout_kit_test.h"
#include "libs/fanout/snapshot_source.h"
#include "libs/replica/replica.h"
#include "libs/store/database.h"

namespace hub::fanout::kit {

class Node {
 private:
  store::MemoryDatabase database_{replica::ReplicaTables().size()};

 public:
  Node(Feed* feed, int32_t partitions, const SnapshotOptions& options) : feed_(feed), partitions_(partitions) {
    auto opened = replica::Replica::Open(&database_, 0, partitions, feed->log()->log_id(), &feed->clock, &metrics);
    HUB_CHECK(opened.ok());
    states = *std::move(opened);
    dispatcher = feed->Open();
    snapshots = std::make_unique<SnapshotSource>(options, states.get(), dispatcher.get(), &feed->clock, &metrics);
  }

  // Everything that the log holds, into the states. `part`: of one partition only.
  void FeedStates() {
    for (int32_t p = 0; p < partitions_; ++p) FeedStates(p);
  }
  void FeedStates(int32_t partition) {
    const eventlog::Offset end = feed_->Range(partition).end;
    eventlog::Offset next = states->EventsNext()[static_cast<size_t>(partition)];
    std::vector<replica::FedRecord> records;
    while (next < end) {
      const auto read = feed_->log()->Read({eventlog::kEventsTopic, partition}, next, {});
      HUB_CHECK(read.ok());
      for (const auto& record : read->records) {
        auto decoded = wire::DecodeRecord(record.value);
        if (decoded.ok()) records.push_back({partition, record.offset, decoded->header.term, std::move(decoded->body)});
      }
      next = read->next;
    }
    HUB_CHECK(states->ApplyEvents(records, partition, next, /*caught_up=*/true).ok());
  }
  void MakeBlocks() {
    while (snapshots->Step()) {
    }
  }

  SessionOptions BankOptions() {
    SessionOptions options = feed_->BankOptions();
    options.snapshots = snapshots.get();
    return options;
  }

  base::Metrics metrics;  // the snapshots' own
  std::unique_ptr<replica::Replica> states;
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<SnapshotSource> snapshots;

 private:
  Feed* const feed_;
  const int32_t partitions_;
};

}  // namespace hub::fanout::kit
