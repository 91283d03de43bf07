#include "libs/wire/cursor_token.h"

#include <utility>

#include "fraudhub/internal/v1/record.pb.h"
#include "libs/model/refusal.h"
#include "libs/wire/stored.h"

namespace hub::wire {
namespace {

constexpr char kFormat = 0x01;
constexpr size_t kMacBytes = 16;
constexpr size_t kTokenBytesMax = 8192;  // 64 partitions need about 2 KB

absl::Status Invalid() {
  return model::Refuse(model::RefusalCode::kCursorInvalid, "open.token",
                       "not a token of this hub for this stakeholder");
}

std::map<uint32_t, base::HmacKey> One(uint32_t id, base::HmacKey key) {
  std::map<uint32_t, base::HmacKey> keys;
  keys.emplace(id, std::move(key));
  return keys;
}

std::string MacOf(const base::HmacKey& key, absl::string_view body) {
  const base::Digest mac = key.Mac(body);
  return std::string(reinterpret_cast<const char*>(mac.data()), kMacBytes);
}

}  // namespace

CursorSealer::CursorSealer(std::map<uint32_t, base::HmacKey> keys)
    : keys_(std::move(keys)), signs_(keys_.begin()->first) {}
CursorSealer::CursorSealer(base::HmacKey key, uint32_t key_id) : CursorSealer(One(key_id, std::move(key))) {}

void CursorSealer::SetKeys(std::map<uint32_t, base::HmacKey> keys) {
  base::MutexLock lock(&mu_);
  keys_ = std::move(keys);
  if (keys_.count(signs_) == 0) signs_ = keys_.begin()->first;
}

bool CursorSealer::SignWith(uint32_t key_id) {
  base::MutexLock lock(&mu_);
  if (keys_.count(key_id) == 0) return false;
  signs_ = key_id;
  return true;
}

// format | MAC (16) | CursorToken, the MAC over format and token.
std::string CursorSealer::Seal(const Cursor& cursor, absl::string_view stakeholder) const {
  fraudhub::internal::v1::CursorToken token;
  ToStored(cursor, &token);
  token.set_stakeholder(std::string(stakeholder));
  base::MutexLock lock(&mu_);
  token.set_key_id(signs_);
  const std::string body = std::string(1, kFormat) + token.SerializeAsString();
  return std::string(1, kFormat) + MacOf(keys_.at(signs_), body) + body.substr(1);
}

absl::StatusOr<Cursor> CursorSealer::Open(absl::string_view text, absl::string_view stakeholder) const {
  if (text.size() < 1 + kMacBytes || text.size() > kTokenBytesMax || text[0] != kFormat) return Invalid();
  const std::string body = std::string(1, kFormat) + std::string(text.substr(1 + kMacBytes));
  // Not believed before the MAC was checked, but for which key to check it with.
  fraudhub::internal::v1::CursorToken token;
  if (!token.ParseFromString(body.substr(1))) return Invalid();
  std::string mac;
  {
    base::MutexLock lock(&mu_);
    const auto key = keys_.find(token.key_id());
    if (key == keys_.end()) {
      return absl::UnavailableError(
          "the token's key isn't known here (yet): try again, or another of the hub's addresses");
    }
    mac = MacOf(key->second, body);
  }
  Cursor cursor;
  if (!base::ConstantTimeEqual(text.substr(1, kMacBytes), mac) || token.stakeholder() != std::string(stakeholder) ||
      !FromStored(token, &cursor).ok()) {
    return Invalid();
  }
  return cursor;
}

void ToStored(const Cursor& cursor, fraudhub::internal::v1::CursorToken* out) {
  out->set_log_id(cursor.log_id);
  out->set_filter_fingerprint(cursor.filter_fingerprint);
  for (const CursorPosition& position : cursor.positions) {
    out->add_partitions(position.partition);
    out->add_offsets(position.offset);
    out->add_terms(position.term);
  }
  out->set_issued_at(ToMicros(cursor.issued_at));
  for (const int64_t offset : cursor.urgent_offsets) out->add_urgent_offsets(offset);
  out->set_snapshot_part(cursor.snapshot_part);
  out->set_snapshot_parts(cursor.snapshot_parts);
}

absl::Status FromStored(const fraudhub::internal::v1::CursorToken& stored, Cursor* out) {
  const int partitions = stored.partitions_size();
  if (stored.offsets_size() != partitions || stored.terms_size() != partitions ||
      (stored.urgent_offsets_size() != 0 && stored.urgent_offsets_size() != partitions) ||
      (stored.snapshot_part() > stored.snapshot_parts())) {
    return absl::DataLossError("stored cursor: lists that do not go together");
  }
  out->log_id = stored.log_id();
  out->filter_fingerprint = stored.filter_fingerprint();
  out->positions.clear();
  for (int i = 0; i < partitions; ++i) {
    out->positions.push_back({stored.partitions(i), stored.offsets(i), stored.terms(i)});
  }
  out->issued_at = FromMicros(stored.issued_at());
  out->urgent_offsets.assign(stored.urgent_offsets().begin(), stored.urgent_offsets().end());
  out->snapshot_part = stored.snapshot_part();
  out->snapshot_parts = stored.snapshot_parts();
  return absl::OkStatus();
}

}  // namespace hub::wire
