// Channel shuffles, which models write as reshape, transpose, reshape.
//
// [N, C, H, W] -> [N, g, C/g, H, W] -> [N, C/g, g, H, W] -> [N, C, H, W]. The reshapes look like
// barriers to the choice of layout, though the shuffle is one move along the channels.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/ChannelShuffle.h"
#include "dialects/Graph/Constants.h"
#include "lib/Graph/ChannelLayout.h"

using namespace mlir;
using namespace lathe::graph;

/// The number of groups, on the gathers that stand for shuffles while layout is chosen.
static constexpr llvm::StringLiteral groupsAttrName = "graph.shuffle_groups";

static RankedTensorType getType(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

static void fuse(ReshapeOp op) {
  auto transpose = op.getData().getDefiningOp<TransposeOp>();
  auto split = transpose ? transpose.getData().getDefiningOp<ReshapeOp>() : ReshapeOp();
  RankedTensorType type = getType(op.getResult());
  if (!split || !type || split.getData().getType() != type || type.getRank() < 3)
    return;
  RankedTensorType splitType = getType(split.getResult());
  int64_t rank = type.getRank();
  SmallVector<int64_t> swap{0, 2, 1};
  llvm::append_range(swap, llvm::seq<int64_t>(3, rank + 1));
  if (splitType.getRank() != rank + 1 || !llvm::equal(transpose.getPerm(), swap) ||
      ShapedType::isDynamic(type.getDimSize(1)) ||
      splitType.getShape().drop_front(3) != type.getShape().drop_front(2) ||
      splitType.getDimSize(0) != type.getDimSize(0) ||
      RankedTensorType::get(type.getShape().drop_front(), type.getElementType())
              .getNumDynamicDims() > 0)
    return;
  int64_t groups = splitType.getDimSize(1), channels = type.getDimSize(1);
  if (ShapedType::isDynamic(groups) || groups < 1 || channels % groups != 0 ||
      splitType.getDimSize(2) != channels / groups || channels > (1 << 20))
    return;
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < channels; ++i)
    order.push_back((i % groups) * (channels / groups) + i / groups);
  OpBuilder builder(op);
  auto gather = GatherOp::create(builder, op.getLoc(), type, split.getData(),
                                 makeIntegers(builder, op.getLoc(), order), /*axis=*/1);
  gather->setAttr(groupsAttrName, builder.getI64IntegerAttr(groups));
  op.getResult().replaceAllUsesWith(gather.getResult());
  op.erase();
  for (Operation *dead : {transpose.getOperation(), split.getOperation()})
    if (isOpTriviallyDead(dead))
      dead->erase();
}

void lathe::graph::fuseChannelShuffles(func::FuncOp function) {
  SmallVector<ReshapeOp> ops;
  function.walk([&](ReshapeOp op) {
    if (op.getData().getDefiningOp<TransposeOp>())
      ops.push_back(op);
  });
  // An operation is erased with the shuffle that ends with it, and no two shuffles share one end.
  for (ReshapeOp op : llvm::reverse(ops))
    fuse(op);
}

void lathe::graph::expandChannelShuffles(func::FuncOp function) {
  SmallVector<GatherOp> ops;
  function.walk([&](GatherOp op) {
    if (op->hasAttr(groupsAttrName))
      ops.push_back(op);
  });
  for (GatherOp op : ops) {
    OpBuilder builder(op);
    RankedTensorType type = getType(op.getResult());
    int64_t groups = op->getAttrOfType<IntegerAttr>(groupsAttrName).getInt(), axis = op.getAxis();
    SmallVector<int64_t> shape(type.getShape()), perm;
    shape[axis] = type.getDimSize(axis) / groups;
    shape.insert(shape.begin() + axis, groups);
    llvm::append_range(perm, llvm::seq<int64_t>(0, shape.size()));
    std::swap(perm[axis], perm[axis + 1]);
    Value split = makeReshape(builder, op.getLoc(), op.getData(),
                              RankedTensorType::get(shape, type.getElementType()));
    Value merged =
        makeReshape(builder, op.getLoc(), makeTranspose(builder, op.getLoc(), split, perm), type);
    op.getResult().replaceAllUsesWith(merged);
    op.erase();
  }
}
