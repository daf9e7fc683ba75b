// Values with strides and alignment of the caller's choice, and copying between layouts.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Layout.h"
#include "runtime/Core/Options.h"
#include "runtime/Core/Value.h"

using namespace lathe::runtime;

namespace {

constexpr uint64_t maxAlignment = uint64_t(1) << 20;

// The addresses that a tensor's elements take, in elements from the first: [low, high].
struct Extent {
  int64_t low = 0, high = 0;
};

// False where the elements reach further than any memory does.
bool findExtent(const lathe_value &value, Extent &extent) {
  extent = Extent();
  for (uint32_t d = 0; d < value.rank; ++d) {
    int64_t reach;
    if (value.dims[d] == 0) {
      extent = Extent();
      return true;
    }
    if (__builtin_mul_overflow(value.dims[d] - 1, value.strides[d], &reach) || reach >= maxBytes ||
        reach <= -maxBytes)
      return false;
    (reach < 0 ? extent.low : extent.high) += reach;
  }
  int64_t bytes = lathe_dtype_bits(value.dtype) / 8;
  int64_t count = extent.high - extent.low + 1;
  return count < maxBytes / (bytes ? bytes : 1);
}

int32_t readLayout(const lathe_value_layout *given, lathe_value_layout &layout,
                   lathe_status *status) {
  if (int32_t code = readOptions(given, "lathe_value_layout", offsetof(lathe_value_layout, strides),
                                 layout, status))
    return code;
  if (layout.device >= lathe_device_count())
    return fail(status, LATHE_STATUS_ARGUMENT, "device %u does not exist; there are %u",
                layout.device, lathe_device_count());
  if ((layout.alignment & (layout.alignment - 1)) || layout.alignment > maxAlignment)
    return fail(status, LATHE_STATUS_ARGUMENT, "alignment %llu is no power of two up to %llu",
                static_cast<unsigned long long>(layout.alignment),
                static_cast<unsigned long long>(maxAlignment));
  return LATHE_STATUS_OK;
}

// Takes the caller's strides over into a contiguous value and finds what they span.
int32_t applyStrides(lathe_value &value, const int64_t *strides, Extent &extent,
                     lathe_status *status) {
  if (strides) {
    if (lathe_dtype_bits(value.dtype) < 8 || value.kind != LATHE_VALUE_TENSOR)
      return fail(status, LATHE_STATUS_ARGUMENT, "elements of %s take no strides",
                  dtypeName(value.dtype));
    memcpy(value.strides, strides, value.rank * sizeof(int64_t));
  }
  if (!findExtent(value, extent))
    return fail(status, LATHE_STATUS_ARGUMENT, "strides %s reach too far for dims %s",
                DimsText(value.rank, value.strides).text, DimsText(value.rank, value.dims).text);
  return LATHE_STATUS_OK;
}

template <typename T>
void copyRow(const char *from, int64_t fromStride, char *to, int64_t toStride, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    memcpy(to + i * toStride * int64_t(sizeof(T)), from + i * fromStride * int64_t(sizeof(T)),
           sizeof(T));
}

// The elements of c128.
struct Sixteen {
  uint64_t low, high;
};

} // namespace

void lathe::runtime::copyElements(const lathe_value &from, const lathe_value &to) {
  int64_t elements = countElements(from.dtype, from.rank, from.dims);
  if (elements <= 0)
    return;
  int64_t bytes = lathe_dtype_bits(from.dtype) / 8;
  uint32_t last = from.rank ? from.rank - 1 : 0;
  int64_t row = from.rank ? from.dims[last] : 1;
  int64_t fromStride = from.rank ? from.strides[last] : 1;
  int64_t toStride = from.rank ? to.strides[last] : 1;
  bool whole = row == 1 || (fromStride == 1 && toStride == 1);
  int64_t index[LATHE_MAX_RANK] = {};
  for (int64_t done = 0; done < elements; done += row) {
    int64_t fromOffset = 0, toOffset = 0;
    for (uint32_t d = 0; d < last; ++d) {
      fromOffset += index[d] * from.strides[d];
      toOffset += index[d] * to.strides[d];
    }
    const char *source = static_cast<const char *>(from.data) + fromOffset * bytes;
    char *target = static_cast<char *>(to.data) + toOffset * bytes;
    if (whole)
      memcpy(target, source, row * bytes);
    else if (bytes == 1)
      copyRow<uint8_t>(source, fromStride, target, toStride, row);
    else if (bytes == 2)
      copyRow<uint16_t>(source, fromStride, target, toStride, row);
    else if (bytes == 4)
      copyRow<uint32_t>(source, fromStride, target, toStride, row);
    else if (bytes == 8)
      copyRow<uint64_t>(source, fromStride, target, toStride, row);
    else
      copyRow<Sixteen>(source, fromStride, target, toStride, row);
    for (uint32_t d = last; d-- > 0;) {
      if (++index[d] < from.dims[d])
        break;
      index[d] = 0;
    }
  }
}

