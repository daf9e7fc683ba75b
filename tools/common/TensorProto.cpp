// Values in ONNX's protobuf messages: TensorProto, SequenceProto, OptionalProto, MapProto.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/TensorProto.h"
#include "tools/common/Support.h"

#include <cstring>
#include <limits>

namespace lathe::tools {

namespace {

enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// Field numbers of TensorProto.
enum TensorField {
  Dims = 1,
  DataType = 2,
  FloatData = 4,
  Int32Data = 5,
  StringData = 6,
  Int64Data = 7,
  RawData = 9,
  DoubleData = 10,
  Uint64Data = 11,
  ExternalData = 13,
  DataLocation = 14
};

/// Sequences may hold sequences; files that nest deeper are refused.
constexpr int maxDepth = 16;

struct Field {
  uint64_t number;
  uint64_t wireType;
  uint64_t scalar;        ///< Varint, Fixed32, Fixed64
  std::string_view bytes; ///< Bytes
};

/// Walks the fields of one message.
class MessageReader {
public:
  MessageReader(std::string_view bytes, const std::string &name) : rest(bytes), name(name) {}

  bool next(Field &field) {
    if (rest.empty())
      return false;
    uint64_t tag = readVarint();
    field = {tag >> 3, tag & 7, 0, {}};
    if (field.number == 0)
      failMalformed();
    switch (field.wireType) {
    case Varint:
      field.scalar = readVarint();
      return true;
    case Fixed64:
      field.scalar = readFixed(8);
      return true;
    case Fixed32:
      field.scalar = readFixed(4);
      return true;
    case Bytes: {
      uint64_t size = readVarint();
      if (size > rest.size())
        fail("the file is truncated or not a protobuf message");
      field.bytes = rest.substr(0, size);
      rest.remove_prefix(size);
      return true;
    }
    default:
      failMalformed();
    }
  }

  /// Calls `take` with each number of a repeated field, packed or not.
  template <typename Take> void forEachNumber(const Field &field, WireType element, Take take) {
    if (field.wireType == element) {
      take(field.scalar);
      return;
    }
    if (field.wireType != Bytes)
      failMalformed();
    MessageReader packed(field.bytes, name);
    while (!packed.rest.empty())
      take(element == Varint ? packed.readVarint() : packed.readFixed(element == Fixed32 ? 4 : 8));
  }

  std::string_view bytesOf(const Field &field) const {
    if (field.wireType != Bytes)
      failMalformed();
    return field.bytes;
  }

  [[noreturn]] void fail(const std::string &what) const { throw Failure(name + ": " + what); }
  [[noreturn]] void failMalformed() const { fail("not a valid protobuf message"); }

private:
  uint64_t readVarint() {
    uint64_t value = 0;
    for (size_t i = 0; i < rest.size() && i < 10; ++i) {
      auto byte = static_cast<uint8_t>(rest[i]);
      value |= uint64_t(byte & 0x7f) << (7 * i);
      if (!(byte & 0x80)) {
        rest.remove_prefix(i + 1);
        return value;
      }
    }
    failMalformed();
  }
  uint64_t readFixed(unsigned size) {
    if (rest.size() < size)
      failMalformed();
    uint64_t value = 0;
    std::memcpy(&value, rest.data(), size);
    rest.remove_prefix(size);
    return value;
  }

