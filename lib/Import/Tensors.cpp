// TensorProto to constant attributes.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Tensors.h"
#include "lib/Import/ElementTypes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using llvm::createStringError;
using llvm::Expected;
using onnx::TensorProto;

/// A sparse tensor is written out in full: no more than this from a file that may be tiny.
static constexpr uint64_t kMaxDenseBytes = uint64_t(256) << 20;
static constexpr int kMaxRank = 16;

namespace {

/// Bytes that came as a std::string, kept without a copy.
class StringBuffer : public llvm::MemoryBuffer {
public:
  explicit StringBuffer(std::string text) : text(std::move(text)) {
    init(this->text.data(), this->text.data() + this->text.size(), false);
  }
  BufferKind getBufferKind() const override { return MemoryBuffer_Malloc; }

private:
  std::string text;
};

template <typename... Args> llvm::Error problem(const char *format, Args &&...args) {
  return createStringError(llvm::formatv(format, std::forward<Args>(args)...).str());
}

/// The values of a typed field, narrowed to the element type and checked to fit.
template <typename To, typename Field>
Expected<std::string> narrow(const Field &field, uint64_t count, StringRef name) {
  if (uint64_t(field.size()) != count)
    return problem("{0} holds {1} values, its shape takes {2}", name, field.size(), count);
  std::string bytes(count * sizeof(To), '\0');
  for (uint64_t i = 0; i < count; ++i) {
    auto value = field.Get(i);
    To to = static_cast<To>(value);
    if constexpr (std::is_integral_v<To>)
      if (to != value)
        return problem("value {0} at index {1} of {2} does not fit its type", value, i, name);
    memcpy(bytes.data() + i * sizeof(To), &to, sizeof(To));
  }
  return bytes;
}

Expected<std::string> readTyped(const TensorProto &tensor, uint64_t elements, uint64_t bytes) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return narrow<float>(tensor.float_data(), elements, "float_data");
  case TensorProto::COMPLEX64:
    return narrow<float>(tensor.float_data(), 2 * elements, "float_data");
  case TensorProto::DOUBLE:
    return narrow<double>(tensor.double_data(), elements, "double_data");
  case TensorProto::COMPLEX128:
    return narrow<double>(tensor.double_data(), 2 * elements, "double_data");
  case TensorProto::INT64:
    return narrow<int64_t>(tensor.int64_data(), elements, "int64_data");
  case TensorProto::UINT64:
    return narrow<uint64_t>(tensor.uint64_data(), elements, "uint64_data");
  case TensorProto::UINT32:
    return narrow<uint32_t>(tensor.uint64_data(), elements, "uint64_data");
  case TensorProto::INT32:
    return narrow<int32_t>(tensor.int32_data(), elements, "int32_data");
  case TensorProto::INT16:
    return narrow<int16_t>(tensor.int32_data(), elements, "int32_data");
  case TensorProto::INT8:
    return narrow<int8_t>(tensor.int32_data(), elements, "int32_data");
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return narrow<uint16_t>(tensor.int32_data(), elements, "int32_data");
  default: // one byte an element, or several elements packed into a byte
    return narrow<uint8_t>(tensor.int32_data(), bytes, "int32_data");
  }
}

/// Whether any bool is neither 0 nor 1.
bool hasOddBools(StringRef bytes) {
  return llvm::any_of(bytes, [](char byte) { return byte != 0 && byte != 1; });
}

void normalizeBools(std::string &bytes) {
  for (char &byte : bytes)
    byte = byte != 0;
}

/// A field of `external_data` that is a non-negative number.
Expected<uint64_t> readNumber(const onnx::StringStringEntryProto &entry) {
  uint64_t value;
  if (StringRef(entry.value()).trim().getAsInteger(10, value))
    return problem("external data has the {0} '{1}', which is no number", entry.key(),
                   entry.value());
  return value;
}

