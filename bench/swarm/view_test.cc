#include "bench/swarm/view.h"

#include "tests/catch.h"

namespace hub::swarm {

TEST_CASE("an indicator has one number, whatever came before it", "[swarm]") {
  KeyTable keys;
  CHECK(keys.Intern("a", 0) == 0);
  CHECK(keys.Intern("b", 0) == 1);
  CHECK(keys.Intern("c", 1) == 2);
  for (int round = 0; round < 2; ++round) {
    for (KeyId previous = 0; previous < 5; ++previous) {  // also of what there is not
      CHECK(keys.Intern("c", previous) == 2);
      CHECK(keys.Intern("a", previous) == 0);
      CHECK(keys.Intern("b", previous) == 1);
    }
  }
  CHECK(keys.size() == 3);
}

}  // namespace hub::swarm
