// What is known about the sizes of the values of one function.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Constants.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

using Real = SymbolicShapes::Real;

struct SymbolicShapes::Facts {
  MLIRContext *context;
  // Arrays live here, so that a returned range outlives later queries.
  llvm::BumpPtrAllocator memory;
  // Static shapes and constants are facts about the uniqued type or attribute.
  DenseMap<Type, ArrayRef<AffineExpr>> staticDims;
  DenseMap<Attribute, ArrayRef<AffineExpr>> constantElements;
  DenseMap<Attribute, ArrayRef<Real>> constantReals;
  DenseMap<Value, ArrayRef<AffineExpr>> dims;
  DenseMap<Value, ArrayRef<AffineExpr>> elements;
  DenseMap<Value, ArrayRef<Real>> reals;
  SmallVector<Symbol> symbols;
  llvm::StringMap<unsigned> symbolOfName;
  DenseMap<Value, llvm::SmallMapVector<unsigned, unsigned, 2>> symbolOfDim;
  llvm::StringMap<AffineExpr> derived;
  DenseMap<AffineExpr, AffineExpr> ideals; // see derive
  DenseMap<const void *, llvm::DenseSet<std::pair<unsigned, unsigned>>> varying;

  template <typename T> ArrayRef<T> copy(ArrayRef<T> values) {
    T *data = memory.Allocate<T>(values.size());
    std::uninitialized_copy(values.begin(), values.end(), data);
    return ArrayRef<T>(data, values.size());
  }

  AffineExpr getSymbol(Value value, unsigned dim, StringRef name = {}) {
    auto [slot, isNew] = symbolOfDim[value].try_emplace(dim, symbols.size());
    if (!isNew)
      return getAffineSymbolExpr(slot->second, context);
    if (!name.empty()) {
      auto [named, isNewName] = symbolOfName.try_emplace(name, symbols.size());
      if (!isNewName) {
        slot->second = named->second;
        return getAffineSymbolExpr(named->second, context);
      }
    }
    std::string text = name.str();
    for (unsigned suffix = symbols.size(); text.empty(); ++suffix)
      if (std::string candidate = "d" + std::to_string(suffix);
          symbolOfName.try_emplace(candidate, symbols.size()).second)
        text = std::move(candidate);
    symbols.push_back({std::move(text), value, dim});
    return getAffineSymbolExpr(symbols.size() - 1, context);
  }

  /// Drops what is known about a value, whose address an erased one may have had before.
  void forget(Value value) {
    dims.erase(value);
    elements.erase(value);
    reals.erase(value);
    symbolOfDim.erase(value);
  }

  /// The names that a function argument gives its dimensions.
  static ArrayAttr getDimNames(Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || !argument.getOwner()->isEntryBlock())
      return {};
    auto function = dyn_cast_if_present<func::FuncOp>(argument.getOwner()->getParentOp());
    return function ? function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), dimsAttrName)
                    : ArrayAttr();
  }
};

SymbolicShapes::SymbolicShapes(MLIRContext *context) : facts(std::make_unique<Facts>()) {
  facts->context = context;
}
SymbolicShapes::SymbolicShapes(SymbolicShapes &&) = default;
SymbolicShapes &SymbolicShapes::operator=(SymbolicShapes &&) = default;
SymbolicShapes::~SymbolicShapes() = default;

ArrayRef<SymbolicShapes::Symbol> SymbolicShapes::getSymbols() const { return facts->symbols; }

std::optional<ArrayRef<AffineExpr>> SymbolicShapes::getDims(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  if (type.hasStaticShape()) {
    auto [slot, isNew] = facts->staticDims.try_emplace(type);
    if (isNew)
      slot->second = facts->copy<AffineExpr>(
          llvm::map_to_vector(type.getShape(), [&](int64_t size) { return constant(size); }));
    return slot->second;
  }
  if (auto known = facts->dims.find(value); known != facts->dims.end())
    return known->second;
  ArrayAttr names = Facts::getDimNames(value);
  SmallVector<AffineExpr> dims;
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    StringAttr name = names && i < names.size() ? dyn_cast<StringAttr>(names[i]) : StringAttr();
    dims.push_back(ShapedType::isDynamic(size)
                       ? facts->getSymbol(value, i, name ? name.getValue() : StringRef())
                       : constant(size));
  }
  return facts->dims[value] = facts->copy<AffineExpr>(dims);
}

