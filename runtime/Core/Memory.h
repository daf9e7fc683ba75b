// Memory that fails with null instead of an exception, and the caller's allocators.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_MEMORY_H
#define LATHE_RUNTIME_CORE_MEMORY_H

#include "lathe-c/Runtime.h"

#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace lathe::runtime {

/// No tensor of ours comes near it (a process has 2^47 bytes), so that sums and small multiples of
/// sizes and dims below it never overflow.
inline constexpr int64_t maxBytes = int64_t(1) << 46;

/// A zeroed array of fixed length, owned.
template <typename T> class Array {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { free(elements); }

  /// In place of what there was; false when out of memory.
  bool create(size_t count) {
    free(elements);
    elements = static_cast<T *>(calloc(count ? count : 1, sizeof(T)));
    length = elements ? count : 0;
    return elements != nullptr;
  }

  T *data() const { return elements; }
  size_t size() const { return length; }
  T &operator[](size_t index) const { return elements[index]; }
  T *begin() const { return elements; }
  T *end() const { return elements + length; }

private:
  T *elements = nullptr;
  size_t length = 0;
};

/// A new object, or null when out of memory. Not `new`: the runtime needs the C library alone, so
/// that C programs link it without a C++ one.
template <typename T> T *createObject() {
  void *memory = nullptr;
  if (posix_memalign(&memory, alignof(T) < sizeof(void *) ? sizeof(void *) : alignof(T), sizeof(T)))
    return nullptr;
  return ::new (memory) T;
}

template <typename T> void destroyObject(T *object) {
  if (!object)
    return;
  object->~T();
  free(object);
}

/// malloc, as an allocator; blocks of 2 MiB and more are of huge pages where the system grants
/// them.
extern const lathe_allocator defaultAllocator;

/// Whether the caller set both functions (`given`), none of them, or, wrongly, only one.
enum class AllocatorState { None, Given, Partial };
inline AllocatorState stateOf(const lathe_allocator &allocator) {
  if (!allocator.allocate && !allocator.release)
    return AllocatorState::None;
  return allocator.allocate && allocator.release ? AllocatorState::Given : AllocatorState::Partial;
}

/// A block for the data of a value, which remembers its allocator; null when refused. Aligned to
/// `alignment`, a power of two, and to LATHE_ALIGNMENT.
void *allocateOwned(const lathe_allocator &allocator, uint64_t bytes, uint64_t alignment = 0);
/// What the allocator is asked for then.
uint64_t ownedBytes(uint64_t bytes);
void releaseOwned(void *data);
/// Gives it back to its allocator, whatever the list of owned blocks says.
void freeOwned(void *data);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_MEMORY_H
