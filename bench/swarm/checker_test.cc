// The checker is fed streams that are right, then each kind of wrong one: it must see every one of them.
#include "bench/swarm/checker.h"

#include <google/protobuf/text_format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "fraudhub/config/v1/policy.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "tests/catch.h"

namespace hub::swarm {
namespace {

namespace api = fraudhub::v1;

constexpr char kPolicy[] = R"(
  version: 1
  stakeholders { id: "bank" role: ROLE_FINANCIAL_INSTITUTION }
  stakeholders { id: "police" role: ROLE_LAW_ENFORCEMENT }
  stakeholders { id: "dot" role: ROLE_ANALYST }
  grants { role: ROLE_FINANCIAL_INSTITUTION may_see { facets: FACET_RISK level_min: LEVEL_MEDIUM } }
  grants { role: ROLE_LAW_ENFORCEMENT may_see { facets: FACET_RISK } fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT] }
  grants { role: ROLE_ANALYST may_see {} fields: [FIELD_AUDIENCE_TELECOM, FIELD_AUDIENCE_LAW_ENFORCEMENT, FIELD_AUDIENCE_ANALYST] }
)";
constexpr int64_t kSecond = 1'000'000;

// A version of a key as an analyst sees it; with `reduce`, as a bank does.
api::Event MakeEvent(int key, uint64_t version, api::Level level, int64_t decided_s = 10, bool reduce = true) {
  api::Event event;
  event.set_event_id("evt_" + std::to_string(key) + "_" + std::to_string(version));
  event.set_kind(api::EVENT_KIND_FLAGGED);
  event.mutable_version()->set_term(1);
  event.mutable_version()->set_version(version);
  event.mutable_decided_at()->set_seconds(decided_s);
  event.mutable_received_at()->set_seconds(decided_s);
  api::Indicator* indicator = event.mutable_indicator();
  indicator->set_indicator_id("ind_" + std::to_string(key));
  indicator->mutable_identifier()->set_type(api::IDENTIFIER_TYPE_MOBILE);
  indicator->mutable_identifier()->set_canonical("+91555000" + std::to_string(1000 + key));
  indicator->set_facet(api::FACET_RISK);
  indicator->set_level(level);
  if (!reduce) {
    indicator->set_circle_of_issue("DL");
    indicator->set_report_count(3);
  }
  return event;
}
api::Event Left(int key, uint64_t version) {
  api::Event whole = MakeEvent(key, version, api::LEVEL_NONE), left;
  left.set_left_view(true);
  left.set_kind(whole.kind());
  *left.mutable_version() = whole.version();
  *left.mutable_decided_at() = whole.decided_at();
  left.mutable_indicator()->set_indicator_id(whole.indicator().indicator_id());
  *left.mutable_indicator()->mutable_identifier() = whole.indicator().identifier();
  left.mutable_indicator()->set_facet(api::FACET_RISK);
  return left;
}

struct Batch {
  api::SubscribeResponse response;
  Batch& Event(const api::Event& event) {
    *response.add_events() = event;
    return *this;
  }
  Batch& At(int64_t offset, int32_t partition = 0) {
    (*response.mutable_positions())[partition] = offset;
    return *this;
  }
  Batch& Progress(int64_t complete_until_s = 5) {
    response.mutable_progress()->set_token("token");
    response.mutable_progress()->mutable_complete_until()->set_seconds(complete_until_s);
    response.mutable_progress()->mutable_hub_time()->set_seconds(100);
    return *this;
  }
};

