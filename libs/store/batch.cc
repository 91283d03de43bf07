#include "libs/store/batch.h"

#include "libs/base/check.h"

namespace hub::store {

void Batch::Put(TableId table, absl::string_view key, absl::string_view value) {
  operations_.push_back({Operation::Kind::kPut, table, std::string(key), std::string(value)});
  bytes_ += key.size() + value.size();
}

void Batch::Delete(TableId table, absl::string_view key) {
  operations_.push_back({Operation::Kind::kDelete, table, std::string(key), std::string()});
  bytes_ += key.size();
}

void Batch::DeleteRange(TableId table, absl::string_view begin, absl::string_view end) {
  HUB_CHECK(!end.empty());
  operations_.push_back({Operation::Kind::kDeleteRange, table, std::string(begin), std::string(end)});
  bytes_ += begin.size() + end.size();
}

void Batch::Clear() {
  operations_.clear();
  bytes_ = 0;
}

}  // namespace hub::store
