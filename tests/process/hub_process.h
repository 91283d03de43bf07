// A hub-all of a test's own: identities, a small policy, a process with a free port that is always ended, and its output.
//
// Not thread-safe.
//
//   HubFiles files;
//   HubProcess hub(files.Arguments());
//   REQUIRE(hub.Serves());
//   client::Lookup::Create(files.Connection("bank-1/main", hub))
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/base/thread.h"
#include "libs/client/connection.h"
#include "libs/store/temp_dir.h"
#include "tests/eventually.h"

namespace hub::process_test {

// How long anything may take that is expected to happen: only a failing test waits so long.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// Asks rarely: each question may be a call, and a stakeholder has a quota.
inline bool Eventually(const std::function<bool()>& question) {
  return hub::Eventually(question, kPatience, absl::Milliseconds(20));
}

class HubProcess {
 public:
  explicit HubProcess(const std::vector<std::string>& arguments);
  ~HubProcess();  // kills what still runs

  // Waits until it says that it serves; false when it ended instead.
  bool Serves();
  // Waits for a line of its output with this text, from the first line on.
  bool Says(const std::string& text, absl::Duration timeout = kPatience);
  void Signal(int number) const;
  // The exit status, or 128 + the signal that ended it; nullopt: it still runs after `timeout`.
  std::optional<int> WaitForExit(absl::Duration timeout = kPatience);
  std::string output() const;
  int port() const { return port_; }
  // GET of the operator's port: status line and body.
  std::string Get(const std::string& path) const;

 private:
  void Read(int from);

  pid_t pid_ = -1;
  int port_ = 0;
  int ops_port_ = 0;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::string output_ ABSL_GUARDED_BY(mu_);
  std::optional<int> exit_ ABSL_GUARDED_BY(mu_);
  base::Thread reader_;
};

// A data folder, a configuration, and identities of a bank, a police force and an analyst, all under a temporary folder.
class HubFiles {
 public:
  HubFiles();
  // Of hub-all; `more` are further ones.
  std::vector<std::string> Arguments(const std::vector<std::string>& more = {}) const;
  client::ConnectionOptions Connection(const std::string& identity, const HubProcess& hub) const;
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& text) const;
  // The policy that it starts with; `denied`: a URI that is cut off.
  static std::string Policy(int version, const std::string& denied = "");
  static std::string Rules(int version);

 private:
  const store::TempDir dir_;
};

// Runs a program to its end; its output, standard error included, and its exit status.
struct Ran {
  int status = -1;
  std::string output;
};
Ran RunHubAll(const std::vector<std::string>& arguments);

}  // namespace hub::process_test
