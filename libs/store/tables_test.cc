#include "libs/store/tables.h"

#include "libs/store/batch.h"
#include "tests/catch.h"

namespace hub::store {
namespace {

TEST_CASE("numbers in keys sort as numbers do", "[store][tables]") {
  std::string previous;
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 31, ~uint64_t{0}}) {
    std::string key;
    AppendKey64(value, &key);
    CHECK(key.size() == 8);
    CHECK(DecodeKey64(key) == value);
    CHECK((previous.empty() || previous < key));
    previous = key;
  }
  std::string key = "x";
  AppendKey32(0xfffefd00u, &key);
  CHECK(key == std::string("x\xff\xfe\xfd\x00", 5));
  CHECK(DecodeKey32(key, 1) == 0xfffefd00u);
}

TEST_CASE("the end of a prefix lies just above all its keys", "[store][tables]") {
  CHECK(PrefixEnd("ab") == "ac");
  CHECK(PrefixEnd(std::string("a\xff", 2)) == "b");
  CHECK(PrefixEnd(std::string("\xff\xff", 2)) == "");
  CHECK(PrefixEnd("") == "");
}

TEST_CASE("a batch knows its operations and its size", "[store][batch]") {
  Batch batch;
  CHECK(batch.empty());
  batch.Put(0, "key", "value");
  batch.Delete(1, "k");
  batch.DeleteRange(0, "a", "b");
  CHECK(batch.bytes() == 3 + 5 + 1 + 2);
  REQUIRE(batch.operations().size() == 3);
  CHECK(batch.operations()[2].value == "b");
  batch.Clear();
  CHECK(batch.empty());
  CHECK(batch.bytes() == 0);
}

}  // namespace
}  // namespace hub::store
