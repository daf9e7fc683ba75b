// Products of bytes for matrix units: what the importer writes as differences of 16 bits, a - zero,
// by constant weights of 8 goes as a by the weights, and what the zero point adds to each column
// follows from the sum of its weights. Sums wrap in 32 bits either way, so results are the same to
// the last bit.
// Apache-2.0 WITH LLVM-exception
#include "NarrowBytes.h"
#include "MatrixUnits.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Bytes and the zero point that is taken from each: a scalar tensor of i32, a number, or none.
struct Centered {
  Value bytes;
  bool isUnsigned = false;
  Value zero;
  int64_t number = 0;
  /// What only moved them since, the last first.
  SmallVector<Operation *> moves;
};

} // namespace

/// The elementwise operation of one input, or of two, that `value` is.
static linalg::GenericOp getElementwise(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumDpsInits() != 1 || op.getNumParallelLoops() != op.getNumLoops() ||
      op.getNumDpsInputs() == 0 || op.getNumDpsInputs() > 2 ||
      op.getBody()->getOperations().size() > 3)
    return {};
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  return maps.front().isIdentity() && maps.back().isIdentity() ? op : linalg::GenericOp();
}

static Value getYielded(linalg::GenericOp op) {
  return op.getBody()->getTerminator()->getOperand(0);
}

/// The input of an operation that casts each element by a `Cast`.
template <typename... Cast> static Value getSource(Value value, Operation *&cast) {
  linalg::GenericOp op = getElementwise(value);
  cast = op && op.getNumDpsInputs() == 1 ? getYielded(op).getDefiningOp() : nullptr;
  return isa_and_nonnull<Cast...>(cast) && cast->getOperand(0) == op.getBody()->getArgument(0)
             ? op.getInputs()[0]
             : Value();
}

Value lathe::schedule::skipMoves(Value value, SmallVectorImpl<Operation *> &moves) {
  for (;; value = moves.back()->getOperand(0)) {
    Operation *op = value.getDefiningOp();
    auto transpose = dyn_cast_or_null<linalg::GenericOp>(op);
    if (!isa_and_nonnull<tensor::PadOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op) &&
        !(transpose && isPureTranspose(transpose)))
      return value;
    moves.push_back(op);
  }
}

static std::optional<Centered> findCentered(Value value) {
  Centered found;
  value = skipMoves(value, found.moves);
  Operation *cast = nullptr;
  Value wide = getSource<arith::TruncIOp>(value, cast);
  if (!wide)
    return std::nullopt;
  if (linalg::GenericOp op = getElementwise(wide); op && op.getNumDpsInputs() <= 2)
    if (auto difference = getYielded(op).getDefiningOp<arith::SubIOp>()) {
      Block &body = *op.getBody();
      if (difference.getLhs() != body.getArgument(0))
        return std::nullopt;
      APInt number;
      if (matchPattern(difference.getRhs(), m_ConstantInt(&number)))
        found.number = number.getSExtValue();
      else if (op.getNumDpsInputs() == 2 && difference.getRhs() == body.getArgument(1) &&
               op.getIndexingMapsArray()[1].getNumResults() == 0)
        found.zero = op.getInputs()[1];
      else
        return std::nullopt;
      wide = op.getInputs()[0];
    }
  found.bytes = getSource<arith::ExtSIOp, arith::ExtUIOp>(wide, cast);
  if (!found.bytes || !getElementTypeOrSelf(found.bytes.getType()).isInteger(8))
    return std::nullopt;
  found.isUnsigned = isa<arith::ExtUIOp>(cast);
  // What is there from a pad on has to be known.
  bool pads = llvm::any_of(found.moves, llvm::IsaPred<tensor::PadOp>);
  return pads && found.zero ? std::nullopt : std::optional(found);
}

Value lathe::schedule::repeatMoves(OpBuilder &builder, Value bytes, ArrayRef<Operation *> moves,
                                   int64_t padding) {
  Type i8 = builder.getI8Type();
  for (Operation *move : llvm::reverse(moves)) {
    Location loc = move->getLoc();
    auto type = cast<RankedTensorType>(move->getResult(0).getType()).clone(i8);
    if (auto pad = dyn_cast<tensor::PadOp>(move)) {
      Value filler = arith::ConstantIntOp::create(builder, loc, padding, 8);
      bytes = tensor::PadOp::create(builder, loc, type, bytes, pad.getMixedLowPad(),
                                    pad.getMixedHighPad(), filler);
    } else if (auto transpose = dyn_cast<linalg::GenericOp>(move)) {
      Value empty = tensor::EmptyOp::create(
          builder, loc, tensor::getMixedSizes(builder, loc, transpose.getOutputs()[0]), i8);
      bytes = linalg::GenericOp::create(builder, loc, type, bytes, empty,
                                        transpose.getIndexingMapsArray(),
                                        transpose.getIteratorTypesArray(),
                                        [](OpBuilder &inner, Location at, ValueRange arguments) {
                                          linalg::YieldOp::create(inner, at, arguments[0]);
                                        })
                  .getResult(0);
    } else {
      Operation *copy = builder.clone(*move);
      copy->setOperand(0, bytes);
      bytes = copy->getResult(0);
      bytes.setType(type);
    }
  }
  return bytes;
}

