// Sequences, optionals and maps: lists of values that never change. An operation on one makes
// another, which shares the data of the items.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Text.h"

using namespace lathe::builtins;

extern "C" void *memcpy(void *, const void *, usize);

namespace {

/// Stands before the items of a list that the run made, with room for more behind them: a list that
/// ends where the used ones do grows without a copy, so that a loop that appends n items takes time
/// in proportion to n.
struct Room {
  u64 capacity, used;
};

/// In lathe_value.device: the items have a Room. The runtime lets no caller set it.
constexpr u32 hasRoom = 0x40000000;

const lathe_value *valueOf(const lathe_value &operand) {
  return static_cast<const lathe_value *>(operand.data);
}

lathe_value *itemsOf(const lathe_value &list) { return static_cast<lathe_value *>(list.data); }

Room *roomOf(const lathe_value &list) {
  return list.device & hasRoom ? static_cast<Room *>(list.data) - 1 : nullptr;
}

u32 bitsOfType(i64 dtype) {
  switch (dtype) {
  case LATHE_U2:
  case LATHE_I2:
    return 2;
  case LATHE_U4:
  case LATHE_I4:
  case LATHE_F4E2M1:
    return 4;
  case LATHE_U16:
  case LATHE_I16:
  case LATHE_F16:
  case LATHE_BF16:
    return 16;
  case LATHE_F32:
  case LATHE_I32:
  case LATHE_U32:
    return 32;
  case LATHE_I64:
  case LATHE_F64:
  case LATHE_U64:
  case LATHE_C64:
    return 64;
  case LATHE_STRING:
  case LATHE_C128:
    return 128;
  default:
    return 8;
  }
}

/// Bytes of an element inside of a program, where none shares its byte.
u64 bytesOfType(i64 dtype) { return bitsOfType(dtype) < 8 ? 1 : bitsOfType(dtype) / 8; }

void packBytes(const unsigned char *from, i64 count, u32 bits, unsigned char *to) {
  u32 perByte = 8 / bits, mask = (1u << bits) - 1;
  for (i64 i = 0; i < count; i += perByte) {
    u32 byte = 0;
    for (u32 k = 0; k < perByte && i + k < count; ++k)
      byte |= (from[i + k] & mask) << (k * bits);
    *to++ = static_cast<unsigned char>(byte);
  }
}

void unpackBytes(const unsigned char *from, i64 count, u32 bits, bool isSigned, unsigned char *to) {
  u32 perByte = 8 / bits, mask = (1u << bits) - 1, sign = 1u << (bits - 1);
  for (i64 i = 0; i < count; ++i) {
    u32 element = (from[i / perByte] >> (i % perByte * bits)) & mask;
    to[i] = static_cast<unsigned char>(isSigned && (element & sign) ? element | ~mask : element);
  }
}

void setStrides(lathe_value &value) {
  i64 stride = 1;
  for (u32 i = value.rank; i-- > 0;) {
    value.strides[i] = stride;
    stride *= value.dims[i] ? value.dims[i] : 1;
  }
}

/// A tensor of the program, or a value, becomes an item: a copy, as its memory is used again.
bool makeItem(lathe_call *call, const lathe_value &operand, i64 dtype, lathe_value &item) {
  if (!dtype) {
    item = *valueOf(operand);
    return true;
  }
  item = lathe_value();
  item.kind = dtype == LATHE_STRING ? LATHE_VALUE_STRINGS : LATHE_VALUE_TENSOR;
  item.dtype = static_cast<u32>(dtype);
  item.rank = operand.rank;
  for (u32 i = 0; i < operand.rank; ++i)
    item.dims[i] = operand.dims[i];
  setStrides(item);
  i64 count = countElements(operand);
  u64 bytes = u64(count) * bytesOfType(dtype);
  item.data = allocate(call, bytes, 1);
  if (!item.data)
    return false;
  if (u32 bits = bitsOfType(dtype); bits < 8)
    packBytes(static_cast<unsigned char *>(operand.data), count, bits,
              static_cast<unsigned char *>(item.data));
  else if (bytes)
    memcpy(item.data, operand.data, bytes);
  return true;
}

/// A list of `count` items that are still to be set; null when memory is refused.
lathe_value *makeList(lathe_call *call, u32 kind, i64 count, i64 capacity) {
  u64 bytes;
  if (__builtin_mul_overflow(u64(capacity), sizeof(lathe_value), &bytes) ||
      __builtin_add_overflow(bytes, sizeof(lathe_value) + sizeof(Room), &bytes))
    return nullptr;
  auto *list = static_cast<lathe_value *>(allocate(call, bytes, 1));
  if (!list)
    return nullptr;
  auto *room = reinterpret_cast<Room *>(list + 1);
  *room = {u64(capacity), u64(count)};
  *list = lathe_value();
  list->kind = kind;
  list->device = hasRoom;
  list->rank = 1;
  list->dims[0] = count;
  list->strides[0] = 1;
  list->data = room + 1;
  return list;
}

/// Position `at` of a list as an index up to `last`; what does not fit is left for the message.
bool findPosition(i64 at, i64 size, i64 last, lathe_value &result, i64 &index) {
  index = at < 0 ? at + size : at;
  result.dims[0] = at;
  result.dims[1] = size;
  return index >= 0 && index <= last;
}

i64 readInteger(const lathe_value &scalar) { return *static_cast<const i64 *>(scalar.data); }

/// Whether the sizes of a result are those of its type, which has -1 where any will do.
bool fitsType(const lathe_value &result, const i64 *type) {
  for (u32 i = 0; i < result.rank; ++i)
    if (type[i] >= 0 && type[i] != result.dims[i])
      return false;
  return true;
}

} // namespace

