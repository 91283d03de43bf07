// What leaves the hub: public messages, cut down to what their reader may see.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fraudhub/v1/errors.pb.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "fraudhub/v1/report.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "fraudhub/v1/visibility.pb.h"
#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/wire/wire.h"

namespace hub::wire {
namespace {

namespace api = fraudhub::v1;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kPackage[] = "fraudhub.v1";

// What redaction does with the fields of one message type; found once, kept for ever (there are some fifty types).
struct Plan {
  struct Field {
    const FieldDescriptor* field;
    model::FieldAudience audience;
    const Plan* inside;  // of a message field of our package; null otherwise
  };
  std::vector<Field> fields;
};

class Plans {
 public:
  const Plan* For(const Descriptor* type) {
    base::MutexLock lock(&mu_);
    return ForLocked(type);
  }

 private:
  const Plan* ForLocked(const Descriptor* type) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::unique_ptr<Plan>& plan = plans_[type];
    if (plan != nullptr) return plan.get();
    plan = std::make_unique<Plan>();
    Plan* made = plan.get();  // the map may move the slot below
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const bool ours =
          field->message_type() != nullptr && !field->is_map() && field->message_type()->file()->package() == kPackage;
      made->fields.push_back({field, static_cast<model::FieldAudience>(field->options().GetExtension(api::visible_to)),
                              ours ? ForLocked(field->message_type()) : nullptr});
    }
    return made;
  }

  base::Mutex mu_;
  std::map<const Descriptor*, std::unique_ptr<Plan>> plans_ ABSL_GUARDED_BY(mu_);
};

const Plan* PlanFor(const Descriptor* type) {
  static Plans* const plans = new Plans();
  return plans->For(type);
}

void Apply(const Plan& plan, const AudienceSet& audiences, Message* message) {
  const google::protobuf::Reflection* reflection = message->GetReflection();
  for (const Plan::Field& entry : plan.fields) {
    // kUnspecified and kInput are in no reader's set: default deny.
    if (!audiences.Has(entry.audience)) {
      reflection->ClearField(message, entry.field);
    } else if (entry.inside == nullptr) {
      continue;
    } else if (entry.field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(*message, entry.field); ++i) {
        Apply(*entry.inside, audiences, reflection->MutableRepeatedMessage(message, entry.field, i));
      }
    } else if (reflection->HasField(*message, entry.field)) {
      Apply(*entry.inside, audiences, reflection->MutableMessage(message, entry.field));
    }
  }
}

void ToStamp(absl::Time time, google::protobuf::Timestamp* stamp) {
  const int64_t micros = absl::ToUnixMicros(time);
  const int64_t seconds = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
  stamp->set_seconds(seconds);
  stamp->set_nanos(static_cast<int32_t>(micros - seconds * 1'000'000) * 1000);
}

// Infinite times are left unset.
bool Finite(absl::Time time) { return time != absl::InfiniteFuture() && time != absl::InfinitePast(); }

void IdentifierToProto(const model::Identifier& identifier, api::Identifier* out) {
  out->set_type(static_cast<api::IdentifierType>(identifier.type));
  out->set_canonical(identifier.canonical);
}

void KeyToProto(const model::IndicatorState& state, api::Indicator* out) {
  out->set_indicator_id(model::IndicatorIdText(state.key));
  IdentifierToProto(state.identifier, out->mutable_identifier());
  out->set_facet(static_cast<api::Facet>(state.key.facet));
}

void HeadToProto(const model::Event& event, api::Event* out) {
  out->set_event_id(model::EventIdText(event.state.key, event.state.version));
  out->set_kind(static_cast<api::EventKind>(event.kind));
  out->mutable_version()->set_term(event.term);
  out->mutable_version()->set_version(event.state.version);
  out->mutable_version()->set_reports_offset(event.reports_offset);
  out->set_rules_version(event.rules_version);
  if (Finite(event.decided_at)) ToStamp(event.decided_at, out->mutable_decided_at());
  if (Finite(event.received_at)) ToStamp(event.received_at, out->mutable_received_at());
}

void CollectWithoutAudience(const google::protobuf::FileDescriptor* file, std::vector<std::string>* missing) {
  for (int m = 0; m < file->message_type_count(); ++m) {
    const Descriptor* type = file->message_type(m);
    for (int f = 0; f < type->field_count(); ++f) {
      if (type->field(f)->options().GetExtension(api::visible_to) == api::FIELD_AUDIENCE_UNSPECIFIED) {
        missing->push_back(type->field(f)->full_name());
      }
    }
  }
}

// Who no longer sees the row learns that it has left, not why.
void EventToProto(const model::Event& event, bool left_view, api::Event* message) {
  if (!left_view) return ToProto(event, message);
  message->set_left_view(true);
  message->mutable_version()->set_term(event.term);
  message->mutable_version()->set_version(event.state.version);
  message->mutable_version()->set_reports_offset(event.reports_offset);
  message->set_kind(static_cast<api::EventKind>(event.kind));
  if (Finite(event.decided_at)) ToStamp(event.decided_at, message->mutable_decided_at());
  if (Finite(event.received_at)) ToStamp(event.received_at, message->mutable_received_at());
  KeyToProto(event.state, message->mutable_indicator());
}

