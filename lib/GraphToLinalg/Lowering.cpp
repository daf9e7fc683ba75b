// Values of the function that is being lowered, and the walk over it.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "dialects/Graph/Locations.h"
#include "dialects/Graph/Map.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/NarrowTypes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

/// Larger constants stay in the weights section.
static constexpr uint64_t maxDenseBytes = 1024;

Lowering::Lowering(func::FuncOp source, graph::SymbolicShapes &shapes)
    : context(source.getContext()), b(context), loc(source.getLoc()), source(source),
      shapes(shapes), entry(std::make_unique<Block>()), entryBuilder(context) {
  entryBuilder.setInsertionPointToEnd(entry.get());
}

// ---- Errors ------------------------------------------------------------------------------------

// The location names the node; who prints the diagnostic puts it in front.
InFlightDiagnostic Lowering::unsupported(Operation *op) {
  InFlightDiagnostic diagnostic = emitError(op->getLoc());
  // Of a model's node, the operator that the user knows.
  StringRef known = graph::getOperator(op->getLoc());
  if (known.empty()) {
    diagnostic << "operator '" << op->getName().stripDialect() << "' is not supported: ";
    return diagnostic;
  }
  diagnostic << known.split('-').first << " is not supported in this form: ";
  Diagnostic &note = diagnostic.attachNote();
  note << "operator " << known << (op->getNumOperands() ? ", of " : "") << op->getOperandTypes();
  return diagnostic;
}

// ---- Constants ---------------------------------------------------------------------------------

TypedAttr Lowering::getConstant(Value graphValue) {
  if (auto constant = graphValue.getDefiningOp<graph::ConstantOp>())
    return constant.getValue();
  return shapes.getConstant(graphValue);
}

// The same constant with element types as they are in memory.
static TypedAttr toStorage(TypedAttr value) {
  auto type = cast<RankedTensorType>(value.getType());
  Type element = type.getElementType();
  if (isa<graph::StringType>(element))
    return value;
  Type storage = getStorageType(element);
  auto storageType = RankedTensorType::get(type.getShape(), storage);
  if (sharesBytes(element)) {
    SmallVector<char> buffer;
    ArrayRef<char> bytes = graph::getConstantBytes(value, buffer);
    // Dense attributes have a byte for each element already.
    unsigned perByte = isa<DenseElementsAttr>(value) ? 1 : 8 / element.getIntOrFloatBitWidth();
    return graph::makeConstantAttr(storageType,
                                   unpackConstant(bytes, element, type.getNumElements(), perByte));
  }
  if (auto weight = dyn_cast<graph::WeightAttr>(value))
    return graph::WeightAttr::get(value.getContext(), weight.getFile(), weight.getOffset(),
                                  weight.getLength(), weight.getHash(), storageType);
  auto dense = cast<DenseElementsAttr>(value);
  if (storage == type.getElementType())
    return dense;
  if (type.getElementType().isInteger(1))
    return dense.mapValues(storage, [](const APInt &bit) { return bit.zext(8); });
  return dense.bitcast(storage);
}

static TypedAttr getSplat(TypedAttr storage) {
  auto dense = dyn_cast<DenseElementsAttr>(storage);
  if (!dense || dense.empty() || !dense.isSplat())
    return {};
  return cast<TypedAttr>(dense.getSplatValue<Attribute>());
}

Tensor Lowering::makeConstant(TypedAttr storage, Type element) {
  auto type = cast<RankedTensorType>(storage.getType());
  if (isa<graph::StringType>(element)) {
    // Strings have addresses, so that nothing but the runtime knows what lies in memory.
    Tensor strings{{}, {}, element};
    for (int64_t dim : type.getShape())
      strings.sizes.push_back(size(dim));
    auto inMemory = RankedTensorType::get(type.getShape(), getStorageType(element));
    strings.value = rt::WeightOp::create(entryBuilder, loc, inMemory, storage);
    return strings;
  }
  Tensor tensor{{}, {}, element, getSplat(storage), storage};
  for (int64_t dim : type.getShape())
    tensor.sizes.push_back(size(dim));
  uint64_t bytes = graph::getStorageBytes(type).value_or(0);
  if (isa<DenseElementsAttr>(storage) && bytes <= maxDenseBytes) {
    tensor.value = arith::ConstantOp::create(entryBuilder, loc, storage);
    return tensor;
  }
  if (tensor.splat) {
    tensor.value = filled(tensor.sizes, tensor.splat);
    return tensor;
  }
  if (isa<DenseElementsAttr>(storage)) {
    SmallVector<char> buffer;
    auto &weights = context->getLoadedDialect<graph::GraphDialect>()->getWeights();
    tensor.constant = storage = weights.intern(type, graph::getConstantBytes(storage, buffer));
  }
  tensor.value = rt::WeightOp::create(entryBuilder, loc, type, storage);
  return tensor;
}

