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
  return model::Refuse(model::RefusalCode::kCursorInvalid, "open.token", "not a token of this hub for this stakeholder");
}

}  // namespace

CursorSealer::CursorSealer(base::HmacKey key, uint32_t key_id) : key_(std::move(key)), key_id_(key_id) {}

// format | MAC (16) | CursorToken, the MAC over format and token.
std::string CursorSealer::Seal(const Cursor& cursor, absl::string_view stakeholder) const {
  fraudhub::internal::v1::CursorToken token;
  token.set_log_id(cursor.log_id);
  token.set_stakeholder(std::string(stakeholder));
  token.set_filter_fingerprint(cursor.filter_fingerprint);
  for (const CursorPosition& position : cursor.positions) {
    token.add_partitions(position.partition);
    token.add_offsets(position.offset);
    token.add_terms(position.term);
  }
  token.set_issued_at(ToMicros(cursor.issued_at));
  token.set_key_id(key_id_);
  const std::string body = std::string(1, kFormat) + token.SerializeAsString();
  const base::Digest mac = key_.Mac(body);
  return std::string(1, kFormat) + std::string(reinterpret_cast<const char*>(mac.data()), kMacBytes) + body.substr(1);
}

absl::StatusOr<Cursor> CursorSealer::Open(absl::string_view text, absl::string_view stakeholder) const {
  if (text.size() < 1 + kMacBytes || text.size() > kTokenBytesMax || text[0] != kFormat) return Invalid();
  const std::string body = std::string(1, kFormat) + std::string(text.substr(1 + kMacBytes));
  const base::Digest mac = key_.Mac(body);
  if (!base::ConstantTimeEqual(text.substr(1, kMacBytes),
                               absl::string_view(reinterpret_cast<const char*>(mac.data()), kMacBytes))) {
    return Invalid();
  }
  fraudhub::internal::v1::CursorToken token;
  if (!token.ParseFromString(body.substr(1)) || token.stakeholder() != std::string(stakeholder) ||
      token.partitions_size() != token.offsets_size() || token.partitions_size() != token.terms_size()) {
    return Invalid();
  }
  Cursor cursor;
  cursor.log_id = token.log_id();
  cursor.filter_fingerprint = token.filter_fingerprint();
  for (int i = 0; i < token.partitions_size(); ++i) {
    cursor.positions.push_back({token.partitions(i), token.offsets(i), token.terms(i)});
  }
  cursor.issued_at = FromMicros(token.issued_at());
  return cursor;
}

}  // namespace hub::wire
