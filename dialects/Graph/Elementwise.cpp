// Elementwise operations: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/ShapeElements.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

static bool isBool(Type type) { return type.isInteger(1); }

//===----------------------------------------------------------------------===//
// unary
//===----------------------------------------------------------------------===//

LogicalResult UnaryOp::verify() {
  Type input = getElementTypeOrSelf(getInput().getType());
  Type result = getElementTypeOrSelf(getResult().getType());
  bool isFloat = isa<FloatType>(input);
  switch (getKind()) {
  case UnaryKind::logical_not:
    if (!isBool(input))
      return emitOpError("logical_not takes booleans, got ") << getInput().getType();
    break;
  case UnaryKind::bitwise_not:
  case UnaryKind::abs:
  case UnaryKind::neg:
  case UnaryKind::sign:
  case UnaryKind::relu:
    if (isBool(input) || (isFloat && getKind() == UnaryKind::bitwise_not))
      return emitOpError() << stringifyUnaryKind(getKind()) << " does not take "
                           << getInput().getType();
    break;
  default:
    if (!isFloat)
      return emitOpError() << stringifyUnaryKind(getKind()) << " takes floats, got "
                           << getInput().getType();
  }
  bool givesBool = getKind() == UnaryKind::is_nan || getKind() == UnaryKind::logical_not;
  if (givesBool ? !isBool(result) : result != input)
    return emitOpError() << stringifyUnaryKind(getKind()) << " of " << getInput().getType()
                         << " can't give " << getResult().getType();
  return success();
}

LogicalResult UnaryOp::inferShapes(SymbolicShapes &shapes) {
  std::optional<ArrayRef<AffineExpr>> dims = shapes.getDims(getInput());
  if (!dims)
    return success();
  if (failed(shapes.setDims(getResult(), *dims)))
    return failure();
  Type type = getElementTypeOrSelf(getInput().getType());
  if (auto elements = shapes.getElements(getInput()))
    shapes.setElements(getResult(), llvm::map_to_vector(*elements, [&](AffineExpr element) {
                         return computeElement(getKind(), element, type.getIntOrFloatBitWidth());
                       }));
  if (auto reals = shapes.getReals(getInput()); reals && getKind() != UnaryKind::is_nan)
    shapes.setReals(getResult(), llvm::map_to_vector(*reals, [&](const Real &real) {
                      return computeElement(getKind(), real, type.isF32()).value_or(Real());
                    }));
  return success();
}

//===----------------------------------------------------------------------===//
// binary
//===----------------------------------------------------------------------===//

namespace {
enum class BinaryClass { arithmetic, logical, bitwise, comparison };
} // namespace

static BinaryClass classify(BinaryKind kind) {
  switch (kind) {
  case BinaryKind::logical_and:
  case BinaryKind::logical_or:
  case BinaryKind::logical_xor:
    return BinaryClass::logical;
  case BinaryKind::bitwise_and:
  case BinaryKind::bitwise_or:
  case BinaryKind::bitwise_xor:
  case BinaryKind::shift_left:
  case BinaryKind::shift_right:
    return BinaryClass::bitwise;
  case BinaryKind::equal:
  case BinaryKind::less:
  case BinaryKind::less_equal:
  case BinaryKind::greater:
  case BinaryKind::greater_equal:
    return BinaryClass::comparison;
  default:
    return BinaryClass::arithmetic;
  }
}

LogicalResult BinaryOp::verify() {
  Type lhs = getElementTypeOrSelf(getLhs().getType());
  Type rhs = getElementTypeOrSelf(getRhs().getType());
  Type result = getElementTypeOrSelf(getResult().getType());
  StringRef kind = stringifyBinaryKind(getKind());
  if (lhs != rhs && getKind() != BinaryKind::pow)
    return emitOpError() << kind << " takes operands of one element type, got "
                         << getLhs().getType() << " and " << getRhs().getType();
  BinaryClass group = classify(getKind());
  bool isLegal = true;
  switch (group) {
  case BinaryClass::arithmetic:
    isLegal = !isBool(lhs) && !isBool(rhs);
    break;
  case BinaryClass::logical:
    isLegal = isBool(lhs);
    break;
  case BinaryClass::bitwise:
    isLegal = isa<IntegerType>(lhs) && !isBool(lhs);
    break;
  case BinaryClass::comparison:
    break;
  }
  if (isa<StringType>(lhs))
    isLegal = getKind() == BinaryKind::add || getKind() == BinaryKind::equal;
  if (!isLegal)
    return emitOpError() << kind << " does not take " << getLhs().getType() << " and "
                         << getRhs().getType();
  bool givesBool = group == BinaryClass::comparison || group == BinaryClass::logical;
  if (givesBool ? !isBool(result) : result != lhs)
    return emitOpError() << kind << " of " << getLhs().getType() << " can't give "
                         << getResult().getType();
  return success();
}

/// Calls `compute` for the elements of two operands broadcast against each other.
template <typename T, typename Function>
static std::optional<SmallVector<T>> zipBroadcast(ArrayRef<T> lhs, ArrayRef<T> rhs,
                                                  Function compute) {
  size_t count = lhs.size() == 1 ? rhs.size() : lhs.size();
  if ((lhs.size() != count && lhs.size() != 1) || (rhs.size() != count && rhs.size() != 1))
    return std::nullopt;
  SmallVector<T> result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(compute(lhs[lhs.size() == 1 ? 0 : i], rhs[rhs.size() == 1 ? 0 : i]));
  return result;
}

