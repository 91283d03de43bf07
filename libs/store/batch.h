// Puts and deletes that a database commits all or nothing, in this order.
//
// A plain value; not thread-safe. Tables are named by the index of their TableSpec at Open.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hub::store {

using TableId = int;

class Batch {
 public:
  struct Operation {
    enum class Kind { kPut, kDelete, kDeleteRange } kind;
    TableId table;
    std::string key;
    std::string value;  // for kDeleteRange: the first key that stays
  };

  void Put(TableId table, absl::string_view key, absl::string_view value);
  void Delete(TableId table, absl::string_view key);
  // Deletes [begin, end). REQUIRES: `end` is not empty; "to the last key" can't be said here, unlike in Scan.
  void DeleteRange(TableId table, absl::string_view begin, absl::string_view end);
  void Clear();
  bool empty() const { return operations_.empty(); }
  // Bytes of keys and values, to bound a batch by.
  size_t bytes() const { return bytes_; }
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  std::vector<Operation> operations_;
  size_t bytes_ = 0;
};

}  // namespace hub::store
