// Lowering of elementwise operations.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

static Type getElement(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

// Whether the kind applies to the types is found by building the body; a null body is reported.
static LogicalResult finish(Operation *op, Lowering &l, Value result, const Tensor &tensor, bool ok,
                            StringRef kind, Type element) {
  if (!ok)
    return l.unsupported(op) << kind << " of element type " << element;
  l.set(result, tensor);
  return success();
}

// A value of the right type that stands in for a body that could not be built.
static Value placeholder(const Scalars &s, Type element) {
  return s.constant(getComputeType(element), 0);
}

static LogicalResult lowerUnary(graph::UnaryOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  Type element = getElement(op.getResult());
  bool ok = true;
  Tensor result =
      l.elementwise({input}, input.sizes, element, [&](const Scalars &s, ValueRange x) -> Value {
        Value computed = emitUnary(s, op.getKind(), x[0], input.element);
        ok = computed && computed.getType() == getComputeType(element);
        return ok ? computed : placeholder(s, element);
      });
  return finish(op, l, op.getResult(), result, ok, graph::stringifyUnaryKind(op.getKind()),
                input.element);
}

static LogicalResult lowerBinary(graph::BinaryOp op, Lowering &l) {
  Tensor lhs = l.get(op.getLhs()), rhs = l.get(op.getRhs());
  Type element = getElement(op.getResult());
  Sizes sizes = l.resultSizes(op.getResult(), l.broadcastSizes({lhs.sizes, rhs.sizes}));
  if (isa<graph::StringType>(lhs.element))
    return lowerStringBinary(op, l, lhs, rhs, sizes);
  bool ok = true;
  Tensor result =
      l.elementwise({lhs, rhs}, sizes, element, [&](const Scalars &s, ValueRange x) -> Value {
        Value computed =
            emitBinary(s, op.getKind(), x[0], x[1], lhs.element, rhs.element, rhs.splat);
        ok = computed && computed.getType() == getComputeType(element);
        return ok ? computed : placeholder(s, element);
      });
  return finish(op, l, op.getResult(), result, ok, graph::stringifyBinaryKind(op.getKind()),
                lhs.element);
}

static LogicalResult lowerSelect(graph::SelectOp op, Lowering &l) {
  Tensor condition = l.get(op.getCondition()), lhs = l.get(op.getLhs()), rhs = l.get(op.getRhs());
  Sizes sizes =
      l.resultSizes(op.getResult(), l.broadcastSizes({condition.sizes, lhs.sizes, rhs.sizes}));
  l.set(op.getResult(), l.elementwise(
                            {condition, lhs, rhs}, sizes, lhs.element,
                            [&](const Scalars &s, ValueRange x) {
                              return s.select(s.load(x[0], condition.element), x[1], x[2]);
                            },
                            /*raw=*/true));
  return success();
}

static LogicalResult lowerCast(graph::CastOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  Type element = getElement(op.getResult());
  if (isa<graph::StringType>(input.element) != isa<graph::StringType>(element))
    return lowerStringCast(op, l, input);
  // Doubles are rounded to half precision once, not by way of f32.
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() == 16 && input.element.isF64()) {
    l.set(op.getResult(), l.elementwise(
                              {input}, input.sizes, element,
                              [&](const Scalars &s, ValueRange x) -> Value {
                                return arith::TruncFOp::create(s.b, s.loc, element, x[0]);
                              },
                              /*raw=*/true));
    return success();
  }
  l.set(op.getResult(), l.convert(input, element));
  return success();
}

void lathe::g2l::addElementwise(LoweringTable &table) {
  table.add(lowerUnary);
  table.add(lowerBinary);
  table.add(lowerSelect);
  table.add(lowerCast);
}
