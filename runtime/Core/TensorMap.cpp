// What tensor maps must be like: CUDA Driver API, cuTensorMapEncodeTiled.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/TensorMap.h"

#include <cstdio>

namespace lathe::runtime {

static constexpr uint64_t maxSize = uint64_t(1) << 32, maxStride = uint64_t(1) << 40;
static constexpr uint32_t maxBox = 256, alignment = 16;

static uint32_t bytesOf(uint32_t dtype) {
  switch (dtype) {
  case LATHE_U8:
  case LATHE_I8:
  case LATHE_BOOL:
  case LATHE_F8E4M3FN:
  case LATHE_F8E5M2:
    return 1;
  case LATHE_U16:
  case LATHE_I16:
  case LATHE_F16:
  case LATHE_BF16:
    return 2;
  case LATHE_U32:
  case LATHE_I32:
  case LATHE_F32:
    return 4;
  case LATHE_U64:
  case LATHE_I64:
  case LATHE_F64:
    return 8;
  default:
    return 0;
  }
}

static bool isKnown(const lathe_launch_size &size, uint32_t argCount) {
  for (uint32_t factor : size.factors)
    if (factor >= argCount)
      return false;
  return true;
}

const char *checkTensorMap(const lathe_tensor_map &map, uint32_t argCount) {
  uint64_t elementBytes = bytesOf(map.dtype);
  if (!elementBytes || map.rank < 1 || map.rank > LATHE_MAP_RANK)
    return "the dtype or rank of a tensor map is out of range";
  if (map.buffer < 1 || map.buffer >= argCount)
    return "the buffer of a tensor map is out of range";
  if (map.swizzle != 0 && map.swizzle != 32 && map.swizzle != 64 && map.swizzle != 128)
    return "the swizzle of a tensor map is out of range";
  for (uint32_t i = 0; i < map.rank; ++i) {
    if (map.box[i] < 1 || map.box[i] > maxBox)
      return "the box of a tensor map is out of range";
    if (!isKnown(map.sizes[i], argCount) || !isKnown(map.strides[i], argCount))
      return "a size or stride of a tensor map is out of range";
  }
  uint64_t row = map.box[0] * elementBytes;
  if (row % alignment || (map.swizzle && row != map.swizzle))
    return "the rows of a tensor map's box are out of range";
  return nullptr;
}

bool TensorMap::isEmpty() const {
  for (uint32_t i = 0; i < rank; ++i)
    if (!sizes[i])
      return true;
  return false;
}

// What is too much is UINT64_MAX.
static uint64_t valueOf(const lathe_launch_size &size, const uint64_t *args) {
  uint64_t value = size.constant;
  for (uint32_t factor : size.factors) {
    if (!factor)
      break;
    if (__builtin_mul_overflow(value, args[factor], &value))
      return UINT64_MAX;
  }
  return value;
}

bool resolveTensorMap(const lathe_tensor_map &map, const uint64_t *args, TensorMap &result,
                      char *why, size_t capacity) {
  result = TensorMap();
  result.address = args[map.buffer] + map.offset;
  result.dtype = map.dtype;
  result.elementBytes = bytesOf(map.dtype);
  result.rank = map.rank;
  result.swizzle = map.swizzle;
  auto text = [](uint64_t number) { return static_cast<unsigned long long>(number); };
  for (uint32_t i = 0; i < map.rank; ++i) {
    result.box[i] = map.box[i];
    result.sizes[i] = valueOf(map.sizes[i], args);
    if (result.sizes[i] > maxSize) {
      snprintf(why, capacity, "dimension %u has %llu elements, more than 2^32", i,
               text(result.sizes[i]));
      return false;
    }
  }
  if (result.isEmpty())
    return true;
  if (result.address % alignment) {
    snprintf(why, capacity, "the tensor begins at 0x%llx, which is no multiple of %u",
             text(result.address), alignment);
    return false;
  }
  result.strides[0] = result.elementBytes;
  for (uint32_t i = 1; i < map.rank; ++i) {
    uint64_t stride = valueOf(map.strides[i], args);
    // Of a dimension with one element nobody goes on to the next.
    if (result.sizes[i] == 1)
      stride = alignment / result.elementBytes;
    if (!stride || stride >= maxStride / result.elementBytes ||
        stride * result.elementBytes % alignment) {
      snprintf(
          why, capacity,
          "dimension %u has a stride of %llu elements of %u bytes, which must be a multiple of "
          "%u bytes below 2^40",
          i, text(stride), result.elementBytes, alignment);
      return false;
    }
    result.strides[i] = stride * result.elementBytes;
  }
  return true;
}

} // namespace lathe::runtime
