// Emits groups as kernel functions and the dispatches that run them; equal kernels are one.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_KERNELBUILDER_H
#define LATHE_LIB_SCHEDULE_KERNELBUILDER_H

#include "Kernel.h"
#include "KernelFamilies.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace lathe::schedule {

struct AttentionTile;

/// A kernel function under construction: its arguments grow as the body asks for them.
class Kernel {
public:
  Kernel(mlir::func::FuncOp function, const SizeTable &sizes);

  /// The memory that a host address points to, as a flat memref of `element`.
  Value buffer(Value hostAddress, mlir::Type element);
  /// A size inside the kernel.
  Value size(const Size &size);
  /// A scalar of the host program inside the kernel.
  Value scalar(Value hostScalar);
  Value begin() { return function.getArguments().drop_back().back(); }
  Value end() { return function.getArguments().back(); }
  Value call() { return function.getArgument(0); }
  /// Removes what only marked places while the kernel grew.
  void finish() { prologueEnd->erase(); }

  /// Constant of index type; one per value.
  Value constant(int64_t value);
  Value add(Value a, Value b);
  Value mul(Value a, Value b);
  /// sum of coefficient * index; null for zero.
  Value linear(llvm::ArrayRef<Size> coefficients, llvm::ArrayRef<Value> indices);
  /// The index of each of several loops that `number` counts as one, the last of them fastest.
  llvm::SmallVector<Value> split(Value number, llvm::ArrayRef<Size> extents);

  mlir::func::FuncOp function;
  mlir::OpBuilder builder; // in the body, after the prologue
  mlir::Location loc;
  llvm::SmallVector<Value> hostBuffers;
  llvm::SmallVector<Value> hostSizes;

private:
  mlir::OpBuilder prologue();
  const SizeTable &sizes;
  mlir::Operation *prologueEnd;
  llvm::MapVector<std::pair<Value, mlir::Type>, Value> buffers;
  llvm::DenseMap<Value, Value> arguments; // host size or scalar -> kernel argument
  llvm::DenseMap<int64_t, Value> constants;
};

/// The host program's address of a view.
using AddressOf = llvm::function_ref<Value(const View &)>;

/// A sum of sizes, with those that have the same factors added up.
struct SizeSum {
  llvm::SmallVector<Size> terms;

  void add(const Size &size) {
    for (Size &term : terms)
      if (term.factors == size.factors) {
        term.constant += size.constant;
        return;
      }
    terms.push_back(size);
  }
  bool isStatic() const {
    return llvm::all_of(terms, [](const Size &size) { return size.isStatic(); });
  }
  int64_t constant() const { return terms.empty() ? 0 : terms.front().constant; }
  Value materialize(mlir::OpBuilder &builder, mlir::Location loc, const SizeTable &sizes) const;
};

/// What a kernel's items of work are: their number is `count` times, for each ceiling, its size
/// divided by its divisor and rounded up.
struct Work {
  Size count;
  llvm::SmallVector<std::pair<Size, int64_t>> ceilings;
  /// What one item costs, and what a piece must cost to be worth a thread. Where sizes are known
  /// only when running, the host program compares them then.
  SizeSum itemCost;
  int64_t pieceCost = 1;
  /// The items are few and large: each is a piece.
  bool coarse = false;
};

/// Floating-point operations, and the bytes of the tensors read and written, each counted once.
struct WorkCount {
  SizeSum flops, bytes;
};

/// For kernels whose items need scratch memory, of which there is a fixed number: runs `body` for
/// the units of the items of this call, one after the other. The scratch is that of its first item.
void forUnits(Kernel &kernel, Value units, Value items, llvm::function_ref<void(Value)> body);

/// Emit the group's loops over the items [begin, end).
/// With `lanes` (0: none) the innermost loops run on vectors where they can.
Work emitLoops(Kernel &kernel, const Group &group, const Options &options, AddressOf addressOf);
/// Whether loops are emitted on vectors where they can be.
bool usesVectors(const Options &options);
/// Emits the loops of `stage` from `firstLoop` on, on vectors; false, and nothing emitted, where
/// its innermost loop cannot be. `outer` are the indices of the loops before.
bool emitVectorStage(Kernel &kernel, const Stage &stage, unsigned firstLoop,
                     llvm::ArrayRef<Value> outer, int64_t lanes, AddressOf addressOf);
