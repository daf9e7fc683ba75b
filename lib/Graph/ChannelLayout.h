// How each operation works on tensors whose channels come last.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_CHANNELLAYOUT_H
#define LATHE_LIB_GRAPH_CHANNELLAYOUT_H

#include "dialects/Graph/Graph.h"
#include "mlir/IR/Builders.h"

namespace lathe::graph {

/// What it takes to run an operation with channels last: dimension 1 of the tensors that carry the
/// layout moves behind the others.
struct LayoutPlan {
  int64_t rank = 0;
  /// Operands that carry the layout, in order; the others stay as they are.
  llvm::SmallVector<mlir::OpOperand *> operands;
  /// Results that carry it: all of them or none.
  llvm::SmallVector<mlir::Value> results;
  /// What channels first costs more than channels last (in moved elements); unlimited where only
  /// channels last will do.
  int64_t gain = 0;

  bool carries(mlir::OpOperand &operand) const {
    auto number = [](mlir::OpOperand *o) { return o->getOperandNumber(); };
    auto found = llvm::lower_bound(operands, &operand,
                                   [&](auto *a, auto *b) { return number(a) < number(b); });
    return found != operands.end() && *found == &operand;
  }
};

/// nullopt when the operation only works as it is.
std::optional<LayoutPlan> planChannelsLast(mlir::Operation *op);

/// A clone of `op` with channels last. `getLast` gives the rearranged form of an operand, of the
/// plan's rank. The clone's results that carry the layout have the rearranged type. May return
/// another operation than a clone; its results correspond to those of `op`.
mlir::Operation *rebuildChannelsLast(mlir::OpBuilder &builder, mlir::Operation *op,
                                     const LayoutPlan &plan,
                                     llvm::function_ref<mlir::Value(mlir::Value)> getLast);

/// [0, 2, ..., rank - 1, 1]: channels first to last.
llvm::SmallVector<int64_t> getToLastPerm(int64_t rank);
/// [0, rank - 1, 1, ..., rank - 2]: channels last to first.
llvm::SmallVector<int64_t> getToFirstPerm(int64_t rank);

mlir::Value makeTranspose(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                          llvm::ArrayRef<int64_t> perm);

/// Elements that a tensor has, with a guess for unknown sizes.
int64_t estimateElements(mlir::Type type);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_CHANNELLAYOUT_H
