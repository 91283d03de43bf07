// Real Kafka brokers for tests, run by deploy/kafka.sh: one for all test cases of a process, and such that a test may stop or freeze.
//
// A broker's folder lies in the build folder and is emptied at each start, which also ends a broker that a killed test left behind;
// so only one test process may run at a time (ctest: SERIAL). Fails the test case when there is no broker to be had.
// Not thread-safe. For tests only.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/catch.h"

namespace hub::eventlog {

class KafkaTestBroker {
 public:
  // HUB_TEST_KAFKA=host:port, else a broker of this process. Empty: HUB_TEST_KAFKA_SKIP=1, said aloud.
  static std::string SharedOrEmpty() {
    const char* bootstrap = getenv("HUB_TEST_KAFKA");
    if (bootstrap != nullptr && *bootstrap != '\0') return bootstrap;
    if (Skipped()) return "";
    static KafkaTestBroker shared("shared");
    return shared.bootstrap();
  }
  // True: tests that need a broker of their own end here; it has been said.
  static bool Skipped() {
    const char* skip = getenv("HUB_TEST_KAFKA_SKIP");
    if (skip == nullptr || std::string(skip) != "1") return false;
    WARN("SKIPPED: HUB_TEST_KAFKA_SKIP=1");
    return true;
  }

  // `name`: of its folder. A new, empty broker on a port of its own. `flags`: more for its start.
  explicit KafkaTestBroker(const std::string& name, const std::string& flags = "")
      : folder_(absl::StrCat(HUB_TEST_KAFKA_FOLDER, "/", name)) {
    Run(absl::StrCat("mkdir -p '", folder_, "'"));
    Start(" --port auto --fresh" + flags);
  }
  ~KafkaTestBroker() { Output(Script("stop")); }
  KafkaTestBroker(const KafkaTestBroker&) = delete;
  KafkaTestBroker& operator=(const KafkaTestBroker&) = delete;

  const std::string& bootstrap() const { return bootstrap_; }
  const std::string& folder() const { return folder_; }

  // Ends the broker in good order; Start brings it back on the same port with what it stored.
  void Stop() { Run(Script("stop")); }
  void Start(const std::string& flags = "") {
    bootstrap_.clear();
    for (const absl::string_view line : absl::StrSplit(Run(Script("start") + flags), '\n')) {
      absl::string_view value = line;
      if (absl::ConsumePrefix(&value, "bootstrap=")) bootstrap_ = std::string(value);
    }
    REQUIRE(!bootstrap_.empty());
  }

  // Keeps its connections and answers nothing, until Thaw.
  void Freeze() { Signal(SIGSTOP); }
  void Thaw() { Signal(SIGCONT); }

 private:
  std::string Script(const char* action) const {
    return absl::StrCat("'", HUB_SOURCE_DIR, "/deploy/kafka.sh' ", action, " --dir '", folder_, "'");
  }
  // What the command printed, and its exit status.
  static std::pair<std::string, int> Output(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "re");
    if (pipe == nullptr) return {"popen failed", -1};
    std::string text;
    char buffer[4096];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, n);
    return {text, pclose(pipe)};
  }
  static std::string Run(const std::string& command) {
    const auto [text, status] = Output(command);
    INFO(command << "\n" << text);
    REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return text;
  }
  void Signal(int signal) {
    pid_t pid = 0;
    std::ifstream(absl::StrCat(folder_, "/node-1/pid")) >> pid;
    REQUIRE(pid > 1);
    REQUIRE(kill(pid, signal) == 0);
  }

  const std::string folder_;
  std::string bootstrap_;
};

}  // namespace hub::eventlog