/// A list of all operands: parameters are its kind and the dtype of each (0: a value).
LATHE_TENSOR_BUILTIN(lathe_sequence_make) {
  i64 count = parameters[1];
  lathe_value *list = makeList(call, static_cast<u32>(parameters[0]), count, count);
  if (!list)
    return LATHE_CODE_MEMORY;
  for (i64 i = 0; i < count; ++i)
    if (!makeItem(call, inputs[i], parameters[2 + i], itemsOf(*list)[i]))
      return LATHE_CODE_MEMORY;
  results[0].data = list;
  return LATHE_CODE_OK;
}

/// A sequence, an item and, where parameters[1] says so, a position.
LATHE_TENSOR_BUILTIN(lathe_sequence_insert) {
  const lathe_value &from = *valueOf(inputs[0]);
  i64 size = from.dims[0], at = size;
  if (parameters[1] && !findPosition(readInteger(inputs[2]), size, size, results[0], at))
    return LATHE_CODE_INDEX;
  lathe_value item;
  if (!makeItem(call, inputs[1], parameters[0], item))
    return LATHE_CODE_MEMORY;
  Room *room = roomOf(from);
  lathe_value *list;
  if (room && at == size && room->used == u64(size) && room->used < room->capacity) {
    list = static_cast<lathe_value *>(allocate(call, sizeof(lathe_value), 1));
    if (!list)
      return LATHE_CODE_MEMORY;
    *list = from;
    ++room->used;
  } else {
    list = makeList(call, LATHE_VALUE_SEQUENCE, size + 1, size < 4 ? 4 : 2 * size);
    if (!list)
      return LATHE_CODE_MEMORY;
    for (i64 i = 0; i < at; ++i)
      itemsOf(*list)[i] = itemsOf(from)[i];
    for (i64 i = at; i < size; ++i)
      itemsOf(*list)[i + 1] = itemsOf(from)[i];
  }
  list->dims[0] = size + 1;
  itemsOf(*list)[at] = item;
  results[0].data = list;
  return LATHE_CODE_OK;
}

/// A sequence and, where parameters[0] says so, a position.
LATHE_TENSOR_BUILTIN(lathe_sequence_erase) {
  const lathe_value &from = *valueOf(inputs[0]);
  i64 size = from.dims[0], at;
  if (!findPosition(parameters[0] ? readInteger(inputs[1]) : -1, size, size - 1, results[0], at))
    return LATHE_CODE_INDEX;
  lathe_value *list = makeList(call, LATHE_VALUE_SEQUENCE, size - 1, size - 1);
  if (!list)
    return LATHE_CODE_MEMORY;
  for (i64 i = 0; i < size - 1; ++i)
    itemsOf(*list)[i] = itemsOf(from)[i < at ? i : i + 1];
  results[0].data = list;
  return LATHE_CODE_OK;
}

