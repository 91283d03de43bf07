#include "libs/base/hash.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstring>

#include <cctype>
#include <fstream>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace hub::base {
namespace {

constexpr size_t kBlock = 64;  // SHA-256's block, which HMAC pads its key to

struct Crc32cTable {
  uint32_t value[256];
  constexpr Crc32cTable() : value() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
      value[i] = c;
    }
  }
};
constexpr Crc32cTable kCrc32c;

uint32_t Crc32cStep(uint32_t crc, char c) { return (crc >> 8) ^ kCrc32c.value[(crc ^ static_cast<uint8_t>(c)) & 0xff]; }

#if defined(__x86_64__)
// The processor's own, 8 bytes at a time: a record's checksum is taken several times on its way.
__attribute__((target("sse4.2"))) uint32_t Crc32cByInstruction(uint32_t crc, absl::string_view bytes) {
  uint64_t wide = crc;
  for (; bytes.size() >= sizeof(uint64_t); bytes.remove_prefix(sizeof(uint64_t))) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof(word));
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (const char c : bytes) crc = Crc32cStep(crc, c);
  return crc;
}
#endif

const unsigned char* Bytes(absl::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

}  // namespace

Digest Sha256(absl::string_view bytes) {
  Digest digest;
  SHA256(Bytes(bytes), bytes.size(), digest.data());
  return digest;
}

// Both HMAC states after their first block, so that a Mac costs two short hashes and no key set-up.
// The low-level SHA-256 calls are deprecated in OpenSSL 3 but the only ones that copy a state without an allocation.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct HmacKey::Prepared {
  SHA256_CTX inner;
  SHA256_CTX outer;
};

HmacKey::HmacKey(absl::string_view secret) {
  HUB_CHECK(!secret.empty());
  std::array<uint8_t, kBlock> key{};
  if (secret.size() > kBlock) {
    const Digest digest = Sha256(secret);
    std::copy(digest.begin(), digest.end(), key.begin());
  } else {
    std::copy(secret.begin(), secret.end(), key.begin());
  }
  auto prepared = std::make_shared<Prepared>();
  std::array<uint8_t, kBlock> pad;
  for (size_t i = 0; i < kBlock; ++i) pad[i] = key[i] ^ 0x36;
  SHA256_Init(&prepared->inner);
  SHA256_Update(&prepared->inner, pad.data(), pad.size());
  for (size_t i = 0; i < kBlock; ++i) pad[i] = key[i] ^ 0x5c;
  SHA256_Init(&prepared->outer);
  SHA256_Update(&prepared->outer, pad.data(), pad.size());
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(pad.data(), pad.size());
  prepared_ = std::move(prepared);
}

Digest HmacKey::Mac(absl::string_view bytes) const {
  Digest digest;
  SHA256_CTX context = prepared_->inner;
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  context = prepared_->outer;
  SHA256_Update(&context, digest.data(), digest.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}
#pragma GCC diagnostic pop

absl::StatusOr<HmacKey> HmacKey::FromFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": no such key file"));
  std::string hex;
  for (std::istreambuf_iterator<char> it(file), end; it != end; ++it) {
    const auto c = static_cast<unsigned char>(*it);
    if (std::isspace(c) != 0) continue;
    if (std::isxdigit(c) == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": want hexadecimal digits only"));
    hex.push_back(static_cast<char>(c));
  }
  if (hex.size() < 64 || hex.size() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": want at least 32 bytes as hexadecimal digits"));
  }
  return HmacKey(absl::HexStringToBytes(hex));
}

absl::StatusOr<HmacKey> HmacKey::FromFileOrCreate(const std::string& path) {
  absl::StatusOr<HmacKey> key = FromFile(path);
  if (!absl::IsNotFound(key.status())) return key;
  const std::string hex = absl::StrCat(absl::BytesToHexString(RandomBytes(32)), "\n");
  // O_EXCL: of two processes that start at once, one makes the key and the other reads it.
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    const bool written = write(fd, hex.data(), hex.size()) == static_cast<ssize_t>(hex.size()) && fsync(fd) == 0;
    close(fd);
    if (!written) {
      unlink(path.c_str());
      return absl::UnavailableError(absl::StrCat(path, ": the key file could not be written"));
    }
  }
  return FromFile(path);
}

bool ConstantTimeEqual(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

uint32_t Crc32c(absl::string_view bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~Crc32cByInstruction(~0u, bytes);
#endif
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = Crc32cStep(crc, c);
  return ~crc;
}

uint64_t Mix64(absl::string_view bytes, uint64_t seed) {
  uint64_t h = 0xcbf29ce484222325ull ^ seed;
  for (const char c : bytes) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  HUB_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1);
  return bytes;
}

}  // namespace hub::base
