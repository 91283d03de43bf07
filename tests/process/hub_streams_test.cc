// hub-all as a process: what a client may do wrong on a stream. Each gets its code, reason and field, or costs a bounded amount.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/clock.h"
#include "libs/client/connection.h"
#include "libs/model/refusal.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"
#include "tests/process/hub_process.h"

namespace hub::process_test {
namespace {

namespace v1 = ::fraudhub::v1;
using model::RefusalCode;

// A Subscribe call whose messages are any bytes.
class RawStream {
 public:
  explicit RawStream(const std::shared_ptr<grpc::Channel>& channel) : stub_(channel) {
    context_.set_deadline(absl::ToChronoTime(base::RealClock().TimeNow() + kPatience));
    call_ = stub_.PrepareCall(&context_, "/fraudhub.v1.SubscriptionService/Subscribe", &queue_);
    call_->StartCall(this);
    Wait();
  }
  bool Write(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    call_->Write(grpc::ByteBuffer(&slice, 1), this);
    return Wait();
  }
  void HalfClose() {
    call_->WritesDone(this);
    Wait();
  }
  std::optional<v1::SubscribeResponse> Read() {
    grpc::ByteBuffer buffer;
    call_->Read(&buffer, this);
    if (!Wait()) return std::nullopt;
    grpc::Slice bytes;
    v1::SubscribeResponse response;
    REQUIRE(buffer.DumpToSingleSlice(&bytes).ok());
    REQUIRE(response.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size())));
    return response;
  }
  // Reads what there is; then how it ended.
  absl::Status End() {
    while (Read()) {
    }
    grpc::Status status;
    call_->Finish(&status, this);
    Wait();
    return rpc::FromGrpc(status);
  }

