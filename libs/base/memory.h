// What the process does with memory that it has freed.
//
// Thread safety: any thread.
#pragma once

namespace hub::base {

// Gives the system what the allocator keeps for later, so that resident memory tells what is in use. Milliseconds; for when memory is short.
// Knows jemalloc, where it is linked (the servers), and the C library's allocator.
void ReturnFreedMemory();

}  // namespace hub::base