/// The elements of a constant whose facts are of interest, as raw attribute.
static TypedAttr getSmallConstant(Value value) {
  auto op = value.getDefiningOp<ConstantOp>();
  if (!op)
    return {};
  auto type = dyn_cast<RankedTensorType>(op.getValue().getType());
  if (!type || !type.hasStaticShape() || type.getRank() > 1 ||
      (type.getRank() == 1 && type.getDimSize(0) > SymbolicShapes::maxElements))
    return {};
  return op.getValue();
}

std::optional<ArrayRef<AffineExpr>> SymbolicShapes::getElements(Value value) {
  if (!value.getDefiningOp<ConstantOp>()) {
    auto known = facts->elements.find(value);
    return known != facts->elements.end() ? std::optional(known->second) : std::nullopt;
  }
  TypedAttr attr = getSmallConstant(value);
  if (!attr)
    return std::nullopt;
  if (auto known = facts->constantElements.find(attr); known != facts->constantElements.end())
    return known->second;
  std::optional<SmallVector<int64_t>> integers = getIntegers(attr, maxElements);
  if (!integers)
    return std::nullopt;
  SmallVector<AffineExpr> elements;
  for (int64_t integer : *integers)
    elements.push_back(constant(integer));
  return facts->constantElements[attr] = facts->copy<AffineExpr>(elements);
}

std::optional<SmallVector<int64_t>> SymbolicShapes::getConstantElements(Value value) {
  std::optional<ArrayRef<AffineExpr>> elements = getElements(value);
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (AffineExpr element : *elements) {
    std::optional<int64_t> known = lathe::graph::getConstant(element);
    if (!known)
      return std::nullopt;
    result.push_back(*known);
  }
  return result;
}

std::optional<ArrayRef<Real>> SymbolicShapes::getReals(Value value) {
  if (!value.getDefiningOp<ConstantOp>()) {
    auto known = facts->reals.find(value);
    return known != facts->reals.end() ? std::optional(known->second) : std::nullopt;
  }
  auto attr = dyn_cast_if_present<DenseElementsAttr>(getSmallConstant(value));
  if (auto known = attr ? facts->constantReals.find(attr) : facts->constantReals.end();
      known != facts->constantReals.end())
    return known->second;
  if (!attr || !(attr.getElementType().isF32() || attr.getElementType().isF64()))
    return std::nullopt;
  SmallVector<Real> reals;
  for (const APFloat &element : attr.getValues<APFloat>()) {
    Real real;
    real.constant =
        attr.getElementType().isF32() ? element.convertToFloat() : element.convertToDouble();
    reals.push_back(real);
  }
  return facts->constantReals[attr] = facts->copy<Real>(reals);
}

/// Whether facts about the elements of this value are kept.
static bool keepsElements(Value value, size_t count) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() > 1 || count > size_t(SymbolicShapes::maxElements))
    return false;
  return !type.hasStaticShape() || type.getNumElements() == int64_t(count);
}

/// Whether the type holds the element as it is. In less than 32 bits sizes may wrap around.
static bool holds(IntegerType type, AffineExpr element) {
  unsigned width = type.getWidth();
  if (!element || width == 1)
    return true;
  std::optional<int64_t> known = lathe::graph::getConstant(element);
  if (!known)
    return width >= 32 && (!type.isUnsigned() || getLowerBound(element).value_or(-1) >= 0);
  if (type.isUnsigned())
    return *known >= 0 && (width >= 64 || llvm::isUIntN(width, *known));
  return width >= 64 || llvm::isIntN(width, *known);
}

void SymbolicShapes::setElements(Value result, ArrayRef<AffineExpr> elements) {
  auto type = dyn_cast<IntegerType>(getElementTypeOrSelf(result.getType()));
  if (!type || !keepsElements(result, elements.size()))
    return;
  SmallVector<AffineExpr> held(elements);
  for (AffineExpr &element : held)
    if (!holds(type, element))
      element = {};
  facts->elements[result] = facts->copy<AffineExpr>(held);
}

void SymbolicShapes::setReals(Value result, ArrayRef<Real> elements) {
  Type type = getElementTypeOrSelf(result.getType());
  if (keepsElements(result, elements.size()) && (type.isF32() || type.isF64()))
    facts->reals[result] = facts->copy(elements);
}