 private:
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

v1::SubscribeRequest Now() {
  v1::SubscribeRequest request;
  request.mutable_open()->set_start(v1::STREAM_START_NOW);
  return request;
}
std::string Open(const std::function<void(v1::SubscribeOpen*)>& change = nullptr) {
  v1::SubscribeRequest request = Now();
  if (change) change(request.mutable_open());
  return request.SerializeAsString();
}
std::string Ack(int32_t partition, int64_t position) {
  v1::SubscribeRequest request;
  (*request.mutable_ack()->mutable_positions())[partition] = position;
  return request.SerializeAsString();
}
std::string Token(const std::string& token) {
  return Open([&](v1::SubscribeOpen* open) { open->set_token(token); });
}

TEST_CASE("Whatever a client does wrong on a stream has a typed answer, and the hub goes on", "[process][hub][streams]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const auto bank = client::Connect(files.Connection("bank-1/main", hub));
  REQUIRE(bank.ok());
  const auto police = client::Connect(files.Connection("police-1/main", hub));
  REQUIRE(police.ok());
  const auto token_of = [](const std::shared_ptr<grpc::Channel>& channel) {
    RawStream stream(channel);
    REQUIRE(stream.Write(Open()));
    const auto opened = stream.Read();
    REQUIRE(opened.has_value());
    return opened->opened().token();
  };
  const std::string own = token_of(*bank), foreign = token_of(*police);
  const auto altered = [&own](size_t at) {
    std::string token = own;
    token[at] = static_cast<char>(token[at] ^ 1);
    return token;
  };
  const auto filter_of_times = [](int count) {
    return Open([&](v1::SubscribeOpen* open) {
      for (int i = 0; i < count; ++i) open->mutable_filter()->add_any_of()->add_types(v1::IDENTIFIER_TYPE_MOBILE);
    });
  };

  struct Case {
    std::string what;
    std::vector<std::string> messages;
    absl::StatusCode code;
    std::optional<RefusalCode> reason;
    std::string field;
    bool half_close = false;
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const std::vector<Case> cases = {
      {"no message at all", {}, kInvalid, RefusalCode::kMissing, "open", true},
      {"garbage first", {"\xff\xff\xff\xff"}, kInvalid, RefusalCode::kBadFormat, ""},
      {"garbage later", {Open(), "\x0a\x7f"}, kInvalid, RefusalCode::kBadFormat, ""},
      {"an empty message first", {""}, kInvalid, RefusalCode::kMissing, "open"},
      {"an empty message later", {Open(), ""}, kInvalid, RefusalCode::kMissing, "ack"},
      {"an acknowledgement first", {Ack(0, 1)}, kInvalid, RefusalCode::kMissing, "open"},
      {"opened twice", {Open(), Open()}, kInvalid, RefusalCode::kOutOfRange, "open"},
      {"nowhere to start", {Open([](auto* open) { open->clear_from(); })}, kInvalid, RefusalCode::kMissing, "open.start"},
      {"an unset start", {Open([](auto* open) { open->set_start(v1::STREAM_START_UNSPECIFIED); })}, kInvalid,
       RefusalCode::kOutOfRange, "open.start"},
      {"a start that there isn't", {Open([](auto* open) { open->set_start(static_cast<v1::StreamStart>(99)); })},
       kInvalid, RefusalCode::kOutOfRange, "open.start"},
      {"a cursor's start without a cursor",
       {Open([](auto* open) { open->set_cursor_start(v1::STREAM_START_NOW); })}, kInvalid, RefusalCode::kOutOfRange,
       "open.cursor_start"},
      {"a cursor without a name", {Open([](auto* open) { open->set_cursor(""); })}, kInvalid, std::nullopt, ""},
      {"a cursor's name with a NUL", {Open([](auto* open) { open->set_cursor(std::string("a\0b", 3)); })}, kInvalid,
       std::nullopt, ""},
      {"a long client id", {Open([](auto* open) { open->set_client_id(std::string(65, 'c')); })}, kInvalid,
       RefusalCode::kTooLong, "open.client_id"},
      {"a client id of controls", {Open([](auto* open) { open->set_client_id("\x1b[2J"); })}, kInvalid,
       RefusalCode::kBadCharacter, "open.client_id"},
      {"too small a window", {Open([](auto* open) { open->set_unacked_bytes_max(1); })}, kInvalid,
       RefusalCode::kOutOfRange, "open.unacked_bytes_max"},
      {"too large a window", {Open([](auto* open) { open->set_unacked_bytes_max(1u << 30); })}, kInvalid,
       RefusalCode::kOutOfRange, "open.unacked_bytes_max"},
      {"no token", {Token("")}, kInvalid, RefusalCode::kCursorInvalid, "open.token"},
      {"a token of noise", {Token(std::string(200, 'x'))}, kInvalid, RefusalCode::kCursorInvalid, "open.token"},
      {"a truncated token", {Token(own.substr(0, own.size() / 2))}, kInvalid, RefusalCode::kCursorInvalid, "open.token"},
      {"a forged token", {Token(altered(own.size() / 2))}, kInvalid, RefusalCode::kCursorInvalid, "open.token"},
      // Another node may have made it with a key that isn't known here yet.
      {"a token of an unknown key", {Token(altered(own.size() - 1))}, absl::StatusCode::kUnavailable, std::nullopt, ""},
      {"another's token", {Token(foreign)}, kInvalid, RefusalCode::kCursorInvalid, "open.token"},
      {"a token with another filter",
       {Open([&](auto* open) {
         open->set_token(own);
         open->mutable_filter()->add_any_of()->add_types(v1::IDENTIFIER_TYPE_URL);
       })},
       absl::StatusCode::kFailedPrecondition, RefusalCode::kFilterChanged, "open.token"},
      {"a filter without end", {filter_of_times(2000)}, kInvalid, RefusalCode::kFilterTooLarge, "open.filter.any_of"},
      {"a type that there isn't",
       {Open([](auto* open) {
         open->mutable_filter()->add_any_of()->add_types(static_cast<v1::IdentifierType>(250));
       })},
       kInvalid, std::nullopt, ""},
      {"an acknowledgement from the future", {Open(), Ack(0, int64_t{1} << 60)}, kInvalid, std::nullopt, ""},
      {"an acknowledgement of a partition that there isn't", {Open(), Ack(9999, 0)}, kInvalid, std::nullopt, ""},
      {"a message beyond any size", {std::string(size_t{5} << 20, 'x')}, absl::StatusCode::kResourceExhausted,
       std::nullopt, ""},
  };
  for (const Case& row : cases) {
    INFO(row.what);
    RawStream stream(*bank);
    for (const std::string& message : row.messages) {
      if (!stream.Write(message)) break;  // it ended; the status says why
    }
    if (row.half_close) stream.HalfClose();
    const absl::Status ended = stream.End();
    INFO(ended.ToString());
    CHECK(ended.code() == row.code);
    CHECK_FALSE(absl::StrContains(ended.message(), "xxxx"));
    if (!row.reason) continue;
    const auto refusal = model::RefusalOf(ended);
    REQUIRE(refusal.has_value());
    CHECK(model::Name(refusal->code) == model::Name(*row.reason));
    CHECK(refusal->field == row.field);
  }
  // Nobody else was harmed.
  RawStream stream(*bank);
  REQUIRE(stream.Write(Token(own)));
  CHECK(stream.Read().has_value());
}

TEST_CASE("A stream that never says what it wants ends by itself", "[process][hub][streams]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const auto bank = client::Connect(files.Connection("bank-1/main", hub));
  REQUIRE(bank.ok());
  RawStream stream(*bank);
  CHECK(absl::IsDeadlineExceeded(stream.End()));
}

}  // namespace
}  // namespace hub::process_test
