// How each operation works on tensors whose channels come last.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/ChannelLayout.h"
#include "dialects/Graph/Constants.h"
#include "lib/Graph/DecomposeConvTranspose.h"
#include "lib/Graph/MinCut.h"
#include "lib/Graph/PointwiseConv.h"

using namespace mlir;
using namespace lathe::graph;

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

/// Where dimension `axis` is when channels come last.
static int64_t mapAxis(int64_t axis, int64_t rank) {
  return axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
}

SmallVector<int64_t> lathe::graph::getToLastPerm(int64_t rank) {
  SmallVector<int64_t> perm{0};
  llvm::append_range(perm, llvm::seq<int64_t>(2, rank));
  perm.push_back(1);
  return perm;
}

SmallVector<int64_t> lathe::graph::getToFirstPerm(int64_t rank) {
  SmallVector<int64_t> perm{0, rank - 1};
  llvm::append_range(perm, llvm::seq<int64_t>(1, rank - 1));
  return perm;
}

Value lathe::graph::makeTranspose(OpBuilder &builder, Location loc, Value value,
                                  ArrayRef<int64_t> perm) {
  RankedTensorType type = getType(value);
  SmallVector<int64_t> shape;
  for (int64_t dim : perm)
    shape.push_back(type.getDimSize(dim));
  return TransposeOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()),
                             value, perm)
      .getResult();
}

