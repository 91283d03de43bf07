// Names of cursors, and two places of one: the same, or which is the further one. Plain functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/model/cursor.h"

namespace hub::fanout {

// OK for 1 to 64 letters, digits, '.', '_', '-'; else a refusal of `open.cursor`.
absl::Status CheckCursorName(const std::string& name);

// All but how young what follows is.
bool SamePlace(const model::Cursor& a, const model::Cursor& b);

// Both in the tail of the same stream, so that partition by partition the further one holds. Places inside snapshots have no such order.
bool Comparable(const model::Cursor& a, const model::Cursor& b);

// REQUIRES: Comparable(a, b).
model::Cursor Further(const model::Cursor& a, const model::Cursor& b);

}  // namespace hub::fanout
