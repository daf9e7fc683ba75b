// Layouts of operands in shared memory, and what brings them there. Threads that read together
// shall find different banks: rows are padded. A bank is four bytes wide, and there are 32.
// Apache-2.0 WITH LLVM-exception
#include "BlockPart.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

bool lathe::schedule::joinLoops(const Stage &root, JoinedLoops &batch, JoinedLoops &rows,
                                JoinedLoops &columns, JoinedLoops &depth) {
  if (root.irregular || root.inputs.size() != 2 || root.outputs.size() != 1 ||
      !root.hasReduction() || !root.inputs[0].view.base || !root.inputs[1].view.base)
    return false;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    bool inLeft = !root.inputs[0].coefficients[i].isZero();
    bool inRight = !root.inputs[1].coefficients[i].isZero();
    (root.reduction[i]   ? depth
     : inLeft == inRight ? batch
     : inLeft            ? rows
                         : columns)
        .add(i, root.extents[i]);
  }
  return true;
}

bool lathe::schedule::hasAlignedBase(const View &view) {
  static_assert(LATHE_ALIGNMENT >= 16);
  // What comes from elsewhere, such as a sequence, has the alignment of its elements.
  return !view.offset &&
         isa_and_nonnull<rt::AllocOp, rt::WeightAddressOp, rt::InputOp, rt::OutputOp>(
             view.base.getDefiningOp());
}

/// Whether a view begins at a multiple of `bytes`, in the memory of a device.
static bool isAligned(const View &view, int64_t bytes, int64_t elementBytes) {
  return bytes == elementBytes ||
         (hasAlignedBase(view) && view.constantOffset * elementBytes % bytes == 0);
}

/// Whether chunks of `count` elements along `fast`, each from a multiple of that on, lie together,
/// at multiples of their size.
static bool areTogether(const Stage &root, const Access &access, const JoinedLoops &fast,
                        int64_t count, int64_t elementBytes) {
  if (!isAligned(access.view, count * elementBytes, elementBytes))
    return false;
  if (count == 1)
    return true;
  // The innermost loops that walk on from one element to its neighbour.
  Size run(1);
  ArrayRef<unsigned> outer = fast.loops;
  for (; !outer.empty(); outer = outer.drop_back())
    if (const Size &extent = root.extents[outer.back()]; !extent.is(1)) {
      if (access.coefficients[outer.back()] != run)
        break;
      run = run * extent;
    }
  ArrayRef<unsigned> inner = ArrayRef<unsigned>(fast.loops).drop_front(outer.size());
  if (run.is(1) || (!outer.empty() && run.constant % count != 0))
    return false;
  for (unsigned loop = 0; loop < root.numLoops(); ++loop)
    if (!llvm::is_contained(inner, loop) && !root.extents[loop].is(1) &&
        access.coefficients[loop].constant % count != 0)
      return false;
  return true;
}

static bool isFastest(const Stage &root, const Access &access, const JoinedLoops &joined) {
  for (unsigned loop : llvm::reverse(joined.loops))
    if (!root.extents[loop].is(1))
      return access.coefficients[loop].is(1);
  return false;
}