TypedAttr SymbolicShapes::getConstant(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || type.getRank() > 1)
    return {};
  if (auto element = dyn_cast<IntegerType>(type.getElementType())) {
    std::optional<SmallVector<int64_t>> integers = getConstantElements(value);
    if (!integers || int64_t(integers->size()) != type.getNumElements())
      return {};
    SmallVector<APInt> bits;
    for (int64_t integer : *integers)
      bits.push_back(APInt(64, integer, true).trunc(std::min(64u, element.getWidth())));
    return element.getWidth() <= 64 ? DenseElementsAttr::get(type, bits) : TypedAttr();
  }
  std::optional<ArrayRef<Real>> reals = getReals(value);
  if (!reals || int64_t(reals->size()) != type.getNumElements())
    return {};
  SmallVector<APFloat> floats;
  for (const Real &real : *reals) {
    if (!real.constant)
      return {};
    floats.push_back(type.getElementType().isF32() ? APFloat(float(*real.constant))
                                                   : APFloat(*real.constant));
  }
  return DenseElementsAttr::get(type, floats);
}

/// Multiplies the known sizes of a tensor; false when it would be too large to address. Zero does
/// not excuse the other sizes: buffers may be laid out without it.
static bool multiplySize(int64_t &elements, int64_t size) {
  return ShapedType::isDynamic(size) ||
         (!llvm::MulOverflow(elements, std::max<int64_t>(size, 1), elements) &&
          elements <= (int64_t(1) << 56));
}

LogicalResult SymbolicShapes::setDims(Value result, ArrayRef<AffineExpr> dims) {
  Operation *op = result.getDefiningOp();
  auto declared = dyn_cast<RankedTensorType>(result.getType());
  if (declared && declared.getRank() != int64_t(dims.size()))
    return op->emitOpError("result has rank ")
           << dims.size() << " with shape " << toString(dims) << ", but its type is " << declared;
  // Gathers can double the rank each time.
  if (dims.size() > maxRank)
    return op->emitOpError("result would have rank ")
           << dims.size() << ", the limit is " << maxRank;
  SmallVector<AffineExpr> exprs(dims);
  SmallVector<int64_t> sizes;
  int64_t elements = 1;
  for (auto [i, expr] : llvm::enumerate(exprs)) {
    int64_t size = declared ? declared.getDimSize(i) : ShapedType::kDynamic;
    std::optional<int64_t> known = lathe::graph::getConstant(expr);
    if (known && *known < 0)
      return op->emitOpError("dimension ") << i << " of the result would be " << *known;
    if (known && !ShapedType::isDynamic(size) && size != *known)
      return op->emitOpError("dimension ")
             << i << " of the result is " << *known << ", but its type says " << size;
    if (known)
      size = *known;
    else if (!ShapedType::isDynamic(size))
      expr = constant(size);
    else if (!expr)
      expr = facts->getSymbol(result, i);
    sizes.push_back(size);
    if (!multiplySize(elements, size))
      return op->emitOpError("result of shape ") << toString(dims) << " is too large to address";
  }
  facts->dims[result] = facts->copy<AffineExpr>(exprs);
  Type element = getElementTypeOrSelf(result.getType());
  result.setType(RankedTensorType::get(sizes, element));
  return success();
}

AffineExpr SymbolicShapes::derive(StringRef what, ArrayRef<AffineExpr> arguments, Value result,
                                  unsigned dim, AffineExpr ideal) {
  if (llvm::is_contained(arguments, AffineExpr()))
    return facts->getSymbol(result, dim);
  AffineExpr &expr = facts->derived[(what + toString(arguments)).str()];
  // The value that first had the size may belong to a region that was left.
  if (!expr || !isVisibleAt(expr, result.getDefiningOp())) {
    expr = facts->getSymbol(result, dim);
    if (ideal)
      facts->ideals[expr] = ideal;
  }
  return expr;
}

AffineExpr SymbolicShapes::constant(int64_t value) const {
  return getAffineConstantExpr(value, facts->context);
}

AffineExpr SymbolicShapes::add(AffineExpr lhs, AffineExpr rhs) const {
  std::optional<int64_t> l = lathe::graph::getConstant(lhs), r = lathe::graph::getConstant(rhs);
  int64_t sum;
  if (l && r && llvm::AddOverflow(*l, *r, sum))
    return constant(*l < 0 ? INT64_MIN : INT64_MAX);
  return addExprs(lhs, rhs);
}

