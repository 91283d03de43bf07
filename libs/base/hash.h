// Hashes and keyed hashes: SHA-256, HMAC-SHA-256, CRC-32C and a fast 64-bit mixer.
//
// A plain hash of a phone number is a phone number (4 x 10^9 candidates fall in minutes): whatever leaves the process in place of
// an identifier must be keyed. Thread safety: plain functions; HmacKey is immutable and may be shared.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hub::base {

using Digest = std::array<uint8_t, 32>;

Digest Sha256(absl::string_view bytes);

// A secret for HMAC-SHA-256 (RFC 2104, FIPS 198-1). Copyable handle to an immutable, prepared key.
class HmacKey {
 public:
  // REQUIRES: secret is not empty; 32 bytes are what our key files hold.
  explicit HmacKey(absl::string_view secret);
  // Reads a key file of hexadecimal digits (white space ignored), at least 32 bytes of secret.
  // InvalidArgument when too short or not hexadecimal, NotFound when there is no such file.
  static absl::StatusOr<HmacKey> FromFile(const std::string& path);
  // As FromFile, but a missing file is first made with fresh random bytes and mode 0600.
  static absl::StatusOr<HmacKey> FromFileOrCreate(const std::string& path);

  Digest Mac(absl::string_view bytes) const;

 private:
  struct Prepared;
  std::shared_ptr<const Prepared> prepared_;
};

// Equal without telling by its running time where the difference lies.
bool ConstantTimeEqual(absl::string_view a, absl::string_view b);

// CRC-32C (Castagnoli, RFC 3720 appendix B.4).
uint32_t Crc32c(absl::string_view bytes);

// FNV-1a over 64 bits with a final avalanche (Stafford's mix 13). Stable for ever, not secret: for set hashes and tables.
uint64_t Mix64(absl::string_view bytes, uint64_t seed = 0);

// `count` bytes from the operating system's generator.
std::string RandomBytes(size_t count);

}  // namespace hub::base
