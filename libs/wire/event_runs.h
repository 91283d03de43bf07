// Events of a stream in runs, SubscribeResponse.runs: some neighbours together, plain or packed (zstd, RFC 8878).
//
// Thread safety: plain functions.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace fraudhub::v1 {
class SubscribeResponse;
}

namespace hub::wire {

inline constexpr size_t kRunBytesMax = size_t{4} << 20;    // of what a packed run holds
inline constexpr size_t kRunsBytesMax = size_t{32} << 20;  // of what those of one message hold together

// One element of SubscribeResponse.runs with its field tag and length in front, of as many slices as EncodeEventSlice makes them. `out` is
// appended to. What is too large to be packed stays plain.
void AppendPlainRun(absl::string_view slices, int events, std::string* out);
void AppendPackedRun(absl::string_view slices, int events, std::string* out);

// For readers. `slices`: what the frame of one run holds. DataLoss: it is damaged, holds more than kRunBytesMax or doesn't say how much.
absl::Status UnpackRun(absl::string_view zstd, std::string* slices);
// The same of runs as the two functions above make them, one after the other; `slices` is appended to.
absl::Status UnpackFramedRuns(absl::string_view runs, std::string* slices);
// Moves the events of all runs behind `events`. DataLoss: one is damaged, or holds another number of events than it says,
// or all together hold more than kRunsBytesMax.
absl::Status UnpackRuns(fraudhub::v1::SubscribeResponse* response);

}  // namespace hub::wire
