// The urgent lane: what clients do with copies, and copies that nobody may believe.
#include <utility>

#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/eventlog/topics.h"
#include "libs/wire/wire.h"
#include "tests/simulation/world.h"

namespace hub::simulation {

void World::OnCopy(Client* client, absl::string_view bytes) {
  fraudhub::v1::UrgentCopy copy;
  if (!copy.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Fail("a copy doesn't parse");
  if (!client->urgent) return Fail("a copy for a client that did not ask");
  ++fired_["urgent copy"];
  if (copy.position() < client->positions[static_cast<size_t>(copy.partition())])
    return Fail("a copy of what the stream has passed");
  const fraudhub::v1::Event& event = copy.event();
  const model::VersionStamp stamp{event.version().term(), event.version().version(), event.version().reports_offset()};
  const std::string& id = event.indicator().indicator_id();
  Client::Held& held = client->view[id];
  if (held.stamp.version != 0 && (stamp < held.stamp || (stamp == held.stamp && held.held != event.left_view()))) return;
  const auto said = accepted_[id].find(stamp);
  if (said == accepted_[id].end()) return Fail("a copy was delivered that is not in force");
  if (!event.left_view() && !client->wants(said->second)) return Fail("a copy was delivered that is not of the view");
  ++fired_["urgent copy applied ahead"];
  held = {stamp, !event.left_view()};
  client->ahead[id] = {copy.partition(), copy.position()};
}

// A copy of a record that is fenced, as a zombie would send it that has not heard of its successor yet.
void World::CopyFenced(int32_t partition, const eventlog::StoredRecord& record, const wire::DecodedRecord& decoded) {
  const auto* event = std::get_if<model::Event>(&decoded.body);
  if (event == nullptr) return;
  ++fired_["fenced copy"];
  const uint64_t term = decoded.header.term;
  log_->Append({eventlog::kUrgentTopic, partition},
               {record.key, wire::EncodeRecord({term, 0}, model::UrgentCopy{*event, record.offset, term})},
               [](absl::StatusOr<eventlog::Offset>) {});
}

// The planted bug: what a node that looks neither at the copy's term nor for its twin would send. (Here every copy gets the newest twin.)
bool World::AlterUrgent(int32_t partition, eventlog::StoredRecord* record) {
  auto decoded = wire::DecodeRecord(record->value);
  if (!decoded.ok()) return true;
  auto* copy = std::get_if<model::UrgentCopy>(&decoded->body);
  if (copy == nullptr) return false;  // marks are not seen, so no term is fenced
  Observe();
  const auto twin = urgent_twin_.find(partition);
  if (twin == urgent_twin_.end() || accepted_[model::IndicatorIdText(copy->event.state.key)].contains(
                                        {copy->twin_term, copy->event.state.version, copy->event.reports_offset})) {
    return true;
  }
  copy->twin_offset = twin->second.first;
  copy->twin_term = twin->second.second;
  record->value = wire::EncodeRecord({twin->second.second, 0}, *copy);
  return true;
}

}  // namespace hub::simulation