Expected<TypedAttr> readStrings(const TensorProto &tensor, RankedTensorType type) {
  if (tensor.has_raw_data() || tensor.data_location() == TensorProto::EXTERNAL)
    return problem("strings stand in string_data alone");
  if (tensor.string_data_size() != type.getNumElements())
    return problem("string_data holds {0} values, its shape takes {1}", tensor.string_data_size(),
                   type.getNumElements());
  SmallVector<StringRef> strings(tensor.string_data().begin(), tensor.string_data().end());
  return TypedAttr(DenseStringElementsAttr::get(type, strings));
}

} // namespace

TensorReader::TensorReader(MLIRContext *context, std::string dataFolder)
    : context(context), store(context->getLoadedDialect<graph::GraphDialect>()->getWeights()),
      dataFolder(std::move(dataFolder)) {}

Expected<RankedTensorType> TensorReader::readType(const TensorProto &tensor) {
  Type element = elementTypeOf(context, tensor.data_type());
  if (!element)
    return problem("tensors of {0} are not supported", onnxTypeName(tensor.data_type()));
  if (tensor.dims_size() > kMaxRank)
    return problem("rank {0} is over the limit of {1}", tensor.dims_size(), kMaxRank);
  SmallVector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  for (int64_t dim : dims)
    if (dim < 0)
      return problem("dimension {0} is negative", dim);
  auto type = RankedTensorType::get(dims, element);
  if (!graph::getStorageBytes(type))
    return problem("its shape [{0:$[, ]}] is too large",
                   llvm::make_range(dims.begin(), dims.end()));
  return type;
}

Expected<TypedAttr> TensorReader::read(TensorProto &tensor, bool consume) {
  auto type = readType(tensor);
  if (!type)
    return type.takeError();
  if (tensor.has_segment())
    return problem("segmented tensors are not supported");
  uint64_t bytes = *graph::getStorageBytes(*type);
  if (tensor.data_type() == TensorProto::STRING)
    return readStrings(tensor, *type);
  if (tensor.data_location() == TensorProto::EXTERNAL)
    return readExternal(tensor, *type, bytes);

  std::string data;
  if (tensor.has_raw_data()) {
    StringRef raw = tensor.raw_data();
    if (raw.size() != bytes)
      return problem("raw_data has {0} bytes, its type {1} takes {2}", raw.size(), *type, bytes);
    if (!consume && bytes <= 1024)
      return graph::makeConstantAttr(*type, ArrayRef(raw.data(), raw.size()));
    data = consume ? std::move(*tensor.mutable_raw_data()) : raw.str();
  } else {
    auto typed = readTyped(tensor, type->getNumElements(), bytes);
    if (!typed)
      return typed.takeError();
    data = std::move(*typed);
  }
  if (type->getElementType().isInteger(1))
    normalizeBools(data);
  if (bytes <= 1024)
    return graph::makeConstantAttr(*type, data);
  return store.adopt(*type, std::make_unique<StringBuffer>(std::move(data)));
}

Expected<TypedAttr> TensorReader::readExternal(const TensorProto &tensor, RankedTensorType type,
                                               uint64_t bytes) {
  StringRef location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto &entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      auto number = readNumber(entry);
      if (!number)
        return number.takeError();
      (entry.key() == "offset" ? offset : length.emplace()) = *number;
    }
  }
  if (length && *length != bytes)
    return problem("external data has length {0}, its type {1} takes {2} bytes", *length, type,
                   bytes);
  auto file = mapFile(location);
  if (!file)
    return file.takeError();
  if (offset > file->size() || bytes > file->size() - offset)
    return problem("external data needs bytes {0} to {1} of '{2}', which has {3}", offset,
                   offset + bytes, location, file->size());
  StringRef data = file->substr(offset, bytes);
  if (type.getElementType().isInteger(1) && hasOddBools(data)) {
    std::string copy = data.str();
    normalizeBools(copy);
    return graph::makeConstantAttr(type, copy);
  }
  if (bytes <= 1024)
    return graph::makeConstantAttr(type, ArrayRef(data.data(), data.size()));
  return store.reference(type, files[location].entry, offset, bytes);
}

