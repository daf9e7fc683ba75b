// Products of bf16 on tiles of 16 x 16 sums (Intel 64 and IA-32 Architectures Software Developer's
// Manual, volume 1, chapter 18). An instruction multiplies 16 rows of 32 numbers with 16 columns:
// 16 times what a vector of pairs does. Weights lie as for those, `[K / 2][32 lanes][2]`.
// Apache-2.0 WITH LLVM-exception
#include "MatrixTile.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

bool lathe::schedule::fitsMatrixTiles(const Stage &root, const TileChoice &choice,
                                      const TargetInfo &target) {
  auto zero = dyn_cast_or_null<FloatAttr>(root.inits[0]);
  if (target.matrixBF16.empty() || !choice.rowLoop || !zero || !zero.getValue().isZero())
    return false;
  for (unsigned weight : {0u, 1u}) {
    if (root.inputs.size() != 2 || !root.inputs[weight].pairLoop)
      continue;
    const Access &weights = root.inputs[weight], &other = root.inputs[1 - weight];
    unsigned loop = *weights.pairLoop;
    return weights.view.element.isBF16() && other.view.element.isBF16() &&
           other.coefficients[loop].is(1) && root.extents[loop].isStatic() &&
           root.extents[loop].constant > 0 && root.extents[loop].constant % MatrixUnit::step == 0 &&
           !other.coefficients[*choice.rowLoop].isZero() &&
           weights.coefficients[*choice.rowLoop].isZero();
  }
  return false;
}

void MatrixUnit::call(StringRef intrinsic, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(kernel.builder, kernel.loc, kernel.builder.getStringAttr(intrinsic),
                                operands);
}

Value MatrixUnit::tile(int64_t number) {
  return LLVM::ConstantOp::create(kernel.builder, kernel.loc, kernel.builder.getI8Type(), number);
}

Value MatrixUnit::i64(int64_t value) {
  return LLVM::ConstantOp::create(kernel.builder, kernel.loc, kernel.builder.getI64Type(), value);
}

Value MatrixUnit::address(Value pointer, Type element, Value position) {
  Value index =
      arith::IndexCastOp::create(kernel.builder, kernel.loc, kernel.builder.getI64Type(), position);
  return LLVM::GEPOp::create(kernel.builder, kernel.loc, pointer.getType(), element, pointer,
                             ArrayRef<LLVM::GEPArg>{index});
}

Value MatrixUnit::pointerOf(Value buffer) { return buffer.getDefiningOp<rt::ViewOp>().getBase(); }

Value MatrixUnit::allocate(int64_t bytes) {
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.function.getBody().front());
  Value count = LLVM::ConstantOp::create(builder, kernel.loc, builder.getI64Type(), int64_t(bytes));
  return LLVM::AllocaOp::create(builder, kernel.loc,
                                LLVM::LLVMPointerType::get(builder.getContext()),
                                builder.getI8Type(), count, /*alignment=*/64);
}

void MatrixUnit::configure(int64_t rows) {
  if (!configuration)
    configuration = allocate(64);
  int64_t upper = std::min<int64_t>(rows, 16), lower = std::max<int64_t>(rows - 16, 1);
  int64_t counts[8] = {upper, upper, lower, lower, upper, lower, 16, 16}, packed = 0;
  for (int64_t number = 7; number >= 0; --number)
    packed = packed << 8 | counts[number];
  // Palette 1; 64 bytes in a row of every tile; rows.
  constexpr int64_t widths = 0x0040004000400040;
  const int64_t words[8] = {1, 0, widths, widths, 0, 0, packed, 0};
  for (auto [index, word] : llvm::enumerate(words)) {
    Value place = LLVM::GEPOp::create(kernel.builder, kernel.loc, configuration.getType(),
                                      kernel.builder.getI64Type(), configuration,
                                      ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(int32_t(index))});
    LLVM::StoreOp::create(kernel.builder, kernel.loc, i64(word), place);
  }
  call("llvm.x86.ldtilecfg", configuration);
}

void MatrixUnit::zero(int64_t rows, int64_t vectors) {
  for (int64_t half = 0; half < (rows > 16 ? 2 : 1); ++half)
    for (int64_t j = 0; j < vectors; ++j)
      call("llvm.x86.tilezero", tile(2 * half + j));
}

void MatrixUnit::accumulate(int64_t rows, int64_t vectors, Value buffer, Value position,
                            Value rowStride, Value weights, ArrayRef<Value> weightPositions,
                            int64_t pairStride) {
  Type bf16 = kernel.builder.getBF16Type();
  Value stride = arith::IndexCastOp::create(kernel.builder, kernel.loc, kernel.builder.getI64Type(),
                                            rowStride);
  for (int64_t j = 0; j < vectors; ++j)
    call("llvm.x86.tileloadd64",
         {tile(6 + j), address(pointerOf(weights), bf16, weightPositions[j]), i64(pairStride)});
  Value upper = address(pointerOf(buffer), bf16, position);
  for (int64_t half = 0; half < (rows > 16 ? 2 : 1); ++half) {
    Value start = upper;
    if (half) {
      Value below = LLVM::ShlOp::create(kernel.builder, kernel.loc, stride, i64(4)); // 16 rows
      start = LLVM::GEPOp::create(kernel.builder, kernel.loc, upper.getType(),
                                  kernel.builder.getI8Type(), upper, ArrayRef<LLVM::GEPArg>{below});
    }
    call("llvm.x86.tileloadd64", {tile(4 + half), start, stride});
    for (int64_t j = 0; j < vectors; ++j)
      call("llvm.x86.tdpbf16ps", {tile(2 * half + j), tile(4 + half), tile(6 + j)});
  }
}

Value MatrixUnit::store(int64_t rows, int64_t vectors) {
  OpBuilder &builder = kernel.builder;
  constexpr int64_t width = 2 * lanes;
  if (!scratch) {
    Value memory = allocate(mostRows * width * 4);
    OpBuilder early(builder.getContext());
    early.setInsertionPointAfter(memory.getDefiningOp());
    scratch = rt::ViewOp::create(early, kernel.loc,
                                 MemRefType::get({mostRows * width}, builder.getF32Type()), memory,
                                 ValueRange{}, ValueRange{});
  }
  for (int64_t half = 0; half < (rows > 16 ? 2 : 1); ++half)
    for (int64_t j = 0; j < vectors; ++j) {
      Value place = address(pointerOf(scratch), builder.getF32Type(),
                            kernel.constant(half * 16 * width + j * lanes));
      call("llvm.x86.tilestored64", {tile(2 * half + j), place, i64(width * 4)});
    }
  return scratch;
}

void MatrixUnit::release() { call("llvm.x86.tilerelease", {}); }
