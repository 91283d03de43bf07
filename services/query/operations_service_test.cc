// What analysts may apply and list, over a memory log; what a process without the part for it answers.
#include "services/query/operations_service.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/eventlog/memory_log.h"
#include "libs/eventlog/topics.h"
#include "libs/model/refusal.h"
#include "libs/store/database.h"
#include "libs/wire/wire.h"
#include "tests/catch.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kPolicy[] = R"(
version: 3
trust_domain: "dev.hub.example"
stakeholders { id: "diu" role: ROLE_ANALYST kind: "HUB" principals { name: "analyst-1" } }
grants { role: ROLE_ANALYST rpcs: "OperationsService.ListQuarantine" may_see {} fields: FIELD_AUDIENCE_ANALYST }
)";

// A log as a broker's that is asked for another place: nothing to say at first.
class ColdLog final : public eventlog::Log {
 public:
  explicit ColdLog(eventlog::Log* log) : log_(log) {}
  absl::Status EnsureTopics(const std::vector<eventlog::TopicSpec>& topics) override {
    return log_->EnsureTopics(topics);
  }
  std::string log_id() const override { return log_->log_id(); }
  void Append(const eventlog::TopicPartition& at, eventlog::Record record, AppendCallback done) override {
    log_->Append(at, std::move(record), std::move(done));
  }
  absl::StatusOr<eventlog::ReadResult> Read(const eventlog::TopicPartition& at, eventlog::Offset from,
                                            const eventlog::ReadLimits& limits) override {
    ++reads;
    if (reads > silent_after) return absl::UnavailableError("away");
    if (cold && reads % 3 == 1) return eventlog::ReadResult{{}, from};
    if (cold && reads % 3 == 2) return absl::UnavailableError("not fetched yet");
    return log_->Read(at, from, limits);
  }
  void Wait(const std::vector<WaitFor>& any_of, absl::Duration timeout) override { log_->Wait(any_of, timeout); }
  absl::StatusOr<eventlog::OffsetRange> Offsets(const eventlog::TopicPartition& at) override {
    return log_->Offsets(at);
  }
  absl::Status Health() const override { return log_->Health(); }

  bool cold = false;
  int reads = 0;
  int silent_after = 1 << 30;

 private:
  eventlog::Log* const log_;
};

class World {
 public:
  World() {
    REQUIRE(memory.EnsureTopics(eventlog::HubTopics(1)).ok());
    auto spec = wire::ParsePolicy(kPolicy);
    REQUIRE(spec.ok());
    policy = access::Policy::Build(*std::move(spec)).value();
    caller = policy->Identify("fraudhub://dev.hub.example/diu/analyst-1").value();
    parts.clock = &clock;
    parts.audit = audit.get();
    parts.tokeniser = &tokeniser;
    parts.log = &log;
  }

  void Append(const std::string& bytes) {
    REQUIRE(eventlog::AppendSync(&memory, {eventlog::kQuarantineTopic, 0}, {"", bytes}, absl::Seconds(10)).ok());
  }
  // Records of reports/2 at offsets 0, 1, ...
  void SetAside(int count) {
    for (int i = 0; i < count; ++i) {
      Append(wire::EncodeRecord(
          {}, model::Quarantined{eventlog::kReportsTopic, 2, i, "body does not parse", absl::StrCat("secret ", i)}));
    }
  }
  absl::StatusOr<v1::ListQuarantineResponse> List(int page_size, const std::string& token = "") {
    v1::ListQuarantineRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListQuarantineResponse response;
    const absl::Status status = OperationsService(parts).ListQuarantine(*policy, caller, request, &response);
    if (!status.ok()) return status;
    return response;
  }
  // Offsets of all pages; none may hold more than `page_size`.
  std::vector<int64_t> ListAll(int page_size) {
    std::vector<int64_t> offsets;
    std::string token;
    for (int page = 0; page < 1000; ++page) {
      const auto response = List(page_size, token);
      REQUIRE(response.ok());
      CHECK(response->records_size() <= page_size);
      for (const auto& record : response->records()) offsets.push_back(record.offset());
      token = response->next_page_token();
      if (token.empty()) return offsets;
    }
    FAIL("no end");
    return {};
  }
  absl::StatusOr<v1::ApplyPolicyResponse> Apply(const std::string& text, bool check_only = false) {
    v1::ApplyPolicyRequest request;
    request.set_policy_text(text);
    request.set_validate_only(check_only);
    v1::ApplyPolicyResponse response;
    const absl::Status status = OperationsService(parts).ApplyPolicy(*policy, caller, request, &response);
    if (!status.ok()) return status;
    return response;
  }
  uint64_t audited() const { return audit->head().next_sequence; }

