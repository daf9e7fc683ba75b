// What a kernel is before it is emitted: loops, linear accesses, bodies.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_KERNEL_H
#define LATHE_LIB_SCHEDULE_KERNEL_H

#include "lathe/Schedule.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <vector>

namespace lathe::schedule {

using mlir::Value;

/// The product of a constant and of sizes known when running, which are named by number so that
/// equal products compare equal.
struct Size {
  int64_t constant = 1;
  llvm::SmallVector<unsigned, 2> factors; // sorted

  Size() = default;
  Size(int64_t constant) : constant(constant) {}
  bool isStatic() const { return factors.empty() || constant == 0; }
  bool isZero() const { return constant == 0; }
  bool is(int64_t value) const { return isStatic() && constant == value; }
  bool operator==(const Size &other) const {
    return constant == other.constant && (constant == 0 || factors == other.factors);
  }
  bool operator!=(const Size &other) const { return !(*this == other); }
  Size operator*(const Size &other) const;
};

/// Numbers the run-time sizes of one host program.
class SizeTable {
public:
  Size get(Value value);
  Value getValue(unsigned factor) const { return values[factor]; }
  /// As `get`, but the factors of a product are numbered, not the product.
  Size getProduct(Value value);
  /// Index value of `size` at the builder's place, where `valueOf` gives those of its factors.
  Value materialize(mlir::OpBuilder &builder, mlir::Location loc, const Size &size,
                    llvm::function_ref<Value(Value)> valueOf = {}) const;

private:
  llvm::SmallVector<Value> values;
  llvm::DenseMap<Value, unsigned> numbers;
};

/// A strided part of host-visible memory that holds a tensor.
struct View {
  Value base;   // !llvm.ptr
  Value offset; // index, in elements; null: none
  int64_t constantOffset = 0;
  mlir::Type element;
  llvm::SmallVector<Size> sizes;
  llvm::SmallVector<Size> strides;

  bool isContiguous() const;
};

/// Whether both begin at the same place.
bool sameMemory(const View &a, const View &b);

/// Row-major strides of `sizes`.
llvm::SmallVector<Size> contiguousStrides(llvm::ArrayRef<Size> sizes);

/// How a stage reads or writes one tensor: element address = start of `view` + sum of coefficient *
/// loop index (the view's own sizes and strides no longer matter).
struct Access {
  View view;
  llvm::SmallVector<Size> coefficients; // one per loop
  /// For weights packed into panels of that many lanes: lanes lie together, and `panelStride`
  /// elements separate panels; the tile's vector loop has no coefficient then.
  int64_t panel = 0;
  int64_t panelStride = 0;
  /// For weights in pairs: the reduction loop along which two elements lie together in each lane.
  std::optional<unsigned> pairLoop = std::nullopt;
};

/// One structured operation over its loops. The arguments of `body` are one element per input, then
/// per output; its terminator yields the outputs.
struct Stage {
  mlir::Block *body = nullptr;
  mlir::Location loc;
  mlir::Operation *op = nullptr; // null for copies and fills
  llvm::SmallVector<Size> extents;
  llvm::SmallVector<bool> reduction;
  llvm::SmallVector<Access> inputs;
  llvm::SmallVector<Access> outputs;
  /// Initial value of each output where the body reads it: a constant, or null (what memory holds).
  llvm::SmallVector<mlir::TypedAttr> inits;
  llvm::SmallVector<bool> readsOutput;
  /// False: only later stages of the group read the output, from registers.
  llvm::SmallVector<bool> storesOutput;
  /// Tensors that the body reads at computed places.
  llvm::SmallVector<std::pair<Value, View>> captures;
  /// Scalars of the host program that the body uses.
  llvm::SmallVector<std::pair<Value, Value>> scalars;
  /// Uses linalg.index, tensor.extract or rt.check: emitted as scalar loops, never reshaped.
  bool irregular = false;
  bool checked = false;

  explicit Stage(mlir::Location loc) : loc(loc) {}
  unsigned numLoops() const { return extents.size(); }
  bool hasReduction() const { return llvm::is_contained(reduction, true); }
  unsigned countLeadingParallel() const { return llvm::find(reduction, true) - reduction.begin(); }
};

/// Stages that share one dispatch.
struct Group {
  std::vector<Stage> stages;
  /// The leading loops that all stages run together.
  unsigned sharedLoops = 0;
  /// The first stage is register-tiled; the others are its epilogue.
  bool tiled = false;
  /// Its loops are joined, and its operands packed.
  bool isPacked = false;
  /// Instructions of one iteration of all stages, roughly.
  unsigned codeSize = 0;
};

/// The register tile of a reduction: `vector` is the loop across lanes, `rows` the loop across
/// accumulator rows (or none).
struct TileChoice {
  unsigned vectorLoop = 0;
  std::optional<unsigned> rowLoop;
};

/// How a convolution is computed by Winograd's algorithm; see Winograd.h.
struct WinogradPlan {
  /// So many items are enough for threads to share.
  static constexpr int64_t leastItems = 8;
  /// Loops of the root, and which of its inputs are the weights.
  unsigned row = 0, column = 0, filters = 0, windowRow = 0, windowColumn = 0, channels = 0;
  unsigned weight = 0, numFilterLoops = 0;
  llvm::SmallVector<unsigned> outer;
  int64_t lanes = 0; // of one vector
  bool isStatic = false;
  int64_t inputs = 0, outputs = 0, paddedInputs = 0;
  int64_t tiles = 0;                                 // an estimate unless all sizes are static
  int64_t rows = 0;                                  // tiles of one register tile
  int64_t block = 0, blocks = 0;                     // tiles of one work item, at most
  int64_t spread = 1;                                // blocks that small images are cut into
  int64_t part = 0, parts = 0;                       // filters of one work item
  int64_t inputPlane = 0, outputPlane = 0, slot = 0; // scratch, in elements
  int64_t items = 1;                                 // each with a slot of scratch
  Size count;                                        // items of a run, at most that
};

/// The plan, where `stage` is such a convolution and is faster so, or, where `tiling` says either,
/// by that.
std::optional<WinogradPlan> planWinograd(const Stage &stage, const TargetInfo &target,
                                         const Tiling &tiling);
/// Replaces the constant weights by transformed ones, in panels.
void transformWinogradWeights(mlir::OpBuilder &builder, Value call, Stage &stage,
                              const WinogradPlan &plan);

/// Operands and result of an attention, and how it is computed; see Attention.cpp.
struct AttentionShape {
  View query, key, value, result; // rank 4
  std::optional<View> mask;       // broadcasts to [batch, heads, queries, keys]
  double scale = 1;
  bool causal = false;
  int64_t slot = 0, items = 1; // elements of scratch for each item, of which there are so many
  Size count;                  // items of a run, at most that