/// The same for an elementwise stage of one loop: the elements of this call.
bool emitVectorRange(Kernel &kernel, const Stage &stage, int64_t lanes, AddressOf addressOf);
/// How a reduction combines: the body is `op(accumulator, rest)`, where `rest` does not depend on
/// the accumulator.
struct Combiner {
  mlir::Operation *op = nullptr;
  mlir::vector::CombiningKind kind = mlir::vector::CombiningKind::ADD;
  mlir::TypedAttr neutral; ///< null: the initial value will do
};
std::optional<Combiner> findCombiner(const Stage &stage);
/// Two parts of what a reduction adds up, as one.
Value combine(mlir::OpBuilder &builder, const Stage &stage, const Combiner &combiner, Value a,
              Value b);

/// Emits the loops of `stage` inside the shared ones, whose indices these are.
void emitItem(Kernel &kernel, const Stage &stage, llvm::ArrayRef<Value> shared,
              AddressOf addressOf);

/// On a GPU: a block of threads for each item, for products, for columns, for rows and for elements
/// whose operands lie across their results; nullopt, and nothing emitted, where the group is none
/// that a block is good for. Rows keep in registers what only the group reads.
std::optional<Work> emitBlockTiles(Kernel &kernel, const Group &group, const TargetInfo &target,
                                   AddressOf addressOf);
std::optional<Work> emitBlockColumns(Kernel &kernel, const Group &group, AddressOf addressOf);
std::optional<Work> emitBlockRows(Kernel &kernel, Group &group, AddressOf addressOf);
std::optional<Work> emitBlockTransposes(Kernel &kernel, const Group &group, AddressOf addressOf);

/// On a GPU: elementwise stages, 16 bytes for each thread; nullopt, and nothing emitted, where what
/// they read or write does not lie together, or is little.
std::optional<Work> emitThreadVectors(Kernel &kernel, const Group &group, AddressOf addressOf);

/// `tiling` is what the tables say of this very shape.
Work emitTiles(Kernel &kernel, const Group &group, const Options &options, const Tiling &tiling,
               AddressOf addressOf);
/// The same for an elementwise stage whose operands lie across one another; nullopt, and nothing
/// emitted, where they do not.
std::optional<Work> emitTransposed(Kernel &kernel, const Stage &stage, const TargetInfo &target,
                                   AddressOf addressOf);
Work emitAttention(Kernel &kernel, const AttentionShape &shape, const View &scratch,
                   const TargetInfo &target, AddressOf addressOf);
/// The same on a GPU, by a block of threads for each item.
Work emitBlockAttention(Kernel &kernel, const AttentionShape &shape, const AttentionTile &tile,
                        AddressOf addressOf);
/// The result from what blocks left that had parts of the keys.
Work emitAttentionParts(Kernel &kernel, const AttentionShape &shape, AddressOf addressOf);
/// The transpose of a square of vectors, in registers.
void transposeVectors(mlir::OpBuilder &builder, mlir::Location loc,
                      llvm::MutableArrayRef<Value> rows);
Work emitWinograd(Kernel &kernel, const Group &group, const WinogradPlan &plan, const View &scratch,
                  const TargetInfo &target, AddressOf addressOf);

/// Two neighbours in each 32-bit lane, the same for all `lanes`; of a `single` element the second
/// is 0.
Value loadPair(Kernel &kernel, Value buffer, Value position, int64_t lanes, bool single);
/// Pairs of weights for so many lanes, in 16 bits each.
Value loadPairedWeights(Kernel &kernel, Value buffer, Value position, int64_t lanes);
/// accumulator + the products of both pairs.
Value emitPairProduct(Kernel &kernel, Value accumulator, Value weights, Value pair,
                      const TargetInfo &target);

/// Finishes `lanes` results of a tiled group's root: runs the other stages on `value` and stores
/// what is to be stored, where `mask` (or null) says. `at` has an index per loop of the root, of
/// which `vectorLoop` runs across the lanes; those of reductions are null.
void emitEpilogue(Kernel &kernel, const Group &group, Value value, llvm::ArrayRef<Value> at,
                  int64_t lanes, Value mask, unsigned vectorLoop, AddressOf addressOf);

