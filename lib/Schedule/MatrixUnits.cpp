// Which elements of its matrices a lane has, as the vendors' documents say: PTX ISA, "Matrix
// Fragments for mma.m16n8k16 with floating point type", "mma.m16n8k8", "mma.m16n8k32", "Register
// Fragments" of wgmma; AMD's matrix instruction calculator for CDNA 2 and 3; RDNA 3 and RDNA 4 ISA,
// "WMMA".
// Apache-2.0 WITH LLVM-exception
#include "MatrixUnits.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace lathe::schedule;

static constexpr int64_t zeros[16] = {};
static constexpr int64_t counted[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static constexpr int64_t evens[8] = {0, 2, 4, 6, 8, 10, 12, 14};
static constexpr int64_t mmaRows[8] = {0, 0, 8, 8, 0, 0, 8, 8};
static constexpr int64_t mmaDepths[8] = {0, 1, 0, 1, 8, 9, 8, 9};
static constexpr int64_t mmaPairs[4] = {0, 1, 8, 9};
static constexpr int64_t mmaRows32[4] = {0, 8, 0, 8};
static constexpr int64_t mmaDepths32[4] = {0, 0, 4, 4};
static constexpr int64_t mmaSingles[2] = {0, 4};
static constexpr int64_t mmaRows8[16] = {0, 0, 0, 0, 8, 8, 8, 8, 0, 0, 0, 0, 8, 8, 8, 8};
static constexpr int64_t mmaDepths8[16] = {0, 1, 2, 3, 0, 1, 2, 3, 16, 17, 18, 19, 16, 17, 18, 19};
static constexpr int64_t mmaFours[8] = {0, 1, 2, 3, 16, 17, 18, 19};

static llvm::ArrayRef<int64_t> first(const int64_t *values, size_t count) {
  return {values, count};
}

// Smaller tiles read operands more often, and fill more processors. Those of wgmma have so many
// stages that, but for the largest, two blocks fit into the shared memory of a processor.
static constexpr TileShape halfTiles[] = {
    {128, 128, 8, 3, 100}, {64, 64, 4, 4, 65}, {32, 64, 4, 4, 40}};
static constexpr TileShape warpTiles[] = {{64, 64, 4, 4, 65}, {32, 64, 4, 4, 40}};
static constexpr TileShape waveTiles[] = {{64, 64, 2, 1, 65}, {32, 64, 2, 1, 40}};
static constexpr TileShape wmmaTiles[] = {{64, 64, 4, 1, 65}, {32, 64, 4, 1, 40}};
static constexpr TileShape groupTiles[] = {
    {128, 256, 8, 4, 100}, {128, 128, 8, 3, 85}, {64, 128, 4, 4, 65}, {64, 64, 4, 4, 45}};

int64_t Fragment::countNeighbours() const {
  auto areNeighbours = [&](int64_t count) {
    if (size() % count != 0 || along.scale % count != 0)
      return false;
    for (int64_t i = 0; i < size(); ++i) {
      int64_t first = i / count * count;
      if (along.offsets[i] != along.offsets[first] + i - first ||
          along.offsets[first] % count != 0 || across.offsets[i] != across.offsets[first])
        return false;
    }
    return true;
  };
  int64_t count = 1;
  while (areNeighbours(2 * count))
    count *= 2;
  return count;
}

bool MatrixUnit::takes(Type left, Type right, bool areUnsigned) const {
  auto isFloat8 = [](Type type) { return isa<Float8E4M3FNType, Float8E5M2Type>(type); };
  switch (kind) {
  case MatrixKind::half:
    return left == right && (left.isF16() || left.isBF16());
  case MatrixKind::tf32:
    return left.isF32() && right.isF32();
  case MatrixKind::int8:
  case MatrixKind::anyInt8:
    return left.isInteger(8) && right.isInteger(8) && (kind == MatrixKind::anyInt8 || !areUnsigned);
  case MatrixKind::fp8:
    return isFloat8(left) && isFloat8(right);
  }
  return false;
}

static llvm::ArrayRef<MatrixUnit> allUnits() {
  constexpr int64_t all = 64; // lanes, so that nothing wraps
  // The sums of all of mma.sync, and of all of MFMA.
  static const Fragment mmaSums{{4, 8, 1, first(mmaRows, 4)}, {1, 4, 2, first(mmaDepths, 4)}};
  static const Fragment mfmaSums{{16, all, 4, first(counted, 4)}, {1, 16, 1, first(zeros, 4)}};
  // Of MFMA and of WMMA for RDNA 4: so many neighbours in each group of 16 lanes.
  auto neighbours = [](int64_t count) {
    return Fragment{{1, 16, 1, first(zeros, count)}, {16, all, count, first(counted, count)}};
  };
  static const Fragment mma8Left{{4, 8, 1, mmaRows8}, {1, 4, 4, mmaDepths8}};
  static const Fragment mma8Right{{4, 8, 1, first(zeros, 8)}, {1, 4, 4, mmaFours}};
  // WMMA of RDNA 3: both halves of a wave have all of a row.
  static const Fragment wmmaRow{{1, 16, 1, first(zeros, 16)}, {1, 1, 0, first(counted, 16)}};
  static const Fragment wmmaSums{{16, all, 1, evens}, {1, 16, 1, first(zeros, 8)}};
  static const Fragment gfx12Sums{{16, all, 8, first(counted, 8)}, {1, 16, 1, first(zeros, 8)}};
  static const Fragment mmaLeft{{4, 8, 1, mmaRows}, {1, 4, 2, mmaDepths}};
  static const Fragment mmaRight{{4, 8, 1, first(zeros, 4)}, {1, 4, 2, mmaPairs}};
  static const Fragment mma32Left{{4, 8, 1, mmaRows32}, {1, 4, 1, mmaDepths32}};
  static const Fragment mma32Right{{4, 8, 1, first(zeros, 2)}, {1, 4, 1, mmaSingles}};
  using enum MatrixKind;
  static const MatrixUnit units[] = {
      // name, kind, lanes, rows, columns, depth, left, right, sums, loads matrices, depth of a
      // tile, tiles, warps of a group
      {"mma.sync", half, 32, 16, 8, 16, mmaLeft, mmaRight, mmaSums, true, 32, halfTiles},
      {"mma.sync.tf32", tf32, 32, 16, 8, 8, mma32Left, mma32Right, mmaSums, false, 16, warpTiles},
      {"mma.sync.i8", anyInt8, 32, 16, 8, 32, mma8Left, mma8Right, mmaSums, false, 64, warpTiles},
      {"mma.sync.f8", fp8, 32, 16, 8, 32, mma8Left, mma8Right, mmaSums, false, 64, warpTiles},
      // Of a warp of the group, and of 8 columns. The right operand is never in registers.
      {"wgmma", half, 32, 16, 8, 16, mmaLeft, {}, mmaSums, false, 64, groupTiles, 4},
      {"mfma", half, 64, 16, 16, 16, neighbours(4), neighbours(4), mfmaSums, false, 32, waveTiles},
      {"mfma.xf32", tf32, 64, 16, 16, 8, neighbours(2), neighbours(2), mfmaSums, false, 16,
       waveTiles},
      {"mfma.i8", int8, 64, 16, 16, 16, neighbours(4), neighbours(4), mfmaSums, false, 32,
       waveTiles},
      {"mfma.i8.gfx942", int8, 64, 16, 16, 32, neighbours(8), neighbours(8), mfmaSums, false, 64,
       waveTiles},
      {"wmma", half, 32, 16, 16, 16, wmmaRow, wmmaRow, wmmaSums, false, 32, wmmaTiles},
      {"wmma.i8", anyInt8, 32, 16, 16, 16, wmmaRow, wmmaRow, wmmaSums, false, 32, wmmaTiles},
      {"wmma.gfx12", half, 32, 16, 16, 16, neighbours(8), neighbours(8), gfx12Sums, false, 32,
       wmmaTiles},
      {"wmma.gfx12.i8", anyInt8, 32, 16, 16, 16, neighbours(8), neighbours(8), gfx12Sums, false, 32,
       wmmaTiles},
  };
  return units;
}

const MatrixUnit *lathe::schedule::findMatrixUnit(llvm::StringRef names, Type left, Type right,
                                                  bool areUnsigned) {
  llvm::SmallVector<llvm::StringRef> known;
  names.split(known, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef name : known)
    for (const MatrixUnit &unit : allUnits())
      if (unit.name == name && unit.takes(left, right, areUnsigned))
        return &unit;
  return nullptr;
}

/// An operand of a product in the body: the argument that it is or is widened from, and what the
/// unit takes it for. 8-bit floats are bytes in memory.
static BlockArgument findFactor(Value value, Type &element, bool &isUnsigned) {
  if (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(op))
      return {};
    isUnsigned = isa<arith::ExtUIOp>(op);
    value = op->getOperand(0);
  }
  element = value.getType();
  if (auto bits = value.getDefiningOp<arith::BitcastOp>())
    value = bits.getIn();
  return dyn_cast<BlockArgument>(value);
}

