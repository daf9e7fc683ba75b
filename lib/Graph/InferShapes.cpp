// Shape inference as a pass, and folding of what it determines.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "lathe/Graph.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

/// Replaces uses of results that the facts determine by constants.
static void foldKnownValues(func::FuncOp function, SymbolicShapes &shapes) {
  SmallVector<std::pair<Value, TypedAttr>> known;
  function.walk([&](Operation *op) {
    if (isa<ConstantOp>(op) || !isa<ShapeInferenceInterface>(op))
      return;
    for (Value result : op->getResults())
      if (!result.use_empty())
        if (TypedAttr value = shapes.getConstant(result))
          known.emplace_back(result, value);
  });
  for (auto [value, attr] : known) {
    OpBuilder builder(value.getDefiningOp());
    auto constant = ConstantOp::create(builder, value.getLoc(), attr.getType(), attr);
    value.replaceAllUsesWith(constant.getResult());
  }
  // Uses come after definitions, so one pass backwards erases whole chains.
}

/// Uses come after definitions, so one pass backwards erases whole chains.
static void eraseDead(func::FuncOp function) {
  for (Block &block : function.getBody())
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
}

/// Writes a computed shape of a reshape as a constant: 0 for sizes that the input has in the same
/// place, -1 for one that follows. nullopt when that does not describe it.
static std::optional<SmallVector<int64_t>> describeReshape(SymbolicShapes &shapes, Value source,
                                                           ReshapeOp op) {
  auto from = shapes.getDims(source), to = shapes.getDims(op.getResult());
  if (!from || !to)
    return std::nullopt;
  SmallVector<int64_t> target;
  bool hasComputed = false;
  for (auto [i, dim] : llvm::enumerate(*to)) {
    std::optional<int64_t> size = lathe::graph::getConstant(dim);
    if (size == 0)
      return std::nullopt; // would need allow_zero, which copies nothing
    if (size)
      target.push_back(*size);
    else if (i < from->size() && (*from)[i] == dim)
      target.push_back(0);
    else if (std::exchange(hasComputed, true))
      return std::nullopt;
    else
      target.push_back(-1);
  }
  return target;
}

static bool keepsElements(SymbolicShapes &shapes, Value from, Value to) {
  auto before = shapes.getDims(from), after = shapes.getDims(to);
  if (!before || !after)
    return false;
  AffineExpr count = shapes.product(*before);
  return count && count == shapes.product(*after);
}

/// Whether analysis knows all that the shape of a reshape asks for. Of a number that only the run
/// knows it takes the one that fits, which the run has to check.
static bool hasKnownShape(SymbolicShapes &shapes, Operation *op) {
  auto reshape = dyn_cast<ReshapeOp>(op);
  if (!reshape)
    return true;
  auto elements = shapes.getElements(reshape.getShape());
  return elements && !llvm::is_contained(*elements, AffineExpr());
}

/// Gives a reshape a constant shape, relative to its input or to what that was reshaped from.
static void simplifyReshape(SymbolicShapes &shapes, ReshapeOp op) {
  if (!hasKnownShape(shapes, op))
    return;
  Value source = op.getData();
  std::optional<SmallVector<int64_t>> target;
  for (unsigned depth = 0; depth < 4; ++depth) {
    // A size that follows would hide that the shape is impossible.
    auto described = describeReshape(shapes, source, op);
    if (described && (keepsElements(shapes, source, op.getResult()) ||
                      (depth == 0 && getIntegers(op.getShape()) == described))) {
      target = described;
      op.getDataMutable().assign(source);
    }
    Operation *inner = source.getDefiningOp();
    if (!isa_and_nonnull<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(inner))
      break;
    source = inner->getOperand(0);
    if (!alwaysFits(inner) &&
        !(hasKnownShape(shapes, inner) && keepsElements(shapes, source, inner->getResult(0))))
      break;
  }
  if (!target || getIntegers(op.getShape()) == target)
    return;
  OpBuilder builder(op);
  op.getShapeMutable().assign(makeIntegers(builder, op.getLoc(), *target));
  op.setAllowZero(false);
}

