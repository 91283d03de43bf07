// The samples that are shipped and those that are made: both must import as they are.
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "services/hubctl/sample_files.h"
#include "services/hubctl/sample_layouts.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {
const std::string kSamples = HUB_SOURCE_DIR "/deploy/samples/";
}

TEST_CASE("Every shipped sample passes with its map, and is what the generator makes", "[hubctl][samples]") {
  for (const SampleLayout& layout : SampleLayouts()) {
    const std::string name(layout.name);
    CAPTURE(name);
    const Ran ran = Run({"import", "csv", kSamples + name + ".csv", "--map", kSamples + name + ".map", "--dry-run",
                         "--output", "json"});
    INFO(ran.err);
    CHECK(ran.code == kDone);
    CHECK(Has(ran.out, "\"rows\":40,\"accepted\":40"));
    CHECK(Slurp(kSamples + name + ".map") == layout.map);
    const Ran made = Run({"sample", "csv", name, "--rows", "40", "--seed", "7", "--as-of", "2026-11-15", "--out", "-"});
    CHECK(made.out == Slurp(kSamples + name + ".csv"));
  }
  CHECK(Run({"import", "mnrl-json", kSamples + "revocation-list.json", "--dry-run"}).code == kDone);
  CHECK(Run({"sample", "mnrl", "--rows", "40", "--seed", "7", "--out", "-"}).out ==
        Slurp(kSamples + "revocation-list.json"));
}

TEST_CASE("The demo set passes but for the mistakes put into it", "[hubctl][samples]") {
  const TestFiles files;
  const std::string folder = files.Path("demo");
  REQUIRE(Run({"sample", "demo", "--rows", "5000", "--seed", "1", "--out-dir", folder}).code == kDone);
  uint64_t rows = 0, accepted = 0;
  for (const absl::string_view line : absl::StrSplit(Slurp(folder + "/manifest.txt"), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    REQUIRE(words.size() == 3);
    CHECK(Has(words[1], "/"));
    const Ran ran = Run({"import", "csv", absl::StrCat(folder, "/", words[0]), "--map",
                         absl::StrCat(folder, "/", words[2]), "--dry-run", "--output", "json"});
    INFO(ran.out << ran.err);
    CHECK((ran.code == kDone || ran.code == kSomeRejected));
    const auto number = [&](const char* name) {
      return std::stoull(ran.out.substr(ran.out.find(name) + std::string(name).size()));
    };
    rows += number("\"rows\":");
    accepted += number("\"accepted\":");
  }
  CHECK(rows == 5000);
  CHECK(accepted < rows);
  CHECK(accepted > rows - 50);
  CHECK(Slurp(folder + "/very_high.txt") == "MOBILE:5551234567\n");
  CHECK(Has(Slurp(folder + "/ncrp-mh.csv"), ",Mobile Number,5551234567,"));
}

TEST_CASE("The configuration that is shipped passes its check, and a broken one is told in full", "[hubctl][samples]") {
  const std::string config = HUB_SOURCE_DIR "/deploy/config/";
  const Ran good = Run({"config", "check", config + "policy.textproto", config + "rules.textproto",
                        config + "hub.textproto", kSamples + "ncrp.map"});
  INFO(good.out << good.err);
  CHECK(good.code == kDone);
  const TestFiles files;
  const Ran bad = Run({"config", "check", files.Write("rules.textproto", "version: 1\ncolour: 2\nshape: 3\n"),
                       files.Path("no.map"), "--output", "json"});
  CHECK(bad.code == kFailed);
  CHECK(Has(bad.out, "colour"));
  CHECK(Has(bad.out, "can't be read"));
}

TEST_CASE("Numbers of a sample do not come again before all have come", "[hubctl][samples]") {
  std::vector<bool> seen(kSampleNumbers);
  for (uint64_t k = 0; k < kSampleNumbers; ++k) {
    const uint64_t number = (k * 7'654'321 + 1'234'567) % kSampleNumbers;
    if (seen[number]) FAIL("comes again: " << number);
    seen[number] = true;
  }
  CHECK(SampleNumber(0) == "5551234567");
  CHECK(SampleNumber(kSampleNumbers) == SampleNumber(0));
}

}  // namespace hub::hubctl
