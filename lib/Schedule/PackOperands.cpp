// Operands of products that only the run knows, packed into panels before they are multiplied. Read
// as it lies, each step of a tile is on another page, and where rows are a multiple of 4 KiB apart
// in the same few sets of the caches. Panels are packed for some columns at a time, which stay in
// the second-level cache while all rows go through them. Apache-2.0 WITH LLVM-exception
#include "Tile.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

constexpr int64_t panelLanes = 32;

/// Which input of a tiled root, and how much of it at a time.
struct PanelPlan {
  unsigned input, columnLoop;
  SmallVector<unsigned> parallel, reductions; // loops that walk through it, beside the columns
  int64_t depth = 1, columns = 0;             // packed at a time
  Size rows = Size(1);                        // that go through it
  int64_t leastRows = 0;                      // with fewer a copy takes more than it saves
};

/// With fewer rows what is read is read once.
constexpr int64_t leastRows = 15;

} // namespace

static int64_t bytesOf(const Access &access) {
  return std::max(1u, access.view.element.getIntOrFloatBitWidth() / 8);
}

static bool isKnown(const Access &input) {
  return input.view.base.getDefiningOp<rt::WeightAddressOp>() != nullptr;
}

static std::optional<PanelPlan> planPanels(const Stage &root, const TileChoice &choice,
                                           const TargetInfo &target) {
  // Less of it stays in the second-level cache as it lies, or in the first-level one where its rows
  // all come to the same sets.
  constexpr int64_t leastBytes = 256 << 10, leastAliased = 64 << 10, page = 4096, mostGroups = 64;
  // Measured: of rows that all come to the same sets even the second tile reads from memory.
  constexpr int64_t leastRows = 48, leastAliasedRows = 15;
  const Size &columns = root.extents[choice.vectorLoop];
  if (!choice.rowLoop || !isMultiplyAdd(root) || !columns.isStatic())
    return std::nullopt;
  for (auto [number, input] : llvm::enumerate(root.inputs)) {
    if (input.coefficients.empty() || input.panel > 0 || isKnown(input) ||
        !input.coefficients[choice.vectorLoop].is(1) ||
        !input.coefficients[*choice.rowLoop].isZero())
      continue;
    PanelPlan plan{unsigned(number), choice.vectorLoop, {}, {}};
    // Windows that overlap would be copied several times.
    bool isStatic = true, overlaps = false, aliases = false;
    for (unsigned loop = 0; loop < root.numLoops(); ++loop) {
      const Size &stride = input.coefficients[loop], &extent = root.extents[loop];
      if (loop == choice.vectorLoop)
        continue;
      if (root.reduction[loop]) {
        isStatic &= extent.isStatic() && stride.isStatic();
        overlaps |= stride.constant < columns.constant;
        aliases |= stride.constant * bytesOf(input) % page == 0;
        plan.depth *= extent.constant;
        plan.reductions.push_back(loop);
      } else if (stride.isZero()) {
        plan.rows = plan.rows * extent;
      } else {
        plan.parallel.push_back(loop);
      }
    }
    // Weights beside it are in panels, or numbers that all lanes share: tiles are made for that.
    bool isBesideWeights = llvm::any_of(
        root.inputs, [](const Access &other) { return other.view.base && isKnown(other); });
    plan.leastRows = aliases ? leastAliasedRows : leastRows;
    int64_t column = plan.depth * bytesOf(input);
    if (!isStatic || overlaps || (isBesideWeights && !aliases) ||
        (plan.rows.isStatic() && plan.rows.constant < plan.leastRows) ||
        columns.constant < 2 * panelLanes ||
        column * columns.constant <= (aliases ? leastAliased : leastBytes))
      continue;
    int64_t most = std::max<int64_t>(target.l2Bytes / column, columns.constant / mostGroups);
    plan.columns = std::min<int64_t>(columns.constant,
                                     llvm::alignTo(std::max<int64_t>(most, 1), 2 * panelLanes));
    return plan;
  }
  return std::nullopt;
}

/// As an access is for the columns from `first` on, so many of them.
static void takeColumns(Access &access, unsigned loop, int64_t first, ArrayRef<Size> extents) {
  if (!access.view.base)
    return;
  access.view.constantOffset += access.coefficients[loop].constant * first;
  // What is touched, for those who count it.
  access.view.sizes.clear();
  for (auto [extent, stride] : llvm::zip_equal(extents, access.coefficients))
    if (!stride.isZero())
      access.view.sizes.push_back(extent);
}

/// What copies an element.
static std::unique_ptr<Block> makeCopyBody(Location loc, Type element) {
  auto body = std::make_unique<Block>();
  Value from = body->addArgument(element, loc);
  body->addArgument(element, loc);
  OpBuilder builder(element.getContext());
  builder.setInsertionPointToEnd(body.get());
  linalg::YieldOp::create(builder, loc, from);
  return body;
}

