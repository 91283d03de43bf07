// What an outsider is told of an error: everything the hub said, in the standard library's types.
#include "fraudhub/translate.h"

#include <grpcpp/support/status.h>

#include "fraudhub/result.h"
#include "fraudhub/v1/errors.pb.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"

namespace hub::client {
namespace {

namespace v1 = ::fraudhub::v1;

TEST_CASE("a refusal reaches the outsider with code, reason, field, message and when to come again", "[client][face]") {
  const absl::Status refused = model::Refuse(model::RefusalCode::kQuotaExceeded, "identifiers[3].value", "too fast");
  const fraudhub::Status told = Translate(rpc::FromGrpc(rpc::ToGrpc(refused, absl::Microseconds(1500))));
  CHECK_FALSE(told.ok());
  CHECK(told.code == fraudhub::Code::kResourceExhausted);
  CHECK(told.reason == v1::ERROR_REASON_QUOTA_EXCEEDED);
  CHECK(told.field == "identifiers[3].value");
  CHECK(told.message == "too fast");
  CHECK(told.retry_after == std::chrono::milliseconds(2));  // never earlier than was asked
  CHECK(told.ToString() == "RESOURCE_EXHAUSTED: QUOTA_EXCEEDED: identifiers[3].value: too fast");
}

TEST_CASE("every code keeps its number, and its name", "[client][face]") {
  for (int number = 1; number <= 16; ++number) {
    const auto code = static_cast<absl::StatusCode>(number);
    const fraudhub::Status told = Translate(absl::Status(code, "why"));
    CHECK(static_cast<int>(told.code) == number);
    CHECK(told.ToString() == absl::StatusCodeToString(code) + ": why");
    CHECK(told.reason == v1::ERROR_REASON_UNSPECIFIED);
    CHECK(told.retry_after.count() == 0);
  }
  CHECK(Translate(absl::OkStatus()).ok());
  CHECK(Translate(absl::OkStatus()).ToString() == "OK");
  CHECK(fraudhub::Code::kUnavailable == Translate(absl::UnavailableError("")).code);
  CHECK(fraudhub::Code::kUnauthenticated == Translate(absl::UnauthenticatedError("")).code);
}

TEST_CASE("a pause without end is one of a year", "[client][face]") {
  CHECK(Translate(absl::InfiniteDuration()) == std::chrono::hours(24 * 365));
  CHECK(Translate(absl::Milliseconds(7)) == std::chrono::milliseconds(7));
}

TEST_CASE("a Result holds a value or says why not", "[client][face]") {
  fraudhub::Result<std::string> there(std::string("a value"));
  REQUIRE(there.ok());
  CHECK(there.status().ok());
  CHECK(*there == "a value");
  CHECK(there->size() == 7);
  CHECK(*std::move(there) == "a value");
  const fraudhub::Result<std::string> missing(fraudhub::Status{.code = fraudhub::Code::kNotFound, .message = "gone"});
  CHECK_FALSE(missing.ok());
  CHECK(missing.status().ToString() == "NOT_FOUND: gone");
}

}  // namespace
}  // namespace hub::client
