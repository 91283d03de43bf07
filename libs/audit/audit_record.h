// Inside libs/audit: the bytes of one audit record.
//
// 0x01 | hash of the record before (32) | sequence (8) | time, microseconds (8) | policy version (8) | six texts, each with its
// length in front (4) | SHA-256 of all before (32). Numbers are big-endian. The hash at the end makes the record the next one's anchor.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/audit/audit.h"
#include "libs/base/hash.h"

namespace hub::audit {

struct Record {
  base::Digest previous{};  // zeros for the first
  uint64_t sequence = 0;
  absl::Time at = absl::InfinitePast();
  Entry entry;
};

std::string EncodeRecord(const Record& record);
// DataLoss: not the bytes of a record, or its own hash does not fit.
absl::StatusOr<Record> DecodeRecord(absl::string_view bytes);
// The hash at a record's end. REQUIRES: DecodeRecord(bytes).ok().
base::Digest HashOf(absl::string_view bytes);

}  // namespace hub::audit