/// u8 as i8, each 128 less.
static Value makeSigned(OpBuilder &builder, Location loc, Value bytes) {
  auto type = cast<RankedTensorType>(bytes.getType());
  Value empty = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, bytes),
                                        type.getElementType());
  AffineMap map = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  return linalg::GenericOp::create(builder, loc, type, bytes, empty, ArrayRef{map, map}, loops,
                                   [](OpBuilder &inner, Location at, ValueRange arguments) {
                                     Value upper = arith::ConstantIntOp::create(inner, at, -128, 8);
                                     Value made =
                                         arith::XOrIOp::create(inner, at, arguments[0], upper);
                                     linalg::YieldOp::create(inner, at, made);
                                   })
      .getResult(0);
}

void lathe::schedule::turnWeights(OpBuilder &builder, linalg::GenericOp op, unsigned input,
                                  ArrayRef<char> bytes) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  auto type = cast<RankedTensorType>(op.getInputs()[input].getType());
  SmallVector<unsigned> order;
  for (auto kind : {utils::IteratorType::parallel, utils::IteratorType::reduction})
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (kinds[maps[input].getDimPosition(i)] == kind)
        order.push_back(i);
  if (llvm::is_sorted(order) || bytes.size() == 1)
    return;
  SmallVector<int64_t> shape, strides(type.getRank(), 1), from;
  for (int64_t i = type.getRank() - 1; i-- > 0;)
    strides[i] = strides[i + 1] * type.getDimSize(i + 1);
  SmallVector<AffineExpr> places;
  for (unsigned dim : order) {
    shape.push_back(type.getDimSize(dim));
    from.push_back(strides[dim]);
    places.push_back(maps[input].getResult(dim));
  }
  std::vector<char> turned(bytes.size());
  SmallVector<int64_t> at(shape.size(), 0);
  for (char &byte : turned) {
    int64_t place = 0;
    for (auto [index, stride] : llvm::zip_equal(at, from))
      place += index * stride;
    byte = bytes[place];
    for (size_t i = at.size(); i-- > 0 && ++at[i] == shape[i];)
      at[i] = 0;
  }
  auto attribute = DenseElementsAttr::getFromRawBuffer(
      RankedTensorType::get(shape, type.getElementType()), ArrayRef<char>(turned));
  op->setOperand(input, rt::WeightOp::create(builder, op.getLoc(), attribute.getType(), attribute));
  maps[input] = AffineMap::get(maps[input].getNumDims(), 0, places, op.getContext());
  op.setIndexingMapsAttr(builder.getAffineMapArrayAttr(maps));
}

/// The sums of constant weights over what `op` adds up, by the loops of its columns.
static DenseElementsAttr sumWeights(linalg::GenericOp op, unsigned input, ArrayRef<char> bytes,
                                    SmallVectorImpl<unsigned> &loops) {
  AffineMap map = op.getIndexingMapsArray()[input];
  auto type = cast<RankedTensorType>(op.getInputs()[input].getType());
  size_t count = type.getNumElements();
  bool isSplat = bytes.size() == 1;
  if (!map.isProjectedPermutation() || (!isSplat && bytes.size() != count))
    return {};
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  SmallVector<int64_t> shape, steps(type.getRank(), 0);
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (unsigned loop = map.getDimPosition(i); kinds[loop] == utils::IteratorType::parallel) {
      loops.push_back(loop);
      shape.push_back(type.getDimSize(i));
    }
  int64_t step = 1, next = shape.size();
  for (int64_t i = type.getRank(); i-- > 0;)
    if (kinds[map.getDimPosition(i)] == utils::IteratorType::parallel) {
      steps[i] = step;
      step *= shape[--next];
    }
  std::vector<int32_t> sums(step, 0);
  SmallVector<int64_t> at(type.getRank(), 0);
  for (size_t number = 0; number < count; ++number) {
    int64_t place = 0;
    for (int64_t i = 0; i < type.getRank(); ++i)
      place += at[i] * steps[i];
    sums[place] += int8_t(bytes[isSplat ? 0 : number]);
    for (int64_t i = type.getRank(); i-- > 0 && ++at[i] == type.getDimSize(i);)
      at[i] = 0;
  }
  auto result = RankedTensorType::get(shape, IntegerType::get(op.getContext(), 32));
  return DenseElementsAttr::get(result, ArrayRef<int32_t>(sums));
}

