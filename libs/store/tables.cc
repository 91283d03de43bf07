#include "libs/store/tables.h"

#include "libs/base/check.h"

namespace hub::store {
namespace {

template <typename T>
void AppendBigEndian(T value, std::string* key) {
  for (int shift = (static_cast<int>(sizeof(T)) - 1) * 8; shift >= 0; shift -= 8) {
    key->push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

template <typename T>
T DecodeBigEndian(absl::string_view key, size_t offset) {
  HUB_CHECK(offset <= key.size() && key.size() - offset >= sizeof(T));
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | static_cast<unsigned char>(key[offset + i]);
  return value;
}

}  // namespace

void AppendKey32(uint32_t value, std::string* key) { AppendBigEndian(value, key); }
void AppendKey64(uint64_t value, std::string* key) { AppendBigEndian(value, key); }
uint32_t DecodeKey32(absl::string_view key, size_t offset) { return DecodeBigEndian<uint32_t>(key, offset); }
uint64_t DecodeKey64(absl::string_view key, size_t offset) { return DecodeBigEndian<uint64_t>(key, offset); }

std::string PrefixEnd(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace hub::store
