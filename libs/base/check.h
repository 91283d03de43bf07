// HUB_CHECK(condition): what must hold for the process to be allowed to go on. Stays on in release builds; a failure
// prints file, line and condition (never a value: it might be an identifier) and aborts, and the process restarts.
#pragma once

namespace hub::base {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace hub::base

#define HUB_CHECK(condition) \
  (static_cast<bool>(condition) ? (void)0 : ::hub::base::CheckFailed(__FILE__, __LINE__, #condition))
