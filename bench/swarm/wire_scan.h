// Walks the fields of an encoded protobuf message without parsing it: numbers and byte ranges, nothing allocated.
#pragma once

#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace hub::swarm {

inline bool ReadVarint(const char** at, const char* end, uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 64 && *at < end; shift += 7) {
    const auto byte = static_cast<uint8_t>(*(*at)++);
    result |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) {
      *value = result;
      return true;
    }
  }
  return false;
}

// visit(field, number, bytes): `number` for varint and fixed fields, `bytes` for length-delimited ones. False: malformed.
template <class Visit>
bool ScanFields(absl::string_view message, Visit visit) {
  const char* at = message.data();
  const char* const end = at + message.size();
  while (at < end) {
    uint64_t tag = 0, number = 0;
    if (!ReadVarint(&at, end, &tag)) return false;
    absl::string_view bytes;
    switch (tag & 7) {
      case 0:
        if (!ReadVarint(&at, end, &number)) return false;
        break;
      case 1:
        if (end - at < 8) return false;
        std::memcpy(&number, at, 8);
        at += 8;
        break;
      case 2:
        if (!ReadVarint(&at, end, &number) || number > static_cast<uint64_t>(end - at)) return false;
        bytes = absl::string_view(at, number);
        at += number;
        break;
      case 5: {
        if (end - at < 4) return false;
        uint32_t small;
        std::memcpy(&small, at, 4);
        number = small;
        at += 4;
        break;
      }
      default:
        return false;
    }
    visit(static_cast<int>(tag >> 3), number, bytes);
  }
  return true;
}

}  // namespace hub::swarm
