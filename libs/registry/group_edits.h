// The indicators that one commit changes: loaded together, edited in memory, written with their indexes. Private to this library.
//
// Not thread-safe; lives for one commit.
#pragma once

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/registry/rows.h"
#include "libs/store/batch.h"
#include "libs/store/database.h"

namespace hub::registry {

class GroupEdits {
 public:
  GroupEdits(const RowKeys& keys, const Tables& tables, const store::Database* database)
      : keys_(keys), tables_(tables), database_(database) {}

  // One read of the database for all that are not here yet.
  absl::Status Load(const std::vector<model::RoutingToken>& tokens);
  // REQUIRES: loaded.
  const Group& Get(const model::RoutingToken& token) const { return entries_.at(token).group; }
  Group* Edit(const model::RoutingToken& token);
  // The log of events doesn't know its counters yet.
  void MarkDirty(const model::RoutingToken& token) { entries_.at(token).dirty = true; }
  // Rows of everything edited, with what is due when.
  void Write(store::Batch* batch) const;

 private:
  struct Entry {
    Group group;
    absl::Time due_before = absl::InfiniteFuture();
    bool edited = false;
    bool dirty = false;
  };
  const RowKeys& keys_;
  const Tables& tables_;
  const store::Database* const database_;
  std::map<model::RoutingToken, Entry> entries_;
};

}  // namespace hub::registry
