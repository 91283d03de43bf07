// Who sees which field: a message with everything in it, redacted for each audience, keeps exactly what the options grant.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <set>
#include <string>

#include "fraudhub/v1/lookup.pb.h"
#include "fraudhub/v1/operations.pb.h"
#include "fraudhub/v1/report.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::wire {
namespace {

namespace api = fraudhub::v1;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Sets every field, two of each repeated one.
void Fill(Message* message, int depth = 0) {
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const int times = field->is_repeated() ? 2 : 1;
    for (int k = 0; k < times; ++k) {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_MESSAGE:
          if (depth > 5) break;
          if (field->is_map()) {
            Message* entry = reflection->AddMessage(message, field);
            const auto* key = entry->GetDescriptor()->FindFieldByNumber(1);
            if (key->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
              entry->GetReflection()->SetString(entry, key, std::string(1, static_cast<char>('a' + k)));
            if (key->cpp_type() == FieldDescriptor::CPPTYPE_INT32) entry->GetReflection()->SetInt32(entry, key, k + 1);
            const auto* value = entry->GetDescriptor()->FindFieldByNumber(2);
            if (value->cpp_type() == FieldDescriptor::CPPTYPE_INT64) entry->GetReflection()->SetInt64(entry, value, 5);
          } else {
            Fill(field->is_repeated() ? reflection->AddMessage(message, field)
                                      : reflection->MutableMessage(message, field),
                 depth + 1);
          }
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          field->is_repeated() ? reflection->AddString(message, field, "x")
                               : reflection->SetString(message, field, "x");
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          field->is_repeated() ? reflection->AddInt32(message, field, 1) : reflection->SetInt32(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          field->is_repeated() ? reflection->AddInt64(message, field, 1) : reflection->SetInt64(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          field->is_repeated() ? reflection->AddUInt32(message, field, 1) : reflection->SetUInt32(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          field->is_repeated() ? reflection->AddUInt64(message, field, 1) : reflection->SetUInt64(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          field->is_repeated() ? reflection->AddBool(message, field, true) : reflection->SetBool(message, field, true);
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          field->is_repeated() ? reflection->AddDouble(message, field, 1) : reflection->SetDouble(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_FLOAT:
          field->is_repeated() ? reflection->AddFloat(message, field, 1) : reflection->SetFloat(message, field, 1);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          field->is_repeated() ? reflection->AddEnumValue(message, field, 1)
                               : reflection->SetEnumValue(message, field, 1);
          break;
      }
    }
  }
}

bool OurOwn(const FieldDescriptor* field) {
  return field->file()->package() == "fraudhub.v1" && !field->containing_type()->options().map_entry();
}

// Full names of the fields that are set, at any depth; with those that should be there for `audiences`.
void Walk(const Message& message, const AudienceSet& audiences, std::set<std::string>* wrong,
          std::set<std::string>* kept) {
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (OurOwn(field)) {
      const auto audience = static_cast<model::FieldAudience>(field->options().GetExtension(api::visible_to));
      if (!audiences.Has(audience)) wrong->insert(field->full_name());
      kept->insert(field->full_name());
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        Walk(reflection->GetRepeatedMessage(message, field, i), audiences, wrong, kept);
      }
    } else {
      Walk(reflection->GetMessage(message, field), audiences, wrong, kept);
    }
  }
}

template <class M>
std::set<std::string> KeptOf(const std::vector<model::FieldAudience>& audiences) {
  M message;
  Fill(&message);
  const AudienceSet set(audiences);
  Redact(set, &message);
  std::set<std::string> wrong, kept;
  Walk(message, set, &wrong, &kept);
  CHECK(wrong.empty());
  return kept;
}

using A = model::FieldAudience;

TEST_CASE("every field of the API says who may see it", "[wire][redact]") { CHECK(FieldsWithoutAudience().empty()); }

TEST_CASE("redaction leaves exactly what an audience may see, at any depth", "[wire][redact]") {
  const auto bank = KeptOf<api::Event>({});
  const auto operators = KeptOf<api::Event>({A::kTelecom});
  const auto police = KeptOf<api::Event>({A::kTelecom, A::kLawEnforcement});
  const auto analyst = KeptOf<api::Event>({A::kTelecom, A::kLawEnforcement, A::kAnalyst});
  CHECK(bank.size() < operators.size());
  CHECK(operators.size() < police.size());
  CHECK(std::includes(operators.begin(), operators.end(), bank.begin(), bank.end()));
  CHECK(std::includes(police.begin(), police.end(), operators.begin(), operators.end()));
  CHECK(std::includes(analyst.begin(), analyst.end(), police.begin(), police.end()));
  // DOMAIN.md rule 8: victims' data never leaves law enforcement's view; a bank sees number, level, reasons.
  for (const char* field :
       {"fraudhub.v1.Indicator.victim_phone", "fraudhub.v1.Indicator.case_refs", "fraudhub.v1.Indicator.loss_paise"}) {
    INFO(field);
    if (analyst.count(field) == 0) continue;  // named otherwise
    CHECK(bank.count(field) == 0);
    CHECK(operators.count(field) == 0);
    CHECK(police.count(field) == 1);
  }
  CHECK(bank.count("fraudhub.v1.Indicator.level") == 1);
  CHECK(bank.count("fraudhub.v1.Indicator.reasons") == 1);
  KeptOf<api::LookupResponse>({});
  KeptOf<api::ExplainResponse>({A::kTelecom, A::kLawEnforcement});
  KeptOf<api::ListEventsResponse>({});
  KeptOf<api::SubmitReportsRequest>(
      {A::kTelecom, A::kLawEnforcement, A::kAnalyst});  // what was input is never sent out
}

model::Event SomeEvent() {
  model::Event event;
  event.kind = model::EventKind::kFlagged;
  event.term = 4;
  event.reports_offset = 12;
  event.state.key.token[3] = 9;
  event.state.version = 6;
  event.state.identifier = {model::IdentifierType::kMobile, "+915551234567"};
  event.state.attributes.type = model::IdentifierType::kMobile;
  event.state.attributes.level = model::Level::kHigh;
  event.state.attributes.case_refs = {"FIR-1"};
  event.state.victim_phone = "+915550000888";
  event.decided_at = absl::FromUnixSeconds(1'800'000'000);
  return event;
}

TEST_CASE("slices of a batch put end to end are one message", "[wire][slices]") {
  std::string bytes = EncodeUrgentSlice(SomeEvent(), 2, 44, AudienceSet(), /*left_view=*/false);
  bytes += EncodeUrgentSlice(SomeEvent(), 2, 45, AudienceSet(), /*left_view=*/true);
  bytes += EncodeEventSlice(SomeEvent(), AudienceSet(), /*left_view=*/false);
  bytes += EncodeEventSlice(SomeEvent(), AudienceSet(), /*left_view=*/true);
  BatchTrailer trailer;
  trailer.positions = {{0, 13}, {1, 5}};
  trailer.urgent_positions = {{1, 7}};
  trailer.token = "token";
  trailer.complete_until = absl::FromUnixSeconds(1'800'000'000);
  bytes += EncodeBatchTrailer(trailer);
  api::SubscribeResponse response;
  REQUIRE(response.ParseFromString(bytes));
  REQUIRE(response.events_size() == 2);
  CHECK(response.events(0).indicator().level() == api::LEVEL_HIGH);
  CHECK(response.events(0).version().version() == 6);
  CHECK(response.events(0).SerializeAsString().find("888") == std::string::npos);  // the victim's number
  CHECK(response.positions().at(0) == 13);
  CHECK(response.urgent_positions().at(1) == 7);
  REQUIRE(response.urgent_size() == 2);
  CHECK(response.urgent(0).position() == 44);
  CHECK(response.urgent(0).partition() == 2);
  CHECK(response.urgent(0).event().SerializeAsString() == response.events(0).SerializeAsString());
  CHECK(response.urgent(1).event().SerializeAsString() == response.events(1).SerializeAsString());
  CHECK(response.progress().token() == "token");

  // LEFT_VIEW: key and version, nothing of what the indicator is now.
  const api::Event& left = response.events(1);
  CHECK(left.left_view());
  CHECK(left.indicator().indicator_id() == response.events(0).indicator().indicator_id());
  CHECK(left.version().version() == 6);
  CHECK(left.indicator().level() == api::LEVEL_UNSPECIFIED);
  CHECK(left.indicator().reasons().empty());
  CHECK(left.indicator().categories().empty());
  CHECK_FALSE(left.indicator().has_last_seen());
}

}  // namespace
}  // namespace hub::wire
