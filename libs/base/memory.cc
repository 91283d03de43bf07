#include "libs/base/memory.h"

#include <malloc.h>

#include <cstddef>

// jemalloc(3). Not there in tests, with sanitizers, and in what links this library without it.
extern "C" int mallctl(const char* name, void* old_value, size_t* old_size, void* new_value, size_t new_size)
    __attribute__((weak));

namespace hub::base {

void ReturnFreedMemory() {
  if (mallctl != nullptr) {
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);  // MALLCTL_ARENAS_ALL
  } else {
    malloc_trim(0);
  }
}

}  // namespace hub::base
