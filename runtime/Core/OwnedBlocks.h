// Debug builds know which owned values are alive.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_OWNEDBLOCKS_H
#define LATHE_RUNTIME_CORE_OWNEDBLOCKS_H

#include <cstdint>

namespace lathe::runtime {

/// Where LATHE_CHECK_VALUES is defined (debug builds and those with sanitizers), a list of the
/// memory of all owned values, so that a copy of a value that was released is refused instead of
/// read, and releasing it twice does nothing. Without the define all is empty: nothing is checked.
#ifdef LATHE_CHECK_VALUES
/// False when out of memory.
bool addOwnedBlock(const void *data, uint64_t bytes);
/// False where no such block is alive.
bool removeOwnedBlock(const void *data);
/// Whether these bytes lie in one block that is alive.
bool isOwnedBlock(const void *data, uint64_t bytes);
#else
inline bool addOwnedBlock(const void *, uint64_t) { return true; }
inline bool removeOwnedBlock(const void *) { return true; }
inline bool isOwnedBlock(const void *, uint64_t) { return true; }
#endif

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_OWNEDBLOCKS_H