int32_t lathe_value_borrow_layout(lathe_value *value, uint32_t dtype, uint32_t rank,
                                  const int64_t *dims, const lathe_value_layout *given, void *data,
                                  lathe_status *status) {
  if (!value)
    return fail(status, LATHE_STATUS_ARGUMENT, "value is NULL");
  lathe_value_layout layout;
  lathe_value result;
  Extent extent;
  if (int32_t code = readLayout(given, layout, status))
    return code;
  if (int32_t code = lathe_value_borrow(&result, dtype, rank, dims, data, status))
    return code;
  if (int32_t code = applyStrides(result, layout.strides, extent, status))
    return code;
  if (layout.alignment && reinterpret_cast<uint64_t>(data) % layout.alignment)
    return fail(status, LATHE_STATUS_LAYOUT, "the data is not aligned to %llu bytes",
                static_cast<unsigned long long>(layout.alignment));
  result.device = layout.device;
  *value = result;
  return succeed(status);
}

int32_t lathe_value_create_layout(lathe_value *value, uint32_t dtype, uint32_t rank,
                                  const int64_t *dims, const lathe_value_layout *given,
                                  lathe_status *status) {
  if (!value)
    return fail(status, LATHE_STATUS_ARGUMENT, "value is NULL");
  lathe_value_layout layout;
  lathe_value result;
  Extent extent;
  if (int32_t code = readLayout(given, layout, status))
    return code;
  if (stateOf(layout.allocator) == AllocatorState::Partial)
    return fail(status, LATHE_STATUS_ARGUMENT, "the allocator lacks allocate or release");
  if (int32_t code = lathe_value_borrow(&result, dtype, rank, dims, nullptr, status))
    return code;
  if (int32_t code = applyStrides(result, layout.strides, extent, status))
    return code;
  if (extent.low < 0)
    return fail(status, LATHE_STATUS_ARGUMENT, "strides %s of new memory are negative",
                DimsText(rank, result.strides).text);
  bool empty = countElements(dtype, rank, dims) == 0;
  uint64_t bytes = empty ? 0 : countBytes(dtype, extent.high + 1);
  bool ownAllocator = stateOf(layout.allocator) == AllocatorState::Given;
  result.data =
      allocateOwned(ownAllocator ? layout.allocator : defaultAllocator, bytes, layout.alignment);
  if (!result.data)
    return fail(status, LATHE_STATUS_MEMORY, "%llu bytes for a value could not be allocated",
                static_cast<unsigned long long>(bytes));
  memset(result.data, 0, bytes);
  result.device = layout.device | LATHE_VALUE_OWNED;
  *value = result;
  return succeed(status);
}

int32_t lathe_value_copy(const lathe_value *from, const lathe_value *to, lathe_status *status) {
  if (!from || !to)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", from ? "to" : "from");
  if (from->kind != LATHE_VALUE_TENSOR || to->kind != LATHE_VALUE_TENSOR ||
      from->dtype != to->dtype)
    return fail(status, LATHE_STATUS_TYPE, "a %s of %s cannot be copied to a %s of %s",
                kindName(from->kind), dtypeName(from->dtype), kindName(to->kind),
                dtypeName(to->dtype));
  int64_t elements = lathe_value_elements(from);
  bool same = elements >= 0 && from->rank == to->rank;
  for (uint32_t d = 0; same && d < from->rank; ++d)
    same = from->dims[d] == to->dims[d];
  if (!same)
    return fail(status, LATHE_STATUS_SHAPE, "dims %s cannot be copied to dims %s",
                DimsText(from->rank, from->dims).text, DimsText(to->rank, to->dims).text);
  if (!elements)
    return succeed(status);
  lathe_value copies[2] = {*from, *to};
  uint64_t begin[2], end[2];
  bool packed = lathe_dtype_bits(from->dtype) < 8;
  int64_t bytes = packed ? 1 : lathe_dtype_bits(from->dtype) / 8;
  for (int i = 0; i < 2; ++i) {
    lathe_value &value = copies[i];
    Extent extent;
    bool contiguous = isContiguous(value);
    if (contiguous)
      setStrides(value); // they may all be zero
    if (!value.data || (value.device & ~LATHE_VALUE_OWNED) || (packed && !contiguous) ||
        !findExtent(value, extent))
      return fail(status, LATHE_STATUS_LAYOUT,
                  "%s: its data is NULL or on a device, or its strides %s do not fit its dims %s",
                  i ? "to" : "from", DimsText(value.rank, value.strides).text,
                  DimsText(value.rank, value.dims).text);
    if (packed)
      extent.high = countBytes(value.dtype, elements) - 1;
    begin[i] = reinterpret_cast<uint64_t>(value.data) + extent.low * bytes;
    end[i] = reinterpret_cast<uint64_t>(value.data) + (extent.high + 1) * bytes;
  }
  if (begin[0] < end[1] && begin[1] < end[0])
    return fail(status, LATHE_STATUS_LAYOUT, "the tensors share memory");
  if (packed)
    memcpy(to->data, from->data, end[0] - begin[0]);
  else
    copyElements(copies[0], copies[1]);
  return succeed(status);
}
