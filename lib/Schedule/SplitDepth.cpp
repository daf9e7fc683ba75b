// Sums on a GPU whose results are too few for its processors while each adds up much: products with
// few rows and columns, or with one row. Another loop goes through slices of what is added up, so
// that the blocks of a kernel have a slice each; a second kernel adds up what these found, in
// order, and goes on with what follows the sum. Both are stages like any others, for whatever
// emitter takes them. Apache-2.0 WITH LLVM-exception
#include "BlockPart.h"
#include "KernelBuilder.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Results of a block that multiplies tiles, down and across, and of one that adds up columns.
constexpr int64_t tileSize = 64, columnWidth = 32;
/// With fewer rows or columns there are no tiles.
constexpr int64_t leastTile = 8;
/// Blocks that a processor is to have: while one waits another computes.
constexpr int64_t blocksOfProcessor = 2;
/// What a slice adds up at least; and so many terms less for each block are worth another kernel
/// and memory between the two.
constexpr int64_t leastSlice = 256, leastGain = 768;
/// A slice along what lies together is a multiple of so many elements, as parts of operands are.
constexpr int64_t sliceUnit = 32;

/// How a sum is cut: the loop of the root, and into how many slices.
struct DepthSplit {
  unsigned loop = 0;
  int64_t slices = 1;
  /// Where only the run knows how many rows there are: with no more than that.
  std::optional<int64_t> mostRows;
  Size rows, columns;
};

} // namespace

/// The slices of the loop that has the most of them, of at most so many.
static DepthSplit chooseSlices(const Stage &root, int64_t most) {
  DepthSplit found;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    if (!root.reduction[i])
      continue;
    int64_t extent = root.extents[i].constant;
    bool liesTogether =
        llvm::any_of(root.inputs, [&](const Access &input) { return input.coefficients[i].is(1); });
    for (int64_t slices = std::min(most, extent); slices > found.slices; --slices)
      if (extent % slices == 0 &&
          (!liesTogether || extent % sliceUnit != 0 || extent / slices % sliceUnit == 0)) {
        found.loop = i;
        found.slices = slices;
      }
  }
  return found;
}

/// How many blocks compute the root, with so many rows of those that only the run knows.
static int64_t countBlocks(const Stage &root, int64_t batch, int64_t rows, int64_t columns) {
  if (rows >= leastTile && columns >= leastTile)
    return batch * llvm::divideCeil(rows, tileSize) * llvm::divideCeil(columns, tileSize);
  // A block for each result, or, where neighbours among the results read what lies together, for
  // some of them.
  bool inColumns = false;
  for (unsigned i = 0; i < root.numLoops(); ++i)
    inColumns |= !root.reduction[i] && llvm::any_of(root.inputs, [&](const Access &input) {
      return input.coefficients[i].is(1);
    });
  return inColumns ? llvm::divideCeil(batch * rows * columns, columnWidth) : batch * rows * columns;
}

static std::optional<DepthSplit> planSplit(const Group &group, const TargetInfo &target) {
  const Stage &root = group.stages.front();
  JoinedLoops batch, rows, columns, depth;
  if (target.processors == 0 || !joinLoops(root, batch, rows, columns, depth))
    return std::nullopt;
  std::optional<Combiner> combiner = findCombiner(root);
  if (!combiner || combiner->kind != vector::CombiningKind::ADD)
    return std::nullopt;
  unsigned parallel = root.numLoops() - depth.loops.size();
  if (root.countLeadingParallel() != parallel || !depth.extent.isStatic() ||
      !columns.extent.isStatic() || (group.stages.size() > 1 && group.sharedLoops != parallel))
    return std::nullopt;
  std::optional<int64_t> mostRows;
  if (!rows.extent.isStatic() || !batch.extent.isStatic()) {
    // A row of tiles: beyond, there are blocks enough soon.
    if (!batch.extent.is(1) || rows.extent.constant > tileSize)
      return std::nullopt;
    mostRows = tileSize;
  }
  int64_t blocks =
      countBlocks(root, mostRows ? 1 : batch.extent.constant,
                  mostRows ? *mostRows : rows.extent.constant, columns.extent.constant);
  if (blocks == 0 || blocks >= target.processors)
    return std::nullopt;
  int64_t most =
      std::min(blocksOfProcessor * target.processors / blocks, depth.extent.constant / leastSlice);
  DepthSplit split = chooseSlices(root, most);
  if (split.slices < 2 || depth.extent.constant - depth.extent.constant / split.slices < leastGain)
    return std::nullopt;
  split.mostRows = mostRows;
  split.rows = rows.extent;
  split.columns = columns.extent;
  return split;
}

