// The state of lowering one function, and what the op families share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_LOWERING_H
#define LATHE_LIB_GRAPHTOLINALG_LOWERING_H

#include "dialects/Graph/Graph.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Sched/Sched.h"
#include "lathe/ArtifactFormat.h"
#include "lib/GraphToLinalg/Scalars.h"
#include "lib/GraphToLinalg/Scoped.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/OwningOpRef.h"
#include <optional>

namespace lathe::g2l {

using Sizes = llvm::SmallVector<mlir::OpFoldResult>;

/// A lowered tensor. Sizes known to be equal are the same attribute or the same value.
struct Tensor {
  mlir::Value value;
  Sizes sizes;
  /// Element type as the graph dialect has it (i1, ui8, ...).
  mlir::Type element;
  /// The one element (in storage type) of a constant whose elements are all the same.
  mlir::TypedAttr splat = {};
  /// The data (dense or weight, storage type) of a constant.
  mlir::TypedAttr constant = {};

  int64_t rank() const { return sizes.size(); }
};

/// An input of a generic and how the loops address it. Without a map, it broadcasts as in ONNX.
struct Operand {
  Tensor tensor;
  mlir::AffineMap map;
  Operand(const Tensor &tensor, mlir::AffineMap map = {}) : tensor(tensor), map(map) {}
};

using ScalarBody = llvm::function_ref<mlir::Value(const Scalars &, mlir::ValueRange)>;
using ScalarsBody =
    llvm::function_ref<llvm::SmallVector<mlir::Value>(const Scalars &, mlir::ValueRange)>;

class Lowering {
public:
  Lowering(mlir::func::FuncOp source, graph::SymbolicShapes &shapes);

  mlir::MLIRContext *context;
  /// Builds at the end of the lowered function's body.
  mlir::OpBuilder b;
  /// Of the operation that is being lowered.
  mlir::Location loc;

  Scalars scalars() { return {b, loc}; }

  // ---- Values ------------------------------------------------------------------------------

  /// Whether the value can be had: it was lowered, is a constant, or is known symbolically.
  bool has(mlir::Value graphValue);
  Tensor get(mlir::Value graphValue);
  void set(mlir::Value graphValue, Tensor tensor);

  /// Elements of an integer tensor of known length: attributes, symbolic sizes, or read at run
  /// time. nullopt when the number of elements is not known when compiling.
  std::optional<Sizes> getElements(mlir::Value graphValue);
  /// The elements where all are known when compiling.
  std::optional<llvm::SmallVector<int64_t>> getConstantElements(mlir::Value graphValue);
  /// The elements of an integer tensor that follow from sizes and counters, without reading it.
  std::optional<Sizes> getSymbolicElements(mlir::Value graphValue);
  /// The constant's attribute (dense or weight), if the value is one.
  mlir::TypedAttr getConstant(mlir::Value graphValue);

  // ---- Sizes -------------------------------------------------------------------------------