/// Sizes that stay as they are need not be resized, which leaves constants in most models.
static void dropUnchangedAxes(SymbolicShapes &shapes, ResizeOp op) {
  auto from = shapes.getDims(op.getData()), to = shapes.getDims(op.getResult());
  if (!from || !to || op.getAxes() || op.getRoi() || op.getPolicy() != ResizePolicy::stretch ||
      op.getCoordinates() == ResizeCoordinates::tf_crop_and_resize)
    return;
  auto sizes = op.getSizes() ? shapes.getElements(op.getSizes()) : std::nullopt;
  auto scales = op.getScales() ? shapes.getReals(op.getScales()) : std::nullopt;
  if (!sizes && !scales)
    return;
  SmallVector<int64_t> axes, newSizes;
  SmallVector<float> newScales;
  for (size_t i = 0; i < from->size(); ++i) {
    // An unknown size may be equal all the same; a scale of exactly 1 keeps every sample.
    if (sizes ? (*sizes)[i] == (*from)[i] : (*scales)[i].constant == 1.0)
      continue;
    axes.push_back(i);
    std::optional<int64_t> size = sizes ? lathe::graph::getConstant((*sizes)[i]) : std::nullopt;
    if (sizes ? !size : !(*scales)[i].constant)
      return;
    if (sizes)
      newSizes.push_back(*size);
    else
      newScales.push_back(float(*(*scales)[i].constant));
  }
  if (axes.empty() || axes.size() == from->size())
    return;
  OpBuilder builder(op);
  op.setAxes(axes);
  if (sizes) {
    op.getSizesMutable().assign(makeIntegers(builder, op.getLoc(), newSizes));
    return;
  }
  auto type = RankedTensorType::get({int64_t(axes.size())}, builder.getF32Type());
  op.getScalesMutable().assign(
      ConstantOp::create(builder, op.getLoc(), type,
                         DenseElementsAttr::get(type, ArrayRef<float>(newScales)))
          .getResult());
}

/// A slice that reverses nothing.
static bool isForwardSlice(Operation *op) {
  auto slice = dyn_cast<SliceOp>(op);
  if (!slice || !slice.getSteps())
    return bool(slice);
  std::optional<SmallVector<int64_t>> steps = getIntegers(slice.getSteps());
  return steps && llvm::all_of(*steps, [](int64_t step) { return step > 0; });
}

/// Shares small integer tensors that are equal by their expressions: models compute the same sizes
/// from many values.
static void shareShapes(func::FuncOp function, SymbolicShapes &shapes) {
  for (Block &block : function.getBody()) {
    llvm::StringMap<Value> known;
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (isa<ConstantOp>(op) || !isa<ShapeInferenceInterface>(op) || op.getNumResults() != 1)
        continue;
      Value result = op.getResult(0);
      auto elements = shapes.getElements(result);
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!elements || !type || !type.hasStaticShape() || elements->empty() ||
          int64_t(elements->size()) != type.getNumElements() ||
          llvm::is_contained(*elements, AffineExpr()))
        continue;
      std::string key;
      llvm::raw_string_ostream(key) << type << shapes.toString(*elements);
      auto [slot, isNew] = known.try_emplace(key, result);
      if (!isNew)
        result.replaceAllUsesWith(slot->second);
    }
  }
}

/// Rewrites what only the analysis can tell to be constant, or to be nothing.
static void useFacts(func::FuncOp function, SymbolicShapes &shapes) {
  SmallVector<Operation *> unchanged;
  function.walk([&](Operation *op) {
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      simplifyReshape(shapes, reshape);
    } else if (auto resize = dyn_cast<ResizeOp>(op)) {
      dropUnchangedAxes(shapes, resize);
    }
    // Equal sizes, known or not, make these the identity.
    if (!(isa<ExpandOp, ReshapeOp>(op) || isForwardSlice(op)) || !hasKnownShape(shapes, op) ||
        op->getOperand(0).getType() != op->getResult(0).getType())
      return;
    auto from = shapes.getDims(op->getOperand(0)), to = shapes.getDims(op->getResult(0));
    if (from && to && *from == *to)
      unchanged.push_back(op);
  });
  for (Operation *op : unchanged) {
    op->getResult(0).replaceAllUsesWith(op->getOperand(0));
    op->erase();
  }
}

static void attachDims(func::FuncOp function, SymbolicShapes &shapes) {
  function.walk([&](Operation *op) {
    SmallVector<Attribute> texts;
    if (isa<ConstantOp>(op) || !isa<ShapeInferenceInterface>(op))
      return;
    for (Value result : op->getResults())
      if (auto dims = shapes.getDims(result))
        texts.push_back(StringAttr::get(op->getContext(), shapes.toString(*dims)));
    op->setAttr("dims", ArrayAttr::get(op->getContext(), texts));
  });
}

static LogicalResult infer(func::FuncOp function, bool printDims) {
  FailureOr<SymbolicShapes> shapes = SymbolicShapes::compute(function);
  if (failed(shapes))
    return failure();
  if (function.isExternal())
    return success();
  useFacts(function, *shapes);
  shareShapes(function, *shapes);
  foldKnownValues(function, *shapes);
  eraseDead(function);
  if (printDims)
    attachDims(function, *shapes);
  return success();
}

LogicalResult lathe::inferFunctionShapes(func::FuncOp function) { return infer(function, false); }

LogicalResult lathe::inferGraphShapes(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (failed(inferFunctionShapes(function)))
      return failure();
  return success();
}

namespace {
struct InferShapesPass : graph::impl::InferShapesPassBase<InferShapesPass> {
  using InferShapesPassBase::InferShapesPassBase;
  void runOnOperation() override {
    if (failed(infer(getOperation(), printDims)))
      signalPassFailure();
  }
};
} // namespace