/// The sum over slices, as a body of one part and the sum so far.
static std::unique_ptr<Block> makeSum(const Stage &root) {
  std::optional<Combiner> combiner = findCombiner(root);
  auto body = std::make_unique<Block>();
  Type element = root.outputs[0].view.element;
  Value part = body->addArgument(element, root.loc), sum = body->addArgument(element, root.loc);
  OpBuilder builder(element.getContext());
  builder.setInsertionPointToEnd(body.get());
  Operation *add = builder.insert(combiner->op->cloneWithoutRegions());
  add->setOperands({sum, part});
  linalg::YieldOp::create(builder, root.loc, add->getResults());
  return body;
}

bool KernelBuilder::splitDepth(OpBuilder &builder, Value call, Group &group, HostAddress addressOf,
                               HostAllocation allocate) {
  if (options.optLevel == 0 || options.strict || !options.target.itemPerThread)
    return false;
  if (group.stages.size() == 1) {
    collapseLoops(group.stages.front());
    group.sharedLoops = group.stages.front().countLeadingParallel();
  }
  std::optional<DepthSplit> split = planSplit(group, options.target);
  if (!split)
    return false;
  Stage &root = group.stages.front();
  Location loc = root.loc;
  // Addresses belong before a branch.
  auto address = [&](const Access &access) {
    if (access.view.base)
      addressOf(loc, access.view);
  };
  for (Stage &stage : group.stages) {
    llvm::for_each(stage.inputs, address);
    llvm::for_each(stage.outputs, address);
    for (const auto &[tensor, view] : stage.captures)
      addressOf(loc, view);
  }
  // Parts: [slices, results as the loops have them].
  unsigned parallel = root.countLeadingParallel();
  SmallVector<Size> extents(ArrayRef(root.extents).take_front(parallel));
  SmallVector<Size> strides = contiguousStrides(extents);
  Size results(1);
  for (const Size &extent : extents)
    results = results * extent;
  Size held = results;
  Value isFew;
  if (split->mostRows) {
    Value rows = sizes.materialize(builder, loc, split->rows);
    Value most = arith::ConstantIndexOp::create(builder, loc, *split->mostRows);
    held = split->columns * sizes.get(arith::MinUIOp::create(builder, loc, rows, most));
    isFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, rows, most);
  }
  View parts = allocate(loc, root.outputs[0].view.element, held * Size(split->slices));
  std::unique_ptr<Block> body = makeSum(root);
  std::optional<Combiner> combiner = findCombiner(root);

  auto emitSplit = [&] {
    Group first;
    Stage part = root;
    int64_t length = root.extents[split->loop].constant / split->slices;
    for (Access &input : part.inputs)
      input.coefficients.insert(input.coefficients.begin(),
                                input.coefficients[split->loop] * Size(length));
    part.extents[split->loop] = Size(length);
    part.extents.insert(part.extents.begin(), Size(split->slices));
    part.reduction.insert(part.reduction.begin(), false);
    SmallVector<Size> coefficients{results};
    coefficients.append(strides);
    coefficients.append(root.numLoops() - parallel, Size(0));
    part.outputs[0] = {parts, coefficients};
    part.inits[0] = combiner->neutral;
    part.storesOutput[0] = true;
    first.sharedLoops = parallel + 1;
    first.stages.push_back(std::move(part));
    dispatchWhole(builder, call, std::move(first), addressOf, allocate);

    Group second;
    second.sharedLoops = group.sharedLoops;
    Stage sum(loc);
    sum.body = body.get();
    sum.extents = extents;
    sum.extents.push_back(Size(split->slices));
    sum.reduction.assign(parallel, false);
    sum.reduction.push_back(true);
    SmallVector<Size> from = strides, to(root.outputs[0].coefficients);
    from.push_back(results);
    to.resize(parallel);
    to.push_back(Size(0));
    sum.inputs.push_back({parts, from});
    sum.outputs.push_back({root.outputs[0].view, to});
    sum.inits = root.inits;
    sum.readsOutput = root.readsOutput;
    sum.storesOutput = root.storesOutput;
    second.stages.push_back(std::move(sum));
    for (const Stage &stage : llvm::drop_begin(group.stages))
      second.stages.push_back(stage);
    second.sharedLoops = parallel;
    dispatchWhole(builder, call, std::move(second), addressOf, allocate);
  };
  if (!isFew) {
    emitSplit();
    return true;
  }
  auto choice = scf::IfOp::create(builder, loc, isFew, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  emitSplit();
  builder.setInsertionPointToStart(choice.elseBlock());
  dispatchWhole(builder, call, std::move(group), addressOf, allocate);
  return true;
}
