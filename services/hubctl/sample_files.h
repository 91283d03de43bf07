// Writes sample files: one layout, a revocation list, or the set that deploy/quickstart.sh imports. Plain functions.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/hubctl/sample_layouts.h"

namespace hub::hubctl {

void WriteSampleCsv(const SampleLayout& layout, SampleSource* source, uint64_t rows, std::ostream* out);
// {"payload":[{"n":"5551234567"},...]}, one item a line. Numbers come again after kSampleNumbers.
void WriteSampleRevocationList(uint64_t rows, uint64_t seed, std::ostream* out);

// Several files of `rows` rows together, their maps, manifest.txt (`file identity map` a line, in the order to import) and very_high.txt
// (an identifier that law enforcement reports in them). A few rows have mistakes. Internal: a file can't be written.
absl::Status WriteDemo(const std::string& folder, uint64_t rows, uint64_t seed, absl::Time now);

}  // namespace hub::hubctl
