// Turns @main on tensors into a host program of dispatches, rt.alloc and views.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_HOSTPROGRAM_H
#define LATHE_LIB_SCHEDULE_HOSTPROGRAM_H

#include "Kernel.h"
#include "dialects/Rt/Rt.h"
#include "mlir/IR/IRMapping.h"

namespace lathe::schedule {

class KernelBuilder;

/// The type that a scalar has in the host program.
mlir::Type hostType(mlir::Type type);

/// How elements of a type that @main has lie in memory.
mlir::Type elementInMemory(mlir::Type element);

/// Walks the blocks of `@main` in order. Tensor values become views of memory; structured
/// operations are gathered into groups, each emitted as one dispatch; scalars are cloned.
class HostProgram {
public:
  HostProgram(mlir::func::FuncOp main, const Options &options);
  ~HostProgram();
  mlir::LogicalResult build();

private:
  // Where the producer of a value is asked to put it.
  struct Destination {
    enum Kind { Output, SameAs, Inside, Permuted } kind;
    unsigned output = 0;
    Value target;                     // not Output: the value whose memory it shares
    mlir::Operation *slice = nullptr; // Inside: the tensor.insert_slice or tensor.pad;
                                      // Permuted: the transpose
    mlir::Operation *root = nullptr;  // Inside an insert_slice: the tensor.empty of its chain
  };

  // The tensor program.
  mlir::LogicalResult walkBlock(mlir::Block &block);
  mlir::LogicalResult walkOp(mlir::Operation &op);
  void assignDestinations(mlir::Block &block);
  void request(Value value, Destination destination, mlir::Block &block);

  mlir::LogicalResult visit(mlir::linalg::GenericOp op);
  mlir::LogicalResult visit(mlir::linalg::FillOp op);
  mlir::LogicalResult visit(mlir::tensor::EmptyOp op);
  mlir::LogicalResult visit(mlir::tensor::ExtractSliceOp op);
  mlir::LogicalResult visit(mlir::tensor::InsertSliceOp op);
  mlir::LogicalResult visit(mlir::tensor::CollapseShapeOp op);
  mlir::LogicalResult visit(mlir::tensor::ExpandShapeOp op);
  mlir::LogicalResult visit(mlir::tensor::CastOp op);
  mlir::LogicalResult visit(mlir::tensor::PadOp op);
  mlir::LogicalResult visit(mlir::tensor::ExtractOp op);
  mlir::LogicalResult visit(mlir::tensor::FromElementsOp op);
  mlir::LogicalResult visit(mlir::tensor::DimOp op);
  mlir::LogicalResult visit(mlir::arith::ConstantOp op);
  mlir::LogicalResult visit(mlir::arith::SelectOp op);
  mlir::LogicalResult visit(lathe::rt::WeightOp op);
  mlir::LogicalResult visit(lathe::rt::BytesOp op);
  mlir::LogicalResult visit(lathe::rt::PackedOp op);
  mlir::LogicalResult visit(lathe::rt::CallOp op);
  mlir::LogicalResult visit(mlir::scf::ForOp op);
  mlir::LogicalResult visit(mlir::scf::WhileOp op);
  mlir::LogicalResult visit(mlir::scf::IfOp op);
  mlir::LogicalResult visit(mlir::func::CallOp op);
  mlir::LogicalResult visit(lathe::rt::ListOp op);
  mlir::LogicalResult visit(lathe::rt::AppendOp op);
  mlir::LogicalResult visit(lathe::rt::StackOp op);
  mlir::LogicalResult visit(mlir::func::ReturnOp op);
  mlir::LogicalResult cloneScalar(mlir::Operation &op);
  llvm::DenseSet<mlir::Operation *> hoisted; // by the following
  void hoistShapeArithmetic(mlir::Block &block);

  // Control flow: what loops carry and branches give (HostControl.cpp).

