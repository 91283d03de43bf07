// hub-all as a process: a stream that begins with a snapshot, and rights that change under open streams.
#include <signal.h>

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "fraudhub/v1/report.pb.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/clock.h"
#include "libs/client/reporter.h"
#include "libs/client/subscriber.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "tests/catch.h"
#include "tests/process/hub_process.h"

namespace hub::process_test {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kMedium[] = "+915550000001";    // a bank said so
constexpr char kVeryHigh[] = "+915550000002";  // the police

void Report(const client::ConnectionOptions& connection, const std::string& number) {
  client::ReporterOptions options;
  options.connection = connection;
  const auto reporter = client::Reporter::Create(options, [](uint64_t, const v1::ReportVerdict&) {});
  REQUIRE(reporter.ok());
  v1::Report report;
  report.set_report_id(model::ToText(model::MakeNameBasedId("hub_snapshot_test", number)));
  report.set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
  report.mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  report.mutable_identifier()->set_value(number);
  rpc::ToProto(base::RealClock().TimeNow(), report.mutable_observed_at());
  REQUIRE((*reporter)->Submit(0, report).ok());
  REQUIRE((*reporter)->Flush().ok());
}

// A stakeholder's copy of its view, kept as the SDK tells.
class Copy {
 public:
  explicit Copy(const client::ConnectionOptions& connection) {
    options_.connection = connection;
    options_.from_snapshot = options_.snapshot_when_lost = true;
    thread_ = base::Thread("copy", [this](std::stop_token stop) { Run(stop); });
  }
  bool Holds(const std::string& number, bool held = true) {
    return Eventually([&] {
      base::MutexLock lock(&mu_);
      bool found = false;
      for (const auto& [id, event] : view_) found |= event.indicator().identifier().canonical() == number;
      return found == held;
    });
  }
  bool Ended(int snapshots) {
    return Eventually([&] {
      base::MutexLock lock(&mu_);
      return ended_ == snapshots;
    });
  }
  // Of what it holds of `number`.
  v1::Event Event(const std::string& number) {
    base::MutexLock lock(&mu_);
    for (const auto& [id, event] : view_) {
      if (event.indicator().identifier().canonical() == number) return event;
    }
    return {};
  }
  int disconnects() {
    base::MutexLock lock(&mu_);
    return disconnects_;
  }
  int views() {
    base::MutexLock lock(&mu_);
    return views_;
  }
  absl::Status Stop() {
    thread_.Stop();
    return result_;
  }

 private:
  void Run(const std::stop_token& stop) {
    client::SubscriberHandlers handlers;
    handlers.on_event = [this](const v1::Event& event) {
      base::MutexLock lock(&mu_);
      const std::string& id = event.indicator().indicator_id();
      if (event.left_view()) {
        view_.erase(id);
      } else {
        view_[id] = event;
      }
      return true;
    };
    handlers.on_removed = [this](const std::string& id) {
      base::MutexLock lock(&mu_);
      view_.erase(id);
    };
    handlers.on_snapshot_ends = [this] {
      base::MutexLock lock(&mu_);
      ++ended_;
    };
    handlers.on_view_changed = [this](const v1::ViewChanged&) {
      base::MutexLock lock(&mu_);
      ++views_;
    };
    handlers.on_disconnected = [this](const absl::Status&, absl::Duration) {
      base::MutexLock lock(&mu_);
      ++disconnects_;
    };
    result_ = client::Subscriber::Run(options_, v1::Filter(), handlers, stop);
  }

  client::SubscriberOptions options_;
  base::Mutex mu_;
  std::map<std::string, v1::Event> view_ ABSL_GUARDED_BY(mu_);
  int ended_ ABSL_GUARDED_BY(mu_) = 0, views_ ABSL_GUARDED_BY(mu_) = 0, disconnects_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status result_;
  base::Thread thread_;
};

// The policy with other rows for banks, or other fields for the police.
std::string Policy(int version, const std::string& banks_see, const std::string& police_fields) {
  std::string text = HubFiles::Policy(version);
  const size_t bank = text.find("grants { role: ROLE_FINANCIAL_INSTITUTION");
  const size_t police = text.find("grants { role: ROLE_LAW_ENFORCEMENT");
  REQUIRE((bank != std::string::npos && police != std::string::npos && bank < police));
  const std::string sees = "may_see { level_min: LEVEL_NONE }";
  const std::string banks = absl::StrReplaceAll(text.substr(bank, police - bank), {{sees, banks_see}});
  const std::string rest = absl::StrReplaceAll(text.substr(police), {{sees, absl::StrCat(sees, " ", police_fields)}});
  return text.substr(0, bank) + banks + rest;
}

TEST_CASE("A stream begins with a snapshot, and rights that change under it reach it", "[process][hub][snapshot]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  Report(files.Connection("bank-1/main", hub), kMedium);
  Report(files.Connection("police-1/main", hub), kVeryHigh);
  Copy bank(files.Connection("bank-1/main", hub));
  Copy police(files.Connection("police-1/main", hub));
  REQUIRE(bank.Ended(1));
  REQUIRE(police.Ended(1));
  CHECK(bank.Holds(kMedium));
  CHECK(bank.Holds(kVeryHigh));
  CHECK(police.Holds(kMedium));

  // Fewer rows for banks: theirs are swept, and nobody else notices.
  files.Write("policy.textproto", Policy(2, "may_see { level_min: LEVEL_HIGH }", ""));
  hub.Signal(SIGHUP);
  REQUIRE(hub.Says("reloaded policy=2"));
  CHECK(bank.Holds(kMedium, false));
  CHECK(bank.Holds(kVeryHigh));
  CHECK(bank.views() == 1);
  REQUIRE(bank.Ended(2));
  // What happens now is judged by the new rows.
  Report(files.Connection("bank-1/main", hub), "+915550000003");
  CHECK(police.Holds("+915550000003"));
  CHECK(bank.Holds("+915550000003", false));

  // All rows again, and more fields for the police: from its next event on.
  CHECK(police.Event(kVeryHigh).indicator().report_count() == 0);
  files.Write("policy.textproto",
              Policy(3, "may_see { level_min: LEVEL_NONE }", "fields: FIELD_AUDIENCE_LAW_ENFORCEMENT"));
  hub.Signal(SIGHUP);
  REQUIRE(hub.Says("reloaded policy=3"));
  CHECK(bank.Holds(kMedium));
  CHECK(bank.Holds("+915550000003"));
  REQUIRE(bank.Ended(3));
  Report(files.Connection("police-1/main", hub), "+915550000004");
  CHECK(police.Holds("+915550000004"));
  CHECK(police.Event("+915550000004").indicator().report_count() == 1);
  CHECK(police.views() == 0);
  CHECK(police.disconnects() == 0);
  CHECK(bank.disconnects() == 0);
  CHECK(bank.Stop().ok());
  CHECK(police.Stop().ok());
}

}  // namespace
}  // namespace hub::process_test