Tensor Lowering::constantTensor(DenseElementsAttr value) {
  return makeConstant(toStorage(value), value.getElementType());
}

// Copies elements of one width, the last two dimensions in blocks that stay in the cache.
template <typename Element>
static void readStrided(const Element *from, ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
                        Element *&to) {
  constexpr int64_t block = 64;
  if (shape.size() > 2) {
    for (int64_t i = 0; i < shape[0]; ++i)
      readStrided(from + i * strides[0], shape.drop_front(), strides.drop_front(), to);
    return;
  }
  int64_t rows = shape.size() == 2 ? shape[0] : 1, columns = shape.empty() ? 1 : shape.back();
  int64_t rowStride = shape.size() == 2 ? strides[0] : 0;
  int64_t columnStride = shape.empty() ? 0 : strides.back();
  for (int64_t row = 0; row < rows; row += block)
    for (int64_t column = 0; column < columns; column += block)
      for (int64_t i = row; i < std::min(row + block, rows); ++i)
        for (int64_t j = column; j < std::min(column + block, columns); ++j)
          to[i * columns + j] = from[i * rowStride + j * columnStride];
  to += rows * columns;
}

std::optional<Tensor> Lowering::widenConstant(const Tensor &input) {
  bool isHalf = input.element.isF16();
  if (!input.constant || !(isHalf || input.element.isBF16()))
    return std::nullopt;
  auto type =
      RankedTensorType::get(cast<ShapedType>(input.constant.getType()).getShape(), b.getF32Type());
  SmallVector<char> buffer;
  ArrayRef<char> bytes = graph::getConstantBytes(input.constant, buffer);
  size_t count = type.getNumElements();
  if (count == 0 || bytes.size() < 2 * count)
    return std::nullopt;
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, sizeof(bits));
    if (isHalf)
      numbers[i] = static_cast<float>(llvm::bit_cast<_Float16>(bits));
    else
      numbers[i] = llvm::bit_cast<float>(uint32_t(bits) << 16);
  }
  ArrayRef<char> raw(reinterpret_cast<const char *>(numbers.data()), 4 * count);
  return makeConstant(graph::makeConstantAttr(type, raw), b.getF32Type());
}

std::optional<Tensor> Lowering::readConstant(const Tensor &input, ArrayRef<int64_t> shape,
                                             ArrayRef<int64_t> strides, int64_t offset) {
  if (!input.constant)
    return std::nullopt;
  auto type = RankedTensorType::get(shape, getStorageType(input.element));
  if (input.splat)
    return makeConstant(DenseElementsAttr::get(type, Attribute(input.splat)), input.element);
  SmallVector<char> buffer;
  ArrayRef<char> bytes = graph::getConstantBytes(input.constant, buffer);
  std::optional<uint64_t> total = graph::getStorageBytes(type);
  if (bytes.empty() || !total || *total == 0)
    return std::nullopt;
  std::vector<char> result(*total);
  auto read = [&](auto element) {
    auto *to = reinterpret_cast<decltype(element) *>(result.data());
    readStrided(reinterpret_cast<const decltype(element) *>(bytes.data()) + offset, shape, strides,
                to);
  };
  switch (type.getElementTypeBitWidth()) {
  case 8:
    read(uint8_t());
    break;
  case 16:
    read(uint16_t());
    break;
  case 32:
    read(uint32_t());
    break;
  case 64:
    read(uint64_t());
    break;
  default:
    return std::nullopt;
  }
  return makeConstant(graph::makeConstantAttr(type, result), input.element);
}

// ---- Values ------------------------------------------------------------------------------------

