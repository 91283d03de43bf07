// The newest corrections stay the newest, however late the others are.
#include "bench/swarm/corrections.h"

#include "tests/catch.h"

namespace hub::swarm {

TEST_CASE("a correction that was forgotten is not brought back by who hears of it late", "[swarm][corrections]") {
  Corrections corrections;
  int asked = 0;
  const auto tell = [&](int number) {
    EventHead head;
    head.version = 2;
    head.received_micros = number * 1000;
    corrections.Note(static_cast<KeyId>(number), head, absl::FromUnixMicros(number * 1000 + 5000), [&] { return ++asked, 1; });
  };
  const int count = static_cast<int>(Corrections::kKept) + 10;
  for (int number = 1; number <= count; ++number) tell(number);
  CHECK(asked == count);
  for (int number = 1; number <= count; ++number) tell(number);
  CHECK(asked == count);  // all of them are known or forgotten
  const std::string report = corrections.Report();
  CHECK(report.find(absl::StrCat("\"corrections_told\":", 2 * count, ",")) != std::string::npos);
  size_t twice = 0;
  for (size_t at = report.find("\"confirmed\":2"); at != std::string::npos; at = report.find("\"confirmed\":2", at + 1)) ++twice;
  CHECK(twice == Corrections::kKept);

  corrections.Clear();
  tell(1);
  CHECK(asked == count + 1);
}

}  // namespace hub::swarm
