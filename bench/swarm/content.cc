#include "bench/swarm/content.h"

#include <google/protobuf/util/message_differencer.h>

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/indicator.pb.h"
#include "fraudhub/v1/visibility.pb.h"

namespace hub::swarm {
namespace {

namespace api = fraudhub::v1;
namespace pb = google::protobuf;

// Options are dear to look into, and there are some hundred fields.
int AudienceOf(const pb::FieldDescriptor& field) {
  static auto& known = *new absl::flat_hash_map<const pb::FieldDescriptor*, int>();
  const auto [entry, is_new] = known.try_emplace(&field, 0);
  if (is_new) entry->second = field.options().GetExtension(api::visible_to);
  return entry->second;
}

bool IsOurs(const pb::Message& message) { return message.GetDescriptor()->file()->package() == "fraudhub.v1"; }

// Takes out what the audiences may not see; true when there was any.
bool RemoveHidden(const Audiences& audiences, pb::Message* message) {
  if (!IsOurs(*message)) return false;
  bool found = false;
  const pb::Reflection& reflection = *message->GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (!audiences.Allows(AudienceOf(*field))) {
      reflection.ClearField(message, field);
      found = true;
    } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      const int count = field->is_repeated() ? reflection.FieldSize(*message, field) : 1;
      for (int i = 0; i < count; ++i) {
        found |= RemoveHidden(audiences, field->is_repeated() ? reflection.MutableRepeatedMessage(message, field, i)
                                                              : reflection.MutableMessage(message, field));
      }
    }
  }
  return found;
}

// What a filter may ask about, and whose it is.
api::Indicator Filterable(const api::Indicator& whole) {
  api::Indicator part = whole;
  for (auto clear :
       {&api::Indicator::clear_report_count, &api::Indicator::clear_independent_sources,
        &api::Indicator::clear_first_seen, &api::Indicator::clear_last_seen, &api::Indicator::clear_expires_at,
        &api::Indicator::clear_review_due, &api::Indicator::clear_loss_paise, &api::Indicator::clear_victim_phone,
        &api::Indicator::clear_suspect_state, &api::Indicator::clear_links, &api::Indicator::clear_standing,
        &api::Indicator::clear_line_kind, &api::Indicator::clear_traced_with, &api::Indicator::clear_traced_at}) {
    (part.*clear)();
  }
  return part;
}

}  // namespace

Audiences::Audiences(const fraudhub::config::v1::Policy& policy, int role) {
  allowed_.insert(api::FIELD_AUDIENCE_ALL);
  for (const auto& grant : policy.grants()) {
    if (grant.role() != role) continue;
    allowed_.insert(grant.fields().begin(), grant.fields().end());
  }
}

ContentProblem CompareContent(absl::string_view told, absl::string_view full, const Audiences& audiences,
                              bool counters_may_differ) {
  api::Event got, wanted;
  if (!wanted.ParseFromArray(full.data(), static_cast<int>(full.size()))) return ContentProblem::kMalformed;
  RemoveHidden(audiences, &wanted);
  // Byte for byte what may be shown needs no second look, which is dear; a field that this program does not know does.
  wanted.DiscardUnknownFields();
  if (wanted.SerializeAsString() == told) return ContentProblem::kNone;
  if (!got.ParseFromArray(told.data(), static_cast<int>(told.size()))) return ContentProblem::kMalformed;
  // A field that this program does not know has no annotation that it could know either.
  if (!got.GetReflection()->GetUnknownFields(got).empty() ||
      !got.indicator().GetReflection()->GetUnknownFields(got.indicator()).empty()) {
    return ContentProblem::kHiddenField;
  }
  if (api::Event copy = got; RemoveHidden(audiences, &copy)) return ContentProblem::kHiddenField;
  if (got.left_view()) {
    api::Indicator key;
    key.set_indicator_id(wanted.indicator().indicator_id());
    *key.mutable_identifier() = wanted.indicator().identifier();
    key.set_facet(wanted.indicator().facet());
    // More than the key would say why it left.
    return pb::util::MessageDifferencer::Equals(got.indicator(), key) ? ContentProblem::kNone
                                                                      : ContentProblem::kHiddenField;
  }
  const bool same = counters_may_differ ? pb::util::MessageDifferencer::Equals(Filterable(got.indicator()),
                                                                               Filterable(wanted.indicator()))
                                        : pb::util::MessageDifferencer::Equals(got, wanted);
  return same ? ContentProblem::kNone : ContentProblem::kDiffers;
}

}  // namespace hub::swarm
