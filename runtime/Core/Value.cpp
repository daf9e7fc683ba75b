// Values: element types, layout, ownership.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Value.h"
#include "runtime/Core/OwnedBlocks.h"
#include "runtime/Core/Status.h"

#include <cstring>
#include <sys/mman.h>

using namespace lathe::runtime;

namespace {

struct DtypeInfo {
  const char *name;
  uint32_t bits;
};

// Indexed by dtype.
constexpr DtypeInfo dtypes[] = {
    {nullptr, 0},      {"f32", 32},  {"u8", 8},       {"i8", 8},         {"u16", 16},
    {"i16", 16},       {"i32", 32},  {"i64", 64},     {"string", 128},   {"bool", 8},
    {"f16", 16},       {"f64", 64},  {"u32", 32},     {"u64", 64},       {"c64", 64},
    {"c128", 128},     {"bf16", 16}, {"f8e4m3fn", 8}, {"f8e4m3fnuz", 8}, {"f8e5m2", 8},
    {"f8e5m2fnuz", 8}, {"u4", 4},    {"i4", 4},       {"f4e2m1", 4},     {"f8e8m0", 8},
    {"u2", 2},         {"i2", 2},
};
constexpr uint32_t dtypeCount = sizeof(dtypes) / sizeof(dtypes[0]);
static_assert(dtypeCount == LATHE_I2 + 1);

// Stands before the data of an owned value; with a larger alignment there is a gap before it.
struct alignas(LATHE_ALIGNMENT) OwnedHeader {
  lathe_allocator allocator;
  void *memory;
  uint64_t bytes;
};
static_assert(sizeof(OwnedHeader) == LATHE_ALIGNMENT);

// One fault of 2 MiB takes the place of 512, and the TLB of the processor reaches further.
constexpr uint64_t hugePage = uint64_t(2) << 20;

void *allocateAligned(void *, uint64_t bytes, uint64_t alignment) {
  void *memory = nullptr;
  bool huge = bytes >= hugePage;
  if (posix_memalign(&memory, huge && alignment < hugePage ? hugePage : alignment, bytes))
    return nullptr;
  // Whole ones only: what is left at the end would hold memory that nobody asked for. Where the
  // system refuses, pages stay small.
  if (huge)
    (void)madvise(memory, bytes / hugePage * hugePage, MADV_HUGEPAGE);
  return memory;
}

void freeAligned(void *, void *memory, uint64_t) { free(memory); }

bool isTensor(const lathe_value *value) {
  return value && (value->kind == LATHE_VALUE_TENSOR || value->kind == LATHE_VALUE_STRINGS) &&
         value->rank <= LATHE_MAX_RANK && value->dtype < dtypeCount && dtypes[value->dtype].bits;
}

int32_t fillTensor(lathe_value &value, uint32_t dtype, uint32_t rank, const int64_t *dims,
                   lathe_status *status) {
  if (!lathe_dtype_bits(dtype))
    return fail(status, LATHE_STATUS_ARGUMENT, "%u is no dtype", dtype);
  if (rank > LATHE_MAX_RANK)
    return fail(status, LATHE_STATUS_ARGUMENT, "rank %u is over the limit of %u", rank,
                LATHE_MAX_RANK);
  if (rank && !dims)
    return fail(status, LATHE_STATUS_ARGUMENT, "dims is NULL for a tensor of rank %u", rank);
  if (countElements(dtype, rank, dims) < 0)
    return fail(status, LATHE_STATUS_ARGUMENT, "dims %s are negative or too large",
                DimsText(rank, dims).text);
  value = lathe_value();
  value.kind = dtype == LATHE_STRING ? LATHE_VALUE_STRINGS : LATHE_VALUE_TENSOR;
  value.dtype = dtype;
  value.rank = rank;
  for (uint32_t i = 0; i < rank; ++i)
    value.dims[i] = dims[i];
  setStrides(value);
  return succeed(status);
}

} // namespace

const lathe_allocator lathe::runtime::defaultAllocator = {nullptr, allocateAligned, freeAligned};

int64_t lathe::runtime::countElements(uint32_t dtype, uint32_t rank, const int64_t *dims) {
  int64_t elements = 1, extent = 1; // extent: zeros count as ones
  int64_t limit = maxBytes / (lathe_dtype_bits(dtype) >= 8 ? lathe_dtype_bits(dtype) / 8 : 1);
  for (uint32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0 || __builtin_mul_overflow(extent, dims[i] ? dims[i] : 1, &extent) ||
        extent >= limit)
      return -1;
    elements *= dims[i];
  }
  return elements;
}

int64_t lathe::runtime::countBytes(uint32_t dtype, int64_t elements) {
  int64_t bits = lathe_dtype_bits(dtype);
  return bits >= 8 ? elements * (bits / 8) : (elements * bits + 7) / 8;
}

