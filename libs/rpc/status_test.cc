#include "libs/rpc/status.h"

#include <grpcpp/support/status.h>

#include "fraudhub/internal/v1/rpc_status.pb.h"
#include "libs/model/refusal.h"
#include "tests/catch.h"

namespace hub::rpc {

TEST_CASE("a refusal crosses the wire with its code, field and retry time", "[rpc][status]") {
  const absl::Status sent = model::Refuse(model::RefusalCode::kQuotaExceeded, "reports[3].identifier.value", "too fast");
  const grpc::Status wire = ToGrpc(sent, absl::Milliseconds(1500));
  CHECK(wire.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);

  absl::Duration retry_after;
  const absl::Status received = FromGrpc(wire, &retry_after);
  CHECK(received.code() == sent.code());
  CHECK(retry_after == absl::Milliseconds(1500));
  CHECK(RetryAfterOf(received) == absl::Milliseconds(1500));
  CHECK(RetryAfterOf(FromGrpc(ToGrpc(sent))) == absl::ZeroDuration());
  const auto refusal = model::RefusalOf(received);
  REQUIRE(refusal.has_value());
  CHECK(refusal->code == model::RefusalCode::kQuotaExceeded);
  CHECK(refusal->field == "reports[3].identifier.value");
  CHECK(refusal->message == "too fast");
}

TEST_CASE("details are google.rpc messages by name and number", "[rpc][status]") {
  const grpc::Status wire = ToGrpc(model::Refuse(model::RefusalCode::kTooShort, "a.b", "want ten digits"));
  fraudhub::internal::v1::RpcStatus details;
  REQUIRE(details.ParseFromString(wire.error_details()));
  CHECK(details.code() == 3);
  REQUIRE(details.details_size() == 2);
  CHECK(details.details(0).type_url() == "type.googleapis.com/google.rpc.ErrorInfo");
  // ErrorInfo{1: "TOO_SHORT", 2: "fraudhub.v1"}
  CHECK(details.details(0).value() == "\x0a\x09TOO_SHORT\x12\x0b" "fraudhub.v1");
  CHECK(details.details(1).type_url() == "type.googleapis.com/google.rpc.BadRequest");
  CHECK(details.details(1).value() == "\x0a\x16\x0a\x03" "a.b\x12\x0fwant ten digits");
}

TEST_CASE("what went wrong inside the hub is not told", "[rpc][status]") {
  for (const absl::Status& status : {absl::InternalError("+915551234567"), absl::UnknownError("+915551234567"),
                                     absl::DataLossError("+915551234567")}) {
    const grpc::Status wire = ToGrpc(status);
    CHECK(static_cast<int>(wire.error_code()) == static_cast<int>(status.code()));
    CHECK(wire.error_message().find("555") == std::string::npos);
    CHECK(wire.error_details().empty());
  }
}

TEST_CASE("foreign and broken details are taken for what they are", "[rpc][status]") {
  CHECK(FromGrpc(grpc::Status::OK).ok());
  CHECK(FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x")) == absl::UnavailableError("x"));
  CHECK(FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x", "\xff\xff")) == absl::UnavailableError("x"));
}

}  // namespace hub::rpc
