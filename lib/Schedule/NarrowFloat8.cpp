// Products of numbers that were widened from 8-bit floats take these as they are, as bytes: a
// matrix unit multiplies them, or the kernel widens each where it is used, and so memory holds a
// quarter. Every product of two is exact in f32, so that results are those of f32 but for the order
// of sums and, on a unit, for how it adds up.
//
// How a model spells the widening does not matter: what gives the number of each of the 256 bytes
// is one, whatever its operations are. Apache-2.0 WITH LLVM-exception
#include "MatrixUnits.h"
#include "NarrowBytes.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// 8-bit floats as bytes.
struct Float8 {
  Value bytes;
  FloatType type;
  /// What only moved them since, the last first.
  SmallVector<Operation *> moves;
};

} // namespace

/// An operation of one operand, element by element.
static linalg::GenericOp getElementwise(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) { return map.isIdentity(); }))
    return {};
  return op;
}

/// What the body of `op` makes of the number; null where it takes more than folding to know. `op`
/// is a copy: folding may change it.
static Attribute evaluate(linalg::GenericOp op, Attribute given) {
  llvm::DenseMap<Value, Attribute> known{{op.getBody()->getArgument(0), given}};
  auto valueOf = [&](Value value) {
    Attribute constant = known.lookup(value); // or one outside
    if (!constant)
      matchPattern(value, m_Constant(&constant));
    return constant;
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    SmallVector<OpFoldResult> results;
    // Operands that change places are a result as well.
    for (int i = 0; i < 2 && results.empty(); ++i) {
      SmallVector<Attribute> operands(llvm::map_range(inner.getOperands(), valueOf));
      if (inner.getNumResults() != 1 || failed(inner.fold(operands, results)))
        return {};
    }
    if (results.size() != 1)
      return {};
    auto value = dyn_cast<Value>(results.front());
    known[inner.getResult(0)] = value ? valueOf(value) : cast<Attribute>(results.front());
  }
  return valueOf(op.getBody()->getTerminator()->getOperand(0));
}

static bool isSameNumber(const APFloat &a, const APFloat &b) {
  return (a.isNaN() && b.isNaN()) || a.bitwiseIsEqual(b);
}

static APFloat decode(unsigned byte, FloatType type) {
  APFloat number(type.getFloatSemantics(), APInt(8, byte));
  bool loses = false;
  number.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
  return number;
}

/// The type whose numbers the operations, the last first, make of bytes.
static FloatType findType(ArrayRef<linalg::GenericOp> widenings, MLIRContext *context) {
  SmallVector<Type> possible{Float8E4M3FNType::get(context), Float8E5M2Type::get(context)};
  SmallVector<linalg::GenericOp> copies;
  for (linalg::GenericOp op : widenings)
    copies.push_back(op.clone());
  for (unsigned byte = 0; byte < 256 && !possible.empty(); ++byte) {
    Attribute made = IntegerAttr::get(IntegerType::get(context, 8), APInt(8, byte));
    for (linalg::GenericOp op : llvm::reverse(copies))
      made = made ? evaluate(op, made) : made;
    auto number = dyn_cast_or_null<FloatAttr>(made);
    llvm::erase_if(possible, [&](Type type) {
      return !number || !isSameNumber(number.getValue(), decode(byte, cast<FloatType>(type)));
    });
  }
  for (linalg::GenericOp op : copies)
    op.erase();
  return possible.size() == 1 ? cast<FloatType>(possible.front()) : FloatType();
}

/// Whether pads put +0 around what they move, which is the byte 0.
static bool padsZeros(ArrayRef<Operation *> moves) {
  return llvm::all_of(moves, [](Operation *move) {
    auto pad = dyn_cast<tensor::PadOp>(move);
    Value filler = pad ? pad.getConstantPaddingValue() : Value();
    return !pad || (filler && matchPattern(filler, m_PosZeroFloat()));
  });
}

static std::optional<Float8> findFloat8(Value value) {
  Float8 found;
  // By way of f16 as well, which has all of these numbers.
  SmallVector<linalg::GenericOp> widenings;
  while (true) {
    if (widenings.empty())
      value = skipMoves(value, found.moves);
    linalg::GenericOp op = widenings.size() < 2 ? getElementwise(value) : linalg::GenericOp();
    if (!op)
      return std::nullopt;
    widenings.push_back(op);
    value = op.getInputs()[0];
    if (!getElementTypeOrSelf(value.getType()).isInteger(8))
      continue;
    found.type = findType(widenings, value.getContext());
    found.bytes = value;
    return found.type && padsZeros(found.moves) ? std::optional(found) : std::nullopt;
  }
}