  /// A value that a loop carries: a scalar, a tensor with a place of its own that every iteration
  /// reads and at its end overwrites, or one whose sizes change, of which the address and those
  /// sizes are carried as scalars.
  struct Carried {
    Value init, argument, yielded;
    Value inBody; // what the body calls the argument
    std::optional<View> place;
    llvm::SmallVector<unsigned> varying; // dimensions
    bool isTensor() const { return mlir::isa<mlir::ShapedType>(argument.getType()); }
  };
  mlir::LogicalResult startLoop(mlir::Location loc, llvm::MutableArrayRef<Carried> carried,
                                llvm::ArrayRef<Value> results,
                                llvm::SmallVectorImpl<Value> &scalarInits);
  void updateInPlace(llvm::ArrayRef<Carried> carried);
  mlir::FailureOr<llvm::SmallVector<Value>>
  endIteration(mlir::Location loc, llvm::ArrayRef<Carried> carried, mlir::Region &body);
  void keepAlive(mlir::Location loc, llvm::ArrayRef<Carried> carried);
  /// The scalars that stand for a tensor: its address and the sizes of `dims`.
  void decompose(mlir::Location loc, const View &view, llvm::ArrayRef<unsigned> dims,
                 llvm::SmallVectorImpl<Value> &components);
  /// The view that such scalars, taken from the front of `components`, stand for.
  View compose(View like, mlir::RankedTensorType type, llvm::ArrayRef<unsigned> dims,
               mlir::ValueRange &components);
  View makeContiguous(mlir::Location loc, const View &view);
  /// The sizes of a value that was not walked yet, where they are known here already.
  std::optional<llvm::SmallVector<Size>> traceSizes(Value tensor);

  // Sizes and views.
  Size getSize(mlir::OpFoldResult size);
  Value startOfInsertions(mlir::tensor::InsertSliceOp insert) const;
  llvm::SmallVector<Size> getSizes(Value tensor);
  View getView(Value tensor);
  /// The memory of `tensor`, made now if no one has: at its destination or in an rt.alloc.
  mlir::FailureOr<View> getOrCreate(Value tensor);
  bool isAvailable(llvm::ArrayRef<mlir::OpFoldResult> sizes) const;
  /// Whether `size` is known above the allocations: it follows from the inputs' dims.
  bool isAtEntry(const Size &size) const;
  void checkNoOverflow(mlir::Location loc, const Size &bytes);
  View allocate(mlir::Location loc, mlir::Type element, llvm::ArrayRef<Size> sizes);
  /// Whether such elements stay with the host, where the program is for a device.
  bool isOfHost(mlir::Type element) const;
  View subview(mlir::Location loc, const View &view, llvm::ArrayRef<mlir::OpFoldResult> offsets,
               llvm::ArrayRef<mlir::OpFoldResult> sizes, llvm::ArrayRef<mlir::OpFoldResult> strides,
               const llvm::SmallBitVector &dropped);
  /// A constant in the artifact's weights, of that element type in memory.
  View weightView(mlir::Location loc, mlir::TypedAttr value, mlir::Type element);
  /// Moves the start of `view` by `elements`.
  void advance(mlir::Location loc, View &view, const Size &elements);
  Value addressOf(mlir::Location loc, const View &view);
  mlir::FailureOr<View> reassociate(const View &source, mlir::RankedTensorType type,
                                    llvm::ArrayRef<mlir::ReassociationIndices> groups, bool expand,
                                    llvm::ArrayRef<Size> newSizes);

  /// The same memory with the dimensions of a transpose's operand, from its result, or back.
  static View permute(const View &view, mlir::linalg::GenericOp transpose, bool toResult);
  bool foldsIntoComposite(mlir::linalg::GenericOp op);
  /// With the last dimension contiguous: the view itself, or a copy.
  View withUnitStride(mlir::Location loc, const View &view, bool orTransposed);

  // Stages and groups.
  mlir::FailureOr<Stage> makeStage(mlir::linalg::GenericOp op);
  mlir::LogicalResult linearize(mlir::linalg::GenericOp op, mlir::AffineMap map, const View &view,
                                Access &access);
  bool joins(const Group &group, const Stage &stage);
  unsigned commonLoops(const Group &group, const Stage &stage);
  void push(Stage stage);
  void flush();
  /// Says how many bytes lie behind the buffers of a kernel that no device can run.
  void addExtents(mlir::Operation &dispatched, llvm::ArrayRef<std::pair<View, Value>> addresses);
  void dispatchCopy(mlir::Location loc, const View &from, const View &to);
  void dispatchFill(mlir::Location loc, mlir::OpFoldResult value, const View &to);
  mlir::LogicalResult buildPlan(mlir::func::FuncOp run);

  mlir::func::FuncOp main;
  mlir::ModuleOp module;
  const Options &options;
  mlir::OpBuilder builder;
  mlir::Operation *allocMarker = nullptr; // rt.alloc goes before it
  Value call;
  SizeTable sizes;
  llvm::DenseMap<Value, View> views;
  llvm::DenseMap<Value, Destination> destinations;
  mlir::IRMapping scalars;
  Group group;
  std::unique_ptr<KernelBuilder> kernels;
  llvm::DenseMap<Value, Value> slots;                     // of lists
  std::vector<std::unique_ptr<mlir::Block>> bodies;       // of stages made here (copies, fills)
  llvm::SmallVector<llvm::SmallVector<Value>> outputDims; // per output; null: depends on data
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_HOSTPROGRAM_H
