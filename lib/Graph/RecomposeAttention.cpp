// Recognising attention: softmax(scale * Q K^T + mask) V.
//
// Walks back from the last product. Scales may stand at the scores, at Q or at K; masks are sums
// with the scores, or selections that put a large negative number in their place.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lib/Graph/Match.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

/// Takes constant factors off a value.
static Value stripScale(Value value, double &scale) {
  for (unsigned depth = 0; depth < 4; ++depth) {
    auto op = value.getDefiningOp<BinaryOp>();
    if (!op)
      return value;
    std::optional<double> left = getSplat(op.getLhs()), right = getSplat(op.getRhs());
    Value next;
    if (op.getKind() == BinaryKind::mul && right) {
      scale *= *right;
      next = op.getLhs();
    } else if (op.getKind() == BinaryKind::mul && left) {
      scale *= *left;
      next = op.getRhs();
    } else if (op.getKind() == BinaryKind::div && right && *right != 0) {
      scale /= *right;
      next = op.getLhs();
    }
    if (!next || next.getType() != value.getType())
      return value;
    value = next;
  }
  return value;
}

namespace {
struct Scores {
  MatMulOp product;
  double scale = 1;
  SmallVector<Value, 2> masks; // all added
};
} // namespace

/// A selection between scores and a number so low that softmax gives 0 for it (and the same for all
/// when there is nothing else): as a sum, 0 or that number.
static Value makeSelectedMask(OpBuilder &builder, SelectOp op) {
  std::optional<double> low = getSplat(op.getRhs());
  if (!low || !(*low <= -1e9) || !getType(op.getCondition()))
    return {};
  auto number = dyn_cast_or_null<DenseElementsAttr>(getConstantValue(op.getRhs()));
  Type element = number.getElementType();
  auto scalar = RankedTensorType::get({}, element);
  auto makeScalar = [&](double value) {
    return ConstantOp::create(builder, op.getLoc(), scalar,
                              DenseElementsAttr::get(scalar, builder.getFloatAttr(element, value)))
        .getResult();
  };
  auto type = RankedTensorType::get(getType(op.getCondition()).getShape(), element);
  return SelectOp::create(builder, op.getLoc(), type, op.getCondition(), makeScalar(0),
                          makeScalar(*low))
      .getResult();
}

static std::optional<Scores> matchScores(OpBuilder &builder, Value value) {
  Scores scores;
  RankedTensorType type = getType(value);
  for (unsigned depth = 0; depth < 6; ++depth) {
    value = stripScale(value, scores.scale);
    if (auto product = value.getDefiningOp<MatMulOp>()) {
      scores.product = product;
      return scores;
    }
    if (scores.scale != 1)
      return std::nullopt; // scales what is still to be added as well
    if (auto select = value.getDefiningOp<SelectOp>()) {
      Value mask = makeSelectedMask(builder, select);
      if (!mask || select.getLhs().getType() != type)
        return std::nullopt;
      scores.masks.push_back(mask);
      value = select.getLhs();
      continue;
    }
    BinaryOp sum = matchBinary(value, BinaryKind::add);
    if (!sum)
      return std::nullopt;
    // The side with the product behind it is that of the scores.
    auto leadsToProduct = [&](Value side) {
      double ignored = 1;
      Value source = stripScale(side, ignored);
      return side.getType() == type &&
             (source.getDefiningOp<MatMulOp>() || matchBinary(source, BinaryKind::add) ||
              source.getDefiningOp<SelectOp>());
    };
    bool isLeft = leadsToProduct(sum.getLhs());
    if (isLeft && leadsToProduct(sum.getRhs()))
      isLeft =
          !matchBinary(sum.getLhs(), BinaryKind::add) && !sum.getLhs().getDefiningOp<SelectOp>();
    else if (!isLeft && !leadsToProduct(sum.getRhs()))
      return std::nullopt;
    scores.masks.push_back(isLeft ? sum.getRhs() : sum.getLhs());
    value = isLeft ? sum.getLhs() : sum.getRhs();
  }
  return std::nullopt;
}

/// The value with a dimension of size 1 for the heads: rank 3 to 4.
static Value addHeads(OpBuilder &builder, Location loc, Value value) {
  RankedTensorType type = getType(value);
  if (type.getRank() != 3)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + 1, 1);
  return UnsqueezeOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()),
                             value, ArrayRef<int64_t>{1})
      .getResult();
}

