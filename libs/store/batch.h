// Puts and deletes that a database commits all or nothing, in this order.
//
// A plain value that moves; not thread-safe. Keys and values lie in blocks of the batch's own, so that an operation costs no memory of its own.
// Tables are named by the index of their TableSpec at Open.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"

namespace hub::store {

using TableId = int;

class Batch {
 public:
  struct Operation {
    enum class Kind { kPut, kDelete, kDeleteRange } kind;
    TableId table;
    absl::string_view key;    // both as long as the batch lives, or until Clear
    absl::string_view value;  // for kDeleteRange: the first key that stays
  };

  Batch() = default;
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  void Put(TableId table, absl::string_view key, absl::string_view value) { Put(table, key, {value}); }
  // The value is these parts, one after the other.
  void Put(TableId table, absl::string_view key, std::initializer_list<absl::string_view> value);
  void Delete(TableId table, absl::string_view key);
  // Deletes [begin, end). REQUIRES: `end` is not empty; "to the last key" can't be said here, unlike in Scan.
  void DeleteRange(TableId table, absl::string_view begin, absl::string_view end);
  void Clear();
  bool empty() const { return operations_.empty(); }
  // Bytes of keys and values, to bound a batch by.
  size_t bytes() const { return bytes_; }
  const std::vector<Operation>& operations() const { return operations_; }

 private:
  absl::string_view Keep(std::initializer_list<absl::string_view> parts);

  std::vector<Operation> operations_;
  size_t bytes_ = 0;
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t block_room_ = 0;  // left in the last block
  char* block_at_ = nullptr;
};

}  // namespace hub::store