void lathe::runtime::setStrides(lathe_value &value) {
  int64_t stride = 1;
  for (uint32_t i = value.rank; i-- > 0;) {
    value.strides[i] = stride;
    stride *= value.dims[i] ? value.dims[i] : 1;
  }
}

uint64_t lathe::runtime::elementAlignment(uint32_t dtype) {
  uint64_t bytes = lathe_dtype_bits(dtype) / 8;
  if (dtype == LATHE_C64)
    return 4;
  return bytes > 8 ? 8 : bytes ? bytes : 1;
}

bool lathe::runtime::isContiguous(const lathe_value &value) {
  bool allZero = true, rowMajor = true;
  int64_t stride = 1;
  for (uint32_t i = value.rank; i-- > 0;) {
    if (value.dims[i] == 0)
      return true;
    allZero &= value.strides[i] == 0;
    rowMajor &= value.dims[i] == 1 || value.strides[i] == stride;
    stride *= value.dims[i];
  }
  return allZero || rowMajor;
}

bool lathe::runtime::isAlive(const lathe_value &value) {
  int64_t bytes = lathe_value_bytes(&value);
  return !(value.device & LATHE_VALUE_OWNED) || !value.data || bytes < 0 ||
         isOwnedBlock(value.data, bytes);
}

namespace {

uint64_t alignUp(uint64_t bytes) {
  return (bytes + LATHE_ALIGNMENT - 1) & -uint64_t(LATHE_ALIGNMENT);
}

bool addTo(uint64_t &sum, uint64_t bytes) {
  return bytes <= uint64_t(maxBytes) && (sum += alignUp(bytes)) <= uint64_t(maxBytes);
}

// Each piece begins at LATHE_ALIGNMENT.
bool addCopied(const lathe_value &value, uint64_t &sum) {
  if (isContainer(value.kind)) {
    const auto *items = static_cast<const lathe_value *>(value.data);
    if (!addTo(sum, uint64_t(value.dims[0]) * sizeof(lathe_value)))
      return false;
    for (int64_t i = 0; i < value.dims[0]; ++i)
      if (!addCopied(items[i], sum))
        return false;
    return true;
  }
  int64_t elements = countElements(value.dtype, value.rank, value.dims);
  if (elements < 0)
    return false;
  uint64_t bytes = countBytes(value.dtype, elements);
  const auto *strings = static_cast<const lathe_string *>(value.data);
  for (int64_t i = 0; value.dtype == LATHE_STRING && i < elements; ++i)
    if (__builtin_add_overflow(bytes, strings[i].size, &bytes))
      return false;
  return addTo(sum, bytes);
}

} // namespace

uint64_t lathe::runtime::copiedBytes(const lathe_value &value) {
  uint64_t sum = 0;
  return addCopied(value, sum) ? sum : UINT64_MAX;
}

char *lathe::runtime::copyInto(const lathe_value &value, char *memory, lathe_value &copy) {
  copy = value;
  copy.device = 0;
  copy.data = memory;
  if (isContainer(value.kind)) {
    auto *items = reinterpret_cast<lathe_value *>(memory);
    memory += alignUp(uint64_t(value.dims[0]) * sizeof(lathe_value));
    for (int64_t i = 0; i < value.dims[0]; ++i)
      memory = copyInto(static_cast<const lathe_value *>(value.data)[i], memory, items[i]);
    return memory;
  }
  setStrides(copy);
  int64_t elements = countElements(value.dtype, value.rank, value.dims);
  uint64_t bytes = countBytes(value.dtype, elements);
  if (value.dtype != LATHE_STRING) {
    if (bytes)
      memcpy(memory, value.data, bytes);
    return memory + alignUp(bytes);
  }
  // The table of strings, and behind it their bytes.
  const auto *from = static_cast<const lathe_string *>(value.data);
  auto *table = reinterpret_cast<lathe_string *>(memory);
  char *text = memory + bytes;
  for (int64_t i = 0; i < elements; ++i) {
    if (from[i].size)
      memcpy(text, from[i].data, from[i].size);
    table[i] = {text, from[i].size};
    text += from[i].size;
  }
  return memory + alignUp(uint64_t(text - memory));
}

const char *lathe::runtime::kindName(uint32_t kind) {
  static constexpr const char *names[] = {"none",     "tensor", "sequence",
                                          "optional", "map",    "string tensor"};
  return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown kind";
}

const char *lathe::runtime::dtypeName(uint32_t dtype) {
  const char *name = lathe_dtype_name(dtype);
  return name ? name : "unknown dtype";
}

DimsText::DimsText(uint32_t rank, const int64_t *dims) {
  TextBuilder builder(text, sizeof(text));
  builder.add("[");
  for (uint32_t i = 0; i < rank && i < LATHE_MAX_RANK; ++i) {
    builder.add(i ? ", " : "");
    if (dims[i] == LATHE_DYNAMIC)
      builder.add("?");
    else
      builder.add("%lld", static_cast<long long>(dims[i]));
  }
  builder.add("]");
}

