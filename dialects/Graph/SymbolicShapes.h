// What is known about the sizes of the values of one function.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_SYMBOLICSHAPES_H
#define LATHE_DIALECTS_GRAPH_SYMBOLICSHAPES_H

#include "dialects/Graph/Graph.h"
#include "dialects/Graph/SymbolicMath.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Allocator.h"
#include <memory>
#include <string>

namespace lathe::graph {

/// Sizes of tensors, and elements of small integer tensors, as affine expressions of symbols:
/// symbol k is the size of a dimension that is known only when running. The one mechanism for
/// static shapes, symbolic shapes, and the shape arithmetic that exporters write.
///
/// A value that was not inferred yet is described by its type; function arguments may name their
/// dimensions by the argument attribute `graph.dims`, an array with a string per dimension, where
/// equal non-empty strings are one symbol. Facts stay right while values keep their meaning;
/// rewriting the function makes new values, which the next query describes by their types only.
class SymbolicShapes {
public:
  /// The name of the function argument attribute that names dimensions.
  static constexpr llvm::StringLiteral dimsAttrName = "graph.dims";

  struct Symbol {
    static constexpr unsigned element = 1u << 16;
    std::string name;
    mlir::Value value; ///< an argument, or the result that first has the size
    unsigned dim;      ///< symbol = size of this dimension of `value`, or `element`: its element
  };

  explicit SymbolicShapes(mlir::MLIRContext *context);
  SymbolicShapes(SymbolicShapes &&);
  SymbolicShapes &operator=(SymbolicShapes &&);
  ~SymbolicShapes();

  /// Infers the whole function in one walk: refines result types in place (unranked to ranked, `?`
  /// to static) and the function's type with them. Contradictions give located errors.
  static mlir::FailureOr<SymbolicShapes> compute(mlir::func::FuncOp function);

  /// Infers the results of one operation whose operands were inferred before. Operations without
  /// the interface keep their types.
  mlir::LogicalResult inferOp(mlir::Operation *op);

  /// One expression per dimension, never null; nullopt when the rank is unknown.
  std::optional<llvm::ArrayRef<mlir::AffineExpr>> getDims(mlir::Value value);

  /// The elements of an integer tensor of rank 0 or 1 with at most 64 elements, null where unknown.
  std::optional<llvm::ArrayRef<mlir::AffineExpr>> getElements(mlir::Value value);

  /// The elements when all of them are known to be constant.
  std::optional<llvm::SmallVector<int64_t>> getConstantElements(mlir::Value value);

  /// The value as a constant when the facts determine every element of it (integers as above, and
  /// floats derived from sizes); null otherwise.
  mlir::TypedAttr getConstant(mlir::Value value);

  llvm::ArrayRef<Symbol> getSymbols() const;

  /// Writes an expression with the symbols' names ("batch * 4 + 1", "?" for null).
  std::string toString(mlir::AffineExpr expr) const;
  std::string toString(llvm::ArrayRef<mlir::AffineExpr> exprs) const;

  // For the inference of operations with regions.

  /// Infers the operations of a region, whose arguments are described already.
  mlir::LogicalResult inferRegion(mlir::Region &region);

  /// Forgets what is known of an argument of a region and describes it anew: null for a size that
  /// is its own. Sets its type.
  void setArgument(mlir::BlockArgument argument,
                   std::optional<llvm::ArrayRef<mlir::AffineExpr>> dims);

  /// Describes the argument that counts the iterations of a loop: its element is a symbol.
  void setCounter(mlir::BlockArgument counter);

  /// Whether every symbol of the expression has its value outside of the regions of `op`.
  bool isVisibleAt(mlir::AffineExpr expr, mlir::Operation *op) const;

  /// The dimensions of carried values that were found to change from one iteration of a loop to the
  /// next, so that loops around it need not find out again. The key stands for the loop.
  llvm::DenseSet<std::pair<unsigned, unsigned>> &getVarying(const void *loop);

  // For the inference of operations.

  static constexpr int64_t maxElements = 64;
  static constexpr int64_t maxRank = 64;

  /// A float that shape arithmetic produced: a constant, or numerator / denominator.
  struct Real {
    std::optional<double> constant;
    mlir::AffineExpr numerator;
    int64_t denominator = 1;
  };

  /// Records the sizes of a result: null for one that depends on data, which becomes a symbol
  /// unless the type knows it. Refines the type. Fails for negative or overflowing sizes and for
  /// those that contradict the type.
  mlir::LogicalResult setDims(mlir::Value result, llvm::ArrayRef<mlir::AffineExpr> dims);

  /// Records elements (null where unknown); ignored unless of rank <= 1 and few enough.
  void setElements(mlir::Value result, llvm::ArrayRef<mlir::AffineExpr> elements);
  std::optional<llvm::ArrayRef<Real>> getReals(mlir::Value value);
  void setReals(mlir::Value result, llvm::ArrayRef<Real> elements);

  /// A symbol for dimension `dim` of `result` whose size is the function `what` of `arguments`: the
  /// same for every result of the same function. In runs that succeed it broadcasts against `ideal`
  /// (where not null) to `ideal`: it is either equal to it or cut short by clamping.
  mlir::AffineExpr derive(llvm::StringRef what, llvm::ArrayRef<mlir::AffineExpr> arguments,
                          mlir::Value result, unsigned dim, mlir::AffineExpr ideal);

  mlir::AffineExpr constant(int64_t value) const;
  /// Arithmetic on sizes: constants saturate, so that setDims reports what overflows.
  mlir::AffineExpr add(mlir::AffineExpr lhs, mlir::AffineExpr rhs) const;
  mlir::AffineExpr add(mlir::AffineExpr lhs, int64_t rhs) const { return add(lhs, constant(rhs)); }
  mlir::AffineExpr multiply(mlir::AffineExpr lhs, mlir::AffineExpr rhs) const;
  mlir::AffineExpr product(llvm::ArrayRef<mlir::AffineExpr> factors) const;
  /// min of two sizes where it can be told, else null.
  mlir::AffineExpr minimum(mlir::AffineExpr lhs, mlir::AffineExpr rhs) const;

  /// The size two dimensions broadcast to; null when unknown; failure (no message) when they can't.
  mlir::FailureOr<mlir::AffineExpr> broadcast(mlir::AffineExpr lhs, mlir::AffineExpr rhs) const;
  /// The shape that shapes broadcast to; emits an error on `op` when they can't.
  mlir::FailureOr<llvm::SmallVector<mlir::AffineExpr>>
  broadcast(mlir::Operation *op, llvm::ArrayRef<llvm::ArrayRef<mlir::AffineExpr>> shapes) const;
  /// Emits an error unless both may be equal; `what` names the two for the message.
  mlir::LogicalResult checkEqual(mlir::Operation *op, mlir::AffineExpr lhs, mlir::AffineExpr rhs,
                                 const llvm::Twine &what) const;

private:
  struct Facts;
  std::unique_ptr<Facts> facts;
};

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_SYMBOLICSHAPES_H
