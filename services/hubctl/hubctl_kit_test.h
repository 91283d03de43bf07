// For tests: runs a command line in the process, as main would, and keeps what it printed. Files of a test's own.
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/store/temp_dir.h"
#include "services/hubctl/command.h"

namespace hub::hubctl {

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

// `input` is what "-" reads. `at`: not the real clock; `columns`: a terminal's.
inline Ran Run(const std::vector<std::string>& arguments, const std::string& input = "",
               const base::Clock* at = nullptr, size_t columns = 0) {
  setenv("HUBCTL_PROFILE", "/dev/null", 1);  // not the profile of whoever runs the test
  std::istringstream in(input);
  std::ostringstream out, err;
  const base::RealClock clock;
  Environment env;
  env.in = &in;
  env.out = &out;
  env.err = &err;
  env.clock = at == nullptr ? &clock : at;
  env.out_columns = columns;
  Ran ran;
  ran.code = RunHubctl(arguments, &env);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

// Against a hub in the test's process.
inline Ran RunAt(const std::string& server, std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), {"--server", server, "--insecure", "--timeout", "5s"});
  return Run(arguments, input);
}

class TestFiles {
 public:
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }

 private:
  const store::TempDir dir_;
};

inline std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace hub::hubctl