uint64_t lathe::runtime::ownedBytes(uint64_t bytes) {
  return sizeof(OwnedHeader) + (bytes ? bytes : 1);
}

void *lathe::runtime::allocateOwned(const lathe_allocator &allocator, uint64_t bytes,
                                    uint64_t alignment) {
  if (bytes > uint64_t(maxBytes))
    return nullptr;
  if (alignment < LATHE_ALIGNMENT)
    alignment = LATHE_ALIGNMENT;
  uint64_t gap = alignment - sizeof(OwnedHeader), total = gap + ownedBytes(bytes);
  void *memory = allocator.allocate(allocator.user, total, alignment);
  if (!memory)
    return nullptr;
  auto *header = reinterpret_cast<OwnedHeader *>(static_cast<char *>(memory) + gap);
  *header = {allocator, memory, total};
  if (!addOwnedBlock(header + 1, total - gap - sizeof(OwnedHeader))) {
    allocator.release(allocator.user, memory, total);
    return nullptr;
  }
  return header + 1;
}

void lathe::runtime::releaseOwned(void *data) {
  if (removeOwnedBlock(data))
    freeOwned(data);
}

void lathe::runtime::freeOwned(void *data) {
  OwnedHeader *header = static_cast<OwnedHeader *>(data) - 1;
  OwnedHeader copy = *header;
  copy.allocator.release(copy.allocator.user, copy.memory, copy.bytes);
}

const char *lathe_dtype_name(uint32_t dtype) {
  return dtype < dtypeCount ? dtypes[dtype].name : nullptr;
}

uint32_t lathe_dtype_bits(uint32_t dtype) { return dtype < dtypeCount ? dtypes[dtype].bits : 0; }

uint32_t lathe_dtype_find(const char *name) {
  for (uint32_t i = 1; name && i < dtypeCount; ++i)
    if (!strcmp(name, dtypes[i].name))
      return i;
  return 0;
}

int32_t lathe_value_borrow(lathe_value *value, uint32_t dtype, uint32_t rank, const int64_t *dims,
                           void *data, lathe_status *status) {
  if (!value)
    return fail(status, LATHE_STATUS_ARGUMENT, "value is NULL");
  int32_t code = fillTensor(*value, dtype, rank, dims, status);
  if (code == LATHE_STATUS_OK)
    value->data = data;
  return code;
}

int32_t lathe_value_create(lathe_value *value, uint32_t dtype, uint32_t rank, const int64_t *dims,
                           const lathe_allocator *allocator, lathe_status *status) {
  if (!value)
    return fail(status, LATHE_STATUS_ARGUMENT, "value is NULL");
  if (allocator && stateOf(*allocator) != AllocatorState::Given)
    return fail(status, LATHE_STATUS_ARGUMENT, "the allocator lacks allocate or release");
  lathe_value result = {};
  int32_t code = fillTensor(result, dtype, rank, dims, status);
  if (code != LATHE_STATUS_OK)
    return code;
  uint64_t bytes = lathe_value_bytes(&result);
  result.data = allocateOwned(allocator ? *allocator : defaultAllocator, bytes);
  if (!result.data)
    return fail(status, LATHE_STATUS_MEMORY, "%llu bytes for a value could not be allocated",
                static_cast<unsigned long long>(bytes));
  memset(result.data, 0, bytes);
  result.device = LATHE_VALUE_OWNED;
  *value = result;
  return LATHE_STATUS_OK;
}

int32_t lathe_value_borrow_items(lathe_value *value, uint32_t kind, int64_t count,
                                 lathe_value *items, lathe_status *status) {
  if (!value || (count && !items))
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", value ? "items" : "value");
  lathe_value result = {};
  result.kind = kind;
  result.rank = 1;
  result.dims[0] = count;
  result.strides[0] = 1;
  result.data = items;
  if (!isContainer(kind))
    return fail(status, LATHE_STATUS_ARGUMENT, "a %s holds no items", kindName(kind));
  if (count < 0 || (kind == LATHE_VALUE_OPTIONAL && count > 1) ||
      (kind == LATHE_VALUE_MAP && count != 2))
    return fail(status, LATHE_STATUS_ARGUMENT, "a %s cannot hold %lld items", kindName(kind),
                static_cast<long long>(count));
  *value = result;
  return succeed(status);
}

void lathe_value_release(lathe_value *value) {
  if (!value)
    return;
  if ((value->device & LATHE_VALUE_OWNED) && value->data)
    releaseOwned(value->data);
  *value = lathe_value();
}

int64_t lathe_value_elements(const lathe_value *value) {
  return isTensor(value) ? countElements(value->dtype, value->rank, value->dims) : -1;
}

int64_t lathe_value_bytes(const lathe_value *value) {
  int64_t elements = lathe_value_elements(value);
  return elements < 0 ? -1 : countBytes(value->dtype, elements);
}

int32_t lathe_value_contiguous(const lathe_value *value) {
  return lathe_value_elements(value) >= 0 && isContiguous(*value);
}
