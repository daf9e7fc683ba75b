// The bytes behind `#graph.weight` attributes.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_WEIGHTS_H
#define LATHE_DIALECTS_GRAPH_WEIGHTS_H

#include "dialects/Graph/Graph.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include <functional>
#include <memory>
#include <mutex>

namespace lathe::graph {

/// Holds named byte ranges (mapped files, or buffers made when compiling) for the life of the
/// context. Thread-safe. Entries are never removed, so returned ranges stay valid.
class WeightStore {
public:
  /// Adds (or replaces nothing: keeps the first of that name) an entry.
  void add(llvm::StringRef name, std::unique_ptr<llvm::MemoryBuffer> buffer);

  /// Adds an entry named `name`, or, where another buffer has that name, `name` with a number
  /// behind it. Returns the entry's name.
  std::string addUnique(llvm::StringRef name, std::unique_ptr<llvm::MemoryBuffer> buffer);

  /// The bytes of a weight; an empty range when the store lacks the entry or it is too short.
  llvm::ArrayRef<char> lookup(WeightAttr weight) const;

  /// Stores a copy of `bytes` under a name made from their hash and returns the attribute.
  WeightAttr intern(mlir::ShapedType type, llvm::ArrayRef<char> bytes);

  /// As intern, but keeps the buffer itself unless its bytes are there already.
  WeightAttr adopt(mlir::ShapedType type, std::unique_ptr<llvm::MemoryBuffer> buffer);

  /// The attribute for bytes that already live in entry `name` at `offset`.
  WeightAttr reference(mlir::ShapedType type, llvm::StringRef name, uint64_t offset,
                       uint64_t length);

private:
  WeightAttr
  keep(mlir::ShapedType type, llvm::StringRef bytes,
       llvm::function_ref<std::unique_ptr<llvm::MemoryBuffer>(llvm::StringRef name)> make);

  mutable std::mutex mutex;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> entries;
};

/// Bytes that a row-major tensor of this static type takes; nullopt when not static or over 2^62.
std::optional<uint64_t> getStorageBytes(mlir::ShapedType type);

/// The number that ONNX TensorProto.DataType gives an element type; nullopt when it has none.
std::optional<uint32_t> getElementNumber(mlir::Type element);

/// A constant for `bytes`: dense when at most a kilobyte (and an element type that dense attributes
/// hold), else a weight in the store of the context.
mlir::TypedAttr makeConstantAttr(mlir::RankedTensorType type, llvm::ArrayRef<char> bytes);

/// The row-major bytes of a dense or weight attribute. Splats are expanded into `storage`.
llvm::ArrayRef<char> getConstantBytes(mlir::Attribute value, llvm::SmallVectorImpl<char> &storage);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_WEIGHTS_H
