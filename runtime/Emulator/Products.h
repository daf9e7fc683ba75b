// Products of matrices in shared memory that go on while the threads do, as the emulator does them.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_PRODUCTS_H
#define LATHE_RUNTIME_EMULATOR_PRODUCTS_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lathe::emulator {

/// Threads of a warpgroup, rows of a product, and what it adds up.
constexpr uint32_t groupThreads = 128, groupRows = 64, groupDepth = 16;

/// What one thread brings, and where its results go.
struct ProductCall {
  uint32_t columns, flags; ///< lathe_product_flags
  uint64_t left, right;    ///< descriptors
  const float *sums;
  float *result;
};

/// What a thread waits for with its warp: all groups of products but the last ones, and the sums
/// that it wants.
struct ProductWait {
  uint32_t groups, count;
  float *sums;
};

/// What products of a warpgroup add to, one after the other.
struct Accumulator {
  size_t first; ///< The group's first thread.
  uint32_t columns;
  std::vector<uint32_t> numbers; ///< of those products
  std::vector<float> sums;       ///< row by row
};

/// One under way.
struct Product {
  size_t first;
  uint32_t columns, flags;
  Accumulator *to;
  std::vector<uint32_t> left, right;         ///< Where the numbers are in shared memory.
  std::vector<float> leftNumbers;            ///< Or these, which were in registers.
  std::array<uint32_t, groupThreads> groups; ///< Of each thread; `waited` behind its wait.
  uint32_t threads;                          ///< That have not waited for it.
  uint32_t order;                            ///< Of the products of the block, from 1.
  bool isDone;
  static constexpr uint32_t waited = UINT32_MAX;
};

/// Where a matrix lies, by its descriptor.
struct SharedMatrix {
  uint64_t start, leading, stride, baseOffset, swizzle;
  explicit SharedMatrix(uint64_t descriptor);
  /// Of row or column `across`, number `depth` of those added up.
  uint64_t find(uint32_t across, uint32_t depth, bool isTransposed) const;
};

/// Of a thread of the group, the row and column of sum number `i`.
void findSum(uint32_t thread, uint32_t i, uint32_t &row, uint32_t &column);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_PRODUCTS_H