/// The result with `offset` times the sum of each column's weights, and less the zero point, where
/// only the run knows it, times that.
static Value correct(OpBuilder &builder, linalg::GenericOp op, DenseElementsAttr sums,
                     ArrayRef<unsigned> loops, int64_t offset, Value zero) {
  Location loc = op.getLoc();
  Value result = op.getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  AffineMap out = op.getIndexingMapsArray().back();
  SmallVector<AffineExpr> columns;
  for (unsigned loop : loops)
    columns.push_back(
        builder.getAffineDimExpr(*out.getResultPosition(builder.getAffineDimExpr(loop))));
  unsigned rank = type.getRank();
  AffineMap identity = builder.getMultiDimIdentityMap(rank);
  SmallVector<AffineMap> maps{identity, AffineMap::get(rank, 0, columns, builder.getContext())};
  SmallVector<Value> inputs{result, rt::WeightOp::create(builder, loc, sums.getType(), sums)};
  if (zero) {
    inputs.push_back(zero);
    maps.push_back(AffineMap::get(rank, 0, {}, builder.getContext()));
  }
  maps.push_back(identity);
  Value empty = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, result),
                                        builder.getI32Type());
  SmallVector<utils::IteratorType> kinds(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, type, inputs, empty, maps, kinds,
             [&](OpBuilder &inner, Location at, ValueRange arguments) {
               Value factor = arith::ConstantIntOp::create(inner, at, offset, 32);
               if (zero)
                 factor = arith::SubIOp::create(inner, at, factor, arguments[2]);
               Value part = arith::MulIOp::create(inner, at, arguments[1], factor);
               Value sum = arith::AddIOp::create(inner, at, arguments[0], part);
               linalg::YieldOp::create(inner, at, sum);
             })
      .getResult(0);
}

/// sum + a * b in i32, of operands that are widened.
static bool isIntegerProduct(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.getBody()->getOperations().size() != 5)
    return false;
  Block &body = *op.getBody();
  auto sum = getYielded(op).getDefiningOp<arith::AddIOp>();
  auto product = sum ? sum.getRhs().getDefiningOp<arith::MulIOp>() : arith::MulIOp();
  if (!product || sum.getLhs() != body.getArgument(2) ||
      !body.getArgument(2).getType().isInteger(32))
    return false;
  for (unsigned i : {0u, 1u}) {
    auto wide = product->getOperand(i).getDefiningOp<arith::ExtSIOp>();
    if (!wide || wide.getIn() != body.getArgument(i))
      return false;
  }
  return true;
}

static void narrowProduct(linalg::GenericOp op, llvm::StringRef units) {
  OpBuilder builder(op);
  Type i8 = builder.getI8Type();
  for (unsigned i : {0u, 1u}) {
    auto weight = op.getInputs()[1 - i].getDefiningOp<rt::WeightOp>();
    if (!weight || !getElementTypeOrSelf(weight.getType()).isInteger(8))
      continue;
    std::optional<Centered> given = findCentered(op.getInputs()[i]);
    bool isUnsigned = given && given->isUnsigned && findMatrixUnit(units, i8, i8, true);
    if (!given || !findMatrixUnit(units, i8, i8, isUnsigned))
      continue;
    SmallVector<char> storage;
    SmallVector<unsigned> loops;
    ArrayRef<char> numbers = graph::getConstantBytes(weight.getValue(), storage);
    DenseElementsAttr sums = sumWeights(op, 1 - i, numbers, loops);
    AffineMap out = op.getIndexingMapsArray().back();
    if (!sums || !llvm::all_of(loops, [&](unsigned loop) {
          return out.getResultPosition(builder.getAffineDimExpr(loop)).has_value();
        }))
      continue;
    int64_t bias = given->isUnsigned && !isUnsigned ? 128 : 0;
    Value bytes = bias ? makeSigned(builder, op.getLoc(), given->bytes) : given->bytes;
    bytes = repeatMoves(builder, bytes, given->moves, int8_t(given->number - bias));
    op->setOperand(i, bytes);
    turnWeights(builder, op, 1 - i, numbers);
    BlockArgument argument = op.getBody()->getArgument(i);
    argument.setType(i8);
    auto wide = cast<arith::ExtSIOp>(*argument.user_begin());
    if (isUnsigned) {
      builder.setInsertionPoint(wide);
      Value other = arith::ExtUIOp::create(builder, wide.getLoc(), wide.getType(), argument);
      wide.replaceAllUsesWith(other);
      wide.erase();
    }
    if (!given->zero && given->number == bias)
      return;
    builder.setInsertionPointAfter(op);
    Value corrected = correct(builder, op, sums, loops, bias - given->number, given->zero);
    op.getResult(0).replaceUsesWithIf(corrected, [&](OpOperand &use) {
      Operation *made = corrected.getDefiningOp();
      return use.getOwner() != made && !isa<tensor::DimOp>(use.getOwner());
    });
    return;
  }
}

void lathe::schedule::narrowBytes(ModuleOp module, llvm::StringRef units) {
  SmallVector<linalg::GenericOp> products;
  module.walk([&](linalg::GenericOp op) {
    if (isIntegerProduct(op) && fillsTiles(op))
      products.push_back(op);
  });
  for (linalg::GenericOp op : products)
    narrowProduct(op, units);
}