/// Maps the file `location` below the model's folder, and refuses any path out of it.
Expected<StringRef> TensorReader::mapFile(StringRef location) {
  namespace path = llvm::sys::path;
  namespace fs = llvm::sys::fs;
  if (auto it = files.find(location); it != files.end())
    return it->second.bytes;
  if (location.empty())
    return problem("external data names no location");
  if (dataFolder.empty())
    return problem("external data '{0}' cannot be read for a model in memory", location);
  bool climbs = llvm::any_of(llvm::make_range(path::begin(location), path::end(location)),
                             [](StringRef part) { return part == ".."; });
  if (climbs || path::is_absolute(location) || location.contains('\0') || location.contains('\\'))
    return problem("external data '{0}' is outside the model's folder", location);

  SmallString<256> joined(dataFolder), folder, real;
  path::append(joined, location);
  std::error_code error = fs::real_path(dataFolder, folder);
  if (!error)
    error = fs::real_path(joined, real);
  if (error)
    return problem("external data '{0}' cannot be read: {1}", location, error.message());
  if (!folder.ends_with("/"))
    folder += '/';
  if (!real.str().starts_with(folder))
    return problem("external data '{0}' is a link to outside the model's folder", location);
  if (!fs::is_regular_file(real))
    return problem("external data '{0}' is not a regular file", location);
  auto buffer = llvm::MemoryBuffer::getFile(real, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return problem("external data '{0}' cannot be read: {1}", location,
                   buffer.getError().message());
  StringRef bytes = (*buffer)->getBuffer();
  files[location] = {store.addUnique(location, std::move(*buffer)), bytes};
  return bytes;
}

Expected<TypedAttr> TensorReader::read(const onnx::SparseTensorProto &sparse) {
  TensorProto values = sparse.values(), indices = sparse.indices(), shape;
  shape.set_data_type(values.data_type());
  *shape.mutable_dims() = sparse.dims();
  auto type = readType(shape);
  if (!type)
    return type.takeError();
  auto valueAttr = read(values, true);
  if (!valueAttr)
    return valueAttr.takeError();
  auto indexAttr = read(indices, true);
  if (!indexAttr)
    return indexAttr.takeError();
  uint64_t bytes = *graph::getStorageBytes(*type), elements = type->getNumElements();
  if (bytes > kMaxDenseBytes)
    return problem("a sparse tensor that takes {0} bytes when dense is over the limit of {1}",
                   bytes, kMaxDenseBytes);
  if (typeSetOf(type->getElementType()) & (kNarrow | kString) ||
      bytes != elements * (bytes / std::max<uint64_t>(elements, 1)))
    return problem("sparse tensors of {0} are not supported", type->getElementType());
  auto indexType = cast<ShapedType>(indexAttr->getType());
  int64_t count = cast<ShapedType>(valueAttr->getType()).getNumElements();
  int64_t rank = type->getRank();
  bool tuples = indexType.getRank() == 2;
  if (!indexType.getElementType().isInteger(64) ||
      indexType.getNumElements() != count * (tuples ? rank : 1))
    return problem("the indices of a sparse tensor have type {0}, which does not fit {1} values",
                   indexType, count);

  SmallVector<char> valueStorage, indexStorage;
  ArrayRef<char> valueBytes = graph::getConstantBytes(*valueAttr, valueStorage);
  ArrayRef<char> indexBytes = graph::getConstantBytes(*indexAttr, indexStorage);
  std::string dense(bytes, '\0');
  uint64_t size = elements ? bytes / elements : 0;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t flat = 0;
    for (int64_t k = 0, n = tuples ? rank : 1; k < n; ++k) {
      int64_t index;
      memcpy(&index, indexBytes.data() + (i * n + k) * sizeof(index), sizeof(index));
      int64_t limit = tuples ? type->getDimSize(k) : elements;
      if (index < 0 || index >= limit)
        return problem("index {0} of a sparse tensor is out of range [0, {1})", index, limit);
      flat = flat * (tuples ? limit : 1) + index;
    }
    memcpy(dense.data() + flat * size, valueBytes.data() + i * size, size);
  }
  return graph::makeConstantAttr(*type, dense);
}
