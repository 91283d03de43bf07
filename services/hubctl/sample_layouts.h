// Invented exports in the layouts of those who report, with the map for each: for samples, demonstrations and tests.
//
// Numbers are of the test range +91 555 only, hosts of reserved domains, handsets of test TACs, organisations of deploy/config.
// Thread safety: a SampleSource belongs to one thread; the rest are constants.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/hubctl/sample_random.h"

namespace hub::hubctl {

inline constexpr uint64_t kSampleNumbers = 10'000'000;  // of the test range; more come again

// The k-th number of the test range, in an order that looks like none: "5551234567". Different for k < kSampleNumbers.
std::string SampleNumber(uint64_t k);

struct SampleSource {
  SampleRandom random;
  absl::Time as_of;      // rows are of the 20 days before
  uint64_t pool = 100;   // different identifiers of a kind; the first ones come most often
  double bad_share = 0;  // rows with a mistake in them
  std::string operator_id = "tsp-01";
};

struct SampleLayout {
  absl::string_view name;
  absl::string_view about;
  absl::string_view map;     // text of the map file
  absl::string_view header;  // line of the CSV
  std::string (*row)(SampleSource* source, uint64_t number);
};

const std::vector<SampleLayout>& SampleLayouts();
// nullptr: no such layout.
const SampleLayout* FindSampleLayout(absl::string_view name);

}  // namespace hub::hubctl