// One bank and the auditor, on a hub that the test plays.
class Table {
 public:
  explicit Table(CheckerOptions options = {}) {
    google::protobuf::TextFormat::ParseFromString(kPolicy, &policy_);
    checker_ = std::make_unique<Checker>(policy_, options);
    bank_ = checker_->AddStream(policy_.stakeholders(0), none_, false, &bank_client_);
    auditor_ = checker_->AddStream(policy_.stakeholders(2), none_, true, &auditor_client_);
    Open(auditor_, 0, false);
    Open(bank_, 0, false);
    // Something flagged, something low, told to whom it concerns, and a first mark for both.
    Auditor(Batch().Event(Full(1, 1, api::LEVEL_HIGH)).Event(Full(2, 1, api::LEVEL_NONE)).At(2).Progress());
    Bank(Batch().Event(MakeEvent(1, 1, api::LEVEL_HIGH)).At(2).Progress());
  }
  static api::Event Full(int key, uint64_t version, api::Level level, int64_t decided_s = 10) {
    return MakeEvent(key, version, level, decided_s, false);
  }
  void Auditor(const Batch& batch) { Take(auditor_, batch.response); }
  void Bank(const Batch& batch) { Take(bank_, batch.response); }
  // Connects with what the client has; the hub begins at `start`.
  void Open(int stream, int64_t start, bool resumes, size_t node = 0) {
    Client(stream).OnConnect();
    checker_->OnConnect(stream, node, resumes, now_);
    api::SubscribeResponse response;
    (*response.mutable_opened()->mutable_positions())[0] = start;
    (*response.mutable_opened()->mutable_positions())[1] = 0;
    Take(stream, response);
  }
  void Resume(int64_t start) {
    checker_->OnBreak(bank_, false, now_);
    Open(bank_, start, true, 1);
  }
  void Pass(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += absl::Milliseconds(500)) {
      now_ += absl::Milliseconds(500);
      checker_->OnTurn(now_);
    }
  }
  Checker& checker() { return *checker_; }
  Receiver& bank_client() { return bank_client_; }
  int bank() const { return bank_; }
  absl::Duration now() const { return now_; }
  uint64_t Broken(Invariant invariant) {
    checker_->Finish();
    return checker_->broken(invariant);
  }
  std::string Problems() {
    checker_->Finish();
    std::string text;
    for (const std::string& problem : checker_->problems()) text += problem + "\n";
    return text;
  }

 private:
  Receiver& Client(int stream) { return stream == auditor_ ? auditor_client_ : bank_client_; }
  void Take(int stream, const api::SubscribeResponse& response) {
    Message message;
    const std::string bytes = response.SerializeAsString();
    REQUIRE(Client(stream).OnMessage(
        bytes, [&](const Told& told) { checker_->OnEvent(stream, told); }, &message));
    checker_->OnMessage(stream, message, bytes.size(), now_, 100 * kSecond);
  }

  fraudhub::config::v1::Policy policy_;
  const api::Filter none_;
  KeyTable keys_;
  Receiver bank_client_{&keys_}, auditor_client_{&keys_};
  std::unique_ptr<Checker> checker_;
  int bank_ = 0, auditor_ = 0;
  absl::Duration now_ = absl::Seconds(1);
};

TEST_CASE("a stream that is right has no problems", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  table.Auditor(Batch().Event(Table::Full(1, 2, api::LEVEL_NONE)).At(4));
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)).At(3));
  table.Resume(2);  // from the token of the mark at 2: one event comes again
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)).Event(Left(1, 2)).At(4).Progress());
  CHECK(table.Problems() == "");
  for (const Invariant tested :
       {Invariant::kNoGap, Invariant::kProgress, Invariant::kRows, Invariant::kFields, Invariant::kResume,
        Invariant::kSnapshot, Invariant::kMonotone, Invariant::kAge, Invariant::kRecovery}) {
    INFO(static_cast<int>(tested));
    CHECK(table.checker().exercised(tested) > 0);
  }
}

TEST_CASE("an event ahead of the auditor is judged when the auditor has it", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)).At(3).Progress());
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  CHECK(table.Problems() == "");
}