  std::string_view rest;
  const std::string &name;
};

/// Which repeated field holds the elements of a type where raw_data does not.
struct TypedField {
  TensorField field;
  WireType wireType;
  unsigned storedBytes; ///< of each number, low bytes first
};

TypedField typedFieldOf(const TypeInfo &type) {
  switch (type.dtype) {
  case LATHE_F32:
  case LATHE_C64:
    return {FloatData, Fixed32, 4};
  case LATHE_F64:
  case LATHE_C128:
    return {DoubleData, Fixed64, 8};
  case LATHE_I64:
    return {Int64Data, Varint, 8};
  case LATHE_U32:
    return {Uint64Data, Varint, 4};
  case LATHE_U64:
    return {Uint64Data, Varint, 8};
  default: // Types below a byte lie packed, one byte in each number.
    return {Int32Data, Varint, std::max(1u, type.bits / 8)};
  }
}

/// A number of int32_data or uint64_data fits its type when cutting it off loses nothing; the bits
/// of small floats may come sign-extended.
bool fits(uint64_t number, unsigned bytes) {
  if (bytes == 8)
    return true;
  auto asSigned = static_cast<int64_t>(number);
  return asSigned >= -(int64_t(1) << (8 * bytes - 1)) && asSigned < (int64_t(1) << (8 * bytes));
}

Tensor parseTensor(std::string_view bytes, const std::string &name) {
  Tensor tensor;
  uint64_t dtype = 0;
  std::string_view raw;
  bool hasRaw = false, isExternal = false;
  std::vector<Field> data;
  MessageReader reader(bytes, name);
  for (Field field; reader.next(field);)
    switch (field.number) {
    case Dims:
      reader.forEachNumber(field, Varint, [&](uint64_t dim) {
        if (tensor.dims.size() == LATHE_MAX_RANK)
          reader.fail("the tensor's rank is above " + std::to_string(LATHE_MAX_RANK));
        tensor.dims.push_back(static_cast<int64_t>(dim));
      });
      break;
    case DataType:
      dtype = field.scalar;
      break;
    case RawData:
      raw = reader.bytesOf(field);
      hasRaw = true;
      break;
    case FloatData:
    case Int32Data:
    case StringData:
    case Int64Data:
    case DoubleData:
    case Uint64Data:
      data.push_back(field);
      break;
    case ExternalData:
      isExternal = true;
      break;
    case DataLocation:
      isExternal |= field.scalar == 1;
      break;
    default:
      break;
    }

  const TypeInfo *type = dtype <= UINT32_MAX ? findType(static_cast<uint32_t>(dtype)) : nullptr;
  if (!type)
    reader.fail(dtype == 0 ? "not a TensorProto: data_type is missing"
                           : "data_type " + std::to_string(dtype) + " is not known");
  if (isExternal)
    reader.fail("external data is not read in value files");
  int64_t count = elementCount(tensor.dims);
  int64_t wantedBytes = type->kind == TypeKind::String ? 0 : byteSize(*type, count);
  if (count < 0 || wantedBytes < 0)
    reader.fail("the shape of " + describeType(type->dtype, tensor.dims) + " is impossible");
  auto failSize = [&](size_t found, int64_t wanted, const char *unit) {
    reader.fail(describeType(type->dtype, tensor.dims) + " needs " + std::to_string(wanted) + " " +
                unit + ", but the file has " + std::to_string(found));
  };

  tensor.dtype = type->dtype;
  if (type->kind == TypeKind::String) {
    for (const Field &field : data)
      if (field.number == StringData)
        tensor.strings.emplace_back(reader.bytesOf(field));
    if (static_cast<int64_t>(tensor.strings.size()) != count)
      failSize(tensor.strings.size(), count, "strings");
    return tensor;
  }
  if (hasRaw) {
    if (static_cast<int64_t>(raw.size()) != wantedBytes)
      failSize(raw.size(), wantedBytes, "bytes");
    tensor.bytes.assign(raw.begin(), raw.end());
  } else {
    TypedField typed = typedFieldOf(*type);
    for (const Field &field : data)
      if (field.number == typed.field)
        reader.forEachNumber(field, typed.wireType, [&](uint64_t number) {
          if (typed.wireType == Varint && !fits(number, typed.storedBytes))
            reader.fail("the element " + std::to_string(static_cast<int64_t>(number)) +
                        " does not fit " + type->name);
          const char *first = reinterpret_cast<const char *>(&number);
          tensor.bytes.insert(tensor.bytes.end(), first, first + typed.storedBytes);
        });
    if (static_cast<int64_t>(tensor.bytes.size()) != wantedBytes)
      failSize(tensor.bytes.size(), wantedBytes, "bytes");
  }
  if (type->kind == TypeKind::Bool)
    for (char &element : tensor.bytes)
      element = element != 0;
  return tensor;
}

Value parseValue(std::string_view bytes, const std::string &name, uint32_t kind, int depth);

/// What a field of a sequence, an optional or a map holds.
struct ValueField {
  uint64_t number;
  uint32_t kind;
};
constexpr ValueField sequenceFields[] = {{3, LATHE_VALUE_TENSOR},
                                         {5, LATHE_VALUE_SEQUENCE},
                                         {6, LATHE_VALUE_MAP},
                                         {7, LATHE_VALUE_OPTIONAL}};
constexpr ValueField optionalFields[] = {{3, LATHE_VALUE_TENSOR},
                                         {5, LATHE_VALUE_SEQUENCE},
                                         {6, LATHE_VALUE_MAP},
                                         {7, LATHE_VALUE_OPTIONAL}};

Value parseContainer(std::string_view bytes, const std::string &name, uint32_t kind, int depth) {
  Value value{kind, {}, {}};
  MessageReader reader(bytes, name);
  for (Field field; reader.next(field);)
    for (const ValueField &known : kind == LATHE_VALUE_SEQUENCE ? sequenceFields : optionalFields)
      if (field.number == known.number)
        value.elements.push_back(parseValue(reader.bytesOf(field), name, known.kind, depth + 1));
  if (kind == LATHE_VALUE_OPTIONAL && value.elements.size() > 1)
    reader.fail("an optional holds more than one value");
  return value;
}

enum MapField { KeyType = 2, Keys = 3, StringKeys = 4, Values = 5 };

/// The values of a map as one tensor: single elements of one type.
Tensor joinElements(std::span<const Value> values, const std::string &name) {
  Tensor joined{values.empty() ? uint32_t(LATHE_F32) : values[0].tensor.dtype, {}, {}, {}};
  joined.dims = {static_cast<int64_t>(values.size())};
  for (const Value &value : values) {
    const TypeInfo *type = findType(value.tensor.dtype);
    bool isTensor = value.kind == LATHE_VALUE_TENSOR || value.kind == LATHE_VALUE_STRINGS;
    if (!isTensor || value.tensor.dtype != joined.dtype || value.tensor.elementCount() != 1 ||
        (type->kind != TypeKind::String && type->bits < 8))
      throw Failure(name + ": a map has the value " + describeType(value) +
                    "; read are maps to single elements of one type");
    joined.bytes.insert(joined.bytes.end(), value.tensor.bytes.begin(), value.tensor.bytes.end());
    joined.strings.insert(joined.strings.end(), value.tensor.strings.begin(),
                          value.tensor.strings.end());
  }
  return joined;
}

Value tensorValue(Tensor tensor) {
  uint32_t kind = tensor.dtype == LATHE_STRING ? LATHE_VALUE_STRINGS : LATHE_VALUE_TENSOR;
  return {kind, std::move(tensor), {}};
}

Value parseMap(std::string_view bytes, const std::string &name, int depth) {
  Tensor integers{LATHE_I64, {}, {}, {}}, strings{LATHE_STRING, {}, {}, {}};
  Value values{LATHE_VALUE_SEQUENCE, {}, {}};
  bool byString = false;
  MessageReader reader(bytes, name);
  for (Field field; reader.next(field);)
    if (field.number == KeyType)
      byString = field.scalar == LATHE_STRING;
    else if (field.number == Keys)
      reader.forEachNumber(field, Varint, [&](uint64_t key) {
        const char *first = reinterpret_cast<const char *>(&key);
        integers.bytes.insert(integers.bytes.end(), first, first + sizeof key);
      });
    else if (field.number == StringKeys)
      strings.strings.emplace_back(reader.bytesOf(field));
    else if (field.number == Values)
      values = parseValue(reader.bytesOf(field), name, LATHE_VALUE_SEQUENCE, depth + 1);
  integers.dims = {static_cast<int64_t>(integers.bytes.size() / sizeof(int64_t))};
  strings.dims = {static_cast<int64_t>(strings.strings.size())};
  Tensor &keys = byString ? strings : integers;
  if (static_cast<size_t>(keys.dims[0]) != values.elements.size())
    reader.fail("a map has " + std::to_string(keys.dims[0]) + " keys and " +
                std::to_string(values.elements.size()) + " values");
  Value map{LATHE_VALUE_MAP, {}, {}};
  map.elements.push_back(tensorValue(std::move(keys)));
  map.elements.push_back(tensorValue(joinElements(values.elements, name)));
  return map;
}

Value parseValue(std::string_view bytes, const std::string &name, uint32_t kind, int depth) {
  if (depth > maxDepth)
    throw Failure(name + ": values are nested deeper than " + std::to_string(maxDepth));
  switch (kind) {
  case LATHE_VALUE_SEQUENCE:
  case LATHE_VALUE_OPTIONAL:
    return parseContainer(bytes, name, kind, depth);
  case LATHE_VALUE_MAP:
    return parseMap(bytes, name, depth);
  default:
    return tensorValue(parseTensor(bytes, name));
  }
}

void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void appendBytes(std::string &out, unsigned field, std::string_view bytes) {
  appendVarint(out, field << 3 | Bytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

} // namespace

Value parseValueProto(std::string_view bytes, const std::string &name, uint32_t kind) {
  return parseValue(bytes, name, kind, 0);
}

std::string formatTensorProto(const Tensor &tensor, const std::string &name) {
  enum { NameField = 8 };
  std::string out, dims;
  for (int64_t dim : tensor.dims)
    appendVarint(dims, static_cast<uint64_t>(dim));
  if (!dims.empty())
    appendBytes(out, Dims, dims);
  appendVarint(out, DataType << 3 | Varint);
  appendVarint(out, tensor.dtype);
  appendBytes(out, NameField, name);
  if (tensor.dtype == LATHE_STRING)
    for (const std::string &element : tensor.strings)
      appendBytes(out, StringData, element);
  else
    appendBytes(out, RawData, {tensor.bytes.data(), tensor.bytes.size()});
  return out;
}

namespace {

/// What SequenceProto and OptionalProto call a kind, and the field that holds it in both.
struct HeldKind {
  uint32_t elementType;
  unsigned field;
};

HeldKind heldKind(uint32_t kind) {
  switch (kind) {
  case LATHE_VALUE_SEQUENCE:
    return {3, 5};
  case LATHE_VALUE_MAP:
    return {4, 6};
  case LATHE_VALUE_OPTIONAL:
    return {5, 7};
  default:
    return {1, 3};
  }
}

/// Element `index` as a tensor without dimensions.
Value elementOf(const Tensor &tensor, int64_t index) {
  Tensor element{tensor.dtype, {}, {}, {}};
  if (tensor.dtype == LATHE_STRING) {
    element.strings = {tensor.strings[index]};
  } else {
    auto size = findType(tensor.dtype)->bits / 8;
    element.bytes.assign(tensor.bytes.begin() + index * size,
                         tensor.bytes.begin() + (index + 1) * size);
  }
  return tensorValue(std::move(element));
}

std::string formatContainer(std::span<const Value> elements, const std::string &name) {
  enum { NameField = 1, ElementType = 2 };
  std::string out;
  appendBytes(out, NameField, name);
  appendVarint(out, ElementType << 3 | Varint);
  appendVarint(out, elements.empty() ? 0 : heldKind(elements[0].kind).elementType);
  for (const Value &element : elements)
    appendBytes(out, heldKind(element.kind).field, formatValueProto(element, ""));
  return out;
}

std::string formatMap(const Value &map, const std::string &name) {
  const Tensor &keys = map.elements[0].tensor, &values = map.elements[1].tensor;
  std::string out, numbers;
  appendBytes(out, 1, name);
  appendVarint(out, KeyType << 3 | Varint);
  appendVarint(out, keys.dtype);
  std::vector<Value> list;
  for (int64_t i = 0; i < keys.elementCount(); ++i) {
    if (keys.dtype == LATHE_STRING)
      appendBytes(out, StringKeys, keys.strings[i]);
    else
      appendVarint(numbers, elementBits(keys, i));
    list.push_back(elementOf(values, i));
  }
  if (!numbers.empty())
    appendBytes(out, Keys, numbers);
  appendBytes(out, Values, formatContainer(list, ""));
  return out;
}

} // namespace

std::string formatValueProto(const Value &value, const std::string &name) {
  switch (value.kind) {
  case LATHE_VALUE_SEQUENCE:
  case LATHE_VALUE_OPTIONAL:
    return formatContainer(value.elements, name);
  case LATHE_VALUE_MAP:
    return formatMap(value, name);
  default:
    return formatTensorProto(value.tensor, name);
  }
}

} // namespace lathe::tools