/// An item of a list as a value: at a position, or, without one, number parameters[1].
LATHE_TENSOR_BUILTIN(lathe_sequence_at) {
  (void)call;
  const lathe_value &from = *valueOf(inputs[0]);
  i64 size = from.dims[0], at;
  if (!findPosition(parameters[0] ? readInteger(inputs[1]) : parameters[1], size, size - 1,
                    results[0], at))
    return LATHE_CODE_INDEX;
  results[0].data = itemsOf(from) + at;
  return LATHE_CODE_OK;
}

/// The tensor that a value is: parameters are its dtype, and its sizes, negative where any will do.
LATHE_TENSOR_BUILTIN(lathe_value_tensor) {
  const lathe_value &from = *valueOf(inputs[0]);
  i64 dtype = parameters[0];
  results[0].dims[0] = from.rank;
  results[0].dims[1] = from.dtype;
  if (from.rank != results[0].rank || from.dtype != u32(dtype))
    return LATHE_CODE_SHAPE;
  if (!fitsType(from, parameters + 1))
    return LATHE_CODE_SHAPE;
  for (u32 i = 0; i < from.rank; ++i)
    results[0].dims[i] = from.dims[i];
  results[0].data = from.data;
  u32 bits = bitsOfType(dtype);
  if (bits >= 8)
    return LATHE_CODE_OK;
  i64 count = countElements(from);
  results[0].data = allocate(call, u64(count), 1);
  if (!results[0].data)
    return LATHE_CODE_MEMORY;
  unpackBytes(static_cast<unsigned char *>(from.data), count, bits,
              dtype == LATHE_I4 || dtype == LATHE_I2,
              static_cast<unsigned char *>(results[0].data));
  return LATHE_CODE_OK;
}

/// A tensor as a value: for what does not know its rank.
LATHE_TENSOR_BUILTIN(lathe_value_of_tensor) {
  auto *value = static_cast<lathe_value *>(allocate(call, 1, sizeof(lathe_value)));
  if (!value || !makeItem(call, inputs[0], parameters[0], *value))
    return LATHE_CODE_MEMORY;
  results[0].data = value;
  return LATHE_CODE_OK;
}

LATHE_TENSOR_BUILTIN(lathe_sequence_length) {
  (void)parameters;
  auto *length = static_cast<i64 *>(allocate(call, 1, sizeof(i64)));
  if (!length)
    return LATHE_CODE_MEMORY;
  *length = valueOf(inputs[0])->dims[0];
  results[0].data = length;
  return LATHE_CODE_OK;
}

/// Parts of a tensor: parameters are its dtype, the axis, whether parts keep it, and what the
/// second input is: 0 there is none, 1 the size of each part, 2 a list of sizes.
LATHE_TENSOR_BUILTIN(lathe_sequence_split) {
  i64 dtype = parameters[0], axis = parameters[1], form = parameters[3];
  const lathe_value &data = inputs[0];
  i64 size = data.dims[axis], outer = 1, inner = i64(bytesOfType(dtype));
  for (i64 i = 0; i < axis; ++i)
    outer *= data.dims[i];
  for (u32 i = u32(axis) + 1; i < data.rank; ++i)
    inner *= data.dims[i];
  auto *sizes = static_cast<const i64 *>(form ? inputs[1].data : nullptr);
  i64 each = form == 1 ? sizes[0] : 1, count = form == 2 ? inputs[1].dims[0] : 0, sum = 0;
  for (i64 i = 0; i < count; ++i)
    if (sizes[i] < 0 || __builtin_add_overflow(sum, sizes[i], &sum))
      sum = -1, count = i;
  if (form != 2) {
    count = each > 0 ? size / each + (size % each != 0) : 0;
    sum = each > 0 ? size : each;
  }
  results[0].dims[0] = sum;
  results[0].dims[1] = size;
  if (sum != size)
    return LATHE_CODE_SHAPE;
  lathe_value *list = makeList(call, LATHE_VALUE_SEQUENCE, count, count);
  // A part of one piece is copied from where it lies.
  auto *gathered =
      static_cast<char *>(allocate(call, outer > 1 ? u64(outer * size) : 0, u64(inner)));
  if (!list || !gathered)
    return LATHE_CODE_MEMORY;
  i64 start = 0;
  for (i64 i = 0; i < count; ++i) {
    i64 length = form == 2 ? sizes[i] : each < size - start ? each : size - start;
    lathe_value part = data;
    part.dims[axis] = length;
    part.data = outer > 1 ? gathered : static_cast<char *>(data.data) + start * inner;
    for (i64 k = 0; outer > 1 && length * inner && k < outer; ++k)
      memcpy(gathered + k * length * inner,
             static_cast<char *>(data.data) + (k * size + start) * inner, u64(length * inner));
    lathe_value &item = itemsOf(*list)[i];
    if (!makeItem(call, part, dtype, item))
      return LATHE_CODE_MEMORY;
    if (!parameters[2] && form == 0) {
      --item.rank;
      for (u32 d = u32(axis); d < item.rank; ++d)
        item.dims[d] = item.dims[d + 1];
      setStrides(item);
    }
    start += length;
  }
  results[0].data = list;
  return LATHE_CODE_OK;
}

