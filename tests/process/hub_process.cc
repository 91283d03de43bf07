#include "tests/process/hub_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"

extern char** environ;

namespace hub::process_test {
namespace {

// The number after `name` in the output.
int NumberAfter(const std::string& output, const std::string& name) {
  const size_t at = output.find(name);
  return at == std::string::npos ? 0 : std::atoi(output.c_str() + at + name.size());
}

}  // namespace

HubProcess::HubProcess(const std::vector<std::string>& arguments) {
  int ends[2];
  HUB_CHECK(pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) posix_spawn_file_actions_adddup2(&actions, ends[1], fd);
  std::vector<std::string> words = {HUB_ALL_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  HUB_CHECK(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  reader_ = base::Thread("hub-output", [this, from = ends[0]](std::stop_token) { Read(from); });
}

HubProcess::~HubProcess() {
  if (!WaitForExit(absl::ZeroDuration())) kill(pid_, SIGKILL);
  reader_.Stop();
}

void HubProcess::Read(int from) {
  char buffer[4096];
  ssize_t got;
  while ((got = read(from, buffer, sizeof(buffer))) > 0) {
    base::MutexLock lock(&mu_);
    output_.append(buffer, static_cast<size_t>(got));
    changed_.NotifyAll();
  }
  close(from);
  int status = 0;
  HUB_CHECK(waitpid(pid_, &status, 0) == pid_);
  base::MutexLock lock(&mu_);
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  changed_.NotifyAll();
}

bool HubProcess::Says(const std::string& text, absl::Duration timeout) {
  const base::RealClock clock;
  const absl::Duration until = clock.Monotonic() + timeout;
  base::MutexLock lock(&mu_);
  while (output_.find(text) == std::string::npos) {
    if (exit_ || clock.Monotonic() >= until) return false;
    changed_.WaitFor(&mu_, until - clock.Monotonic());
  }
  return true;
}

bool HubProcess::Serves() {
  if (!Says(" hub_serves ")) return false;
  if (!Says(" ops_port=")) return false;
  const std::string said = output();
  const std::string line = said.substr(said.find(" hub_serves "));
  port_ = NumberAfter(line, " port=");
  ops_port_ = NumberAfter(line, " ops_port=");
  return port_ > 0 && ops_port_ > 0;
}

void HubProcess::Signal(int number) const { kill(pid_, number); }

std::optional<int> HubProcess::WaitForExit(absl::Duration timeout) {
  const base::RealClock clock;
  const absl::Duration until = clock.Monotonic() + timeout;
  base::MutexLock lock(&mu_);
  while (!exit_ && clock.Monotonic() < until) changed_.WaitFor(&mu_, until - clock.Monotonic());
  return exit_;
}

std::string HubProcess::output() const {
  base::MutexLock lock(&mu_);
  return output_;
}

std::string HubProcess::Get(const std::string& path) const {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(ops_port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    ssize_t got;
    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return answer;
}

HubFiles::HubFiles() {
  Write("policy.textproto", Policy(1));
  Write("rules.textproto", Rules(1));
  Write("hub.textproto", absl::StrCat(R"(
data_dir: ")",
                                      Path("data"), R"("
log { partitions: 2 }
listen { address: "127.0.0.1:0" ops_address: "127.0.0.1:0" identity_dir: ")",
                                      Path("pki/server"), R"(" }
policy_file: ")",
                                      Path("policy.textproto"), R"("
rules_file: ")",
                                      Path("rules.textproto"), R"("
registry { tick_ms: 100 }
allow_test_range: true
)"));
  const std::string command = absl::StrCat("\"", DEV_PKI_SCRIPT, "\" \"", Path("pki"),
                                           "\" --stakeholder bank-1/main police-1/main diu/analyst-1 2>/dev/null");
  HUB_CHECK(std::system(command.c_str()) == 0);
}

void HubFiles::Write(const std::string& name, const std::string& text) const {
  std::ofstream file(Path(name));
  file << text;
  HUB_CHECK(file.flush().good());
}

std::vector<std::string> HubFiles::Arguments(const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"--config", Path("hub.textproto")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

client::ConnectionOptions HubFiles::Connection(const std::string& identity, const HubProcess& hub) const {
  client::ConnectionOptions options;
  options.server = absl::StrCat("127.0.0.1:", hub.port());
  options.identity_dir = Path("pki/" + identity);
  return options;
}

std::string HubFiles::Policy(int version, const std::string& denied) {
  std::string text = absl::StrCat("version: ", version, R"(
trust_domain: "dev.hub.example"
stakeholders { id: "bank-1" role: ROLE_FINANCIAL_INSTITUTION kind: "BANK_PSB" }
stakeholders { id: "police-1" role: ROLE_LAW_ENFORCEMENT kind: "POLICE_STATE" state: "DL" }
stakeholders { id: "diu" role: ROLE_ANALYST kind: "DOT_DIU" principals { name: "analyst-1" } }
)");
  for (const char* role : {"ROLE_FINANCIAL_INSTITUTION", "ROLE_LAW_ENFORCEMENT"}) {
    absl::StrAppend(&text, "grants { role: ", role, R"(
  rpcs: ["ReportService.SubmitReports", "ReportService.StreamReports", "ReportService.GetReportStatus", "LookupService.Lookup",
         "SubscriptionService.Subscribe", "SubscriptionService.GetCursor"]
  may_report: INPUT_KIND_FINANCIAL_FRAUD may_see { level_min: LEVEL_NONE } may_look_up: IDENTIFIER_TYPE_MOBILE
  reports_per_second: 100000 }
)");
  }
  absl::StrAppend(&text, R"(grants { role: ROLE_ANALYST
  rpcs: ["OperationsService.Correct", "OperationsService.ListReceipts", "LookupService.Lookup"]
  may_report: INPUT_KIND_CORRECTION may_see {} fields: FIELD_AUDIENCE_ANALYST may_look_up: IDENTIFIER_TYPE_MOBILE }
)");
  if (!denied.empty()) absl::StrAppend(&text, "denied_uris: \"", denied, "\"\n");
  return text;
}

std::string HubFiles::Rules(int version) {
  return absl::StrCat("version: ", version, R"(
sources { kind: INPUT_KIND_FINANCIAL_FRAUD role: ROLE_LAW_ENFORCEMENT level: LEVEL_VERY_HIGH gives: REASON_LEA_REPORTED_CYBERCRIME }
sources { kind: INPUT_KIND_FINANCIAL_FRAUD role: ROLE_FINANCIAL_INSTITUTION level: LEVEL_MEDIUM gives: REASON_FINANCIAL_INSTITUTION }
sole_source_very_high: ROLE_LAW_ENFORCEMENT
)");
}

Ran RunHubAll(const std::vector<std::string>& arguments) {
  HubProcess hub(arguments);
  Ran ran;
  ran.status = hub.WaitForExit().value_or(-1);
  ran.output = hub.output();
  return ran;
}

}  // namespace hub::process_test