static Value swapLast(OpBuilder &builder, Location loc, Value value) {
  RankedTensorType type = getType(value);
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  std::swap(perm.back(), perm[perm.size() - 2]);
  SmallVector<int64_t> shape(type.getShape());
  std::swap(shape.back(), shape[shape.size() - 2]);
  return TransposeOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()),
                             value, perm)
      .getResult();
}

/// Whether the batch dimensions are the same sizes, so that nothing broadcasts.
static bool haveSameBatch(SymbolicShapes &shapes, Value lhs, Value rhs) {
  auto l = shapes.getDims(lhs), r = shapes.getDims(rhs);
  return l && r && l->size() == r->size() && l->drop_back(2) == r->drop_back(2);
}

/// Whether the scores, not the mask, have the shape of their sum. Sizes that differ in name only
/// are taken to be equal; a run where they are not gets an error.
static bool broadcastsToScores(SymbolicShapes &shapes, Value mask, Value scores) {
  auto m = shapes.getDims(mask), s = shapes.getDims(scores);
  if (!m || !s || m->size() > s->size())
    return false;
  for (auto [dim, size] : llvm::zip(*m, s->take_back(m->size())))
    if (getConstant(size) == 1 && getConstant(dim) != 1)
      return false;
  return true;
}

Value lathe::graph::recomposeAttention(OpBuilder &builder, MatMulOp op, SymbolicShapes &shapes) {
  auto softmax = op.getLhs().getDefiningOp<SoftmaxOp>();
  RankedTensorType type = getType(op.getResult()), valueType = getType(op.getRhs());
  if (!softmax || softmax.getLog() || !type || !valueType ||
      type.getRank() != valueType.getRank() || (type.getRank() != 3 && type.getRank() != 4) ||
      !softmax.getResult().hasOneUse())
    return {};
  int64_t rank = type.getRank();
  if (int64_t(softmax.getAxis()) != rank - 1 || int64_t(softmax.getAxisEnd()) != rank)
    return {};
  std::optional<Scores> scores = matchScores(builder, softmax.getInput());
  if (!scores || getType(scores->product.getResult()) != getType(softmax.getInput()))
    return {};
  Location loc = op.getLoc();
  double scale = scores->scale;
  Value query = stripScale(scores->product.getLhs(), scale);
  Value keys = stripScale(scores->product.getRhs(), scale);
  // Only keys that the model transposes: else a transpose would be added.
  auto transpose = keys.getDefiningOp<TransposeOp>();
  if (!transpose || !getType(query) || getType(query).getRank() != rank ||
      getType(keys).getRank() != rank || !std::isfinite(scale))
    return {};
  if (!haveSameBatch(shapes, scores->product.getLhs(), scores->product.getRhs()) ||
      !haveSameBatch(shapes, scores->product.getLhs(), op.getRhs()))
    return {};
  RankedTensorType scoreType = getType(softmax.getInput());
  for (Value mask : scores->masks)
    if (!getType(mask) || getType(mask).getRank() > rank ||
        getType(mask).getElementType() != scoreType.getElementType() ||
        !broadcastsToScores(shapes, mask, scores->product.getResult()))
      return {};

  Value source = stripScale(transpose.getData(), scale);
  Value key;
  if (source != transpose.getData()) {
    Value moved = TransposeOp::create(builder, loc, transpose.getResult().getType(), source,
                                      transpose.getPerm())
                      .getResult();
    key = swapLast(builder, loc, moved);
  } else {
    key = swapLast(builder, loc, keys);
  }
  Value mask;
  for (Value next : scores->masks) {
    if (getType(next).getRank() == 3)
      next = addHeads(builder, loc, next);
    if (!mask) {
      mask = next;
      continue;
    }
    auto sum = BinaryOp::create(builder, loc, UnrankedTensorType::get(scoreType.getElementType()),
                                BinaryKind::add, mask, next);
    if (failed(shapes.inferOp(sum)))
      return {};
    mask = sum.getResult();
  }
  Value q = addHeads(builder, loc, query), k = addHeads(builder, loc, key),
        v = addHeads(builder, loc, op.getRhs());
  SmallVector<int64_t> shape(type.getShape());
  if (rank == 3)
    shape.insert(shape.begin() + 1, 1);
  auto fullType = RankedTensorType::get(shape, type.getElementType());
  Value result = AttentionOp::create(builder, loc, fullType, q, k, v, mask, APFloat(float(scale)),
                                     /*causal=*/false)
                     .getResult();
  if (rank == 4)
    return result;
  return SqueezeOp::create(builder, loc, type, result,
                           builder.getDenseI64ArrayAttr(ArrayRef<int64_t>{1}))
      .getResult();
}