LogicalResult BinaryOp::inferShapes(SymbolicShapes &shapes) {
  std::optional<ArrayRef<AffineExpr>> lhs = shapes.getDims(getLhs());
  std::optional<ArrayRef<AffineExpr>> rhs = shapes.getDims(getRhs());
  if (!lhs || !rhs)
    return success();
  FailureOr<SmallVector<AffineExpr>> dims = shapes.broadcast(*this, {*lhs, *rhs});
  if (failed(dims) || failed(shapes.setDims(getResult(), *dims)))
    return failure();
  Type type = getElementTypeOrSelf(getLhs().getType());
  auto left = shapes.getElements(getLhs()), right = shapes.getElements(getRhs());
  if (left && right)
    if (auto elements = zipBroadcast(*left, *right, [&](AffineExpr l, AffineExpr r) {
          return computeElement(getKind(), l, r, type.getIntOrFloatBitWidth());
        }))
      shapes.setElements(getResult(), *elements);
  auto leftReals = shapes.getReals(getLhs()), rightReals = shapes.getReals(getRhs());
  if (leftReals && rightReals)
    if (auto reals = zipBroadcast(*leftReals, *rightReals, [&](const Real &l, const Real &r) {
          return computeElement(getKind(), l, r, type.isF32()).value_or(Real());
        }))
      shapes.setReals(getResult(), *reals);
  return success();
}

//===----------------------------------------------------------------------===//
// select
//===----------------------------------------------------------------------===//

LogicalResult SelectOp::verify() {
  return verifySameElementTypes(*this, {getLhs(), getRhs(), getResult()});
}

LogicalResult SelectOp::inferShapes(SymbolicShapes &shapes) {
  auto condition = shapes.getDims(getCondition());
  auto lhs = shapes.getDims(getLhs()), rhs = shapes.getDims(getRhs());
  if (!condition || !lhs || !rhs)
    return success();
  FailureOr<SmallVector<AffineExpr>> dims = shapes.broadcast(*this, {*condition, *lhs, *rhs});
  if (failed(dims) || failed(shapes.setDims(getResult(), *dims)))
    return failure();
  auto choices = shapes.getElements(getCondition());
  auto left = shapes.getElements(getLhs()), right = shapes.getElements(getRhs());
  // A condition whose size only the run knows may be one that does not broadcast.
  if (!left || !right || !llvm::all_of(*condition, [](AffineExpr dim) { return getConstant(dim); }))
    return success();
  size_t count = std::max({left->size(), right->size(), choices ? choices->size() : 1});
  SmallVector<AffineExpr> elements;
  for (size_t i = 0; i < count; ++i) {
    auto at = [&](ArrayRef<AffineExpr> values) {
      return values.size() == 1 ? values[0] : i < values.size() ? values[i] : AffineExpr();
    };
    AffineExpr l = at(*left), r = at(*right);
    std::optional<int64_t> choice = getConstant(choices ? at(*choices) : AffineExpr());
    elements.push_back(l == r ? l : !choice ? AffineExpr() : *choice ? l : r);
  }
  shapes.setElements(getResult(), elements);
  return success();
}

//===----------------------------------------------------------------------===//
// cast
//===----------------------------------------------------------------------===//

LogicalResult CastOp::verify() { return success(); }

/// Bits that an element takes where several share a byte; booleans take 8.
static unsigned getWidth(Type element) {
  if (auto complex = dyn_cast<ComplexType>(element))
    return 2 * getWidth(complex.getElementType());
  if (!element.isIntOrFloat())
    return 0;
  return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
}

LogicalResult BitCastOp::verify() {
  Type from = getElementTypeOrSelf(getInput().getType());
  Type to = getElementTypeOrSelf(getResult().getType());
  if (getWidth(from) != getWidth(to))
    return emitOpError("element types ") << from << " and " << to << " differ in width";
  return success();
}

LogicalResult BitCastOp::inferShapes(SymbolicShapes &shapes) {
  auto dims = shapes.getDims(getInput());
  return dims ? shapes.setDims(getResult(), *dims) : success();
}

LogicalResult CastOp::inferShapes(SymbolicShapes &shapes) {
  std::optional<ArrayRef<AffineExpr>> dims = shapes.getDims(getInput());
  if (!dims)
    return success();
  if (failed(shapes.setDims(getResult(), *dims)))
    return failure();
  Type to = getElementTypeOrSelf(getResult().getType());
  auto toInteger = [&](AffineExpr expr) -> AffineExpr {
    if (!expr || !to.isInteger(1))
      return expr; // what the type does not hold is not kept
    if (std::optional<int64_t> known = getConstant(expr))
      return shapes.constant(*known != 0);
    return getLowerBound(expr).value_or(0) >= 1 ? shapes.constant(1) : AffineExpr();
  };
  if (auto elements = shapes.getElements(getInput())) {
    if (isa<IntegerType>(to))
      shapes.setElements(getResult(), llvm::map_to_vector(*elements, toInteger));
    else if (to.isF32() || to.isF64())
      shapes.setReals(getResult(), llvm::map_to_vector(*elements, [&](AffineExpr expr) {
                        return expr ? toReal(expr, to.isF32()) : Real();
                      }));
  } else if (auto reals = shapes.getReals(getInput())) {
    // Casting a float to a boolean tests it before it is truncated.
    if (isa<IntegerType>(to) && !to.isInteger(1)) {
      shapes.setElements(getResult(), llvm::map_to_vector(*reals, [&](const Real &real) {
                           return toInteger(truncate(real, getContext()));
                         }));
    } else if (to.isF32() || to.isF64()) {
      SmallVector<Real> rounded(*reals);
      for (Real &real : rounded)
        if (real.constant && to.isF32())
          real.constant = double(float(*real.constant));
      shapes.setReals(getResult(), rounded);
    }
  }
  return success();
}
