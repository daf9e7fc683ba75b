// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/TensorMap.h"
#include "runtime/Core/TensorMap.h"

#include <algorithm>
#include <cstdio>

namespace lathe::emulator {

using runtime::TensorMap;

static EmulatedMap encode(const TensorMap &from) {
  EmulatedMap map = {};
  if (from.isEmpty())
    return map;
  map.magic = EmulatedMap::known;
  map.address = from.address;
  std::copy_n(from.sizes, LATHE_MAP_RANK, map.sizes);
  std::copy_n(from.strides + 1, LATHE_MAP_RANK - 1, map.strides);
  std::copy_n(from.box, LATHE_MAP_RANK, map.box);
  map.rank = uint8_t(from.rank);
  map.elementBytes = uint8_t(from.elementBytes);
  map.swizzle = uint8_t(from.swizzle);
  return map;
}

bool makeTensorMaps(const lathe_device_kernel &kernel, const uint64_t *args, uint32_t argCount,
                    std::vector<EmulatedMap> &maps, char *why, size_t capacity) {
  if (argCount != kernel.arg_count)
    return true; // they have their maps
  maps.resize(kernel.tensor_map_count);
  for (uint32_t i = 0; i < kernel.tensor_map_count; ++i) {
    TensorMap map;
    char text[240];
    if (!runtime::resolveTensorMap(kernel.tensor_maps[i], args, map, text, sizeof(text))) {
      snprintf(why, capacity, "kernel '%.100s': tensor map %u: %s", kernel.name, i, text);
      return false;
    }
    maps[i] = encode(map);
  }
  return true;
}

} // namespace lathe::emulator
