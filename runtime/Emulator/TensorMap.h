// Tensor maps as kernels see them that the emulator runs. The fake driver makes such ones, too.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_TENSORMAP_H
#define LATHE_RUNTIME_EMULATOR_TENSORMAP_H

#include "lathe/ArtifactFormat.h"

#include <cstddef>
#include <vector>

namespace lathe::emulator {

/// In place of what a driver makes of a tensor map, as large as that.
struct alignas(64) EmulatedMap {
  static constexpr uint64_t known = 0x50414d4548544c41;
  uint64_t magic;   ///< `known`; 0 where the tensor has no elements
  uint64_t address; ///< of the first element
  uint64_t sizes[LATHE_MAP_RANK];
  uint64_t strides[LATHE_MAP_RANK - 1]; ///< In bytes, of dimension 1 and following.
  uint16_t box[LATHE_MAP_RANK];
  uint8_t rank, elementBytes, swizzle;
};
static_assert(sizeof(EmulatedMap) == LATHE_MAP_BYTES);

/// Makes the tensor maps that a kernel needs, of the parameters of its launch. Where these are more
/// than it has, the addresses of maps that are made stand behind them, and it makes none. False,
/// and `why` is written, where one is none.
bool makeTensorMaps(const lathe_device_kernel &kernel, const uint64_t *args, uint32_t argCount,
                    std::vector<EmulatedMap> &maps, char *why, size_t capacity);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_TENSORMAP_H