BlockPart lathe::schedule::planPart(const Stage &root, unsigned input, const JoinedLoops &across,
                                    const JoinedLoops &depth, int64_t size, int64_t tileDepth,
                                    const MatrixUnit *unit) {
  const Access &access = root.inputs[input];
  unsigned bits = access.view.element.getIntOrFloatBitWidth();
  int64_t elementBytes = std::max(1u, bits / 8);
  bool acrossIsFastest = isFastest(root, access, across);
  BlockPart part{size, tileDepth, !acrossIsFastest && isFastest(root, access, depth), 0, 0, 0};
  part.isSwizzled = unit && unit->groupWarps > 1;
  // In a unit's registers neighbours in what is added up are neighbours; where a warp loads
  // matrices, these are transposed on the way, and the rows of each, 16 bytes, find all banks.
  // Without a unit the threads of a warp read one or two rows of the left operand and 16 columns of
  // the right one, which find 16 banks where they are an odd number of eight bytes apart. Of 32
  // bits a unit's register holds one, read from wherever it lies: four steps by eight columns at
  // once.
  bool isSingle = unit && bits == 32;
  bool mayLieAcross = unit && (unit->loadsMatrices || part.isSwizzled);
  bool isAlongDepth = unit && !isSingle ? !mayLieAcross || !acrossIsFastest : part.depthIsFastest;
  int64_t mostBytes = !unit && isAlongDepth && input == 1 ? 8 : 16;
  int64_t padding = std::max<int64_t>(1, mostBytes / elementBytes);
  part.across = isAlongDepth ? tileDepth + padding : 1;
  part.along = isAlongDepth ? 1 : size + (unit ? (isSingle ? 2 : 1) * padding : 0);
  if (bits % 8 != 0 || isAlongDepth != part.depthIsFastest)
    return part;
  const JoinedLoops &fast = part.depthIsFastest ? depth : across;
  for (int64_t bytes = mostBytes; bytes >= 4 && bytes >= elementBytes; bytes /= 2)
    if (areTogether(root, access, fast, bytes / elementBytes, elementBytes)) {
      part.chunk = bytes / elementBytes;
      break;
    }
  return part;
}

void lathe::schedule::spread(Kernel &kernel, const Stage &root, const JoinedLoops &joined,
                             Value number, MutableArrayRef<Value> indices) {
  SmallVector<Size> extents;
  for (unsigned loop : joined.loops)
    extents.push_back(root.extents[loop]);
  for (auto [loop, index] : llvm::zip_equal(joined.loops, kernel.split(number, extents)))
    indices[loop] = index;
}

Value lathe::schedule::placeIn(Kernel &kernel, const BlockPart &part, Value across, Value along) {
  return kernel.add(kernel.mul(across, kernel.constant(part.across)),
                    kernel.mul(along, kernel.constant(part.along)));
}

static Value isLess(Kernel &kernel, Value a, Value b) {
  return arith::CmpIOp::create(kernel.builder, kernel.loc, arith::CmpIPredicate::ult, a, b);
}

static Value areBoth(Kernel &kernel, Value a, Value b) {
  return arith::AndIOp::create(kernel.builder, kernel.loc, a, b);
}

void PartEmitter::bring(Value first, Value depthBegin, Value base) {
  if (part.chunk)
    copy(first, depthBegin, base);
  else
    store(first, depthBegin, base);
}

// Of chunk number `number + beyond`. Those that follow each other lie together, for threads beside
// each other.
PartEmitter::Place PartEmitter::findPlace(Value number, int64_t beyond, Value first,
                                          Value depthBegin, int64_t chunk) {
  OpBuilder &builder = kernel.builder;
  auto rem = [&](Value a, int64_t b) -> Value {
    return arith::RemUIOp::create(builder, kernel.loc, a, kernel.constant(b));
  };
  auto div = [&](Value a, int64_t b) -> Value {
    return arith::DivUIOp::create(builder, kernel.loc, a, kernel.constant(b));
  };
  int64_t length = part.isSwizzled       ? BlockPart::lineNumbers
                   : part.depthIsFastest ? part.depth
                                         : part.size;
  int64_t inEach = length / chunk;
  // Where `beyond` is whole lines, all have the same place in theirs.
  if (beyond % inEach != 0) {
    number = kernel.add(number, kernel.constant(beyond));
    beyond = 0;
  }
  Value low = kernel.mul(rem(number, inEach), kernel.constant(chunk)), line = div(number, inEach);
  Value high = kernel.add(line, kernel.constant(beyond / inEach));
  if (!part.isSwizzled) {
    Value inDepth = part.depthIsFastest ? low : high, inAcross = part.depthIsFastest ? high : low;
    return {placeIn(kernel, part, inAcross, inDepth), kernel.add(first, inAcross),
            kernel.add(depthBegin, inDepth)};
  }
  constexpr int64_t unit = 8; // numbers in 16 bytes
  Value turn = rem(beyond / inEach % unit ? high : line, unit);
  Value swizzled = arith::XOrIOp::create(builder, kernel.loc, div(low, unit), turn);
  Value inLine = kernel.add(kernel.mul(swizzled, kernel.constant(unit)), rem(low, unit));
  Value inPart = kernel.add(kernel.mul(high, kernel.constant(length)), inLine);
  if (part.along == 1)
    return {inPart, kernel.add(first, high), kernel.add(depthBegin, low)};
  Value inAcross = kernel.add(kernel.mul(div(high, part.depth), kernel.constant(length)), low);
  return {inPart, kernel.add(first, inAcross), kernel.add(depthBegin, rem(high, part.depth))};
}