int64_t lathe::graph::estimateElements(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  double count = 1;
  if (ranked)
    for (auto [i, size] : llvm::enumerate(ranked.getShape()))
      count *= !ShapedType::isDynamic(size) ? double(size) : i == 0 ? 1.0 : 32.0;
  return int64_t(std::min(std::max(count, 1.0), 0x1p40));
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

static bool hasLayout(Value value, int64_t rank) {
  RankedTensorType type = getType(value);
  return type && type.getRank() == rank;
}

/// Whether the dimensions that a reduction keeps come in the same order either way.
static bool keepsOrder(int64_t rank, ArrayRef<int64_t> reduced) {
  bool keepsChannels = !llvm::is_contained(reduced, 1);
  bool keepsSpace = false;
  for (int64_t axis = 2; axis < rank; ++axis)
    keepsSpace |= !llvm::is_contained(reduced, axis);
  return !keepsChannels || !keepsSpace;
}

namespace {
/// Fills in a plan; returns false when the operation has none.
struct Planner {
  LayoutPlan &plan;

  /// All operands of the plan's rank and all results carry the layout.
  bool planUniform(Operation *op, int64_t rank) {
    plan.rank = rank;
    for (OpOperand &operand : op->getOpOperands())
      plan.operands.push_back(&operand);
    llvm::append_range(plan.results, op->getResults());
    return true;
  }

  bool planFirstOperand(Operation *op) {
    RankedTensorType type = getType(op->getOperand(0));
    if (!type)
      return false;
    plan.rank = type.getRank();
    plan.operands.push_back(&op->getOpOperand(0));
    for (Value result : op->getResults()) {
      if (!hasLayout(result, plan.rank))
        return false;
      plan.results.push_back(result);
    }
    return true;
  }

  /// What a product with channels first costs more: on Zen 4, with 64 to 512 channels, nothing from
  /// 400 pixels on, as much as the transposes at 196, twice as much at 49.
  static int64_t getProductLoss(ConvOp op) {
    RankedTensorType type = getType(op.getResult());
    int64_t pixels = 1;
    for (int64_t size : type.getShape().drop_front(2))
      pixels *= ShapedType::isDynamic(size) ? 1024 : size;
    return pixels >= 256 ? 0
                         : 2 * (estimateElements(type) + estimateElements(op.getInput().getType()));
  }

  bool visit(ConvOp op) {
    RankedTensorType weight = getType(op.getWeight());
    if (op.getChannelsLast() || !weight || weight.getRank() < 3 || weight.getRank() > 4 ||
        op.getAutoPad() != AutoPad::none || !getConstantValue(op.getWeight()) ||
        !planFirstOperand(op))
      return false;
    plan.gain = isProduct(op)               ? getProductLoss(op)
                : op.isDepthwiseAlongRows() ? estimateElements(op.getResult().getType())
                                            : MinCut::unlimited;
    return true;
  }

  bool visit(PoolOp op) {
    RankedTensorType type = getType(op.getInput());
    if (op.getChannelsLast() || op.getIndices() || !type || type.getRank() < 3 ||
        type.getRank() > 4 || op.getAutoPad() != AutoPad::none || !planFirstOperand(op))
      return false;
    plan.gain = 2 * estimateElements(op.getResult().getType());
    return true;
  }

  bool planElementwise(Operation *op) {
    RankedTensorType type = getType(op->getResult(0));
    if (!type)
      return false;
    for (Value operand : op->getOperands())
      if (!getType(operand) || getType(operand).getRank() > type.getRank())
        return false;
    return planUniform(op, type.getRank());
  }

  bool visit(ConcatOp op) {
    RankedTensorType type = getType(op.getResult());
    if (!type || !llvm::all_of(op.getInputs(),
                               [&](Value input) { return hasLayout(input, type.getRank()); }))
      return false;
    return planUniform(op, type.getRank());
  }

  bool visit(SliceOp op) { return getIntegers(op.getAxes()).has_value() && planFirstOperand(op); }

  bool visit(PadOp op) {
    return (!op.getAxes() || getIntegers(op.getAxes())) && planFirstOperand(op);
  }

  bool visit(GatherOp op) { return hasLayout(op.getIndices(), 1) && planFirstOperand(op); }

  bool planReduction(Operation *op, ArrayRef<int64_t> axes, bool keepDims) {
    RankedTensorType type = getType(op->getOperand(0));
    if (!type || (!keepDims && !keepsOrder(type.getRank(), axes)))
      return false;
    if (keepDims)
      return planFirstOperand(op);
    plan.rank = type.getRank();
    plan.operands.push_back(&op->getOpOperand(0));
    return true;
  }

  bool visit(SoftmaxOp op) {
    if (!planFirstOperand(op))
      return false;
    // Dimensions that are neighbours must stay so: one of them, or all from channels on, or space.
    int64_t axis = op.getAxis(), end = op.getAxisEnd();
    return axis >= 0 && end <= plan.rank &&
           (end == axis + 1 || axis >= 2 || (axis <= 1 && end == plan.rank));
  }

  bool visit(DepthToSpaceOp op) {
    return planFirstOperand(op) && isReshapeTarget(op.getResult().getType()) &&
           getType(op.getData()).hasStaticShape();
  }

  /// A reshape that keeps batch and channels only regroups space.
  bool visit(ReshapeOp op) {
    RankedTensorType from = getType(op.getData()), to = getType(op.getResult());
    if (!from || !to || from.getRank() < 3 || to.getRank() < 3 || to.getRank() > 5 ||
        !isReshapeTarget(to) || ShapedType::isDynamic(from.getDimSize(1)) ||
        from.getDimSize(1) != to.getDimSize(1))
      return false;
    auto getSpace = [](RankedTensorType type) -> std::optional<int64_t> {
      int64_t product = 1;
      for (int64_t size : type.getShape().drop_front(2))
        if (ShapedType::isDynamic(size) || llvm::MulOverflow(product, size, product))
          return std::nullopt;
      return product;
    };
    std::optional<int64_t> fromSpace = getSpace(from), toSpace = getSpace(to);
    bool keepsBatch = !from.isDynamicDim(0) && from.getDimSize(0) == to.getDimSize(0);
    if (!keepsBatch && (!fromSpace || !toSpace || *fromSpace == 0 || *fromSpace != *toSpace))
      return false;
    plan.rank = from.getRank();
    plan.operands.push_back(&op.getDataMutable());
    plan.results.push_back(op.getResult());
    return true;
  }

  bool visit(ConvTransposeOp op) {
    if (!canDecompose(op) || !planFirstOperand(op))
      return false;
    plan.gain = MinCut::unlimited;
    return true;
  }

  template <typename Op> bool planQuantization(Op op) {
    return op.getBlockSize() == 0 && getType(op.getScale()) && planFirstOperand(op);
  }
};
} // namespace

std::optional<LayoutPlan> lathe::graph::planChannelsLast(Operation *op) {
  LayoutPlan plan;
  Planner planner{plan};
  bool works =
      TypeSwitch<Operation *, bool>(op)
          .Case<ConvOp, ConvTransposeOp, PoolOp, ConcatOp, SliceOp, PadOp, GatherOp, ReshapeOp,
                SoftmaxOp, DepthToSpaceOp>([&](auto op) { return planner.visit(op); })
          .Case<UnaryOp, CastOp, BinaryOp, SelectOp>(
              [&](Operation *op) { return planner.planElementwise(op); })
          .Case<ResizeOp, SplitOp>([&](Operation *op) { return planner.planFirstOperand(op); })
          .Case<QuantizeOp, DequantizeOp>([&](auto op) { return planner.planQuantization(op); })
          .Case([&](ReduceOp op) {
            return op.getAxes() && planner.planReduction(op, *op.getAxes(), op.getKeepDims());
          })
          .Case([&](ArgReduceOp op) {
            return planner.planReduction(op, {int64_t(op.getAxis())}, op.getKeepDims());
          })
          .Default([](Operation *) { return false; });
  if (!works || plan.rank < 3 || plan.rank > 5)
    return std::nullopt;
  return plan;
}

//===----------------------------------------------------------------------===//
// Rebuilding
//===----------------------------------------------------------------------===//

static RankedTensorType getLastType(RankedTensorType type) {
  SmallVector<int64_t> shape;
  for (int64_t dim : getToLastPerm(type.getRank()))
    shape.push_back(type.getDimSize(dim));
  return RankedTensorType::get(shape, type.getElementType());
}

/// depth_to_space with channels last: split the channels, move the blocks, merge.
static Operation *rebuildDepthToSpace(OpBuilder &builder, DepthToSpaceOp op, Value data) {
  RankedTensorType type = getType(data);
  int64_t block = op.getBlock(), n = type.getDimSize(0), h = type.getDimSize(1),
          w = type.getDimSize(2), c = type.getDimSize(3) / (block * block);
  Type element = type.getElementType();
  SmallVector<int64_t> parts = op.getColumnRow() ? SmallVector<int64_t>{n, h, w, c, block, block}
                                                 : SmallVector<int64_t>{n, h, w, block, block, c};
  SmallVector<int64_t> perm = op.getColumnRow() ? SmallVector<int64_t>{0, 1, 4, 2, 5, 3}
                                                : SmallVector<int64_t>{0, 1, 3, 2, 4, 5};
  Value split = makeReshape(builder, op.getLoc(), data, RankedTensorType::get(parts, element));
  Value moved = makeTranspose(builder, op.getLoc(), split, perm);
  auto result = RankedTensorType::get({n, h * block, w * block, c}, element);
  return makeReshape(builder, op.getLoc(), moved, result).getDefiningOp();
}

Operation *lathe::graph::rebuildChannelsLast(OpBuilder &builder, Operation *op,
                                             const LayoutPlan &plan,
                                             function_ref<Value(Value)> getLast) {
  int64_t rank = plan.rank;
  if (auto depthToSpace = dyn_cast<DepthToSpaceOp>(op))
    return rebuildDepthToSpace(builder, depthToSpace, getLast(depthToSpace.getData()));

  if (auto convolution = dyn_cast<ConvTransposeOp>(op))
    return decomposeConvTranspose(builder, convolution, getLast(convolution.getInput()));

  Operation *clone = op->clone();
  for (OpOperand *operand : plan.operands)
    clone->setOperand(operand->getOperandNumber(), getLast(operand->get()));
  for (auto [old, result] : llvm::zip(op->getResults(), clone->getResults()))
    if (!plan.results.empty())
      result.setType(getLastType(getType(old)));

  auto integers = [&](ArrayRef<int64_t> values) {
    return makeIntegers(builder, op->getLoc(), values);
  };
  auto mapped = [&](ArrayRef<int64_t> axes) {
    return llvm::map_to_vector(
        axes, [&](int64_t axis) { return mapAxis(axis < 0 ? axis + rank : axis, rank); });
  };
  SmallVector<int64_t> allAxes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  TypeSwitch<Operation *>(clone)
      .Case([&](ConvOp conv) {
        // [M, C/group, kernel...] to [kernel..., C/group, M]
        SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(2, rank));
        perm.append({1, 0});
        conv.getWeightMutable().assign(
            makeTranspose(builder, op->getLoc(), conv.getWeight(), perm));
        conv.setChannelsLast(true);
      })
      .Case([&](PoolOp pool) { pool.setChannelsLast(true); })
      .Case([&](ReshapeOp reshape) {
        SmallVector<int64_t> shape(getType(reshape.getResult()).getShape());
        for (int64_t &size : shape)
          if (ShapedType::isDynamic(size))
            size = -1;
        reshape.getShapeMutable().assign(integers(shape));
        reshape.setAllowZero(false);
      })
      .Case<ConcatOp, SplitOp, GatherOp, ArgReduceOp>(
          [&](auto op) { op.setAxis(mapAxis(op.getAxis(), rank)); })
      .Case<QuantizeOp, DequantizeOp>([&](auto op) {
        if (op.getAxis() >= 0 && int64_t(op.getAxis()) < rank)
          op.setAxis(mapAxis(op.getAxis(), rank));
      })
      .Case([&](SliceOp slice) {
        slice.getAxesMutable().assign(integers(mapped(*getIntegers(slice.getAxes()))));
      })
      .Case([&](PadOp pad) {
        auto axes = pad.getAxes() ? *getIntegers(pad.getAxes()) : allAxes;
        pad.getAxesMutable().assign(integers(mapped(axes)));
      })
      .Case([&](ResizeOp resize) {
        SmallVector<int64_t> axes = allAxes;
        if (resize.getAxes())
          axes.assign(resize.getAxes()->begin(), resize.getAxes()->end());
        resize.setAxes(mapped(axes));
      })
      .Case([&](ReduceOp reduce) {
        SmallVector<int64_t> axes = mapped(*reduce.getAxes());
        llvm::sort(axes);
        reduce.setAxes(axes);
      })
      .Case([&](SoftmaxOp softmax) {
        int64_t axis = softmax.getAxis(), end = softmax.getAxisEnd();
        if (end == axis + 1) {
          softmax.setAxis(mapAxis(axis, rank));
          softmax.setAxisEnd(mapAxis(axis, rank) + 1);
        } else if (axis >= 2) { // space, which now begins at 1
          softmax.setAxis(axis - 1);
          softmax.setAxisEnd(end - 1);
        }
      });
  builder.insert(clone);
  return clone;
}