AffineExpr SymbolicShapes::multiply(AffineExpr lhs, AffineExpr rhs) const {
  std::optional<int64_t> l = lathe::graph::getConstant(lhs), r = lathe::graph::getConstant(rhs);
  int64_t product;
  if (l && r && llvm::MulOverflow(*l, *r, product))
    return constant((*l < 0) != (*r < 0) ? INT64_MIN : INT64_MAX);
  return multiplyExprs(lhs, rhs);
}

AffineExpr SymbolicShapes::product(ArrayRef<AffineExpr> factors) const {
  AffineExpr result = constant(1);
  for (AffineExpr factor : factors)
    result = multiply(result, factor);
  return result;
}

AffineExpr SymbolicShapes::minimum(AffineExpr lhs, AffineExpr rhs) const {
  if (!lhs || !rhs)
    return {};
  if (lhs == rhs)
    return lhs;
  std::optional<int64_t> bound = getLowerBound(subtractExprs(lhs, rhs));
  if (bound && *bound >= 0)
    return rhs;
  bound = getLowerBound(subtractExprs(rhs, lhs));
  return bound && *bound >= 0 ? lhs : AffineExpr();
}

FailureOr<AffineExpr> SymbolicShapes::broadcast(AffineExpr lhs, AffineExpr rhs) const {
  if (!lhs || !rhs)
    return AffineExpr();
  if (lhs == rhs)
    return lhs;
  std::optional<int64_t> l = lathe::graph::getConstant(lhs), r = lathe::graph::getConstant(rhs);
  if (l == 1)
    return rhs;
  if (r == 1)
    return lhs;
  if (l && r)
    return failure();
  // A size of at least 2 (or 0) wins over an unknown one, which must be equal or 1.
  auto isNeverOne = [](AffineExpr expr, std::optional<int64_t> known) {
    return known || getLowerBound(expr).value_or(0) >= 2;
  };
  if (isNeverOne(lhs, l))
    return lhs;
  if (isNeverOne(rhs, r))
    return rhs;
  for (auto [cut, whole] : {std::pair(lhs, rhs), std::pair(rhs, lhs)})
    if (facts->ideals.lookup(cut) == whole)
      return whole;
  return AffineExpr();
}

FailureOr<SmallVector<AffineExpr>>
SymbolicShapes::broadcast(Operation *op, ArrayRef<ArrayRef<AffineExpr>> shapes) const {
  size_t rank = 0;
  for (ArrayRef<AffineExpr> shape : shapes)
    rank = std::max(rank, shape.size());
  SmallVector<AffineExpr> result(rank, constant(1));
  for (ArrayRef<AffineExpr> shape : shapes) {
    size_t offset = rank - shape.size();
    for (auto [i, dim] : llvm::enumerate(shape)) {
      FailureOr<AffineExpr> merged = broadcast(result[offset + i], dim);
      if (failed(merged)) {
        InFlightDiagnostic error = op->emitOpError("operands of shapes ");
        llvm::interleave(
            shapes, [&](ArrayRef<AffineExpr> s) { error << toString(s); },
            [&] { error << " and "; });
        return error << " don't broadcast: dimension " << (offset + i) << " of the result is "
                     << toString(result[offset + i]) << " and " << toString(dim)
                     << ", which must be equal or 1";
      }
      result[offset + i] = *merged;
    }
  }
  return result;
}

LogicalResult SymbolicShapes::checkEqual(Operation *op, AffineExpr lhs, AffineExpr rhs,
                                         const Twine &what) const {
  std::optional<int64_t> difference = lathe::graph::getConstant(subtractExprs(lhs, rhs));
  if (!difference || *difference == 0)
    return success();
  return op->emitOpError() << what << " must be equal, got " << toString(lhs) << " and "
                           << toString(rhs);
}

LogicalResult SymbolicShapes::inferOp(Operation *op) {
  auto inference = dyn_cast<ShapeInferenceInterface>(op);
  if (!inference)
    return success();
  // Inference relies on what the verifier checks, and the importer hands over fresh operations.
  if (failed(op->getName().verifyInvariants(op)))
    return failure();
  for (Value result : op->getResults())
    facts->forget(result);
  return inference.inferShapes(*this);
}

LogicalResult SymbolicShapes::inferRegion(Region &region) {
  for (Block &block : region)
    for (Operation &op : block)
      if (failed(inferOp(&op)))
        return failure();
  return success();
}