// One element of a repeated field of SubscribeResponse, with tag and length.
std::string Framed(int field, const google::protobuf::Message& message) {
  std::string slice;
  {
    google::protobuf::io::StringOutputStream stream(&slice);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteTag(static_cast<uint32_t>(field) << 3 | 2);
    coded.WriteVarint32(static_cast<uint32_t>(message.ByteSizeLong()));
    message.SerializeWithCachedSizes(&coded);
  }
  return slice;
}

}  // namespace

AudienceSet::AudienceSet(const std::vector<model::FieldAudience>& audiences) {
  for (const model::FieldAudience audience : audiences) {
    if (audience != model::FieldAudience::kUnspecified && audience != model::FieldAudience::kInput) {
      bits_ |= 1u << static_cast<int>(audience);
    }
  }
}

void Redact(const AudienceSet& audiences, Message* message) {
  HUB_CHECK(message->GetDescriptor()->file()->package() == kPackage);
  Apply(*PlanFor(message->GetDescriptor()), audiences, message);
}

void ToProto(const model::IndicatorState& state, api::Indicator* out) {
  KeyToProto(state, out);
  out->set_line_kind(static_cast<api::LineKind>(state.line_kind));
  out->set_tenure(state.tenure);
  out->set_level(static_cast<api::Level>(state.attributes.level));
  for (const model::Reason reason : state.attributes.reasons) out->add_reasons(static_cast<api::Reason>(reason));
  for (const int category : state.attributes.categories) out->add_categories(static_cast<api::FraudCategory>(category));
  out->set_standing(static_cast<api::EventKind>(state.standing));
  if (Finite(state.first_seen)) ToStamp(state.first_seen, out->mutable_first_seen());
  if (Finite(state.last_seen)) ToStamp(state.last_seen, out->mutable_last_seen());
  if (Finite(state.expires_at)) ToStamp(state.expires_at, out->mutable_expires_at());
  if (Finite(state.review_due)) ToStamp(state.review_due, out->mutable_review_due());
  if (Finite(state.traced_at)) ToStamp(state.traced_at, out->mutable_traced_at());
  out->set_report_count(state.report_count);
  out->set_independent_sources(state.independent_sources);
  out->set_circle_of_issue(state.attributes.circle_of_issue);
  out->set_operator_id(state.attributes.operator_id);
  for (const std::string& value : state.attributes.victim_states) out->add_victim_states(value);
  out->set_suspect_state(state.suspect_state);
  for (const std::string& value : state.attributes.handling_units) out->add_handling_units(value);
  for (const std::string& value : state.attributes.case_refs) out->add_case_refs(value);
  out->set_victim_phone(state.victim_phone);
  out->set_loss_paise(state.loss_paise);
  for (const model::Link& link : state.links) {
    api::Link* added = out->add_links();
    added->set_relation(static_cast<api::Relation>(link.relation));
    IdentifierToProto(link.identifier, added->mutable_identifier());
  }
  out->set_registered_by(state.registered_by);
  out->set_traced_with(state.traced_with);
  out->set_protected_(state.protected_identifier);
}

void ToProto(const model::Event& event, api::Event* out) {
  HeadToProto(event, out);
  ToProto(event.state, out->mutable_indicator());
}

std::string EncodeEventSlice(const model::Event& event, const AudienceSet& audiences, bool left_view) {
  api::Event message;
  EventToProto(event, left_view, &message);
  Redact(audiences, &message);
  return Framed(api::SubscribeResponse::kEventsFieldNumber, message);
}

std::string EncodeUrgentSlice(const model::Event& event, int32_t partition, int64_t position,
                              const AudienceSet& audiences, bool left_view) {
  api::UrgentCopy message;
  EventToProto(event, left_view, message.mutable_event());
  message.set_partition(partition);
  message.set_position(position);
  Redact(audiences, &message);
  return Framed(api::SubscribeResponse::kUrgentFieldNumber, message);
}

std::string EncodeBatchTrailer(const BatchTrailer& trailer) {
  api::SubscribeResponse response;
  for (const auto& [partition, offset] : trailer.positions) (*response.mutable_positions())[partition] = offset;
  for (const auto& [partition, offset] : trailer.urgent_positions) {
    (*response.mutable_urgent_positions())[partition] = offset;
  }
  if (!trailer.token.empty()) {
    api::Progress* progress = response.mutable_progress();
    progress->set_token(trailer.token);
    if (Finite(trailer.complete_until)) ToStamp(trailer.complete_until, progress->mutable_complete_until());
    progress->set_records_behind(trailer.records_behind);
    if (Finite(trailer.hub_time)) ToStamp(trailer.hub_time, progress->mutable_hub_time());
  }
  if (trailer.snapshot.parts > 0) {
    api::SnapshotMark* mark = response.mutable_snapshot();
    mark->set_begins(trailer.snapshot.begins);
    mark->set_ends(trailer.snapshot.ends);
    mark->set_parts_sent(trailer.snapshot.parts_sent);
    mark->set_parts(trailer.snapshot.parts);
    mark->set_token(trailer.snapshot.token);
  }
  return response.SerializeAsString();
}

std::vector<std::string> FieldsWithoutAudience() {
  std::vector<std::string> missing;
  for (const auto* file : {api::Indicator::descriptor()->file(), api::Report::descriptor()->file(),
                           api::SubscribeRequest::descriptor()->file(), api::LookupRequest::descriptor()->file(),
                           api::CorrectRequest::descriptor()->file()}) {
    CollectWithoutAudience(file, &missing);
  }
  return missing;
}

}  // namespace hub::wire