TEST_CASE("a gap is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  table.Bank(Batch().At(3).Progress());
  CHECK(table.Broken(Invariant::kNoGap) == 1);
}
TEST_CASE("a row that was never told to have left is a gap", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(1, 2, api::LEVEL_NONE)).At(3));
  table.Bank(Batch().At(3).Progress());
  CHECK(table.Broken(Invariant::kNoGap) == 1);
}
TEST_CASE("an event after the mark that had passed it is seen, also when the auditor lags", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().At(3).Progress());
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)));
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  CHECK(table.Broken(Invariant::kProgress) == 1);
}
TEST_CASE("what came late counts as a gap at the mark, once the auditor was first", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  table.Bank(Batch().At(3).Progress());
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)));
  CHECK(table.Broken(Invariant::kNoGap) + table.Broken(Invariant::kProgress) > 0);
}
TEST_CASE("an event twice in one stream is seen, unless the log holds it twice", "[swarm][checker]") {
  const bool twice_in_log = GENERATE(false, true);
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  if (twice_in_log) table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(4));
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)).At(3));
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH)).At(4));
  CHECK(table.Broken(Invariant::kOnce) == (twice_in_log ? 0 : 1));
}
TEST_CASE("an older version after a newer one is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(1, 2, api::LEVEL_HIGH)).At(3));
  table.Auditor(Batch().Event(Table::Full(1, 3, api::LEVEL_HIGH)).At(4));
  table.Bank(Batch().Event(MakeEvent(1, 3, api::LEVEL_HIGH)).At(4));
  table.Bank(Batch().Event(MakeEvent(1, 2, api::LEVEL_HIGH)));
  CHECK(table.Broken(Invariant::kOrder) == 1);
}
TEST_CASE("a position that goes back is seen", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().At(1));
  CHECK(table.Broken(Invariant::kMonotone) == 1);
}
TEST_CASE("complete_until that goes back is seen", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().Progress(4));
  CHECK(table.Broken(Invariant::kMonotone) == 1);
}
TEST_CASE("a row beyond the rights is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(3, 1, api::LEVEL_NONE)).At(3));
  table.Bank(Batch().Event(MakeEvent(3, 1, api::LEVEL_NONE)).At(3));
  CHECK(table.Broken(Invariant::kRows) == 1);
}
TEST_CASE("a LEFT_VIEW of what never was in view, or still is, is seen", "[swarm][checker]") {
  const int key = GENERATE(1, 2);  // 1 still is, 2 never was
  Table table;
  table.Auditor(Batch().Event(Table::Full(key, 2, key == 1 ? api::LEVEL_HIGH : api::LEVEL_NONE)).At(3));
  table.Bank(Batch().Event(Left(key, 2)).At(3));
  CHECK(table.Broken(Invariant::kRows) == 1);
}
TEST_CASE("a field beyond the rights is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  api::Event event = MakeEvent(2, 2, api::LEVEL_HIGH);
  event.mutable_indicator()->set_circle_of_issue("DL");
  table.Bank(Batch().Event(event).At(3));
  CHECK(table.Broken(Invariant::kFields) == 1);
}
TEST_CASE("a LEFT_VIEW that says why is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(1, 2, api::LEVEL_NONE)).At(3));
  api::Event event = Left(1, 2);
  event.mutable_indicator()->set_level(api::LEVEL_NONE);
  table.Bank(Batch().Event(event).At(3));
  CHECK(table.Broken(Invariant::kFields) == 1);
}
TEST_CASE("an event that is not as the auditor has it is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH)).At(3));
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_VERY_HIGH)).At(3));
  CHECK(table.Broken(Invariant::kFields) == 1);
}
TEST_CASE("a stream that goes on elsewhere than its token says is seen", "[swarm][checker]") {
  const int64_t start = GENERATE(1, 3);
  Table table;
  table.Resume(start);
  CHECK(table.Broken(Invariant::kResume) == 1);
}
TEST_CASE("what the token had passed must not come again", "[swarm][checker]") {
  Table table;
  table.Resume(2);
  table.Bank(Batch().Event(MakeEvent(1, 1, api::LEVEL_HIGH)).At(3));
  CHECK(table.Broken(Invariant::kResume) == 1);
}
TEST_CASE("an event that the auditor never got is seen", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().Event(MakeEvent(9, 1, api::LEVEL_HIGH)).At(3));
  CHECK(table.Broken(Invariant::kNoPhantom) == 1);
}
TEST_CASE("a record of an owner that was deposed is seen", "[swarm][checker]") {
  Table table;
  api::Event told = Table::Full(1, 2, api::LEVEL_NONE), fenced = MakeEvent(1, 2, api::LEVEL_HIGH);
  told.mutable_version()->set_term(2);
  table.Auditor(Batch().Event(told).At(4));
  table.Bank(Batch().Event(fenced).At(3));
  CHECK(table.Broken(Invariant::kNoPhantom) == 1);
}
TEST_CASE("a start from scratch that leaves a row out, or one too many, is seen", "[swarm][checker]") {
  const bool zombie = GENERATE(false, true);
  Table table;
  if (zombie) table.Auditor(Batch().Event(Table::Full(1, 2, api::LEVEL_NONE)).At(3));
  table.bank_client().ForgetToken();
  table.checker().OnBreak(table.bank(), false, table.now());
  table.Open(table.bank(), 0, false);
  api::SubscribeResponse marks;
  marks.mutable_snapshot()->set_begins(true);
  marks.mutable_snapshot()->set_ends(true);
  Batch batch;
  if (zombie) *marks.add_events() = MakeEvent(1, 1, api::LEVEL_HIGH);
  batch.response = marks;
  table.Bank(batch);
  table.Bank(Batch().At(3).Progress());
  table.Auditor(Batch().At(3));
  CHECK(table.Broken(Invariant::kSnapshot) == 1);
}
TEST_CASE("an event older than what was said to be complete is seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_HIGH, 3)).At(3));
  table.Bank(Batch().Event(MakeEvent(2, 2, api::LEVEL_HIGH, 3)).At(3));
  CHECK(table.Broken(Invariant::kAge) == 1);
}
TEST_CASE("a hub that claims to be complete beyond its own clock is seen", "[swarm][checker]") {
  Table table;
  table.Bank(Batch().Progress(101));
  CHECK(table.Broken(Invariant::kAge) == 1);
}
TEST_CASE("a copy ahead of the order is good with its twin, and not without", "[swarm][checker]") {
  const bool there = GENERATE(true, false);
  Table table;
  Batch copy;
  *copy.response.add_urgent()->mutable_event() = MakeEvent(2, 2, api::LEVEL_VERY_HIGH);
  copy.response.mutable_urgent(0)->set_position(there ? 3 : 7);
  table.Bank(copy);
  table.Auditor(Batch().Event(Table::Full(3, 1, api::LEVEL_HIGH)).At(3));
  table.Auditor(Batch().Event(Table::Full(2, 2, api::LEVEL_VERY_HIGH)).At(4));
  table.Bank(
      Batch().Event(MakeEvent(3, 1, api::LEVEL_HIGH)).Event(MakeEvent(2, 2, api::LEVEL_VERY_HIGH)).At(4).Progress());
  INFO(table.Problems());
  CHECK(table.Broken(Invariant::kUrgent) == (there ? 0 : 1));
  if (there) CHECK(table.checker().ok());
}
TEST_CASE("a copy whose twin is fenced is a phantom", "[swarm][checker]") {
  Table table;
  Batch copy;
  *copy.response.add_urgent()->mutable_event() = MakeEvent(2, 2, api::LEVEL_VERY_HIGH);
  copy.response.mutable_urgent(0)->set_position(3);
  table.Bank(copy);
  CHECK(table.Broken(Invariant::kNoPhantom) == 1);
}
TEST_CASE("the sweep at a snapshot's end spares what was applied ahead", "[swarm][receiver]") {
  Table table;
  Batch copy;
  *copy.response.add_urgent()->mutable_event() = MakeEvent(2, 2, api::LEVEL_VERY_HIGH);
  copy.response.mutable_urgent(0)->set_position(3);
  table.Bank(copy);
  Batch snapshot;
  snapshot.response.mutable_snapshot()->set_begins(true);
  table.Bank(snapshot);
  Batch end;
  end.response.mutable_snapshot()->set_ends(true);
  table.Bank(end);
  CHECK(table.bank_client().view().held() == 1);  // of two: key 1 was swept
}
TEST_CASE("versions that the auditor misses are seen", "[swarm][checker]") {
  Table table;
  table.Auditor(Batch().Event(Table::Full(1, 3, api::LEVEL_HIGH)).At(3));
  CHECK(table.Broken(Invariant::kDense) == 1);
}
TEST_CASE("a silent stream is seen, a swarm that stood still is not taken for one", "[swarm][checker]") {
  Table table;
  table.Pass(absl::Seconds(8));
  CHECK(table.checker().broken(Invariant::kHeartbeat) == 0);
  table.checker().OnTurn(table.now() + absl::Seconds(60));
  CHECK(table.checker().broken(Invariant::kHeartbeat) == 0);
  table.Pass(absl::Seconds(71));
  CHECK(table.checker().broken(Invariant::kHeartbeat) == 2);  // the bank's and the auditor's
}
TEST_CASE("a stream that the hub ends without a word, or sends away without a token, is seen", "[swarm][checker]") {
  const bool word = GENERATE(false, true);
  Table table;
  Batch drain;
  drain.response.mutable_drain();
  if (word) table.Bank(drain);
  table.checker().OnBreak(table.bank(), true, table.now());
  CHECK(table.Broken(Invariant::kDrain) == 1);
}
TEST_CASE("a stream that is live too late is seen", "[swarm][checker]") {
  CheckerOptions options;
  options.recovery_max = absl::Seconds(2);
  Table table(options);
  table.checker().OnBreak(table.bank(), false, table.now());
  table.Pass(absl::Seconds(5));
  table.Open(table.bank(), 2, true);
  table.Bank(Batch().Progress());
  CHECK(table.Broken(Invariant::kRecovery) == 1);
}
TEST_CASE("what was never tested is told", "[swarm][checker]") {
  Table table;
  CHECK(table.checker().NotTested({"no_gap", "urgent", "misspelt"}) ==
        std::vector<std::string>{"no_gap", "urgent", "misspelt"});
  CHECK(table.checker().NotTested({"fields"}).empty());
}

TEST_CASE("Of a stream that is not looked into, events are counted and positions taken") {
  KeyTable keys;
  Receiver receiver(&keys, /*looks_into=*/false);
  const Batch batch = Batch().Event(MakeEvent(1, 1, api::LEVEL_HIGH)).Event(MakeEvent(2, 1, api::LEVEL_HIGH)).At(7, 1);
  Message message;
  CHECK(receiver.OnMessage(
      batch.response.SerializeAsString(), [](const Told&) { FAIL("it was looked into"); }, &message));
  CHECK(message.events == 2);
  CHECK(receiver.positions().at(1) == 7);
  CHECK(receiver.view().held() == 0);
}

}  // namespace
}  // namespace hub::swarm
