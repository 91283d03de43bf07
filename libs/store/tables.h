// The tables of a database: named key spaces, each ordered by key bytes.
//
// A process opens one database with the tables it needs; each component owns its tables and prefixes its keys with the
// partition where it keeps several. Table names are stored: frozen once released.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace hub::store {

// How keys of a table are used; the RocksDB implementation picks bloom filters and block sizes by it.
enum class TableShape { kPointLookups, kScans };

struct TableSpec {
  std::string name;  // [a-z_]+, unique in the database
  TableShape shape = TableShape::kPointLookups;
};

// Big-endian, so that numbers sort as numbers do.
void AppendKey32(uint32_t value, std::string* key);
void AppendKey64(uint64_t value, std::string* key);
// REQUIRES: `key` holds enough bytes at `offset`.
uint32_t DecodeKey32(absl::string_view key, size_t offset = 0);
uint64_t DecodeKey64(absl::string_view key, size_t offset = 0);
// The smallest key above every key with this prefix; empty when there is none (all bytes 0xff).
std::string PrefixEnd(absl::string_view prefix);

}  // namespace hub::store