  base::ManualClock clock{absl::FromUnixSeconds(1'800'000'000)};
  eventlog::MemoryLog memory{&clock, {}};
  ColdLog log{&memory};
  store::MemoryDatabase database{1};
  std::unique_ptr<audit::AuditLog> audit = *audit::AuditLog::Open(&database, 0, &clock);
  const model::Tokeniser tokeniser{base::HmacKey("routing"), base::HmacKey("logs")};
  std::shared_ptr<const access::Policy> policy;
  access::Principal caller;
  OperationsParts parts;
};

std::vector<int64_t> Down(int64_t from) {
  std::vector<int64_t> offsets;
  while (from > 0) offsets.push_back(--from);
  return offsets;
}

TEST_CASE("The quarantine is listed newest first, page by page, each record once", "[query][quarantine]") {
  World world;
  CHECK(world.ListAll(10).empty());
  world.SetAside(600);
  for (const int page_size : {1, 7, 100, 599, 600, 1000}) {
    CAPTURE(page_size);
    CHECK(world.ListAll(page_size) == Down(600));
  }
  CHECK(world.List(0)->records_size() == 100);
}

TEST_CASE("A record of the quarantine is told by place, reason and digest, never by its bytes", "[query][quarantine]") {
  World world;
  world.SetAside(1);
  world.Append("nobody can read this");
  const auto page = world.List(10);
  REQUIRE(page.ok());
  REQUIRE(page->records_size() == 2);
  const v1::QuarantinedRecord& own = page->records(0);
  CHECK(own.topic() == eventlog::kQuarantineTopic);
  CHECK(own.offset() == 1);
  CHECK(own.bytes_kept() == 20);
  const v1::QuarantinedRecord& record = page->records(1);
  CHECK(record.topic() == eventlog::kReportsTopic);
  CHECK(record.partition() == 2);
  CHECK(record.reason() == "body does not parse");
  CHECK(record.bytes_kept() == 8);
  // printf 'secret 0' | sha256sum
  CHECK(record.sha256() == "6b85ef3dff7bb6fea77cd2b8662cb19b7a6895139e8e86e307e1875e456dab7e");
  CHECK(page->SerializeAsString().find("secret") == std::string::npos);
  CHECK(world.audited() == 1);
}

TEST_CASE("The quarantine is listed from a log that needs several tries", "[query][quarantine]") {
  World world;
  world.SetAside(300);
  world.log.cold = true;
  CHECK(world.ListAll(1000) == Down(300));
}

TEST_CASE("A log that goes away in the middle leaves a shorter page, at its start an error", "[query][quarantine]") {
  World world;
  world.SetAside(600);
  world.log.silent_after = 1;  // a step of 256
  const auto page = world.List(600);
  REQUIRE(page.ok());
  CHECK(page->records_size() == 256);
  CHECK(page->next_page_token() == "344");
  CHECK(absl::IsUnavailable(world.List(600).status()));
  CHECK(world.log.reads < 400);
  world.log.silent_after = 1 << 30;
  CHECK(world.List(600, "344")->records_size() == 344);
}

TEST_CASE("A page of the quarantine ends when it has read enough bytes", "[query][quarantine]") {
  World world;
  for (int i = 0; i < 300; ++i) world.Append(std::string(200'000, 'x'));  // 60 MB
  const auto page = world.List(1000);
  REQUIRE(page.ok());
  CHECK(page->records_size() == 256);
  CHECK(world.ListAll(1000).size() == 300);
}

TEST_CASE("The quarantine refuses pages that are none", "[query][quarantine]") {
  World world;
  world.SetAside(3);
  for (const int size : {-1, 1001}) CHECK(model::RefusalOf(world.List(size).status())->field == "page_size");
  for (const std::string token : {"x", "-1", "4", "99999999999999999999", "1 2"}) {
    CAPTURE(token);
    CHECK(model::RefusalOf(world.List(10, token).status())->field == "page_token");
  }
  CHECK(world.List(10, "0")->records_size() == 0);
}

TEST_CASE("A policy is validated before it is applied, and audited when it is", "[query][policy]") {
  World world;
  std::optional<std::pair<uint64_t, std::string>> applied;
  absl::StatusOr<std::string> answer = std::string("0123456789abcdef");
  world.parts.apply_policy = [&](uint64_t version, const std::string& text) {
    applied = {version, text};
    return answer;
  };
  const std::string bad = absl::StrCat(kPolicy, "stakeholders { id: \"diu\" role: ROLE_ANALYST }\nnonsense: 1\n");
  auto response = world.Apply(bad);
  REQUIRE(response.ok());
  CHECK_FALSE(response->problems().empty());
  CHECK(model::RefusalOf(world.Apply("").status())->field == "policy_text");
  CHECK(model::RefusalOf(world.Apply(std::string(900 << 10, '#')).status())->field == "policy_text");
  response = world.Apply(kPolicy, /*check_only=*/true);
  REQUIRE(response.ok());
  CHECK(response->version() == 3);
  CHECK_FALSE(applied.has_value());
  CHECK(world.audited() == 0);

  response = world.Apply(kPolicy);
  REQUIRE(response.ok());
  CHECK(response->problems().empty());
  CHECK(response->hash() == "0123456789abcdef");
  REQUIRE(applied.has_value());
  CHECK(applied->first == 3);
  CHECK(applied->second == kPolicy);
  CHECK(world.audited() == 1);

  answer = absl::FailedPreconditionError("version: want above 3, which is in force");
  response = world.Apply(kPolicy);
  REQUIRE(response.ok());
  REQUIRE(response->problems_size() == 1);
  CHECK(response->hash().empty());
  answer = absl::UnavailableError("no broker");
  CHECK(absl::IsUnavailable(world.Apply(kPolicy).status()));
}

TEST_CASE("A process without the part for it names the one that has it", "[query][operations]") {
  World world;
  OperationsParts parts;
  parts.clock = &world.clock;
  parts.audit = world.audit.get();
  parts.tokeniser = &world.tokeniser;
  OperationsService service(parts);
  const auto& policy = *world.policy;
  std::vector<absl::Status> at_query;
  const auto keep = [&](absl::Status status, absl::Duration) { at_query.push_back(std::move(status)); };
  v1::CorrectResponse correct;
  service.Correct(policy, world.caller, {}, &correct, keep);
  v1::CloseTenureResponse close;
  service.CloseTenure(policy, world.caller, {}, &close, keep);
  v1::ApplyRulesResponse rules;
  at_query.push_back(service.ApplyRules(policy, world.caller, {}, &rules));
  v1::ApplyPolicyResponse apply;
  at_query.push_back(service.ApplyPolicy(policy, world.caller, {}, &apply));
  v1::UseCursorKeyResponse key;
  at_query.push_back(service.UseCursorKey(policy, world.caller, {}, &key));
  v1::GetControlResponse control;
  at_query.push_back(service.GetControl(policy, world.caller, &control));
  v1::ListQuarantineResponse quarantine;
  at_query.push_back(service.ListQuarantine(policy, world.caller, {}, &quarantine));
  v1::GetStateDigestResponse digest;
  at_query.push_back(service.GetStateDigest(policy, world.caller, &digest));
  CHECK(at_query.size() == 8);
  for (const absl::Status& status : at_query) {
    CHECK(absl::IsUnimplemented(status));
    CHECK(absl::EndsWith(status.message(), "ask hub-query"));
  }
  v1::ListStreamsResponse streams;
  const absl::Status status = service.ListStreams(policy, world.caller, &streams);
  CHECK(absl::IsUnimplemented(status));
  CHECK(absl::EndsWith(status.message(), "ask hub-fanout"));
  CHECK(world.audited() == 0);
}

}  // namespace
}  // namespace hub::query
