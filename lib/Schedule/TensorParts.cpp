// Tensor maps of operands, and the pipeline of a warp that fills stages and of others that empty
// them. Apache-2.0 WITH LLVM-exception
#include "TensorParts.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

struct Dimension {
  Size size, stride;
};

} // namespace

static bool isOfMap(const Size &size) {
  return size.constant > 0 && size.factors.size() <= LATHE_SIZE_FACTORS;
}

/// Joined loops as one dimension of an operand: each goes on where the next one ends.
static std::optional<Dimension> asOneDimension(const Stage &root, const Access &access,
                                               const JoinedLoops &joined) {
  std::optional<Dimension> all;
  for (unsigned loop : llvm::reverse(joined.loops)) {
    if (root.extents[loop].is(1))
      continue;
    const Size &stride = access.coefficients[loop];
    if (!all)
      all = Dimension{Size(1), stride};
    else if (stride != all->stride * all->size)
      return std::nullopt;
    all->size = all->size * root.extents[loop];
  }
  if (!all || !isOfMap(all->size) || !isOfMap(all->stride))
    return std::nullopt;
  return all;
}

/// Loops of the batch that walk through an operand.
static SmallVector<unsigned> walkingLoops(const Stage &root, unsigned input,
                                          const JoinedLoops &batch) {
  SmallVector<unsigned> loops;
  for (unsigned loop : batch.loops)
    if (!root.extents[loop].is(1) && !root.inputs[input].coefficients[loop].isZero())
      loops.push_back(loop);
  return loops;
}

bool lathe::schedule::isTensorPart(const Stage &root, unsigned input, const JoinedLoops &batch,
                                   const JoinedLoops &across, const JoinedLoops &depth,
                                   const BlockPart &part) {
  const Access &access = root.inputs[input];
  // planPart has found chunks of 16 bytes at multiples of that.
  int64_t chunkBytes = part.chunk * (access.view.element.getIntOrFloatBitWidth() / 8);
  if (!part.isSwizzled || chunkBytes != 16 || !hasAlignedBase(access.view))
    return false;
  SmallVector<unsigned> walking = walkingLoops(root, input, batch);
  if (walking.size() + 2 > LATHE_MAP_RANK || llvm::any_of(walking, [&](unsigned loop) {
        return !isOfMap(root.extents[loop]) || !isOfMap(access.coefficients[loop]);
      }))
    return false;
  std::optional<Dimension> lines = asOneDimension(root, access, across);
  std::optional<Dimension> along = asOneDimension(root, access, depth);
  constexpr int64_t mostBox = 256;
  return lines && along && part.size <= mostBox && (part.along == 1 ? *along : *lines).stride.is(1);
}

TensorStages::TensorStages(Kernel &kernel, const Stage &root, const BlockTile &tile,
                           AddressOf addressOf, const JoinedLoops &batch, const JoinedLoops &depth,
                           Value thread, Value barriers)
    : kernel(kernel), root(root), tile(tile), addressOf(addressOf), batch(batch), depth(depth),
      thread(thread), barriers(barriers) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  auto choice = scf::IfOp::create(builder, loc, isEqual(thread, constant(0)),
                                  /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  // One thread says that bytes are to come; each warp says that it is through with them.
  int64_t warps = tile.threads / tile.unit->lanes;
  for (int64_t i = 0; i < 2 * tile.stages; ++i)
    rt::InitPhasesOp::create(builder, loc, barriers, constant(i), i < tile.stages ? 1 : warps);
  rt::FencePhasesOp::create(builder, loc);
}

Value TensorStages::isEqual(Value a, Value b) {
  return arith::CmpIOp::create(kernel.builder, kernel.loc, arith::CmpIPredicate::eq, a, b);
}

std::pair<Value, Value> TensorStages::next(Value slot, Value parity) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  Value after = kernel.add(slot, constant(1));
  Value isLast = isEqual(after, constant(tile.stages));
  Value other = arith::SubIOp::create(builder, loc, constant(1), parity);
  return {arith::SelectOp::create(builder, loc, isLast, constant(0), after),
          arith::SelectOp::create(builder, loc, isLast, other, parity)};
}