  // On a GPU:
  /// Rows of a block are the queries of so many heads, one after the other, that have the same
  /// keys.
  int64_t group = 1;
  /// So many blocks share the keys of their rows, `chunk` for each. Where these are there, a block
  /// leaves in `partSums`, [batch, heads / group, rows, parts, value head], the sum of its values
  /// by their exponentials, and in `partTotals`, [.., parts, 2], the largest score and the sum of
  /// exponentials.
  Size parts = 1, chunk = 0;
  std::optional<View> partSums, partTotals;

  Size rows() const { return query.sizes[2] * Size(group); }
  /// Of heads that have the same keys, or of single heads.
  Size groups() const {
    return group == 1 ? query.sizes[1] : Size(query.sizes[1].constant / group);
  }
};
/// Whether operands of such types can be; what cannot is inlined and scheduled as any other code.
bool canEmitAttention(llvm::ArrayRef<mlir::Type> operands, const TargetInfo &target);
bool canEmitBlockAttention(llvm::ArrayRef<mlir::Type> operands, const TargetInfo &target);
void planAttention(AttentionShape &shape, const TargetInfo &target);

/// Whether the body of `stage` is accumulator + a * b in f32.
bool isMultiplyAdd(const Stage &stage);

/// Whether the operation is sum + a * b in f32, of two tensors.
bool isProductOfF32(mlir::linalg::GenericOp op);

/// Whether a product of two tensors has rows, columns and depth enough for blocks that multiply
/// tiles; sizes that only the run knows are.
bool fillsTiles(mlir::linalg::GenericOp op);
/// The tensor of 16-bit numbers that `value` is, element by element; null where it is none.
Value findNarrow(Value value);
/// The constant of f32 that `value` is in `element`, of 16 bits; null where it is none, or where a
/// number does not fit exactly and may not be rounded.
mlir::TypedAttr narrowConstant(Value value, mlir::FloatType element, bool mayRound);

/// For GPUs: products and attentions of f32 take operands rounded to bf16.
void roundAttentions(mlir::ModuleOp module);
void roundProducts(mlir::ModuleOp module);
/// For GPUs whose matrix units, by name, multiply bytes: products of differences of bytes by
/// constant ones take the bytes.
void narrowBytes(mlir::ModuleOp module, llvm::StringRef units);
/// For GPUs whose matrix units, by name, multiply 8-bit floats: products of what was widened from
/// those take the bytes.
void narrowFloat8(mlir::ModuleOp module, llvm::StringRef units);

/// Whether the operation only permutes the dimensions of its one operand.
bool isPureTranspose(mlir::linalg::GenericOp op);

/// Puts the loops that add up behind the others, where the body does not use their numbers.
void sortLoops(Stage &stage);

/// Drops loops of size 1 and joins adjacent loops that every access walks as one.
void collapseLoops(Stage &stage);
/// The same for a tiled group, alike in the root and its epilogue.
void collapseTiledGroup(Group &group);

/// Intermediate results of a group that is not tiled share the memory of a result that replaces
/// them element by element.
void reuseResults(Group &group);

/// Results that only the group itself reads stay in registers.
void keepInRegisters(Group &group);

/// Stores the constant that the lanes of a tiled root run across in panels of 32 lanes,
/// `[parallel loops][lanes / 32][reduction loops][32]`, zero-padded, so that the tile streams it;
/// narrow numbers in pairs, `[...][pair loop / 2][32][2]`. All x86 levels share this layout.
void packWeights(mlir::OpBuilder &builder, Value call, Group &group, const TileChoice &choice,
                 const TargetInfo &target);

/// The reduction loop along which a tile takes its operands in pairs, where it can: the body
/// multiplies narrow numbers, and those of the input that is not `weight` lie together there.
std::optional<unsigned> choosePairLoop(const Stage &stage, unsigned weight,
                                       const TileChoice &choice, const TargetInfo &target);

/// How tables of schedules name the kernels of such a stage: "f32 product 1x56x56x64 by 3x3x64",
/// results by what each adds up; "?" is a size that only the run knows.
std::string describeShape(const Stage &stage);

/// Whether and how `stage` can be register-tiled.
std::optional<TileChoice> chooseTile(const Stage &stage, const TargetInfo &target);

/// Whether `stage` can follow `group`'s tiled root in registers.
bool fitsEpilogue(const Group &group, const Stage &stage, const TargetInfo &target);

/// True when every operation of the body may be emitted on vectors.
bool isVectorizable(mlir::Block &body);
bool isVectorizable(mlir::Operation &op);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_KERNEL_H