/// The operand as it is when packed, without its memory: [parallel loops][panels][what is added
/// up][32], as constant weights are; and how many elements that are.
static std::pair<Access, Size> describePanels(const Stage &root, const PanelPlan &plan) {
  Access packed = root.inputs[plan.input];
  packed.coefficients.assign(root.numLoops(), Size(0));
  Size stride(panelLanes);
  auto place = [&](ArrayRef<unsigned> loops) {
    for (unsigned loop : llvm::reverse(loops)) {
      packed.coefficients[loop] = stride;
      stride = stride * root.extents[loop];
    }
  };
  place(plan.reductions);
  packed.panel = panelLanes;
  packed.panelStride = stride.constant;
  stride = stride * Size(llvm::divideCeil(plan.columns, panelLanes));
  place(plan.parallel);
  return {packed, stride};
}

/// Copies so many lanes of each of some panels: columns of the operand from `first` on. What lies
/// beside each other in a row is read together.
static Group makeCopy(const Stage &root, const PanelPlan &plan, const Access &packed, Block &body,
                      int64_t first, int64_t firstPanel, int64_t panels, int64_t lanes) {
  Stage stage(root.loc);
  stage.body = &body;
  const Access &operand = root.inputs[plan.input];
  Access from{operand.view, {}}, into{packed.view, {}};
  auto add = [&](Size extent, Size read, Size write) {
    stage.extents.push_back(extent);
    from.coefficients.push_back(read);
    into.coefficients.push_back(write);
  };
  for (ArrayRef<unsigned> loops : {ArrayRef(plan.parallel), ArrayRef(plan.reductions)})
    for (unsigned loop : loops)
      add(root.extents[loop], operand.coefficients[loop], packed.coefficients[loop]);
  Group group;
  group.sharedLoops = stage.numLoops();
  add(Size(panels), Size(panelLanes), Size(packed.panelStride));
  add(Size(lanes), Size(1), Size(1));
  from.view.constantOffset += first;
  into.view.constantOffset += firstPanel * packed.panelStride;
  from.view.sizes = into.view.sizes = stage.extents;
  stage.reduction.assign(stage.numLoops(), false);
  stage.inputs = {from};
  stage.outputs = {into};
  stage.inits = {TypedAttr()};
  stage.readsOutput = {false};
  stage.storesOutput = {true};
  group.stages.push_back(std::move(stage));
  return group;
}

/// The group for some of the columns, with the packed operand.
static Group makePart(const Group &group, const PanelPlan &plan, const Access &packed,
                      int64_t first, int64_t count) {
  Group part = group;
  part.isPacked = true;
  const Stage &root = group.stages.front();
  unsigned inEpilogue = llvm::count(ArrayRef(root.reduction).take_front(plan.columnLoop), false);
  for (auto [number, stage] : llvm::enumerate(part.stages)) {
    unsigned loop = number == 0 ? plan.columnLoop : inEpilogue;
    stage.extents[loop] = Size(count);
    for (Access &access : llvm::concat<Access>(stage.inputs, stage.outputs))
      takeColumns(access, loop, first, stage.extents);
  }
  Access &own = part.stages.front().inputs[plan.input];
  own = packed;
  own.view.sizes = {Size(count), Size(plan.depth)};
  return part;
}

bool KernelBuilder::packOperand(OpBuilder &builder, Value call, const Group &group,
                                const TileChoice &choice, HostAddress addressOf,
                                HostAllocation allocate) {
  const Stage &root = group.stages.front();
  Location loc = root.loc;
  std::optional<PanelPlan> plan = planPanels(root, choice, options.target);
  if (!plan)
    return false;
  auto [packed, elements] = describePanels(root, *plan);
  packed.view = allocate(loc, root.inputs[plan->input].view.element, elements);
  std::unique_ptr<Block> body = makeCopyBody(loc, packed.view.element);
  std::vector<Group> parts;
  int64_t columns = root.extents[plan->columnLoop].constant;
  for (int64_t first = 0; first < columns; first += plan->columns) {
    int64_t count = std::min(plan->columns, columns - first);
    int64_t panels = count / panelLanes, rest = count % panelLanes;
    if (panels)
      parts.push_back(makeCopy(root, *plan, packed, *body, first, 0, panels, panelLanes));
    if (rest)
      parts.push_back(
          makeCopy(root, *plan, packed, *body, first + panels * panelLanes, panels, 1, rest));
    parts.push_back(makePart(group, *plan, packed, first, count));
  }
  auto dispatchParts = [&] {
    for (Group &part : parts)
      dispatchWhole(builder, call, std::move(part), addressOf, allocate);
  };
  if (plan->rows.isStatic()) {
    dispatchParts();
    return true;
  }
  Group plain = group;
  plain.isPacked = true;
  // Addresses belong before a branch.
  auto findAddresses = [&](const Group &group) {
    for (const Stage &stage : group.stages) {
      for (const Access &access : llvm::concat<const Access>(stage.inputs, stage.outputs))
        if (access.view.base)
          addressOf(loc, access.view);
      for (const auto &[tensor, view] : stage.captures)
        addressOf(loc, view);
    }
  };
  findAddresses(plain);
  llvm::for_each(parts, findAddresses);
  Value rows = sizes.materialize(builder, loc, plan->rows);
  Value least = arith::ConstantIndexOp::create(builder, loc, plan->leastRows);
  Value areFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, rows, least);
  auto branch = scf::IfOp::create(builder, loc, areFew, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  dispatchWhole(builder, call, std::move(plain), addressOf, allocate);
  builder.setInsertionPointToStart(branch.elseBlock());
  dispatchParts();
  return true;
}
