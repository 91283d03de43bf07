// The states that nodes take snapshots from, and the clients that begin with one or are sent one.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"
#include "tests/simulation/world.h"

namespace hub::simulation {

// With what the node's disk had kept.
void World::OpenStates(Node* node) {
  node->snapshots.reset();
  node->states.reset();
  node->disk.Crash();
  auto states = replica::Replica::Open(&node->disk, 0, kPartitions, log_->log_id(), &clock_, &metrics_);
  if (!states.ok()) return Fail(absl::StrCat("states: ", states.status().message()));
  node->states = *std::move(states);
  fanout::SnapshotOptions options;
  options.part_states = 4;
  options.cache_bytes_max = 2000;  // some parts are scanned again
  options.share_for = absl::Seconds(3);
  options.runs_max = 1;
  options.behind_max = kWindow / 2;
  node->snapshots =
      std::make_unique<fanout::SnapshotSource>(options, node->states.get(), node->dispatcher.get(), &clock_, &metrics_);
}

// One read, as the feeder does it.
void World::FeedStates(Node* node, int32_t partition) {
  const eventlog::TopicPartition at{eventlog::kEventsTopic, partition};
  const auto range = log_->Offsets(at);
  const eventlog::Offset from = node->states->EventsNext()[static_cast<size_t>(partition)];
  eventlog::ReadLimits limits;
  limits.records_max = calm_ ? 256 : static_cast<size_t>(1 + Draw(40));
  const auto read = log_->Read(at, from, limits);
  if (!range.ok() || !read.ok()) return Fail("the states can't be fed");
  std::vector<replica::FedRecord> records;
  for (const eventlog::StoredRecord& record : read->records) {
    auto decoded = wire::DecodeRecord(record.value);
    if (!decoded.ok()) return Fail("the states meet a record that doesn't decode");
    records.push_back({partition, record.offset, decoded->header.term, std::move(decoded->body)});
  }
  const bool hole = read->records.empty() || read->records.front().offset > from;
  if (read->next > from && (hole || read->records.front().appended_at < clock_.TimeNow() - kWindow)) {
    ++fired_["states with a gap"];
    if (!node->states->NoteGap(partition).ok()) Fail("states: gap");
  }
  if (!node->states->ApplyEvents(records, partition, read->next, read->next >= range->end).ok()) Fail("states: apply");
}

// What is held stays until the end of the snapshot tells.
void World::StartSnapshot(Client* client) {
  client->token.clear();
  client->safe_token.clear();
  fanout::SessionOptions options = StreamOptions(*client);
  options.follows_another = true;
  auto session = fanout::Session::Start(client->node->dispatcher.get(), &clock_, &sealer_, options, ClassOf(*client),
                                        client->effective().Fingerprint(), fanout::SessionStart::kSnapshot);
  if (absl::IsUnavailable(session.status()) || absl::IsResourceExhausted(session.status())) {
    ++fired_["snapshot put off"];
    return;
  }
  if (!session.ok()) return Fail(absl::StrCat("snapshot: ", session.status().message()));
  client->session = *std::move(session);
  KeepToken(client, client->session->Token());
}

void World::OnMark(Client* client, const fraudhub::v1::SnapshotMark& mark) {
  client->parts = std::max(client->parts, mark.parts_sent());
  if (!mark.token().empty()) KeepToken(client, mark.token());
  if (!mark.ends()) return;
  if (!client->sweep.on) Fail("a snapshot ends that the client has not seen begin");
  client->sweep.on = false;
  ++fired_["snapshot ended"];
  const size_t swept = std::erase_if(client->view, [&](const auto& entry) {
    return !client->sweep.told.contains(entry.first) && !client->ahead.contains(entry.first);
  });
  if (swept > 0) ++fired_["swept"];
}

}  // namespace hub::simulation
