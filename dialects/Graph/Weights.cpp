// The weight store.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
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
  return llvm::xxh3_64bits(
      ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
}

WeightAttr WeightStore::intern(ShapedType type, ArrayRef<char> bytes) {
  uint64_t hash = hashBytes(bytes);
  std::string name = llvm::formatv("{0:x-16}-{1}", hash, bytes.size());
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (!entries.contains(name))
      entries.try_emplace(
          name, llvm::MemoryBuffer::getMemBufferCopy(StringRef(bytes.data(), bytes.size()), name));
  }
  return WeightAttr::get(type.getContext(), name, 0, bytes.size(), hash, type);
}

WeightAttr WeightStore::reference(ShapedType type, StringRef name, uint64_t offset,
                                  uint64_t length) {
  auto probe = WeightAttr::get(type.getContext(), name, offset, length, 0, type);
  return WeightAttr::get(type.getContext(), name, offset, length, hashBytes(lookup(probe)), type);
}

std::optional<uint64_t> lathe::graph::getStorageBytes(ShapedType type) {
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return std::nullopt;
  uint64_t bits = type.getElementTypeBitWidth() == 1 ? 8 : type.getElementTypeBitWidth();
  uint64_t total = bits;
  for (int64_t dim : type.getShape())
    if (llvm::MulOverflow<int64_t>(total, dim, reinterpret_cast<int64_t &>(total)) ||
        total > (uint64_t(1) << 62))
      return std::nullopt;
  return (total + 7) / 8;
}

TypedAttr lathe::graph::makeConstantAttr(RankedTensorType type, ArrayRef<char> bytes) {
  unsigned bits = type.getElementTypeBitWidth();
  if (bytes.size() <= 1024 && (bits == 1 || bits >= 8)) {
    if (bits != 1)
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
  if (type.getElementTypeBitWidth() == 1) {
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