  mlir::OpFoldResult size(int64_t value) { return b.getIndexAttr(value); }
  mlir::OpFoldResult size(mlir::AffineExpr expr);
  mlir::AffineExpr expr(mlir::OpFoldResult size);
  mlir::OpFoldResult add(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult sub(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult mul(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult floorDiv(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult ceilDiv(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult max(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult min(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult product(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// The size as an index value.
  mlir::Value value(mlir::OpFoldResult size);

  /// The value as a size, which the caller knows not to be negative.
  mlir::OpFoldResult markSize(mlir::Value value);

  /// Sizes of an operation's result: its static dimensions, what shape analysis says in terms of
  /// known sizes, else `computed` (by the operation's own rule). A null attribute where nothing
  /// says.
  Sizes resultSizes(mlir::Value graphValue, llvm::ArrayRef<mlir::OpFoldResult> computed = {});

  bool isKnownNonNegative(mlir::OpFoldResult size) { return isNonNegative(expr(size)); }

  /// Fails the run unless both are equal; nothing when that is known.
  void requireEqual(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs, llvm::StringRef message,
                    int32_t code = LATHE_CODE_SHAPE);
  void requireEqualLoops(llvm::ArrayRef<Operand> inputs, unsigned loops);
  /// Fails the run where `small` is larger than `large`, unless there is no `input` at all; nothing
  /// when that cannot be.
  void requireFits(mlir::OpFoldResult small, mlir::OpFoldResult large, mlir::OpFoldResult input,
                   llvm::StringRef message);
  /// Fails the run unless the size is 1 or the target's; gives whether it is 1.
  mlir::Value requireBroadcasts(mlir::OpFoldResult size, mlir::OpFoldResult target,
                                llvm::StringRef message);
  /// Fails the run when negative; nothing when that cannot be.
  void requireNonNegative(mlir::OpFoldResult size);

  // ---- Building ----------------------------------------------------------------------------

  mlir::RankedTensorType type(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type element);
  mlir::Value empty(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type storage);
  mlir::Value filled(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::TypedAttr value);
  mlir::Value filled(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Value scalar);

  /// linalg.generic with a result per value of `outs`; every operand has a map and the body gets
  /// storage values. Constant operands become constants of the body.
  /// Checks when running that operands agree on the sizes of the loops that they share.
  mlir::ResultRange generic(llvm::ArrayRef<Operand> inputs, mlir::ValueRange outs,
                            llvm::ArrayRef<mlir::AffineMap> outMaps,
                            llvm::ArrayRef<mlir::utils::IteratorType> iterators, ScalarsBody body);

  /// One scalar per element of `sizes`. The body computes (see Scalars::load), or with `raw` moves
  /// storage values.
  Tensor elementwise(llvm::ArrayRef<Operand> inputs, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                     mlir::Type element, ScalarBody body, bool raw = false);
  /// Each element from its indices; the body returns a storage value.
  Tensor fromIndices(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type element, ScalarBody body);
  /// Sizes of inputs broadcast against each other.
  Sizes broadcastSizes(llvm::ArrayRef<Sizes> inputs);
  /// Copy of the tensor broadcast to `sizes`.
  Tensor broadcast(const Tensor &input, llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// Elementwise conversion to another element type; the input itself where they agree.
  Tensor convert(const Tensor &input, mlir::Type element);

  /// Same elements under another shape; checks at run time what is not known.
  Tensor reshape(const Tensor &input, llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// The same tensor with sizes that are equal to its own, by a check where that is not known; its
  /// type follows them.
  Tensor withSizes(const Tensor &input, llvm::ArrayRef<mlir::OpFoldResult> sizes);
  Tensor transpose(const Tensor &input, llvm::ArrayRef<int64_t> permutation);
  Tensor slice(const Tensor &input, llvm::ArrayRef<mlir::OpFoldResult> offsets,
               llvm::ArrayRef<mlir::OpFoldResult> sizes,
               llvm::ArrayRef<mlir::OpFoldResult> strides = {});
  mlir::Value insert(const Tensor &piece, mlir::Value into,
                     llvm::ArrayRef<mlir::OpFoldResult> offsets,
                     llvm::ArrayRef<mlir::OpFoldResult> strides = {});
  /// Surrounds with a constant (storage type). Pads are not negative.
  Tensor pad(const Tensor &input, llvm::ArrayRef<mlir::OpFoldResult> low,
             llvm::ArrayRef<mlir::OpFoldResult> high, mlir::TypedAttr value);

  /// Reduces `axes` from `initial` (whose type is the accumulator's) with `combine` on computed
  /// input values and then the accumulator; the result lacks these dimensions. The first input has
  /// the shape of the loops.
  Tensor reduce(llvm::ArrayRef<Operand> inputs, llvm::ArrayRef<int64_t> axes,
                mlir::TypedAttr initial, ScalarBody combine);
  /// Addressing of `rank` dimensions without `axes`: how a reduced tensor is read beside the input.
  mlir::AffineMap dropDims(int64_t rank, llvm::ArrayRef<int64_t> axes);
  /// Loop dimension for each dimension of a tensor.
  mlir::AffineMap dimMap(int64_t loops, llvm::ArrayRef<int64_t> dims);

  /// A call of a private function tagged `kind`, whose body is what `build` makes of the operands.
  Tensor composite(sched::KindAttr kind, llvm::ArrayRef<Tensor> operands,
                   llvm::function_ref<Tensor(llvm::ArrayRef<Tensor>)> build);

  /// A constant read with other strides (in elements): transposed, flipped, cut. nullopt when the
  /// input's data is not known.
  std::optional<Tensor> readConstant(const Tensor &input, llvm::ArrayRef<int64_t> shape,
                                     llvm::ArrayRef<int64_t> strides, int64_t offset = 0);
  /// A constant of half precision in f32; nullopt when the input is none.
  std::optional<Tensor> widenConstant(const Tensor &input);
  /// A tensor of numbers known when compiling.
  Tensor constantTensor(mlir::DenseElementsAttr value);

  /// A storage-type attribute of a number.
  mlir::TypedAttr number(mlir::Type storage, double value);

  // ---- Regions -----------------------------------------------------------------------------

  /// The loop's induction value, of index type, is the element of the graph's counter.
  void setCounter(mlir::Value graphValue, mlir::Value induction);
  /// Lowers the operations of a graph region into `target`: `begin` sets what stands for its
  /// arguments, `end` makes the terminator from the values of the region's own. What is computed
  /// and checked in the region holds in it alone.
  mlir::LogicalResult lowerRegion(mlir::Region &region, mlir::Block *target,
                                  llvm::function_ref<void()> begin,
                                  llvm::function_ref<void(mlir::ValueRange)> end);
  /// The tensor as a value of that type, whose sizes are less precise.
  mlir::Value castTo(mlir::Type type, const Tensor &tensor);
  /// The tensor `value` with its own dimensions where `sizes` has null.
  Tensor withOwnSizes(mlir::Value value, Sizes sizes, mlir::Type element);

  // ---- Errors ------------------------------------------------------------------------------

  mlir::InFlightDiagnostic unsupported(mlir::Operation *op);

  /// Lowers all operations of the source; the result is a new function, not in the module. Null
  /// when something was not supported, which has been reported.
  mlir::OwningOpRef<mlir::func::FuncOp> run();

private:
  mlir::AffineExpr newSymbol(mlir::Value value, bool atEntry);
  bool isEntry(mlir::AffineExpr expr);
  bool isNonNegative(mlir::AffineExpr expr);
  mlir::Value expand(mlir::AffineExpr expr, const Scalars &s);
  std::optional<mlir::AffineExpr> translate(mlir::AffineExpr expr);
  mlir::Value materialiseConstant(mlir::Location loc, mlir::TypedAttr value);
  Tensor makeConstant(mlir::TypedAttr storage, mlir::Type element);
  Tensor reshapeConstant(const Tensor &input, llvm::ArrayRef<int64_t> shape);
  Tensor makeSymbolic(mlir::Value graphValue, llvm::ArrayRef<mlir::OpFoldResult> elements);
  mlir::OpFoldResult viaArith(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs, char operation);
  mlir::OpBuilder topLevel();
  mlir::LogicalResult lowerOp(mlir::Operation &op);
  void prepareArguments();
  void finish(mlir::Operation *terminator);

  mlir::func::FuncOp source, target;
  graph::SymbolicShapes &shapes;
  mlir::Block *body = nullptr;
  bool inRegion = false;
  /// Sizes and constants that depend on arguments alone; becomes the start of the body.
  std::unique_ptr<mlir::Block> entry;
  mlir::OpBuilder entryBuilder;
  ScopedMap<mlir::Value, Tensor> tensors;
  llvm::DenseMap<mlir::Value, mlir::AffineExpr> exprs;
  ScopedMap<mlir::AffineExpr, mlir::Value> expanded;
  llvm::DenseMap<int64_t, mlir::Value> indexConstants;
  llvm::SmallVector<mlir::Value> symbols;
  llvm::SmallVector<bool> symbolAtEntry;
  /// Numbers read from data, which unlike sizes may be negative.
  ScopedSet<mlir::AffineExpr> dataSymbols;
  /// The numbers of iterations that arguments of bodies of loops stand for.
  llvm::DenseMap<mlir::Value, mlir::AffineExpr> counters;
  llvm::DenseMap<mlir::AffineExpr, mlir::AffineExpr> translated;
  ScopedMap<std::pair<mlir::Value, int64_t>, mlir::AffineExpr> extracted;
  ScopedMap<std::pair<char, std::pair<mlir::AffineExpr, mlir::AffineExpr>>, mlir::Value> computed;
  ScopedSet<mlir::AffineExpr> checkedSizes;
  ScopedSet<std::pair<mlir::AffineExpr, mlir::AffineExpr>> checkedEqual;
  /// The room that windows have, and the size that may be 0 instead.
  ScopedSet<std::pair<mlir::AffineExpr, mlir::AffineExpr>> checkedFits;
};

/// Lowers one kind of operation.
using Handler = std::function<mlir::LogicalResult(mlir::Operation *, Lowering &)>;

/// Operation name to handler.
class LoweringTable {
public:
  template <typename Op> void add(mlir::LogicalResult (*handler)(Op, Lowering &)) {
    handlers[Op::getOperationName()] = [handler](mlir::Operation *op, Lowering &l) {
      return handler(llvm::cast<Op>(op), l);
    };
  }
  const Handler *find(llvm::StringRef name) const {
    auto it = handlers.find(name);
    return it == handlers.end() ? nullptr : &it->second;
  }
  static const LoweringTable &get();

private:
  llvm::StringMap<Handler> handlers;
};

/// Whether an axis that only the run knows (negative ones count from the end) is `dim`.
mlir::Value isAxis(Lowering &l, mlir::OpFoldResult axis, int64_t dim, int64_t rank);

/// Ends the run where such an axis is out of range.
void requireAxis(Lowering &l, mlir::OpFoldResult axis, int64_t rank);

/// Operations on strings that others share their operation with.
mlir::LogicalResult lowerStringBinary(graph::BinaryOp op, Lowering &l, const Tensor &lhs,
                                      const Tensor &rhs, llvm::ArrayRef<mlir::OpFoldResult> sizes);
mlir::LogicalResult lowerStringCast(graph::CastOp op, Lowering &l, const Tensor &input);

void addControl(LoweringTable &table);
void addElementwise(LoweringTable &table);
void addContraction(LoweringTable &table);
void addConv(LoweringTable &table);
void addPool(LoweringTable &table);
void addReduction(LoweringTable &table);
void addNormalization(LoweringTable &table);
void addReshape(LoweringTable &table);
void addSlice(LoweringTable &table);
void addPad(LoweringTable &table);
void addGather(LoweringTable &table);
void addFill(LoweringTable &table);
void addResize(LoweringTable &table);
void addScan(LoweringTable &table);
void addRecurrent(LoweringTable &table);
void addAttention(LoweringTable &table);
void addQuantization(LoweringTable &table);
void addScatter(LoweringTable &table);
void addSort(LoweringTable &table);
void addTree(LoweringTable &table);
void addText(LoweringTable &table);
void addSelect(LoweringTable &table);
void addDetection(LoweringTable &table);
void addColumnsToImage(LoweringTable &table);
void addDeterminant(LoweringTable &table);
void addLinearAttention(LoweringTable &table);
void addRandom(LoweringTable &table);
void addFourier(LoweringTable &table);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_LOWERING_H
