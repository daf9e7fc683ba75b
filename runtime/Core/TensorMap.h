// Tensor maps of a launch, whatever makes them. Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_TENSORMAP_H
#define LATHE_RUNTIME_CORE_TENSORMAP_H

#include "lathe/ArtifactFormat.h"

#include <cstddef>

namespace lathe::runtime {

/// A tensor whose place and sizes are known.
struct TensorMap {
  uint64_t address;
  uint32_t dtype, elementBytes, rank, swizzle;
  uint64_t sizes[LATHE_MAP_RANK];
  uint64_t strides[LATHE_MAP_RANK]; ///< In bytes.
  uint32_t box[LATHE_MAP_RANK];

  /// Without elements there is nothing to copy, and no map.
  bool isEmpty() const;
};

/// What is wrong with a map of a kernel that has `argCount` parameters, whatever these are; null:
/// nothing.
const char *checkTensorMap(const lathe_tensor_map &map, uint32_t argCount);

/// Fills `result` with the numbers of a launch. False where a device cannot have such a map, and
/// `why` says what is wrong, terminated.
bool resolveTensorMap(const lathe_tensor_map &map, const uint64_t *args, TensorMap &result,
                      char *why, size_t capacity);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_TENSORMAP_H