std::optional<Sizes> Lowering::getSymbolicElements(Value graphValue) {
  auto type = dyn_cast<RankedTensorType>(graphValue.getType());
  if (!type || !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  std::optional<ArrayRef<AffineExpr>> exprs = shapes.getElements(graphValue);
  if (!exprs)
    return std::nullopt;
  Sizes elements;
  for (AffineExpr expr : SmallVector<AffineExpr>(*exprs)) {
    std::optional<AffineExpr> own = expr ? translate(expr) : std::nullopt;
    if (!own)
      return std::nullopt;
    elements.push_back(size(*own));
  }
  return elements;
}

Tensor Lowering::makeSymbolic(Value graphValue, ArrayRef<OpFoldResult> elements) {
  auto type = cast<RankedTensorType>(graphValue.getType());
  Type storage = getStorageType(type.getElementType());
  OpBuilder top = topLevel();
  SmallVector<Value> scalars;
  for (OpFoldResult element : elements)
    scalars.push_back(arith::IndexCastOp::create(top, loc, storage, value(element)));
  SmallVector<int64_t> shape;
  if (type.getRank() == 1)
    shape.push_back(elements.size());
  auto storageType = RankedTensorType::get(shape, storage);
  Value made = elements.empty()
                   ? Value(tensor::EmptyOp::create(top, loc, shape, storage))
                   : Value(tensor::FromElementsOp::create(top, loc, storageType, scalars));
  Tensor tensor{made, {}, type.getElementType()};
  for (int64_t dim : shape)
    tensor.sizes.push_back(size(dim));
  return tensor;
}

bool Lowering::has(Value graphValue) {
  return tensors.contains(graphValue) || getConstant(graphValue) || getSymbolicElements(graphValue);
}

Tensor Lowering::get(Value graphValue) {
  auto it = tensors.find(graphValue);
  if (it != tensors.end())
    return it->second;
  if (TypedAttr constant = getConstant(graphValue)) {
    Location user = std::exchange(loc, graphValue.getLoc());
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(topLevel().saveInsertionPoint());
    Tensor tensor =
        makeConstant(toStorage(constant), cast<ShapedType>(constant.getType()).getElementType());
    loc = user;
    return tensors[graphValue] = tensor;
  }
  std::optional<Sizes> elements = getSymbolicElements(graphValue);
  assert(elements && "operands are checked before an operation is lowered");
  return tensors[graphValue] = makeSymbolic(graphValue, *elements);
}

void Lowering::set(Value graphValue, Tensor tensor) { tensors[graphValue] = std::move(tensor); }

std::optional<Sizes> Lowering::getElements(Value graphValue) {
  if (std::optional<Sizes> elements = getSymbolicElements(graphValue))
    return elements;
  auto type = cast<RankedTensorType>(graphValue.getType());
  if (TypedAttr constant = getConstant(graphValue);
      isa_and_nonnull<DenseIntElementsAttr>(constant)) {
    Sizes elements;
    for (APInt element : cast<DenseIntElementsAttr>(constant).getValues<APInt>())
      elements.push_back(size(type.getElementType().isUnsignedInteger() ? element.getZExtValue()
                                                                        : element.getSExtValue()));
    return elements;
  }
  Tensor tensor = get(graphValue);
  if (tensor.rank() > 1)
    return std::nullopt;
  int64_t count = 1;
  if (tensor.rank() == 1) {
    std::optional<int64_t> known = getConstantIntValue(tensor.sizes[0]);
    if (!known || *known > 64)
      return std::nullopt;
    count = *known;
  }
  std::optional<ArrayRef<AffineExpr>> exprs = shapes.getElements(graphValue);
  Sizes elements;
  for (int64_t i = 0; i < count; ++i) {
    AffineExpr known = exprs ? (*exprs)[i] : AffineExpr();
    if (std::optional<AffineExpr> own = known ? translate(known) : std::nullopt) {
      elements.push_back(size(*own));
      continue;
    }
    AffineExpr &element = extracted[{graphValue, i}];
    if (!element) {
      SmallVector<Value> position;
      if (tensor.rank() == 1)
        position.push_back(value(size(i)));
      OpBuilder top = topLevel();
      Value read = tensor::ExtractOp::create(top, loc, tensor.value, position);
      element = newSymbol(Scalars{top, loc}.toIndex(read, tensor.element), /*atEntry=*/false);
      dataSymbols.insert(element);
    }
    elements.push_back(size(element));
  }
  return elements;
}

std::optional<SmallVector<int64_t>> Lowering::getConstantElements(Value graphValue) {
  if (auto known = shapes.getConstantElements(graphValue))
    return known;
  auto dense = dyn_cast_or_null<DenseIntElementsAttr>(getConstant(graphValue));
  if (!dense)
    return std::nullopt;
  SmallVector<int64_t> elements;
  for (APInt element : dense.getValues<APInt>())
    elements.push_back(element.getSExtValue());
  return elements;
}

// ---- The walk ----------------------------------------------------------------------------------

// Operations that move elements as they are. What they fill with is the element whose bits are 0.
static bool movesElements(Operation &op) {
  if (auto scatter = dyn_cast<graph::ScatterElementsOp>(op))
    return scatter.getReduction() == graph::ScatterReduction::none;
  if (auto resize = dyn_cast<graph::ResizeOp>(op))
    return resize.getMode() == graph::ResizeMode::nearest &&
           resize.getCoordinates() != graph::ResizeCoordinates::tf_crop_and_resize;
  if (auto scatter = dyn_cast<graph::ScatterNDOp>(op))
    return scatter.getReduction() == graph::ScatterReduction::none;
  return isa<graph::GatherOp, graph::GatherElementsOp, graph::GatherNDOp, graph::ReshapeOp,
             graph::FlattenOp, graph::SqueezeOp, graph::UnsqueezeOp, graph::TransposeOp,
             graph::ConcatOp, graph::SliceOp, graph::SplitOp, graph::ExpandOp, graph::TileOp,
             graph::RequireShapeOp, graph::SelectOp, graph::ShapeOp, graph::SizeOp, graph::PadOp,
             graph::TriluOp, graph::OneHotOp, graph::DepthToSpaceOp, graph::SpaceToDepthOp,
             graph::NonZeroOp, graph::SplitToSequenceOp, graph::ConcatFromSequenceOp>(op);
}

// Operations that know strings.
static bool takesStrings(Operation &op) {
  return isa<graph::BinaryOp, graph::CastOp, graph::FindOp, graph::StringNormalizeOp,
             graph::StringSplitOp, graph::StringMatchOp, graph::UniqueOp, graph::MapConstructOp,
             graph::MapEntriesOp>(op);
}

// Operations that pass on items of any type.
static bool takesValues(Operation &op) {
  return isa<graph::SequenceConstructOp, graph::SequenceInsertOp, graph::SequenceAtOp,
             graph::OptionalConstructOp, graph::OptionalGetOp, graph::IfOp, graph::LoopOp>(op);
}

// The operation's values must be tensors of element types that have a form in memory, ranked where
// it looks at their elements.
static std::string findBadType(Operation &op) {
  for (Type type : llvm::concat<const Type>(op.getOperandTypes(), op.getResultTypes())) {
    if (isa<graph::SequenceType, graph::OptionalType, TupleType>(type))
      continue;
    auto tensor = cast<TensorType>(type);
    if (!tensor.hasRank() && !takesValues(op))
      return llvm::formatv("a value's rank is not known ({0})", type);
    Type element = tensor.getElementType();
    if (isa<graph::StringType, ComplexType>(element) && (movesElements(op) || takesValues(op)))
      continue;
    if (isa<graph::StringType>(element) && takesStrings(op))
      continue;
    if (isa<ComplexType>(element) &&
        isa<graph::UniqueOp, graph::ColumnsToImageOp, graph::BitCastOp>(op))
      continue;
    unsigned width = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
    if (!llvm::is_contained({1u, 2u, 4u, 8u, 16u, 32u, 64u}, width) ||
        (width < 16 && isa<FloatType>(element) && !graph::getElementNumber(element)))
      return llvm::formatv("element type {0}", element);
  }
  return {};
}

LogicalResult Lowering::lowerOp(Operation &op) {
  loc = op.getLoc();
  if (isa<graph::ConstantOp>(op))
    return success();
  // Shape arithmetic is made where it is used, from the sizes it stands for.
  if (llvm::all_of(op.getResults(), [&](Value result) {
        return isa<RankedTensorType>(result.getType()) && getSymbolicElements(result).has_value();
      }))
    return success();
  // An operand that failed was reported at its own operation.
  if (!llvm::all_of(op.getOperands(), [&](Value operand) { return has(operand); }))
    return failure();
  if (std::string bad = findBadType(op); !bad.empty())
    return unsupported(&op) << bad;
  const Handler *handler = LoweringTable::get().find(op.getName().getStringRef());
  if (!handler)
    return unsupported(&op) << "it has no lowering yet";
  return (*handler)(&op, *this);
}

// The type of an argument.
static Type toBoundary(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return rt::ValueType::get(type.getContext());
  return RankedTensorType::get(tensor.getShape(), getBoundaryType(tensor.getElementType()));
}

void Lowering::prepareArguments() {
  SmallVector<Type> types;
  for (Type type : source.getArgumentTypes())
    types.push_back(toBoundary(type));
  target = func::FuncOp::create(source.getLoc(), source.getName(),
                                FunctionType::get(context, types, {}));
  body = target.addEntryBlock();
  b.setInsertionPointToEnd(body);
  for (auto [from, to] : llvm::zip(source.getArguments(), target.getArguments())) {
    auto type = dyn_cast<RankedTensorType>(from.getType());
    if (!type) {
      tensors[from] = Tensor{to, {}, Type()};
      continue;
    }
    Tensor tensor{to, {}, type.getElementType()};
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        tensor.sizes.push_back(size(type.getDimSize(i)));
        continue;
      }
      Value dim = tensor::DimOp::create(entryBuilder, source.getLoc(), to, i);
      AffineExpr symbol = newSymbol(dim, /*atEntry=*/true);
      tensor.sizes.push_back(size(symbol));
    }
    tensors[from] = tensor;
  }
  // Dimensions that share a symbol have the size of the first of them.
  for (BlockArgument from : source.getArguments()) {
    auto it = tensors.find(from);
    std::optional<ArrayRef<AffineExpr>> dims = shapes.getDims(from);
    if (it == tensors.end() || !dims)
      continue;
    SmallVector<AffineExpr> exprs(*dims);
    for (auto [i, expr] : llvm::enumerate(exprs))
      if (std::optional<AffineExpr> own = translate(expr))
        it->second.sizes[i] = size(*own);
    if (it->second.element && sharesBytes(it->second.element))
      it->second = unpack(*this, it->second.value, it->second.sizes, it->second.element);
  }
}

