#include "libs/rpc/status.h"

#include <grpcpp/support/status.h>

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/internal/v1/rpc_status.pb.h"
#include "fraudhub/v1/errors.pb.h"
#include "libs/base/log.h"
#include "libs/model/refusal.h"

namespace hub::rpc {
namespace {

namespace internal = ::fraudhub::internal::v1;

constexpr char kDomain[] = "fraudhub.v1";
constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequest[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";
constexpr absl::string_view kRetryPayload = "fraudhub.rpc/retry_after";  // nanoseconds; it never leaves the process

void AddDetail(const char* type_url, const google::protobuf::MessageLite& detail, internal::RpcStatus* out) {
  google::protobuf::Any* any = out->add_details();
  any->set_type_url(type_url);
  detail.SerializeToString(any->mutable_value());
}

// What these say may be of the hub's inside, or of somebody's data.
bool IsOurFault(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown || code == absl::StatusCode::kDataLoss;
}

model::RefusalCode RefusalCodeOf(const std::string& reason) {
  fraudhub::v1::ErrorReason parsed;
  if (!fraudhub::v1::ErrorReason_Parse(absl::StrCat("ERROR_REASON_", reason), &parsed)) return model::RefusalCode::kUnspecified;
  return static_cast<model::RefusalCode>(parsed);
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status, absl::Duration retry_after) {
  if (status.ok()) return grpc::Status::OK;
  if (IsOurFault(status.code())) {
    HUB_LOG_EVERY(1, ERROR, "call_failed", {{"status", status.ToString()}});
    return grpc::Status(static_cast<grpc::StatusCode>(status.code()), "internal error; see the hub's log");
  }
  const std::optional<model::Refusal> refusal = model::RefusalOf(status);
  const std::string message = refusal ? refusal->message : std::string(status.message());
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (!refusal && retry_after <= absl::ZeroDuration()) return grpc::Status(code, message);

  internal::RpcStatus details;
  details.set_code(static_cast<int>(code));
  details.set_message(message);
  if (refusal) {
    internal::ErrorInfo info;
    info.set_reason(std::string(model::Name(refusal->code)));
    info.set_domain(kDomain);
    AddDetail(kErrorInfo, info, &details);
    if (!refusal->field.empty()) {
      internal::BadRequest bad;
      internal::FieldViolation* violation = bad.add_field_violations();
      violation->set_field(refusal->field);
      violation->set_description(refusal->message);
      AddDetail(kBadRequest, bad, &details);
    }
  }
  if (retry_after > absl::ZeroDuration()) {
    internal::RetryInfo retry;
    const int64_t nanos = absl::ToInt64Nanoseconds(retry_after);
    retry.mutable_retry_delay()->set_seconds(nanos / 1'000'000'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
    AddDetail(kRetryInfo, retry, &details);
  }
  return grpc::Status(code, message, details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status, absl::Duration* retry_after) {
  if (retry_after != nullptr) *retry_after = absl::ZeroDuration();
  if (status.ok()) return absl::OkStatus();
  const absl::Status plain(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  internal::RpcStatus details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) return plain;

  model::RefusalCode code = model::RefusalCode::kUnspecified;
  std::string field;
  absl::Duration hint;
  for (const google::protobuf::Any& any : details.details()) {
    internal::ErrorInfo info;
    internal::BadRequest bad;
    internal::RetryInfo retry;
    if (any.type_url() == kErrorInfo && info.ParseFromString(any.value()) && info.domain() == kDomain) {
      code = RefusalCodeOf(info.reason());
    } else if (any.type_url() == kBadRequest && bad.ParseFromString(any.value()) && bad.field_violations_size() > 0) {
      field = bad.field_violations(0).field();
    } else if (any.type_url() == kRetryInfo && retry.ParseFromString(any.value())) {
      hint = absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  absl::Status told =
      code == model::RefusalCode::kUnspecified ? plain : model::Refuse(code, field, status.error_message());
  if (hint <= absl::ZeroDuration()) return told;
  if (retry_after != nullptr) *retry_after = hint;
  told.SetPayload(kRetryPayload, absl::Cord(absl::StrCat(absl::ToInt64Nanoseconds(hint))));
  return told;
}

absl::Duration RetryAfterOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kRetryPayload);
  int64_t nanos = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &nanos)) return absl::ZeroDuration();
  return absl::Nanoseconds(nanos);
}

absl::Status Unreadable() {
  return model::Refuse(model::RefusalCode::kBadFormat, "",
                       "the request can't be read: it is no message of this method, or a text in it is not UTF-8");
}

}  // namespace hub::rpc