/// All items along an axis: parameters are their dtype, the axis, whether it is a new one, and the
/// sizes of the result, negative where any will do.
LATHE_TENSOR_BUILTIN(lathe_sequence_concat) {
  i64 dtype = parameters[0], axis = parameters[1];
  bool isNew = parameters[2];
  const lathe_value &from = *valueOf(inputs[0]);
  i64 count = from.dims[0], total = 0;
  lathe_value &result = results[0];
  const lathe_value *items = itemsOf(from);
  u32 rank = result.rank - isNew;
  if (count == 0) {
    result.dims[0] = 0;
    return LATHE_CODE_SHAPE;
  }
  for (i64 i = 0; i < count; ++i) {
    bool fits = items[i].rank == rank && items[i].dtype == u32(dtype);
    for (u32 d = 0; fits && d < rank; ++d)
      fits = items[i].dims[d] == items[0].dims[d] || (!isNew && d == axis);
    i64 length = fits && !isNew ? items[i].dims[axis] : 1;
    if (!fits || __builtin_add_overflow(total, length, &total)) {
      result.dims[0] = i;
      return LATHE_CODE_SHAPE;
    }
  }
  for (u32 d = 0, next = 0; d < result.rank; ++d) {
    bool along = d == axis;
    result.dims[d] = along ? total : items[0].dims[next];
    next += !(along && isNew);
  }
  if (!fitsType(result, parameters + 3)) {
    result.dims[0] = 0;
    return LATHE_CODE_SHAPE;
  }
  u64 outer = 1, inner = bytesOfType(dtype), bytes;
  for (u32 d = 0; d < result.rank; ++d)
    if (d != axis)
      (d < axis ? outer : inner) *= u64(result.dims[d]);
  if (__builtin_mul_overflow(outer * inner, u64(total), &bytes))
    return LATHE_CODE_SIZE;
  auto *to = static_cast<char *>(allocate(call, bytes, 1));
  if (!to)
    return LATHE_CODE_MEMORY;
  u32 bits = bitsOfType(dtype);
  i64 start = 0;
  for (i64 i = 0; i < count; ++i) {
    i64 length = isNew ? 1 : items[i].dims[axis], elements = countElements(items[i]);
    auto *data = static_cast<unsigned char *>(items[i].data);
    if (bits < 8) {
      auto *whole = static_cast<unsigned char *>(allocate(call, u64(elements), 1));
      if (!whole)
        return LATHE_CODE_MEMORY;
      unpackBytes(data, elements, bits, dtype == LATHE_I4 || dtype == LATHE_I2, whole);
      data = whole;
    }
    for (u64 k = 0; bytes && length && k < outer; ++k)
      memcpy(to + (k * u64(total) + u64(start)) * inner, data + k * u64(length) * inner,
             u64(length) * inner);
    start += length;
  }
  result.data = to;
  return LATHE_CODE_OK;
}

/// Makes a value an output: the runtime copies what it holds when the run has ended.
extern "C" void rt_output_value(lathe_call *call, i64 index, const lathe_value *value) {
  lathe_value output = *value;
  output.device &= ~hasRoom;
  call->outputs[index] = output;
}
