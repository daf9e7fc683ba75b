// Descriptors count in units of 16 bytes, so that another step or stage is a sum away.
// Apache-2.0 WITH LLVM-exception
#include "GroupProducts.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

static constexpr int64_t unitBytes = 16, elementBytes = 2, linesTogether = 8;

static bool isTransposed(const BlockPart &part) { return part.along != 1; }

GroupProducts::GroupProducts(Kernel &kernel, const BlockTile &tile, Type element, Value thread,
                             ArrayRef<Value> shared)
    : kernel(kernel), tile(tile), element(element), shared(shared) {
  // Each group has the next rows, which are as many lines, or lines of as many numbers.
  int64_t groupThreads = tile.unit->groupWarps * tile.unit->lanes;
  int64_t groupRows = tile.unit->groupWarps * tile.warpRows;
  Value group =
      arith::DivUIOp::create(kernel.builder, kernel.loc, thread, kernel.constant(groupThreads));
  Value firstRow = kernel.mul(group, kernel.constant(groupRows * tile.depth));
  descriptors = {describe(0, firstRow), describe(1, kernel.constant(0))};
}

Value GroupProducts::constant(int64_t value) {
  return arith::ConstantIntOp::create(kernel.builder, kernel.loc, value, 64);
}

Value GroupProducts::describe(unsigned input, Value at) {
  // From eight lines to the next; from 64 rows or columns to the next, where these lie together.
  int64_t stride = linesTogether * BlockPart::lineBytes;
  int64_t leading = isTransposed(tile.parts[input]) ? tile.depth * BlockPart::lineBytes : unitBytes;
  return rt::DescribeMatrixOp::create(kernel.builder, kernel.loc, kernel.builder.getI64Type(),
                                      shared[input], at, leading, stride, BlockPart::lineBytes);
}

Value GroupProducts::begin(Value slot, Value sums) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  SmallVector<Value, 2> places;
  Value number = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), slot);
  for (unsigned input : {0u, 1u}) {
    int64_t stage = tile.parts[input].elements() * elementBytes / unitBytes;
    Value beyond = arith::MulIOp::create(builder, loc, number, constant(stage));
    places.push_back(arith::AddIOp::create(builder, loc, descriptors[input], beyond));
  }
  rt::FenceProductsOp::create(builder, loc);
  for (int64_t depth = 0; depth < tile.depth; depth += tile.unit->depth) {
    SmallVector<Value, 2> operands;
    for (unsigned input : {0u, 1u}) {
      // Along a line, or so many lines on.
      int64_t bytes =
          depth * (isTransposed(tile.parts[input]) ? BlockPart::lineBytes : elementBytes);
      operands.push_back(
          arith::AddIOp::create(builder, loc, places[input], constant(bytes / unitBytes)));
    }
    sums = rt::MultiplySharedOp::create(builder, loc, sums.getType(), operands[0], operands[1],
                                        sums, element, isTransposed(tile.parts[0]),
                                        isTransposed(tile.parts[1]));
  }
  rt::CommitProductsOp::create(builder, loc);
  return sums;
}

void GroupProducts::wait(int64_t groups) {
  rt::WaitProductsOp::create(kernel.builder, kernel.loc, TypeRange{}, groups, ValueRange{});
}

Value GroupProducts::finish(Value sums) {
  return rt::WaitProductsOp::create(kernel.builder, kernel.loc, sums.getType(), 0, sums)
      .getResult(0);
}
