// The weight store.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lathe/ArtifactFormat.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace lathe::graph;

void WeightStore::add(StringRef name, std::unique_ptr<llvm::MemoryBuffer> buffer) {
  std::lock_guard<std::mutex> lock(mutex);
  entries.try_emplace(name, std::move(buffer));
}

ArrayRef<char> WeightStore::lookup(WeightAttr weight) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto it = entries.find(weight.getFile());
  if (it == entries.end())
    return {};
  StringRef bytes = it->second->getBuffer();
  if (weight.getOffset() > bytes.size() || weight.getLength() > bytes.size() - weight.getOffset())
    return {};
  return ArrayRef(bytes.data() + weight.getOffset(), weight.getLength());
}

static uint64_t hashBytes(ArrayRef<char> bytes) {
  return llvm::xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
}

std::string WeightStore::addUnique(StringRef name, std::unique_ptr<llvm::MemoryBuffer> buffer) {
  std::lock_guard<std::mutex> lock(mutex);
  std::string unique = name.str();
  for (unsigned i = 2; entries.contains(unique); ++i)
    unique = (name + "#" + Twine(i)).str();
  entries.try_emplace(unique, std::move(buffer));
  return unique;
}

/// Finds or makes the entry that holds exactly `bytes`. Entries are named by hash; one of another
/// content under the same name (XXH3 is no cryptographic hash) moves on to the next name.
WeightAttr
WeightStore::keep(ShapedType type, StringRef bytes,
                  llvm::function_ref<std::unique_ptr<llvm::MemoryBuffer>(StringRef name)> make) {
  uint64_t hash = hashBytes(ArrayRef(bytes.data(), bytes.size()));
  std::string stem = llvm::formatv("{0:x-16}-{1}", hash, bytes.size()), name = stem;
  std::lock_guard<std::mutex> lock(mutex);
  for (unsigned i = 2;; ++i) {
    auto [it, isNew] = entries.try_emplace(name);
    if (isNew)
      it->second = make(name);
    if (isNew || it->second->getBuffer() == bytes)
      return WeightAttr::get(type.getContext(), name, 0, bytes.size(), hash, type);
    name = stem + "#" + std::to_string(i);
  }
}

WeightAttr WeightStore::intern(ShapedType type, ArrayRef<char> bytes) {
  StringRef text(bytes.data(), bytes.size());
  return keep(type, text,
              [&](StringRef name) { return llvm::MemoryBuffer::getMemBufferCopy(text, name); });
}

WeightAttr WeightStore::adopt(ShapedType type, std::unique_ptr<llvm::MemoryBuffer> buffer) {
  StringRef bytes = buffer->getBuffer();
  return keep(type, bytes, [&](StringRef) { return std::move(buffer); });
}

WeightAttr WeightStore::reference(ShapedType type, StringRef name, uint64_t offset,
                                  uint64_t length) {
  auto probe = WeightAttr::get(type.getContext(), name, offset, length, 0, type);
  return WeightAttr::get(type.getContext(), name, offset, length, hashBytes(lookup(probe)), type);
}

/// Bits that an element takes in a weight; 0 for types that have no data.
static uint64_t getStorageBits(Type element) {
  if (auto complex = dyn_cast<ComplexType>(element))
    return 2 * getStorageBits(complex.getElementType());
  if (isa<StringType>(element))
    return 128;
  if (!element.isIntOrFloat())
    return 0;
  return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
}

std::optional<uint64_t> lathe::graph::getStorageBytes(ShapedType type) {
  uint64_t total = getStorageBits(type.getElementType());
  if (!type.hasStaticShape() || total == 0)
    return std::nullopt;
  // Dimensions of size 0 do not excuse the others: nothing that multiplies them may overflow.
  for (int64_t dim : type.getShape())
    if (__builtin_mul_overflow(total, uint64_t(std::max<int64_t>(dim, 1)), &total) ||
        total > (uint64_t(1) << 62))
      return std::nullopt;
  return llvm::is_contained(type.getShape(), 0) ? 0 : (total + 7) / 8;
}

TypedAttr lathe::graph::makeConstantAttr(RankedTensorType type, ArrayRef<char> bytes) {
  uint64_t bits = getStorageBits(type.getElementType());
  if (bytes.size() <= 1024 && bits >= 8) {
    if (!type.getElementType().isInteger(1))
      return DenseElementsAttr::getFromRawBuffer(type, bytes);
    SmallVector<bool> values(llvm::map_range(bytes, [](char byte) { return byte != 0; }));
    return DenseElementsAttr::get(type, values);
  }
  return type.getContext()->getLoadedDialect<GraphDialect>()->getWeights().intern(type, bytes);
}

ArrayRef<char> lathe::graph::getConstantBytes(Attribute value, SmallVectorImpl<char> &storage) {
  if (auto weight = dyn_cast<WeightAttr>(value))
    return value.getContext()->getLoadedDialect<GraphDialect>()->getWeights().lookup(weight);
  auto dense = cast<DenseElementsAttr>(value);
  auto type = cast<ShapedType>(dense.getType());
  if (isa<StringType>(type.getElementType()))
    return {}; // strings have no bytes of a fixed layout
  if (type.getElementType().isInteger(1)) {
    storage.clear();
    for (bool b : dense.getValues<bool>())
      storage.push_back(b);
    return storage;
  }
  ArrayRef<char> raw = dense.getRawData();
  if (!dense.isSplat())
    return raw;
  storage.clear();
  storage.reserve(raw.size() * type.getNumElements());
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    storage.append(raw.begin(), raw.end());
  return storage;
}

std::optional<uint32_t> lathe::graph::getElementNumber(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return LATHE_BOOL;
    case 2:
      return isUnsigned ? LATHE_U2 : LATHE_I2;
    case 4:
      return isUnsigned ? LATHE_U4 : LATHE_I4;
    case 8:
      return isUnsigned ? LATHE_U8 : LATHE_I8;
    case 16:
      return isUnsigned ? LATHE_U16 : LATHE_I16;
    case 32:
      return isUnsigned ? LATHE_U32 : LATHE_I32;
    case 64:
      return isUnsigned ? LATHE_U64 : LATHE_I64;
    }
    return std::nullopt;
  }
  return llvm::TypeSwitch<Type, std::optional<uint32_t>>(element)
      .Case([](StringType) { return LATHE_STRING; })
      .Case([](Float32Type) { return LATHE_F32; })
      .Case([](Float64Type) { return LATHE_F64; })
      .Case([](Float16Type) { return LATHE_F16; })
      .Case([](BFloat16Type) { return LATHE_BF16; })
      .Case([](Float8E4M3FNType) { return LATHE_F8E4M3FN; })
      .Case([](Float8E4M3FNUZType) { return LATHE_F8E4M3FNUZ; })
      .Case([](Float8E5M2Type) { return LATHE_F8E5M2; })
      .Case([](Float8E5M2FNUZType) { return LATHE_F8E5M2FNUZ; })
      .Case([](Float8E8M0FNUType) { return LATHE_F8E8M0; })
      .Case([](Float4E2M1FNType) { return LATHE_F4E2M1; })
      .Case([](ComplexType type) -> std::optional<uint32_t> {
        if (type.getElementType().isF32())
          return LATHE_C64;
        return type.getElementType().isF64() ? std::optional(LATHE_C128) : std::nullopt;
      })
      .Default([](Type) { return std::nullopt; });
}
