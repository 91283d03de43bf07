// hub-all as a process: what it says when it can't start, what a reload changes, and what a full disk does.
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fraudhub/v1/report.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/model/refusal.h"
#include "libs/model/report_id.h"
#include "libs/rpc/proto_time.h"
#include "libs/rpc/status.h"
#include "tests/catch.h"
#include "tests/process/hub_process.h"

namespace hub::process_test {
namespace {

namespace v1 = ::fraudhub::v1;
namespace fs = std::filesystem;

// The last line, without the line end.
std::string LastLine(const std::string& output) {
  const std::vector<std::string> lines = absl::StrSplit(output, '\n', absl::SkipEmpty());
  return lines.empty() ? "" : lines.back();
}

// One report over a connection of its own.
absl::Status SubmitOne(const client::ConnectionOptions& connection, const std::string& name,
                       absl::Duration* retry_after) {
  const auto channel = client::Connect(connection);
  if (!channel.ok()) return channel.status();
  v1::SubmitReportsRequest request;
  v1::Report* report = request.add_reports();
  report->set_report_id(model::ToText(model::MakeNameBasedId("hub_start_test", name)));
  report->set_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
  report->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
  report->mutable_identifier()->set_value("+915550000003");
  rpc::ToProto(base::RealClock().TimeNow(), report->mutable_observed_at());
  grpc::ClientContext context;
  v1::SubmitReportsResponse response;
  const grpc::Status status = v1::ReportService::NewStub(*channel)->SubmitReports(&context, request, &response);
  if (!status.ok()) return rpc::FromGrpc(status, retry_after);
  return response.verdicts(0).verdict() == v1::VERDICT_ACCEPTED ? absl::OkStatus()
                                                                : absl::AbortedError(response.ShortDebugString());
}

TEST_CASE("Without starting, hub-all tells its version, its configuration and every problem of it", "[process][hub]") {
  const HubFiles files;
  CHECK(absl::StartsWith(RunHubAll({"--version"}).output, "hub-all "));
  const Ran checked = RunHubAll(files.Arguments({"--check"}));
  CHECK(checked.status == 0);
  CHECK(absl::StrContains(checked.output, "good; policy 1, rules 1"));
  const Ran printed = RunHubAll(files.Arguments({"--print-config", "--set", "log.partitions=3"}));
  CHECK(printed.status == 0);
  CHECK(absl::StrContains(printed.output, "partitions: 3"));

  const Ran broken = RunHubAll(files.Arguments(
      {"--check", "--set", "log.partitions=0x", "--set", "policy_file=/nonexistent", "--set", "log_level=loud"}));
  CHECK(broken.status == 1);
  for (const char* problem : {"log.partitions", "policy_file: ", "log_level: "})
    CHECK(absl::StrContains(broken.output, problem));
  const Ran refused = RunHubAll(files.Arguments({"--set", "log_level=loud"}));
  CHECK(refused.status == 1);
  CHECK_FALSE(fs::exists(files.Path("data")));
}

TEST_CASE("A start-up problem ends in one line that says what to do", "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  CHECK((fs::status(files.Path("data/keys/routing.key")).permissions() &
         (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  const Ran second = RunHubAll(files.Arguments());
  CHECK(second.status == 1);
  CHECK(absl::StartsWith(LastLine(second.output), "hub-all: data_dir: "));
  const Ran port = RunHubAll(files.Arguments({"--set", absl::StrCat("data_dir=", files.Path("other")), "--set",
                                              absl::StrCat("listen.address=127.0.0.1:", hub.port())}));
  CHECK(port.status == 1);
  CHECK(absl::StrContains(LastLine(port.output), "is the port taken"));
  hub.Signal(SIGTERM);
  CHECK(hub.WaitForExit(absl::Seconds(10)) == 0);

  const Ran partitions = RunHubAll(files.Arguments({"--set", "log.partitions=5"}));
  CHECK(partitions.status == 1);
  CHECK(absl::StrContains(LastLine(partitions.output), "log.partitions"));
  fs::rename(files.Path("data/keys/routing.key"), files.Path("routing.key"));
  const Ran keyless = RunHubAll(files.Arguments());
  CHECK(keyless.status == 1);
  CHECK(absl::StrContains(LastLine(keyless.output), "put the escrowed key back"));
  CHECK_FALSE(fs::exists(files.Path("data/keys/routing.key")));
}

TEST_CASE("A newer rules file is taken at the start, an older one is not", "[process][hub]") {
  const HubFiles files;
  const auto rules_in_force = [&](int in_file) {
    files.Write("rules.textproto", HubFiles::Rules(in_file));
    HubProcess hub(files.Arguments());
    REQUIRE(hub.Serves());
    int version = 0;
    CHECK(Eventually([&] {
      for (const int candidate : {1, 2, 3}) {
        const std::string line = absl::StrCat(", rules ", candidate, ", reports ");
        const std::string status = hub.Get("/statusz");
        if (absl::StrContains(status.substr(status.find("partition 0: ")), line) &&
            absl::StrContains(status.substr(status.find("partition 1: ")), line)) {
          version = candidate;
        }
      }
      return version >= in_file;
    }));
    CHECK(hub.Says("rules_file_is_not_in_force", absl::ZeroDuration()) == (in_file < version));
    hub.Signal(SIGTERM);
    CHECK(hub.WaitForExit(absl::Seconds(10)) == 0);
    return version;
  };
  CHECK(rules_in_force(1) == 1);
  CHECK(rules_in_force(3) == 3);
  CHECK(rules_in_force(2) == 3);
}

TEST_CASE("A second SIGTERM stops at once", "[process][hub]") {
  const HubFiles files;
  // A start that takes its time: nobody listens on the broker's port.
  HubProcess hub(files.Arguments({"--set", "log.kind=kafka", "--set", "log.kafka_bootstrap=127.0.0.1:1"}));
  REQUIRE(hub.Says("hub_starts"));
  hub.Signal(SIGTERM);
  REQUIRE(hub.Says("stop_asked"));
  hub.Signal(SIGTERM);
  CHECK(hub.WaitForExit(absl::Seconds(3)) == 128 + SIGTERM);
}

TEST_CASE("SIGHUP puts a new policy in force, and a broken one leaves the old", "[process][hub]") {
  const HubFiles files;
  HubProcess hub(files.Arguments());
  REQUIRE(hub.Serves());
  const client::ConnectionOptions bank = files.Connection("bank-1/main", hub);
  absl::Duration retry_after;
  CHECK(SubmitOne(bank, "before", &retry_after).ok());

  files.Write("policy.textproto", "version: 2 stakeholders { id: \"Not An Id\" } colour: 3");
  hub.Signal(SIGHUP);
  REQUIRE(hub.Says("reload_refused"));
  CHECK(hub.Says("reload_problem"));
  CHECK(SubmitOne(bank, "broken", &retry_after).ok());

  files.Write("policy.textproto", HubFiles::Policy(2, "fraudhub://dev.hub.example/bank-1/main"));
  files.Write("rules.textproto", HubFiles::Rules(2));
  hub.Signal(SIGHUP);
  REQUIRE(hub.Says(" reloaded policy=2 rules=2"));
  CHECK(absl::IsUnauthenticated(SubmitOne(bank, "denied", &retry_after)));
  CHECK(Eventually([&] { return absl::StrContains(hub.Get("/statusz"), "partition 1: running, term 1, rules 2"); }));
}

TEST_CASE("A full disk is answered with RESOURCE_EXHAUSTED and a time to come back, and the hub recovers",
          "[process][hub]") {
  store::SmallDisk disk(size_t{192} << 20);
  if (!disk.ok()) {
    WARN("skipped: mounting a small disk needs root");
    return;
  }
  const HubFiles files;
  HubProcess hub(files.Arguments({"--set", absl::StrCat("data_dir=", disk.path(), "/data")}));
  const bool serves = hub.Serves();
  INFO(hub.output());
  REQUIRE(serves);
  const client::ConnectionOptions bank = files.Connection("bank-1/main", hub);
  absl::Duration retry_after;
  CHECK(SubmitOne(bank, "before", &retry_after).ok());

  disk.Fill(1 << 20);
  absl::Status full;
  CHECK(Eventually([&] { return !(full = SubmitOne(bank, "full", &retry_after)).ok(); }));
  INFO(full.ToString());
  CHECK(absl::IsResourceExhausted(full));
  const auto refusal = model::RefusalOf(full);
  REQUIRE(refusal.has_value());
  CHECK(refusal->code == model::RefusalCode::kStorageFull);
  CHECK(retry_after >= absl::Seconds(1));
  CHECK(absl::StrContains(hub.Get("/readyz"), " 503 "));

  disk.Free();
  CHECK(Eventually([&] { return SubmitOne(bank, "full", &retry_after).ok(); }));
  CHECK(Eventually([&] { return absl::StrContains(hub.Get("/readyz"), " 200 "); }));
  hub.Signal(SIGTERM);
  CHECK(hub.WaitForExit(absl::Seconds(10)) == 0);
}

}  // namespace
}  // namespace hub::process_test