// Where it is in the operand.
Value PartEmitter::linear(const Place &place) {
  SmallVector<Value> indices(outer);
  spread(kernel, root, across, place.across, indices);
  spread(kernel, root, depth, place.depth, indices);
  return kernel.linear(root.inputs[input].coefficients, indices);
}

// Each element for itself, zeros for those that are not there.
void PartEmitter::store(Value first, Value depthBegin, Value base) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  const View &view = root.inputs[input].view;
  Value acrossExtent = kernel.size(across.extent), depthExtent = kernel.size(depth.extent);
  Value buffer = kernel.buffer(addressOf(view), view.element);
  auto loop = scf::ForOp::create(builder, loc, thread, kernel.constant(part.size * part.depth),
                                 kernel.constant(threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Place place = findPlace(loop.getInductionVar(), 0, first, depthBegin, 1);
  Value isThere = areBoth(kernel, isLess(kernel, place.depth, depthExtent),
                          isLess(kernel, place.across, acrossExtent));
  auto choice = scf::IfOp::create(builder, loc, view.element, isThere, /*withElseRegion=*/true);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  Value value = memref::LoadOp::create(builder, loc, buffer, linear(place));
  scf::YieldOp::create(builder, loc, value);
  builder.setInsertionPointToStart(&choice.getElseRegion().front());
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(view.element));
  scf::YieldOp::create(builder, loc, zero);
  builder.setInsertionPointAfter(choice);
  memref::StoreOp::create(builder, loc, choice.getResult(0), memory,
                          kernel.add(base, place.inPart));
}

// The same by copies of several elements.
void PartEmitter::copy(Value first, Value depthBegin, Value base) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  const View &view = root.inputs[input].view;
  Value buffer = kernel.buffer(addressOf(view), view.element);
  int64_t chunks = part.size * part.depth / part.chunk;
  for (int64_t begin = 0; begin < chunks; begin += threads) {
    OpBuilder::InsertionGuard guard(builder);
    if (chunks - begin < threads) {
      auto some =
          scf::IfOp::create(builder, loc, isLess(kernel, thread, kernel.constant(chunks - begin)),
                            /*withElseRegion=*/false);
      builder.setInsertionPointToStart(&some.getThenRegion().front());
    }
    Place place = findPlace(thread, begin, first, depthBegin, part.chunk);
    rt::CopyAsyncOp::create(builder, loc, buffer, linear(place), memory,
                            kernel.add(base, place.inPart), part.chunk, countValid(place));
  }
}

// How many elements of a chunk are there; null: all, wherever it is.
Value PartEmitter::countValid(const Place &place) {
  OpBuilder &builder = kernel.builder;
  Value isThere, valid = kernel.constant(part.chunk);
  auto limit = [&](const Size &extent, Value number, int64_t size, bool isFastest) {
    if (extent.isStatic() && extent.constant % size == 0)
      return;
    Value end = kernel.size(extent), isInside = isLess(kernel, number, end);
    isThere = isThere ? areBoth(kernel, isThere, isInside) : isInside;
    if (isFastest && extent.constant % part.chunk != 0)
      valid = arith::MinUIOp::create(builder, kernel.loc, valid,
                                     arith::SubIOp::create(builder, kernel.loc, end, number));
  };
  limit(across.extent, place.across, part.size, !part.depthIsFastest);
  limit(depth.extent, place.depth, part.depth, part.depthIsFastest);
  if (!isThere)
    return {};
  return arith::SelectOp::create(builder, kernel.loc, isThere, valid, kernel.constant(0));
}
