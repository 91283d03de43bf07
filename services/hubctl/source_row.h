// One row of an import file, whatever its format, and what bad bytes in it mean.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hub::hubctl {

struct SourceRow {
  uint64_t number = 0;              // from 1, among all rows, good and bad: the same file always gives the same numbers
  uint64_t line = 0;                // from 1: where it begins
  std::vector<std::string> fields;  // in the order of the header; of a bad row: what could be read
  absl::Status problem;             // a refusal when the row can't be used
};

// Gets each row once; an error ends the reading, which returns it.
using RowSink = std::function<absl::Status(SourceRow row)>;
// Bytes read so far, for a progress bar; may be null. Relaxed: a number, not an order.
using BytesRead = std::atomic<uint64_t>*;

// Well-formed UTF-8 (RFC 3629). The hub refuses a whole batch whose texts are not.
bool IsUtf8(absl::string_view text);
// True when all of it is; otherwise a refusal (BAD_CHARACTER) names the first bad column, and no content.
absl::Status CheckUtf8(const std::vector<std::string>& fields, const std::vector<std::string>& header);

}  // namespace hub::hubctl