/// Which of two zeros is the larger does not matter to any operator, and costs several
/// instructions.
void ignoreZeroSigns(mlir::Operation *op);

/// An irregular body on vectors: operations that have one value for all lanes, and what the body
/// reads at computed places lies along the lanes.
struct RowReads {
  llvm::SmallPtrSet<mlir::Operation *, 8> uniform;
  Value mask; ///< which lanes there are; null: all
};

/// Emits the body of a stage on scalars or, with `lanes`, on vectors; `operands` are the values of
/// its block arguments, where one for all lanes may be a scalar. Returns what it yields.
llvm::SmallVector<Value> emitBody(Kernel &kernel, const Stage &stage,
                                  llvm::ArrayRef<Value> operands, llvm::ArrayRef<Value> indices,
                                  int64_t lanes, llvm::function_ref<Value(const View &)> addressOf,
                                  const RowReads *rows = nullptr);

class KernelBuilder {
public:
  KernelBuilder(mlir::ModuleOp module, SizeTable &sizes, const Options &options)
      : module(module), sizes(sizes), options(options), families(module) {}

  /// The address of a view in the host program, and memory there for so many elements.
  using HostAddress = llvm::function_ref<Value(mlir::Location, const View &)>;
  using HostAllocation = llvm::function_ref<View(mlir::Location, mlir::Type, const Size &)>;

  /// Emits `group` and its dispatch at the builder's place.
  void dispatch(mlir::OpBuilder &builder, Value call, Group group, HostAddress addressOf,
                HostAllocation allocate);
  void dispatch(mlir::OpBuilder &builder, Value call, mlir::Location loc, AttentionShape shape,
                HostAddress addressOf, HostAllocation allocate);
  /// To be called when all is dispatched: kernels get their names.
  void finish() { families.finish(); }

private:
  /// What is known of a kernel before it is emitted.
  struct Draft {
    llvm::StringRef kind;
    llvm::SmallVector<mlir::Location> nodes;
    WorkCount work;
    bool checked = false;
    std::string shape = {}; // of tiled kernels; see describeShape
  };
  /// How many items so much work is worth, from one to `most`. A thread is woken for some 5 us of
  /// work, which `each` stands for in the units of `work`.
  Size boundedItems(mlir::OpBuilder &builder, mlir::Location loc, const Size &work, int64_t each,
                    int64_t most);
  /// How many items make a piece that is worth a thread; `value` where only the run knows.
  struct Piece {
    int64_t grain = 1;
    Value value;
    bool serial = false; // all of the work is less than that
  };
  Piece choosePiece(mlir::OpBuilder &builder, mlir::Location loc, const Work &work);
  void emit(mlir::OpBuilder &builder, Value call, Draft &draft,
            llvm::function_ref<Work(Kernel &)> emitBody);
  /// A group whose sum is not cut into slices.
  void dispatchWhole(mlir::OpBuilder &builder, Value call, Group group, HostAddress addressOf,
                     HostAllocation allocate);
  /// A sum on a GPU by slices, where that is better; else false (SplitDepth.cpp).
  bool splitDepth(mlir::OpBuilder &builder, Value call, Group &group, HostAddress addressOf,
                  HostAllocation allocate);
  /// A product of operands that only the run knows, one of which is worth to be packed; else false,
  /// and nothing emitted (PackOperands.cpp).
  bool packOperand(mlir::OpBuilder &builder, Value call, const Group &group,
                   const TileChoice &choice, HostAddress addressOf, HostAllocation allocate);
  /// An attention on a GPU (AttentionParts.cpp).
  void dispatchBlocks(mlir::OpBuilder &builder, Value call, Draft &draft, AttentionShape shape,
                      HostAddress addressOf, HostAllocation allocate);
  bool splitKeys(mlir::OpBuilder &builder, mlir::Location loc, AttentionShape &shape, int64_t tiles,
                 const AttentionTile &tile);

  mlir::ModuleOp module;
  SizeTable &sizes;
  const Options &options;
  KernelFamilies families;
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_KERNELBUILDER_H
