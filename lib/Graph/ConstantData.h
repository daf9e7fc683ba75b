// The bytes of constants, and copies of them in another order.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_CONSTANTDATA_H
#define LATHE_LIB_GRAPH_CONSTANTDATA_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace lathe::graph {

/// A constant operand: its type and its bytes.
struct Data {
  mlir::RankedTensorType type;
  llvm::SmallVector<char> storage;
  llvm::ArrayRef<char> bytes;

  llvm::ArrayRef<int64_t> shape() const { return type.getShape(); }
};

/// Bytes per element; 0 for types that are not whole bytes.
unsigned getElementBytes(mlir::Type type);

/// Bytes of a static tensor of whole bytes, below 2^40.
std::optional<int64_t> getBytes(mlir::RankedTensorType type);

/// Fills in `data` from a constant; false for other values.
bool load(mlir::Value value, Data &data);

/// Row-major strides, in elements.
llvm::SmallVector<int64_t> getStrides(llvm::ArrayRef<int64_t> shape);

/// Strides that read `shape` as if it were broadcast to `target`.
llvm::SmallVector<int64_t> getBroadcastStrides(llvm::ArrayRef<int64_t> shape,
                                               llvm::ArrayRef<int64_t> target);

/// Calls `visit(offset)` for each element of `shape` in row-major order, offset by `strides`.
template <typename Visit>
void forEach(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> strides, int64_t start,
             Visit visit) {
  int64_t rank = shape.size();
  if (llvm::is_contained(shape, 0))
    return;
  if (rank == 0)
    return visit(start);
  llvm::SmallVector<int64_t> index(rank, 0);
  int64_t offset = start, inner = shape[rank - 1], innerStride = strides[rank - 1];
  while (true) {
    for (int64_t i = 0; i < inner; ++i)
      visit(offset + i * innerStride);
    int64_t dim = rank - 2;
    for (; dim >= 0; --dim) {
      offset += strides[dim];
      if (++index[dim] < shape[dim])
        break;
      offset -= strides[dim] * shape[dim];
      index[dim] = 0;
    }
    if (dim < 0)
      return;
  }
}

/// Copies the elements of `from` that `start` and `strides` address to a dense buffer of `bytes`.
llvm::SmallVector<char> gatherStrided(const Data &from, llvm::ArrayRef<int64_t> shape,
                                      llvm::ArrayRef<int64_t> strides, int64_t start,
                                      int64_t bytes);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_CONSTANTDATA_H
