// The fan-out nodes, their streams, and the clients that go from one to the other.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/event_runs.h"
#include "libs/wire/wire.h"
#include "tests/simulation/world.h"

namespace hub::simulation {
namespace {

using model::IdentifierType;
using model::Level;
using model::Reason;

}  // namespace

model::Filter World::Client::effective() const {
  return narrow ? filter.And(model::Filter::AnyOf({{.level_min = Level::kMedium}})) : filter;
}

void World::AddClients() {
  auto add = [this](const std::string& name, model::FilterClause clause,
                    std::function<bool(const model::Attributes&)> asks) {
    auto client = std::make_unique<Client>();
    client->name = name;
    client->filter = model::Filter::AnyOf({std::move(clause)});
    client->asks = std::move(asks);
    if (clients_.size() % 2 == 0) client->form = fanout::EventForm::kRuns;
    clients_.push_back(std::move(client));
  };
  add("everything", {}, [](const model::Attributes&) { return true; });
  clients_.back()->sees_all = true;
  add("everything, urgent ahead", {}, [](const model::Attributes&) { return true; });
  clients_.back()->urgent = true;
  add("medium and up", {.level_min = Level::kMedium},
      [](const model::Attributes& a) { return a.level >= Level::kMedium; });
  clients_.back()->urgent = true;
  add("high mobiles", {.types = {IdentifierType::kMobile}, .level_min = Level::kHigh},
      [](const model::Attributes& a) { return a.type == IdentifierType::kMobile && a.level >= Level::kHigh; });
  add("lea reasons", {.reasons = {Reason::kLeaReportedCybercrime}}, [](const model::Attributes& a) {
    return std::count(a.reasons.begin(), a.reasons.end(), Reason::kLeaReportedCybercrime) > 0;
  });
  add("everything, by snapshot, urgent ahead", {}, [](const model::Attributes&) { return true; });
  clients_.back()->snapshots = clients_.back()->urgent = true;
  add("high and up, by snapshot", {.level_min = Level::kHigh},
      [](const model::Attributes& a) { return a.level >= Level::kHigh; });
  clients_.back()->snapshots = true;
}

void World::RestartNode(Node* node) {
  for (const auto& client : clients_) {
    if (client->node == node) client->session.reset();
  }
  fanout::DispatcherOptions options;
  options.partitions = kPartitions;
  options.segment_bytes_max = 64 * 1024;  // small, so that lagging readers fall out of memory
  options.catchup_bytes_max = 64 * 1024;
  node->dispatcher = std::make_unique<fanout::Dispatcher>(options, &clock_, fanout_log_.get(), &metrics_);
  if (!node->dispatcher->Open().ok()) Fail("a node doesn't open");
  OpenStates(node);
}

// Each stream gets its token, most clients get to see it, and the node starts anew.
void World::DrainNode(Node* node) {
  for (const auto& client : clients_) {
    if (client->node != node || client->session == nullptr) continue;
    if (const std::string token = client->session->Token(); !token.empty() && Draw(4) != 0) {
      KeepToken(client.get(), token);
      ++fired_["drain token"];
    }
  }
  RestartNode(node);
}

void World::StepNodes() {
  for (const auto& node : nodes_) {
    if (!calm_ && (node->paused || Draw(3) == 0)) continue;
    if (calm_ || Draw(4) != 0) (void)node->dispatcher->Step();
    for (int32_t p = 0; p < kPartitions; ++p) {
      if (calm_ || Draw(2) == 0) FeedStates(node.get(), p);
    }
    if (node->snapshots->Step()) ++fired_["snapshot part"];
  }
}

// The policy shows it other rows. Who knows snapshots is sent one; else its stream ends, and its token is worth nothing unless the view
// is the same all the same.
void World::ChangeRows(Client* client) {
  client->narrow = !client->narrow;
  const bool open = client->session != nullptr;
  client->session.reset();
  if (!open || !client->snapshots) return;
  StartSnapshot(client);
  if (client->session != nullptr) {
    ++fired_["view changed"];
    Opened(client);
  }
}

// The policy shows it other fields of the same rows: another class, the same place.
void World::ChangeFields(Client* client) {
  client->all_fields = !client->all_fields;
  if (client->session == nullptr) return;
  if (Draw(2) == 0 && client->session->SwitchClass(ClassOf(*client)).ok()) {
    ++fired_["fields switched"];
  } else {
    client->session.reset();
  }
}

fanout::SessionOptions World::StreamOptions(const Client& client) const {
  fanout::SessionOptions options;
  options.stakeholder = client.name;
  options.message_bytes_max = 2000;
  options.unacked_bytes_max = 16 * 1024;
  options.window = kWindow;
  options.urgent = client.urgent;
  options.form = client.form;
  options.idle_progress_interval = absl::Seconds(2);
  options.snapshots = client.node->snapshots.get();
  return options;
}

std::shared_ptr<fanout::FilterClass> World::ClassOf(const Client& client) {
  const std::vector<model::FieldAudience> all = {model::FieldAudience::kTelecom, model::FieldAudience::kLawEnforcement,
                                                 model::FieldAudience::kAnalyst};
  auto joined = client.node->dispatcher->Join(
      client.effective(),
      wire::AudienceSet(client.all_fields ? all : std::vector<model::FieldAudience>{model::FieldAudience::kAll}));
  if (joined.ok()) return *std::move(joined);
  Fail(absl::StrCat("join: ", joined.status().message()));
  return nullptr;
}

void World::KeepToken(Client* client, const std::string& token) {
  client->token = token;
  client->token_from = client->node;
  client->token_filter = client->effective().Fingerprint();
}

absl::StatusOr<std::unique_ptr<fanout::Session>> World::Resume(Client* client) {
  std::string token = client->token;
  if (bug_ == Bug::kResumeOffByOne) {
    auto cursor = sealer_.Open(token, client->name);
    if (cursor.ok()) {
      for (auto& position : cursor->positions) {
        const auto range = log_->Offsets({eventlog::kEventsTopic, position.partition});
        if (range.ok() && position.offset < range->end) ++position.offset;
      }
      token = sealer_.Seal(*cursor, client->name);
    }
  }
  const uint64_t fingerprint = client->effective().Fingerprint();
  auto session = fanout::Session::Resume(client->node->dispatcher.get(), &clock_, &sealer_, StreamOptions(*client),
                                         ClassOf(*client), fingerprint, token);
  if (!session.ok()) return session;
  ++fired_["resumed"];
  if (client->token_from != client->node) ++fired_["moved"];
  if (client->token_filter != fingerprint) Fail("a token of another view was taken");
  return session;
}

void World::OpenStream(Client* client) {
  client->node = nodes_[static_cast<size_t>(Draw(kNodes))].get();
  CheckForeignToken(*client);
  absl::StatusOr<std::unique_ptr<fanout::Session>> session = absl::NotFoundError("no token");
  if (!client->token.empty()) session = Resume(client);
  if (absl::IsUnavailable(session.status()) || absl::IsResourceExhausted(session.status())) {
    ++fired_["snapshot put off"];  // another try, maybe elsewhere
    return;
  }
  if (session.ok() && (*session)->snapshot_resumed()) {
    ++fired_["snapshot resumed"];
    // Its process ended meanwhile and forgot how the snapshot began: what the end tells would be worth nothing.
    if (!client->sweep.on) session = absl::NotFoundError("forgotten");
  }
  if (session.ok()) {
    client->session = *std::move(session);
    CheckStart(*client, client->token);
  } else {
    // Nothing to resume from, or too old: afresh.
    if (!client->token.empty()) ++fired_["cursor refused"];
    client->snapshots ? StartSnapshot(client) : StartAfresh(client);
  }
  if (client->session != nullptr) Opened(client);
}

void World::Opened(Client* client) {
  Observe();  // or what is observed later would be judged, though it lies before the start
  client->unacked.clear();
  client->urgent_unacked.clear();
  client->parts = 0;
  client->safe_parts = -1;
  client->positions.clear();
  client->judged.assign(kPartitions, 0);
  for (const fanout::PartitionPosition& position : client->session->positions())
    client->positions.push_back(position.offset);
  for (int32_t p = 0; p < kPartitions; ++p) {
    // What lies before the start is in the view, or nobody's to tell.
    auto& events = events_[static_cast<size_t>(p)];
    client->judged[static_cast<size_t>(p)] =
        static_cast<size_t>(std::partition_point(events.begin(), events.end(),
                                                 [&](const Event& event) {
                                                   return event.offset < client->positions[static_cast<size_t>(p)];
                                                 }) -
                            events.begin());
    if (client->node->dispatcher->HeadOffset(p) < client->positions[static_cast<size_t>(p)]) ++fired_["resumed behind"];
  }
}

void World::StartAfresh(Client* client) {
  client->token.clear();
  client->safe_token.clear();
  client->view.clear();
  // Compaction keeps the last record of a key, which may be a silent state: from then on a fresh start needs a snapshot, here the
  // observer's.
  const bool snapshot = fired_["compaction"] > 0;
  auto session = fanout::Session::Start(client->node->dispatcher.get(), &clock_, &sealer_, StreamOptions(*client),
                                        ClassOf(*client), client->effective().Fingerprint(),
                                        snapshot ? fanout::SessionStart::kNow : fanout::SessionStart::kEarliest);
  if (!session.ok()) return Fail(absl::StrCat("stream: ", session.status().message()));
  if (snapshot) {
    Observe();
    for (const auto& [id, seen] : truth_) client->view[id] = {seen.stamp, client->wants(seen.state.attributes)};
  }
  client->session = *std::move(session);
}

// A resumed stream goes on exactly where its token says.
void World::CheckStart(const Client& client, const std::string& token) {
  const auto cursor = sealer_.Open(token, client.name);
  if (!cursor.ok()) return Fail("a token that was taken doesn't open");
  const auto positions = client.session->positions();
  for (size_t p = 0; p < positions.size(); ++p) {
    if (positions[p].offset != cursor->positions[p].offset) Fail("a stream begins elsewhere than its token says");
  }
}

// Nobody goes on with a token of another's, whatever he tries.
void World::CheckForeignToken(const Client& client) {
  if (client.token.empty() || Draw(10) != 0) return;
  fanout::SessionOptions options = StreamOptions(client);
  options.stakeholder = "somebody else";
  if (fanout::Session::Resume(client.node->dispatcher.get(), &clock_, &sealer_, options, ClassOf(client),
                              client.effective().Fingerprint(), client.token)
          .ok()) {
    Fail("a token of another's was taken");
  }
  ++fired_["foreign token"];
}

// Its process ends: what it had made safe is what it acknowledged last, and the hub knows from where to go on.
void World::CrashClient(Client* client) {
  if (client->session == nullptr || client->safe_token.empty()) return;
  client->session.reset();
  client->view = client->safe_view;
  client->sweep = client->safe_sweep;
  client->ahead.clear();
  client->token = client->safe_token;
  client->token_filter = client->safe_filter;
  client->token_from = client->node;
  ++fired_["from what was acknowledged"];
}

void World::OnEvent(Client* client, absl::string_view bytes) {
  fraudhub::v1::Event event;
  if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Fail("an event doesn't parse");
  const model::VersionStamp stamp{event.version().term(), event.version().version(), event.version().reports_offset()};
  const std::string& id = event.indicator().indicator_id();
  const auto& accepted = accepted_[id];
  const auto said = accepted.find(stamp);
  if (said != accepted.end() && !event.left_view() && !client->wants(said->second))
    return Fail("an event was delivered that is not of the view");
  if (!client->all_fields && (event.indicator().report_count() != 0 || event.indicator().independent_sources() != 0 ||
                              !event.indicator().operator_id().empty())) {
    return Fail("a field was delivered beyond the rights");
  }
  if (said != accepted.end() && !event.left_view() && client->all_fields &&
      event.indicator().report_count() != report_counts_[id][stamp]) {
    return Fail("a field is not what the log says");
  }
  client->sweep.told.insert(id);
  Client::Held& held = client->view[id];
  if (held.stamp.version != 0 && (stamp < held.stamp || (stamp == held.stamp && held.held != event.left_view()))) return;
  if (said == accepted.end()) return Fail("a record was delivered that is not in force");
  // Who sees everything misses no version while its stream goes on.
  if (client->sees_all && !client->narrow && held.dense && held.stamp.version != 0 &&
      stamp.version > held.stamp.version + 1) {
    return Fail(absl::StrCat("a gap: version ", held.stamp.version, ", then ", stamp.version));
  }
  held = {stamp, !event.left_view(), client->dense};
}

void World::StepClient(Client* client) {
  if (client->stalled && !calm_) return;
  if (client->session == nullptr) OpenStream(client);
  if (client->session == nullptr) return;
  Observe();  // what is in force by now
  client->dense = !client->session->Token().empty();  // there is none below the bound
  auto message = client->session->Next();
  if (!message.ok()) {
    client->session.reset();
    client->safe_token.clear();
    client->token.clear();  // CursorTooOld while reading: afresh
    if (!client->snapshots) client->view.clear();
    ++fired_["stream ended"];
    return;
  }
  if (message->empty()) {
    Acknowledge(client);
    return;
  }
  std::string bytes;
  for (const fanout::Slice& slice : message->slices) absl::StrAppend(&bytes, slice.bytes);
  if (!calm_ && Draw(60) == 0) {
    // Lost on the way: the connection broke with the message in it.
    client->session.reset();
    ++fired_["message lost"];
    return;
  }
  fraudhub::v1::SubscribeResponse response;
  if (!response.ParseFromString(bytes)) return Fail("a batch doesn't parse");
  if (!wire::UnpackRuns(&response).ok()) return Fail("a run doesn't unpack");
  if (response.snapshot().begins()) {
    client->sweep = {true, {}};
  }
  for (const auto& copy : response.urgent()) OnCopy(client, copy.SerializeAsString());
  for (const auto& [partition, offset] : response.urgent_positions()) client->urgent_unacked[partition] = offset;
  for (const auto& event : response.events()) OnEvent(client, event.SerializeAsString());
  for (const auto& [partition, offset] : response.positions()) {
    eventlog::Offset& told = client->positions[static_cast<size_t>(partition)];
    if (offset < told) Fail("a position went back");
    told = offset;
    client->unacked[partition] = offset;
  }
  std::erase_if(client->ahead, [&](const auto& entry) {
    return entry.second.second < client->positions[static_cast<size_t>(entry.second.first)];
  });
  if (response.has_snapshot()) OnMark(client, response.snapshot());
  if (response.has_progress()) {
    if (client->sweep.on) return Fail("progress inside a snapshot");
    KeepToken(client, response.progress().token());
    CheckProgress(client);
  }
  if (Draw(3) == 0 || calm_) Acknowledge(client);
}

// Everything before the positions that it may see and asked for has been told.
void World::CheckProgress(Client* client) {
  for (size_t p = 0; p < events_.size(); ++p) {
    for (size_t& i = client->judged[p]; i < events_[p].size() && events_[p][i].offset < client->positions[p]; ++i) {
      const Event& event = events_[p][i];
      const bool was = event.previous.has_value() && client->wants(*event.previous);
      if (!client->wants(event.attributes) && !was) continue;
      const auto held = client->view.find(event.id);
      if (held == client->view.end() || held->second.stamp < event.stamp)
        return Fail("a progress mark has passed what was never told");
      ++fired_["progress checked"];
    }
  }
}

void World::Acknowledge(Client* client) {
  // Now and then one partition is made safe before the others; what the client holds of those goes with its process.
  const bool no_snapshot = !client->sweep.on && !client->safe_sweep.on && client->parts == client->safe_parts;
  const bool in_part = !calm_ && no_snapshot && Draw(3) == 0;
  const int32_t only = in_part ? Draw(kPartitions) : -1;
  std::map<int32_t, eventlog::Offset> positions = client->unacked, urgent_positions = client->urgent_unacked;
  if (in_part) {
    const auto other = [only](const auto& entry) { return entry.first != only; };
    std::erase_if(positions, other);
    std::erase_if(urgent_positions, other);
    ++fired_["acknowledged in part"];
  }
  if (absl::Status status = client->session->OnAck(positions, urgent_positions, client->parts); !status.ok()) {
    return Fail(absl::StrCat("ack: ", status.message()));
  }
  client->safe_token = client->session->AckedToken();
  client->safe_filter = client->effective().Fingerprint();
  if (in_part) {
    for (const auto& [id, held] : client->view) {
      if (truth_.at(id).partition == only) client->safe_view[id] = held;
    }
    if (Draw(8) == 0) CrashClient(client);
    return;
  }
  client->safe_view = client->view;
  client->safe_sweep = client->sweep;
  client->safe_parts = client->parts;
}

}  // namespace hub::simulation
