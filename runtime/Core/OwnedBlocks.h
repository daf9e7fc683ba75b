// Debug builds know which owned values are alive.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_OWNEDBLOCKS_H
#define LATHE_RUNTIME_CORE_OWNEDBLOCKS_H

#include <cstdint>

namespace lathe::runtime {

/// Where LATHE_CHECK_VALUES is defined (debug builds and those with sanitizers), a list of the
/// memory of all owned values, so that a copy of a value that was released is refused instead of
/// read, and releasing it twice does nothing. What a run uses is pinned: released meanwhile, it
/// stays until the run has ended, whose status says so. Without the define all is empty: nothing is
/// checked.
#ifdef LATHE_CHECK_VALUES
/// False when out of memory.
bool addOwnedBlock(const void *data, uint64_t bytes);
/// True where the block is to be freed: it was alive, and is not pinned.
bool removeOwnedBlock(const void *data);
/// Whether these bytes lie in one block that is alive.
bool isOwnedBlock(const void *data, uint64_t bytes);
/// Pins the block that contains the address, if any.
void pinOwnedBlock(const void *data);
/// Takes that back. True where it was released meanwhile; then `toFree` is set to its beginning
/// where no other run has it pinned.
bool unpinOwnedBlock(const void *data, void *&toFree);
#else
inline bool addOwnedBlock(const void *, uint64_t) { return true; }
inline bool removeOwnedBlock(const void *) { return true; }
inline bool isOwnedBlock(const void *, uint64_t) { return true; }
inline void pinOwnedBlock(const void *) {}
inline bool unpinOwnedBlock(const void *, void *&) { return false; }
#endif

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_OWNEDBLOCKS_H