std::optional<UnitProduct> lathe::schedule::findUnitProduct(const Stage &stage) {
  if (stage.inputs.size() != 2 || stage.outputs.size() != 1 || !stage.scalars.empty())
    return std::nullopt;
  Type sum = stage.outputs[0].view.element;
  Operation *add = stage.body->getTerminator()->getOperand(0).getDefiningOp();
  if (!add ||
      !(sum.isF32() ? isa<arith::AddFOp>(add) : sum.isInteger(32) && isa<arith::AddIOp>(add)))
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    Operation *product = add->getOperand(i).getDefiningOp();
    if (!isa_and_nonnull<arith::MulFOp, arith::MulIOp>(product) ||
        add->getOperand(1 - i) != stage.body->getArgument(2))
      continue;
    UnitProduct found;
    bool isUnsigned[2] = {};
    Type elements[2];
    BlockArgument factors[2];
    for (unsigned j : {0u, 1u}) {
      bool unsignedFactor = false;
      Type element;
      BlockArgument factor = findFactor(product->getOperand(j), element, unsignedFactor);
      if (!factor || factor.getArgNumber() > 1)
        return std::nullopt;
      factors[factor.getArgNumber()] = factor;
      elements[factor.getArgNumber()] = element;
      isUnsigned[factor.getArgNumber()] = unsignedFactor;
    }
    if (!factors[0] || !factors[1])
      return std::nullopt;
    return UnitProduct{elements[0], elements[1], isUnsigned[0], isUnsigned[1]};
  }
  return std::nullopt;
}
