#include "fraudhub/result.h"

#include <cstdio>
#include <cstdlib>

namespace fraudhub {

void EndWithoutValue(const Status& status) {
  std::fputs(("fraudhub: a Result was asked for a value that it lacks: " + status.ToString() + "\n").c_str(), stderr);
  std::abort();
}

}  // namespace fraudhub
