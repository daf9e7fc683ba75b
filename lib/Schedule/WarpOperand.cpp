// How a warp loads its fragments of an operand from shared memory: matrices at once where the GPU
// does that, else element by element. Apache-2.0 WITH LLVM-exception
#include "WarpOperand.h"
#include "dialects/Rt/Rt.h"
#include <numeric>

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

static Value remainder(Kernel &kernel, Value a, int64_t b) {
  return arith::RemUIOp::create(kernel.builder, kernel.loc, a, kernel.constant(b));
}

static Value quotient(Kernel &kernel, Value a, int64_t b) {
  return arith::DivUIOp::create(kernel.builder, kernel.loc, a, kernel.constant(b));
}

Value lathe::schedule::laneCoordinate(Kernel &kernel, Value lane, const LanePlace &place,
                                      unsigned element, int64_t before, Value outer) {
  Value part = remainder(kernel, quotient(kernel, lane, place.divisor), place.modulus);
  return kernel.add(kernel.add(kernel.mul(part, kernel.constant(place.scale)),
                               kernel.constant(place.offsets[element] + before)),
                    outer);
}

WarpOperand::WarpOperand(Kernel &kernel, const MatrixUnit &unit, bool isLeft, const BlockPart &part,
                         Value memory, Value lane, Value first, int64_t count)
    : kernel(kernel), unit(unit), fragment(isLeft ? unit.left : unit.right), part(part),
      memory(memory), lane(lane), first(first), step(isLeft ? unit.rows : unit.columns),
      count(count) {
  if (unit.loadsMatrices)
    row = placeMatrices();
}

// The elements of a fragment; bytes that lie together at once.
Value WarpOperand::loadFragment(Value base, Value firstAcross, Value firstAlong) const {
  constexpr int64_t mostBytes = 16; // that a thread reads at once
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  bool areBytes = element.getIntOrFloatBitWidth() == 8 && part.along == 1;
  int64_t run = areBytes ? std::min(fragment.countNeighbours(), mostBytes) : 1;
  SmallVector<Value> elements;
  for (unsigned i = 0; i < fragment.size(); i += run) {
    Value place =
        kernel.add(base, placeIn(kernel, part,
                                 laneCoordinate(kernel, lane, fragment.across, i, 0, firstAcross),
                                 laneCoordinate(kernel, lane, fragment.along, i, 0, firstAlong)));
    if (run == 1) {
      elements.push_back(memref::LoadOp::create(builder, loc, memory, place));
      continue;
    }
    Value read = vector::LoadOp::create(builder, loc, VectorType::get({run}, element), memory,
                                        place, /*nontemporal=*/false, llvm::MaybeAlign(run));
    for (int64_t j = 0; j < run; ++j)
      elements.push_back(vector::ExtractOp::create(builder, loc, read, j));
  }
  return vector::FromElementsOp::create(builder, loc, VectorType::get({fragment.size()}, element),
                                        elements);
}

// Of how many matrices a fragment is, and of how many fragments a warp loads those at once: of each
// load as many.
std::pair<int64_t, int64_t> WarpOperand::countMatrices() const {
  int64_t each = fragment.size() / 2;
  return {each, std::gcd(4 / each, count)};
}

// Where the row begins that the lane names when its warp loads the first fragments. The lanes that
// name the rows of a matrix are eight by eight.
Value WarpOperand::placeMatrices() const {
  auto constant = [&](int64_t value) { return kernel.constant(value); };
  auto [each, together] = countMatrices();
  Value inMatrix = remainder(kernel, lane, 8), across = constant(0), along = constant(0);
  for (int64_t bit = 1; bit < each * together; bit *= 2) {
    Value isSet = remainder(kernel, quotient(kernel, lane, 8 * bit), 2);
    int64_t element = bit % each * 2;
    across = kernel.add(
        across, kernel.mul(isSet, constant(fragment.across.offsets[element] + bit / each * step)));
    along = kernel.add(along, kernel.mul(isSet, constant(fragment.along.offsets[element])));
  }
  Value &inRow = part.along == 1 ? across : along;
  inRow = kernel.add(inRow, inMatrix);
  return placeIn(kernel, part, kernel.add(across, first), along);
}

SmallVector<Value> WarpOperand::load(Value base, int64_t depthBegin) const {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  auto constant = [&](int64_t value) { return kernel.constant(value); };
  SmallVector<Value> fragments;
  if (!unit.loadsMatrices) {
    for (int64_t i = 0; i < count; ++i)
      fragments.push_back(
          loadFragment(base, kernel.add(first, constant(i * step)), constant(depthBegin)));
    return fragments;
  }
  auto [each, together] = countMatrices();
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  for (int64_t i = 0; i < count; i += together) {
    Value place = kernel.add(kernel.add(base, row),
                             placeIn(kernel, part, constant(i * step), constant(depthBegin)));
    Value loaded = rt::LoadMatricesOp::create(
        builder, loc, VectorType::get({2 * each * together}, element), memory, place,
        /*transposed=*/part.along != 1);
    for (int64_t j = 0; j < together; ++j) {
      auto numbers = llvm::seq<int64_t>(j * fragment.size(), (j + 1) * fragment.size());
      fragments.push_back(
          vector::ShuffleOp::create(builder, loc, loaded, loaded, llvm::to_vector(numbers)));
    }
  }
  return fragments;
}
