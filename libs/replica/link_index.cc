#include "libs/replica/link_index.h"

#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/status_macros.h"
#include "libs/store/tables.h"

namespace hub::replica {
namespace {

constexpr size_t kPrefixBytes = 16;

std::string Prefix(const model::Identifier& named) {
  const std::string text = absl::StrCat(static_cast<int>(named.type), ":", named.canonical);
  std::string prefix;
  store::AppendKey64(base::Mix64(text, 1), &prefix);
  store::AppendKey64(base::Mix64(text, 2), &prefix);
  return prefix;
}

}  // namespace

void PutLinks(store::TableId links, const model::IndicatorState& state, store::Batch* batch) {
  for (const model::Link& link : state.links)
    batch->Put(links, Prefix(link.identifier) + model::ToBytes(state.key), "");
}

absl::StatusOr<std::vector<std::string>> NamersOf(const store::Database& database, store::TableId links,
                                                  const model::Identifier& named, absl::string_view after,
                                                  size_t limit) {
  const std::string prefix = Prefix(named);
  std::vector<std::string> keys;
  const std::string from = after.empty() ? prefix : absl::StrCat(prefix, after, absl::string_view("\0", 1));
  const auto cursor = database.Scan(links, from, store::PrefixEnd(prefix));
  for (; cursor->Valid() && keys.size() < limit; cursor->Next()) {
    keys.emplace_back(cursor->key().substr(kPrefixBytes));
  }
  HUB_RETURN_IF_ERROR(cursor->status());
  return keys;
}

}  // namespace hub::replica