void TensorStages::waitFull(Value slot, Value parity) {
  rt::WaitPhaseOp::create(kernel.builder, kernel.loc, barriers, slot, parity);
}

void TensorStages::release(Value slot, Value isThere) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  Value lane = arith::RemUIOp::create(builder, loc, thread, constant(tile.unit->lanes));
  Value isFirst = arith::AndIOp::create(builder, loc, isEqual(lane, constant(0)), isThere);
  auto choice = scf::IfOp::create(builder, loc, isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  rt::ArriveOp::create(builder, loc, barriers, emptyOf(slot));
}

// Dimension 0 is along the lines, dimension 1 what they follow each other in.
Value TensorStages::makeMap(unsigned input, const Operand &operand) {
  const Access &access = root.inputs[input];
  const BlockPart &part = tile.parts[input];
  Dimension across = *asOneDimension(root, access, operand.across);
  Dimension along = *asOneDimension(root, access, depth);
  bool isAlongDepth = part.along == 1;
  SmallVector<Dimension> dimensions{isAlongDepth ? along : across, isAlongDepth ? across : along};
  for (unsigned loop : walkingLoops(root, input, batch))
    dimensions.push_back({root.extents[loop], access.coefficients[loop]});
  SmallVector<int64_t> box(dimensions.size(), 1);
  box[0] = BlockPart::lineNumbers;
  box[1] = isAlongDepth ? part.size : part.depth;
  SmallVector<Value> sizes, strides;
  for (const Dimension &dimension : dimensions)
    sizes.push_back(kernel.size(dimension.size));
  for (const Dimension &dimension : llvm::drop_begin(dimensions))
    strides.push_back(kernel.size(dimension.stride));
  // The address that the host gives is that of the view's first element.
  Value base = kernel.buffer(addressOf(access.view), access.view.element)
                   .getDefiningOp<rt::ViewOp>()
                   .getBase();
  return rt::TensorMapOp::create(kernel.builder, kernel.loc, base.getType(), base, sizes, strides,
                                 access.view.element, box, /*offset=*/0, BlockPart::lineBytes);
}

void TensorStages::copy(unsigned input, const Operand &operand, Value map, ArrayRef<Value> outer,
                        Value slot, Value depthBegin) {
  const BlockPart &part = tile.parts[input];
  Value base = kernel.mul(slot, constant(part.elements()));
  bool isAlongDepth = part.along == 1;
  int64_t boxes = isAlongDepth ? 1 : part.size / BlockPart::lineNumbers;
  for (int64_t i = 0; i < boxes; ++i) {
    Value first = kernel.add(operand.first, constant(i * BlockPart::lineNumbers));
    SmallVector<Value> coordinates{isAlongDepth ? depthBegin : first,
                                   isAlongDepth ? first : depthBegin};
    for (unsigned loop : walkingLoops(root, input, batch))
      coordinates.push_back(outer[loop]);
    Value to = kernel.add(base, constant(i * BlockPart::lineNumbers * part.depth));
    rt::CopyTensorOp::create(kernel.builder, kernel.loc, map, coordinates, operand.memory, to,
                             barriers, slot);
  }
}

void TensorStages::fill(ArrayRef<Operand> operands, ArrayRef<Value> outer) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  SmallVector<Value, 2> maps;
  for (unsigned input : {0u, 1u})
    maps.push_back(makeMap(input, operands[input]));
  auto loop = scf::ForOp::create(builder, loc, constant(0), kernel.size(depth.extent),
                                 constant(tile.depth), ValueRange{constant(0), constant(0)});
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value slot = loop.getRegionIterArgs()[0], parity = loop.getRegionIterArgs()[1];
  // In the first round a stage is empty: the phase before the first counts as over.
  Value before = arith::SubIOp::create(builder, loc, constant(1), parity);
  rt::WaitPhaseOp::create(builder, loc, barriers, emptyOf(slot), before);
  rt::ArriveOp::create(builder, loc, barriers, slot, tile.bytesOfStage(root));
  for (unsigned input : {0u, 1u})
    copy(input, operands[input], maps[input], outer, slot, loop.getInductionVar());
  auto [after, afterParity] = next(slot, parity);
  scf::YieldOp::create(builder, loc, ValueRange{after, afterParity});
}
