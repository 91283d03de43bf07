#include "libs/fanout/fanout_kit_test.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"  // tidy:third-party-ok the tests read what clients read
#include "libs/base/check.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/event_runs.h"

namespace hub::fanout::kit {
namespace {

absl::Time FromStamp(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

model::IndicatorKey KeyOf(int number) {
  model::IndicatorKey key;
  for (int i = 0; i < 4; ++i) key.token[static_cast<size_t>(i)] = static_cast<uint8_t>(number >> (8 * i));
  return key;
}

}  // namespace

model::Attributes Row(model::Level level, std::vector<int> categories) {
  model::Attributes row;
  row.type = model::IdentifierType::kMobile;
  row.level = level;
  row.categories = std::move(categories);
  return row;
}

model::Filter LevelFrom(model::Level level) {
  model::FilterClause clause;
  clause.level_min = level;
  return model::Filter::AnyOf({clause});
}

wire::AudienceSet Everyone() { return wire::AudienceSet({model::FieldAudience::kAll}); }

std::string IdOf(int number) { return model::IndicatorIdText(KeyOf(number)); }

model::Event EventOf(int number, uint64_t version, model::Attributes now, std::optional<model::Attributes> previous) {
  model::Event event;
  event.kind = model::EventKind::kFlagged;
  event.state.key = KeyOf(number);
  event.state.identifier = {model::IdentifierType::kMobile, absl::StrCat("+91555", 1'000'000 + number)};
  event.state.version = version;
  event.state.standing = event.kind;
  event.state.attributes = std::move(now);
  event.state.report_count = version;
  event.previous = std::move(previous);
  event.reports_offset = static_cast<int64_t>(version);
  event.rules_version = 1;
  return event;
}

Feed::Feed(int32_t partitions, eventlog::Log* log) : partitions_(partitions), log_(log) {
  if (log_ == nullptr) {
    eventlog::MemoryLogOptions options;
    options.manual_pump = true;
    memory_ = std::make_unique<eventlog::MemoryLog>(&clock, options);
    log_ = memory_.get();
  }
  HUB_CHECK(log_->EnsureTopics(eventlog::HubTopics(partitions)).ok());
}

eventlog::OffsetRange Feed::Range(int32_t partition) {
  const auto range = log_->Offsets({eventlog::kEventsTopic, partition});
  HUB_CHECK(range.ok());
  return *range;
}

eventlog::Offset Feed::PutBytes(int32_t partition, std::string key, std::string value) {
  return PutTo({eventlog::kEventsTopic, partition}, std::move(key), std::move(value));
}

eventlog::Offset Feed::PutTo(const eventlog::TopicPartition& at, std::string key, std::string value) {
  if (memory_ == nullptr) {
    const auto landed = AppendSync(log_, at, {std::move(key), std::move(value)}, absl::Seconds(30));
    HUB_CHECK(landed.ok());
    return *landed;
  }
  eventlog::Offset offset = -1;
  memory_->Append(at, {std::move(key), std::move(value)}, [&](absl::StatusOr<eventlog::Offset> landed) {
    HUB_CHECK(landed.ok());
    offset = *landed;
  });
  memory_->Pump();
  return offset;
}

eventlog::Offset Feed::Append(int32_t partition, const std::string& key, const model::LogBody& body) {
  return PutBytes(partition, key, wire::EncodeRecord({term, ++sequence_}, body));
}

eventlog::Offset Feed::Put(int32_t partition, const model::Event& event) {
  return Append(partition, model::ToBytes(event.state.key), event);
}

eventlog::Offset Feed::PutState(int32_t partition, const model::Event& last, int64_t reports_offset) {
  return Append(partition, model::ToBytes(last.state.key), model::StateUpdate{last.state, reports_offset, 1});
}

eventlog::Offset Feed::PutMark(int32_t partition, uint64_t new_term) {
  term = new_term;
  model::TermMark mark;
  mark.term = new_term;
  return Append(partition, absl::StrCat("mark ", ++marks_), mark);
}

eventlog::Offset Feed::PutTick(int32_t partition) {
  return Append(partition, "tick", model::Tick{clock.TimeNow(), term});
}

eventlog::Offset Feed::PutCopy(int32_t partition, const model::Event& event, eventlog::Offset twin,
                               uint64_t twin_term) {
  return PutTo({eventlog::kUrgentTopic, partition}, model::ToBytes(event.state.key),
               wire::EncodeRecord({term, 0}, model::UrgentCopy{event, twin, twin_term}));
}

eventlog::Offset Feed::PutCopy(int32_t partition, const model::Event& event, eventlog::Offset twin) {
  return PutCopy(partition, event, twin, term);
}

eventlog::Offset Feed::PutUrgentMark(int32_t partition, uint64_t of_term) {
  model::TermMark mark;
  mark.term = of_term;
  return PutTo({eventlog::kUrgentTopic, partition}, absl::StrCat("mark ", ++marks_),
               wire::EncodeRecord({of_term, 0}, mark));
}

eventlog::Offset Feed::Change(int32_t partition, int number, model::Attributes now) {
  Written& last = written_[number];
  const eventlog::Offset offset = Put(partition, EventOf(number, ++last.version, now, last.row));
  last.row = std::move(now);
  return offset;
}

DispatcherOptions Feed::Options() const {
  DispatcherOptions options;
  options.partitions = partitions_;
  return options;
}

std::unique_ptr<Dispatcher> Feed::Open(const DispatcherOptions& options) {
  auto dispatcher = std::make_unique<Dispatcher>(options, &clock, log_, &metrics);
  HUB_CHECK(dispatcher->Open().ok());
  return dispatcher;
}

SessionOptions Feed::BankOptions() const {
  SessionOptions options;
  options.stakeholder = "bank";
  options.window = kWindow;
  return options;
}

std::unique_ptr<Session> Feed::Start(Dispatcher* dispatcher, const model::Filter& filter, SessionStart start,
                                     std::optional<SessionOptions> options) {
  auto joined = dispatcher->Join(filter, Everyone());
  HUB_CHECK(joined.ok());
  auto session = Session::Start(dispatcher, &clock, &sealer, options.value_or(BankOptions()), *joined,
                                filter.Fingerprint(), start);
  HUB_CHECK(session.ok());
  return *std::move(session);
}

absl::StatusOr<std::unique_ptr<Session>> Feed::Resume(Dispatcher* dispatcher, const model::Filter& filter,
                                                      absl::string_view token, std::optional<SessionOptions> options) {
  auto joined = dispatcher->Join(filter, Everyone());
  HUB_CHECK(joined.ok());
  return Session::Resume(dispatcher, &clock, &sealer, options.value_or(BankOptions()), *joined, filter.Fingerprint(),
                         token);
}

void Drain(Dispatcher* dispatcher) {
  while (dispatcher->Step()) {
  }
}

static std::string Together(const std::vector<Slice>& slices) {
  std::string bytes;
  for (const Slice& slice : slices) absl::StrAppend(&bytes, slice.bytes);
  return bytes;
}
std::string Bytes(const Session::Message& message) { return Together(message.slices); }
std::string Bytes(const Chunk& chunk) { return Together(chunk.slices); }

Received::Item ItemOf(const fraudhub::v1::Event& event) {
  return {event.indicator().indicator_id(),
          {event.version().term(), event.version().version(), event.version().reports_offset()},
          event.left_view(),
          static_cast<model::Level>(event.indicator().level())};
}

Received Parse(absl::string_view bytes) {
  fraudhub::v1::SubscribeResponse response;
  HUB_CHECK(response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  HUB_CHECK(wire::UnpackRuns(&response).ok());
  Received received;
  for (const auto& event : response.events()) received.events.push_back(ItemOf(event));
  for (const auto& copy : response.urgent()) {
    received.copies.push_back({ItemOf(copy.event()), copy.partition(), copy.position()});
  }
  received.urgent_positions.insert(response.urgent_positions().begin(), response.urgent_positions().end());
  received.positions.insert(response.positions().begin(), response.positions().end());
  if (response.has_progress()) {
    received.progress = true;
    received.token = response.progress().token();
    if (response.progress().has_complete_until()) {
      received.complete_until = FromStamp(response.progress().complete_until());
    }
    received.records_behind = response.progress().records_behind();
  }
  const auto& mark = response.snapshot();
  received.snapshot = {mark.begins(), mark.ends(), mark.parts_sent(), mark.parts(), mark.token()};
  return received;
}

Received NextOf(Session* session) {
  auto message = session->Next();
  HUB_CHECK(message.ok());
  Received received = Parse(Bytes(*message));
  HUB_CHECK(received.events.size() == static_cast<size_t>(message->events));
  HUB_CHECK(received.copies.size() == static_cast<size_t>(message->copies));
  return received;
}

absl::Status Ack(Session* session, const Received& batch) {
  return session->OnAck(batch.positions, batch.urgent_positions, batch.snapshot.parts_sent);
}

Received All(Session* session) {
  Received all;
  int quiet = 0;
  while (quiet < 2) {
    const std::vector<PartitionPosition> before = session->positions();
    Received batch = NextOf(session);
    HUB_CHECK(Ack(session, batch).ok());
    bool moved = !batch.events.empty() || !batch.copies.empty();
    for (size_t p = 0; p < before.size(); ++p) moved |= session->positions()[p].offset != before[p].offset;
    quiet = moved ? 0 : quiet + 1;
    all.events.insert(all.events.end(), batch.events.begin(), batch.events.end());
    all.copies.insert(all.copies.end(), batch.copies.begin(), batch.copies.end());
    for (const auto& [partition, offset] : batch.positions) all.positions[partition] = offset;
    if (batch.progress) {
      all.progress = true;
      all.token = batch.token;
      all.complete_until = batch.complete_until;
      all.records_behind = batch.records_behind;
    }
  }
  return all;
}

void View::Apply(const Received& batch) {
  if (batch.snapshot.begins) told_.clear();
  for (const Received::Item& item : batch.events) {
    told_.insert(item.id);
    const auto [held, is_new] = held_.try_emplace(item.id, item);
    if (!is_new && held->second.stamp < item.stamp) held->second = item;
  }
  if (batch.snapshot.ends)
    swept_ += static_cast<int>(std::erase_if(held_, [&](const auto& e) { return told_.count(e.first) == 0; }));
}

std::map<std::string, model::Level> View::rows() const {
  std::map<std::string, model::Level> rows;
  for (const auto& [id, item] : held_) {
    if (!item.left_view) rows[id] = item.level;
  }
  return rows;
}

}  // namespace hub::fanout::kit
