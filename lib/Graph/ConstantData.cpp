// The bytes of constants, and copies of them in another order.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/ConstantData.h"
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"

using namespace mlir;
using namespace lathe::graph;

unsigned lathe::graph::getElementBytes(Type type) {
  if (!type.isIntOrFloat())
    return 0;
  unsigned bits = type.getIntOrFloatBitWidth();
  return bits == 1 ? 1 : bits % 8 ? 0 : bits / 8;
}

std::optional<int64_t> lathe::graph::getBytes(RankedTensorType type) {
  if (!type || !type.hasStaticShape() || !getElementBytes(type.getElementType()))
    return std::nullopt;
  std::optional<uint64_t> bytes = getStorageBytes(type);
  return bytes && *bytes < (uint64_t(1) << 40) ? std::optional<int64_t>(*bytes) : std::nullopt;
}

bool lathe::graph::load(Value value, Data &data) {
  TypedAttr attr = getConstantValue(value);
  if (!attr || !isa<DenseElementsAttr, WeightAttr>(attr))
    return false;
  data.type = dyn_cast<RankedTensorType>(attr.getType());
  std::optional<int64_t> bytes = getBytes(data.type);
  if (!bytes)
    return false;
  data.bytes = getConstantBytes(attr, data.storage);
  return int64_t(data.bytes.size()) == *bytes;
}

SmallVector<int64_t> lathe::graph::getStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

SmallVector<int64_t> lathe::graph::getBroadcastStrides(ArrayRef<int64_t> shape,
                                                       ArrayRef<int64_t> target) {
  SmallVector<int64_t> strides(target.size(), 0), own = getStrides(shape);
  size_t offset = target.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    strides[offset + i] = shape[i] == 1 ? 0 : own[i];
  return strides;
}

/// One plane of a transpose: out[i * outStride + j] = in[i * near + j * far], in tiles, since what
/// is near in one is far in the other, and each touched cache line should be used up.
template <typename T>
static void copyTransposed(T *out, const T *in, int64_t rows, int64_t columns, int64_t outStride,
                           int64_t near, int64_t far) {
  constexpr int64_t tile = 32;
  for (int64_t i0 = 0; i0 < rows; i0 += tile)
    for (int64_t j0 = 0; j0 < columns; j0 += tile)
      for (int64_t i = i0; i < std::min(i0 + tile, rows); ++i)
        for (int64_t j = j0; j < std::min(j0 + tile, columns); ++j)
          memcpy(out + i * outStride + j, in + i * near + j * far, sizeof(T));
}

template <typename T>
static void copyStrided(T *out, const T *in, ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
                        int64_t start) {
  // A dimension that is nearer together in the source than the last of the result makes a
  // transpose.
  int64_t last = int64_t(shape.size()) - 1, near = -1;
  for (int64_t dim = 0; dim < last; ++dim)
    if (strides[dim] > 0 && strides[dim] < strides[last] && shape[dim] >= 4 &&
        (near < 0 || strides[dim] < strides[near]))
      near = dim;
  if (near < 0 || shape[last] < 4)
    return forEach(shape, strides, start, [&](int64_t offset) {
      memcpy(out++, in + offset, sizeof(T)); // sources may be unaligned
    });
  SmallVector<int64_t> outerShape, inStrides, outStrides, dense = getStrides(shape);
  for (int64_t dim = 0; dim < last; ++dim)
    if (dim != near) {
      outerShape.push_back(shape[dim]);
      inStrides.push_back(strides[dim]);
      outStrides.push_back(dense[dim]);
    }
  SmallVector<int64_t> sources;
  forEach(outerShape, inStrides, start, [&](int64_t offset) { sources.push_back(offset); });
  size_t plane = 0;
  forEach(outerShape, outStrides, 0, [&](int64_t offset) {
    copyTransposed(out + offset, in + sources[plane++], shape[near], shape[last], dense[near],
                   strides[near], strides[last]);
  });
}

SmallVector<char> lathe::graph::gatherStrided(const Data &from, ArrayRef<int64_t> shape,
                                              ArrayRef<int64_t> strides, int64_t start,
                                              int64_t bytes) {
  unsigned width = getElementBytes(from.type.getElementType());
  SmallVector<char> result;
  result.resize_for_overwrite(bytes);
  if (llvm::is_contained(shape, 0))
    return result;
  char *out = result.data();
  const char *in = from.bytes.data();
  auto copy = [&]<typename T>(T) {
    copyStrided(reinterpret_cast<T *>(out), reinterpret_cast<const T *>(in), shape, strides, start);
  };
  switch (width) {
  case 1:
    copy(uint8_t());
    break;
  case 2:
    copy(uint16_t());
    break;
  case 4:
    copy(uint32_t());
    break;
  case 8:
    copy(uint64_t());
    break;
  default:
    forEach(shape, strides, start, [&](int64_t offset) {
      memcpy(out, in + offset * width, width);
      out += width;
    });
  }
  return result;
}