/// The bytes of a constant of f32 all of whose numbers are of the type.
static std::optional<std::vector<char>> encodeConstant(Value value, FloatType type) {
  auto given = dyn_cast<RankedTensorType>(value.getType());
  TypedAttr constant;
  if (auto weight = value.getDefiningOp<rt::WeightOp>())
    constant = weight.getValue();
  else if (DenseElementsAttr dense; matchPattern(value, m_Constant(&dense)))
    constant = dense;
  if (!constant || !given || !given.getElementType().isF32() || !given.hasStaticShape())
    return std::nullopt;
  // Of each byte the number, so that constants need no arithmetic.
  llvm::DenseMap<uint32_t, char> encoded;
  unsigned nan = isa<Float8E4M3FNType>(type) ? 0x7f : 0x7e;
  for (unsigned byte = 0; byte < 256; ++byte)
    if (APFloat number = decode(byte, type); !number.isNaN())
      encoded[number.bitcastToAPInt().getZExtValue()] = static_cast<char>(byte);
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(constant, storage);
  size_t count = given.getNumElements();
  if (bytes.size() != sizeof(float) && bytes.size() != count * sizeof(float))
    return std::nullopt;
  std::vector<char> made(bytes.size() / sizeof(float));
  for (size_t i = 0; i < made.size(); ++i) {
    uint32_t bits;
    memcpy(&bits, bytes.data() + i * sizeof(bits), sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000) {
      made[i] = static_cast<char>(bits >> 31 << 7 | nan);
      continue;
    }
    auto found = encoded.find(bits);
    if (found == encoded.end())
      return std::nullopt;
    made[i] = found->second;
  }
  return made;
}

static void narrowProduct(linalg::GenericOp op, StringRef units) {
  OpBuilder builder(op);
  std::optional<Float8> found[2];
  std::vector<char> constants[2];
  for (unsigned i : {0u, 1u})
    found[i] = findFloat8(op.getInputs()[i]);
  if (!found[0] && !found[1])
    return;
  for (unsigned i : {0u, 1u}) {
    if (found[i])
      continue;
    // What both types have is taken for that of the other operand.
    Type e4m3 = Float8E4M3FNType::get(op.getContext()), e5m2 = Float8E5M2Type::get(op.getContext());
    for (Type type : {Type(found[1 - i]->type), e4m3, e5m2}) {
      auto bytes = encodeConstant(op.getInputs()[i], cast<FloatType>(type));
      if (!bytes)
        continue;
      constants[i] = std::move(*bytes);
      found[i] = Float8{Value(), cast<FloatType>(type), {}};
      break;
    }
    if (!found[i])
      return;
  }
  if (!findMatrixUnit(units, found[0]->type, found[1]->type))
    return;
  Block &body = *op.getBody();
  Type i8 = builder.getI8Type();
  bool turns = fillsTiles(op);
  for (unsigned i : {0u, 1u}) {
    builder.setInsertionPoint(op);
    Value bytes = found[i]->bytes;
    if (bytes) {
      bytes = repeatMoves(builder, bytes, found[i]->moves, /*padding=*/0);
    } else {
      auto type = cast<RankedTensorType>(op.getInputs()[i].getType()).clone(i8);
      auto attribute = DenseElementsAttr::getFromRawBuffer(type, constants[i]);
      bytes = rt::WeightOp::create(builder, op.getLoc(), attribute.getType(), attribute);
    }
    op->setOperand(i, bytes);
    // Few rows read weights as they lie, line by line.
    if (auto weight = bytes.getDefiningOp<rt::WeightOp>(); weight && turns) {
      SmallVector<char> storage;
      turnWeights(builder, op, i, graph::getConstantBytes(weight.getValue(), storage));
      if (weight->use_empty())
        weight.erase();
    }
    BlockArgument argument = body.getArgument(i);
    argument.setType(i8);
    builder.setInsertionPointToStart(&body);
    Value number = arith::BitcastOp::create(builder, op.getLoc(), Type(found[i]->type), argument);
    Value wide = arith::ExtFOp::create(builder, op.getLoc(), builder.getF32Type(), number);
    argument.replaceAllUsesExcept(wide, number.getDefiningOp());
  }
}

void lathe::schedule::narrowFloat8(ModuleOp module, StringRef units) {
  Type e4m3 = Float8E4M3FNType::get(module.getContext());
  if (!findMatrixUnit(units, e4m3, e4m3))
    return;
  SmallVector<linalg::GenericOp> products;
  module.walk([&](linalg::GenericOp op) {
    if (isProductOfF32(op))
      products.push_back(op);
  });
  for (linalg::GenericOp op : products)
    narrowProduct(op, units);
}