void SymbolicShapes::setArgument(BlockArgument argument, std::optional<ArrayRef<AffineExpr>> dims) {
  facts->forget(argument);
  if (!isa<TensorType>(argument.getType()) || !dims)
    return;
  SmallVector<AffineExpr> exprs(*dims);
  SmallVector<int64_t> sizes;
  for (auto [i, expr] : llvm::enumerate(exprs)) {
    if (!expr)
      expr = facts->getSymbol(argument, i);
    sizes.push_back(lathe::graph::getConstant(expr).value_or(ShapedType::kDynamic));
  }
  facts->dims[argument] = facts->copy<AffineExpr>(exprs);
  argument.setType(RankedTensorType::get(sizes, getElementTypeOrSelf(argument.getType())));
}

void SymbolicShapes::setCounter(BlockArgument counter) {
  facts->forget(counter);
  setElements(counter, facts->getSymbol(counter, Symbol::element));
}

bool SymbolicShapes::isVisibleAt(AffineExpr expr, Operation *op) const {
  Region *place = op ? op->getParentRegion() : nullptr;
  bool visible = true;
  expr.walk([&](AffineExpr part) {
    auto symbol = dyn_cast<AffineSymbolExpr>(part);
    if (!symbol)
      return;
    Region *home = facts->symbols[symbol.getPosition()].value.getParentRegion();
    visible &= !place || !home || home->isAncestor(place);
  });
  return visible;
}

llvm::DenseSet<std::pair<unsigned, unsigned>> &SymbolicShapes::getVarying(const void *loop) {
  return facts->varying[loop];
}

FailureOr<SymbolicShapes> SymbolicShapes::compute(func::FuncOp function) {
  SymbolicShapes shapes(function.getContext());
  if (function.isExternal())
    return shapes;
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    int64_t elements = 1;
    if (type && (type.getRank() > maxRank || !llvm::all_of(type.getShape(), [&](int64_t size) {
                   return multiplySize(elements, size);
                 })))
      return function.emitError("argument ")
             << argument.getArgNumber() << " of type " << type << " is too large to address";
    shapes.getDims(argument);
  }
  WalkResult walk = function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (failed(shapes.inferOp(op)))
      return WalkResult::interrupt();
    // Operations with regions infer what is in them.
    bool isDone = isa<ShapeInferenceInterface>(op) && op->getNumRegions() > 0;
    return isDone ? WalkResult::skip() : WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  // Declared result types that are less precise follow; more precise ones are kept by the value.
  for (Block &block : function.getBody())
    if (auto ret = dyn_cast<func::ReturnOp>(block.getTerminator()))
      function.setFunctionType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                                 ret.getOperandTypes()));
  return shapes;
}

static void print(llvm::raw_ostream &os, AffineExpr expr, ArrayRef<SymbolicShapes::Symbol> symbols,
                  int parentPrecedence) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    os << constant.getValue();
    return;
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    if (symbol.getPosition() < symbols.size())
      os << symbols[symbol.getPosition()].name;
    else
      os << "?";
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary) {
    os << expr;
    return;
  }
  struct Operator {
    StringRef text;
    int precedence;
  };
  Operator op = [&]() -> Operator {
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      return {" + ", 1};
    case AffineExprKind::Mul:
      return {" * ", 2};
    case AffineExprKind::FloorDiv:
      return {" / ", 3};
    case AffineExprKind::CeilDiv:
      return {" ceildiv ", 3};
    default:
      return {" mod ", 3};
    }
  }();
  bool parenthesize =
      op.precedence < parentPrecedence || (op.precedence == 3 && parentPrecedence > 0);
  if (parenthesize)
    os << "(";
  print(os, binary.getLHS(), symbols, op.precedence);
  std::optional<int64_t> rhs = getConstant(binary.getRHS());
  if (op.precedence == 1 && rhs && *rhs < 0 && *rhs != INT64_MIN) {
    os << " - " << -*rhs;
  } else {
    os << op.text;
    print(os, binary.getRHS(), symbols, op.precedence + (op.precedence == 3));
  }
  if (parenthesize)
    os << ")";
}

std::string SymbolicShapes::toString(AffineExpr expr) const {
  if (!expr)
    return "?";
  std::string text;
  llvm::raw_string_ostream os(text);
  print(os, expr, facts->symbols, 0);
  return text;
}

std::string SymbolicShapes::toString(ArrayRef<AffineExpr> exprs) const {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(exprs, os, [&](AffineExpr expr) { os << toString(expr); });
  os << "]";
  return text;
}
