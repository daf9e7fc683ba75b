// Lowering of tensors made of little: constants, ranges, triangles.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

// The one number of the attribute, in storage type.
static TypedAttr getScalar(Lowering &l, TypedAttr value) {
  Type storage = getStorageType(getElementTypeOrSelf(value.getType()));
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (!dense.isSplat())
      return {};
    value = cast<TypedAttr>(dense.getSplatValue<Attribute>());
  }
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return IntegerAttr::get(storage,
                            integer.getValue().zextOrTrunc(storage.getIntOrFloatBitWidth()));
  return dyn_cast<FloatAttr>(value);
}

static LogicalResult lowerFull(graph::FullOp op, Lowering &l) {
  std::optional<Sizes> shape = l.getElements(op.getShape());
  TypedAttr scalar = getScalar(l, op.getValue());
  if (!shape)
    return l.unsupported(op) << "the length of its shape is not known when compiling";
  if (!scalar)
    return l.unsupported(op) << "a value of type " << op.getValue().getType();
  for (OpFoldResult size : *shape)
    l.requireNonNegative(size);
  Sizes sizes = l.resultSizes(op.getResult(), *shape);
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  l.set(op.getResult(), {l.filled(sizes, scalar), sizes, element, scalar});
  return success();
}

// ---- Range -------------------------------------------------------------------------------------

// max(ceil((limit - start) / delta), 0)
static Value countRange(const Scalars &s, Value start, Value limit, Value delta) {
  Type type = start.getType(), i64 = s.b.getI64Type();
  if (isa<FloatType>(type)) {
    Value zero = s.constant(type, 0);
    Value isZero = s.cmp(arith::CmpFPredicate::OEQ, delta, zero);
    s.check(s.notI(isZero), LATHE_CODE_SIZE, "the step of a range is 0");
    Value count = math::CeilOp::create(s.b, s.loc, s.divf(s.sub(limit, start), delta));
    return s.toIndex(s.convert(s.max(count, zero), type, i64), i64);
  }
  Value wideStart = s.convert(start, type, i64), wideLimit = s.convert(limit, type, i64);
  Value wideDelta = s.convert(delta, type, i64);
  Value zero = s.constant(i64, 0), one = s.constant(i64, 1);
  Value isZero = s.cmp(arith::CmpIPredicate::eq, wideDelta, zero);
  s.check(s.notI(isZero), LATHE_CODE_SIZE, "the step of a range is 0");
  Value forward = s.cmp(arith::CmpIPredicate::sgt, wideDelta, zero);
  Value distance = s.select(forward, s.sub(wideLimit, wideStart), s.sub(wideStart, wideLimit));
  Value step = s.select(forward, wideDelta, s.sub(zero, wideDelta));
  step = s.select(isZero, one, step);
  Value count = s.floorDiv(s.add(distance, s.sub(step, one)), step);
  return s.toIndex(s.max(count, zero), i64);
}

static LogicalResult lowerRange(graph::RangeOp op, Lowering &l) {
  Tensor start = l.get(op.getStart()), limit = l.get(op.getLimit()), delta = l.get(op.getDelta());
  Type element = start.element;
  Sizes sizes = l.resultSizes(op.getResult());
  if (!sizes[0]) {
    Scalars s = l.scalars();
    auto read = [&](const Tensor &tensor) {
      SmallVector<Value> zeros(tensor.rank(), l.value(l.size(0)));
      return s.load(s.extract(tensor.value, zeros), element);
    };
    sizes[0] = l.markSize(countRange(s, read(start), read(limit), read(delta)));
  }
  auto scalar = [&](const Tensor &tensor) {
    return Operand(
        tensor,
        AffineMap::get(1, 0, SmallVector<AffineExpr>(tensor.rank(), l.b.getAffineConstantExpr(0)),
                       l.context));
  };
  l.set(op.getResult(), l.elementwise({scalar(start), scalar(delta)}, sizes, element,
                                      [&](const Scalars &s, ValueRange x) {
                                        Value index = linalg::IndexOp::create(s.b, s.loc, 0);
                                        return s.add(x[0],
                                                     s.mul(s.fromIndex(index, element), x[1]));
                                      }));
  return success();
}

// ---- Triangles ---------------------------------------------------------------------------------

static LogicalResult lowerTrilu(graph::TriluOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t rank = input.rank();
  if (rank < 2)
    return l.unsupported(op) << "rank " << rank;
  OpFoldResult k = l.size(0);
  if (op.getK()) {
    std::optional<Sizes> elements = l.getElements(op.getK());
    if (!elements || elements->size() != 1)
      return l.unsupported(op) << "k is not one number";
    k = elements->front();
  }
  // Beyond every dimension all are alike, and a sum with a row does not overflow.
  constexpr int64_t farthest = int64_t(1) << 62;
  Scalars scalars = l.scalars();
  Value diagonal =
      scalars.min(scalars.max(l.value(k), scalars.index(-farthest)), scalars.index(farthest));
  l.set(op.getResult(), l.elementwise(
                            {input}, input.sizes, input.element,
                            [&](const Scalars &s, ValueRange x) {
                              Value row = linalg::IndexOp::create(s.b, s.loc, rank - 2);
                              Value column = linalg::IndexOp::create(s.b, s.loc, rank - 1);
                              Value border = s.add(row, diagonal);
                              Value keep = s.cmp(op.getUpper() ? arith::CmpIPredicate::sge
                                                               : arith::CmpIPredicate::sle,
                                                 column, border);
                              return s.select(keep, x[0], s.constant(x[0].getType(), 0));
                            },
                            /*raw=*/true));
  return success();
}

void lathe::g2l::addFill(LoweringTable &table) {
  table.add(lowerFull);
  table.add(lowerRange);
  table.add(lowerTrilu);
}