// Records the model's element type where the one in memory differs, and the type of other values.
static DictionaryAttr withElementType(DictionaryAttr attrs, Type type) {
  NamedAttrList list(attrs);
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    list.set("graph.type", TypeAttr::get(type));
  else if (Type element = tensor.getElementType(); getStorageType(element) != element)
    list.set("graph.element_type", TypeAttr::get(element));
  return list.getDictionary(type.getContext());
}

void Lowering::finish(Operation *terminator) {
  loc = terminator->getLoc();
  SmallVector<Value> results;
  SmallVector<Type> types;
  for (Value operand : terminator->getOperands()) {
    Tensor tensor = get(operand);
    bool isPacked = tensor.element && sharesBytes(tensor.element);
    results.push_back(isPacked ? pack(*this, tensor) : tensor.value);
    types.push_back(results.back().getType());
  }
  func::ReturnOp::create(b, loc, results);
  target.setType(FunctionType::get(context, target.getArgumentTypes(), types));
  for (NamedAttribute attr : source->getDiscardableAttrs())
    target->setDiscardableAttr(attr.getName(), attr.getValue());
  target.setSymVisibilityAttr(source.getSymVisibilityAttr());
  for (auto [i, type] : llvm::enumerate(source.getArgumentTypes()))
    target.setArgAttrs(i, withElementType(source.getArgAttrDict(i), type));
  for (auto [i, type] : llvm::enumerate(source.getResultTypes()))
    target.setResultAttrs(i, withElementType(source.getResultAttrDict(i), type));
  body->getOperations().splice(body->begin(), entry->getOperations());
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*body)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

OwningOpRef<func::FuncOp> Lowering::run() {
  bool ok = true;
  for (auto [i, type] : llvm::enumerate(source.getArgumentTypes())) {
    if (!isa<UnrankedTensorType>(type))
      continue;
    emitError(source.getArgument(i).getLoc())
        << "input " << i << " of '" << source.getName() << "' has no known rank (" << type
        << "); give its shape";
    ok = false;
  }
  if (!ok)
    return {};
  prepareArguments();
  OwningOpRef<func::FuncOp> result(target);
  Block &block = source.getBody().front();
  for (Operation &op : block.without_terminator())
    ok &= succeeded(lowerOp(op));
  Operation *terminator = block.getTerminator();
  for (Value operand : terminator->getOperands())
    ok &= has(operand);
  if (!ok) {
    // The entry block's operations are used by the body's.
    target.getBody().front().getOperations().splice(body->begin(), entry->getOperations());
    return {};
  }
  finish(terminator);
  return result;
}
