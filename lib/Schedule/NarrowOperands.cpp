// Products of numbers that were widened from 16 bits take the narrow ones, as matrix units want
// them. Apache-2.0 WITH LLVM-exception
#include "MatrixUnits.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lathe;

bool lathe::schedule::isProductOfF32(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return false;
  Block &body = *op.getBody();
  if (body.getOperations().size() != 3 || !body.getArgument(2).getType().isF32())
    return false;
  auto sum = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  for (unsigned i : {0u, 1u}) {
    auto product = sum->getOperand(i).getDefiningOp<arith::MulFOp>();
    if (product && sum->getOperand(1 - i) == body.getArgument(2) &&
        llvm::all_of(product->getOperands(), llvm::IsaPred<BlockArgument>) &&
        product.getLhs() != product.getRhs())
      return true;
  }
  return false;
}

bool lathe::schedule::fillsTiles(linalg::GenericOp op) {
  constexpr int64_t least = 8; // as blocks that multiply tiles have it
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t rows = 1, columns = 1, depth = 1;
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    int64_t size = ShapedType::isDynamic(ranges[loop]) ? least : ranges[loop];
    bool inLeft = maps[0].isFunctionOfDim(loop), inRight = maps[1].isFunctionOfDim(loop);
    if (kind == utils::IteratorType::reduction)
      depth *= size;
    else if (inLeft != inRight)
      (inLeft ? rows : columns) *= size;
  }
  return rows >= least && columns >= least && depth >= least;
}

Value lathe::schedule::findNarrow(Value value) {
  auto widening = value.getDefiningOp<linalg::GenericOp>();
  if (!widening || widening.getNumDpsInputs() != 1 || widening.getNumDpsInits() != 1 ||
      widening.getNumParallelLoops() != widening.getNumLoops() ||
      !llvm::all_of(widening.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }))
    return {};
  auto extension =
      widening.getBody()->getTerminator()->getOperand(0).getDefiningOp<arith::ExtFOp>();
  if (!extension || extension.getIn() != widening.getBody()->getArgument(0))
    return {};
  Type type = extension.getIn().getType();
  return type.isF16() || type.isBF16() ? widening.getInputs()[0] : Value();
}

TypedAttr lathe::schedule::narrowConstant(Value value, FloatType element, bool mayRound) {
  TypedAttr constant;
  if (auto weight = value.getDefiningOp<rt::WeightOp>())
    constant = weight.getValue();
  else if (DenseElementsAttr dense; matchPattern(value, m_Constant(&dense)))
    constant = dense;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!constant || !type || !type.getElementType().isF32() || !type.hasStaticShape())
    return {};
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(constant, storage);
  size_t count = type.getNumElements();
  bool isSplat = bytes.size() == sizeof(float) && count != 1;
  if (!isSplat && bytes.size() != count * sizeof(float))
    return {};
  std::vector<uint16_t> made(isSplat ? 1 : count);
  for (size_t i = 0; i < made.size(); ++i) {
    float number;
    memcpy(&number, bytes.data() + i * sizeof(float), sizeof(float));
    llvm::APFloat converted(number);
    bool loses = false;
    converted.convert(element.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &loses);
    if (loses && !mayRound)
      return {};
    made[i] = converted.bitcastToAPInt().getZExtValue();
  }
  return DenseElementsAttr::getFromRawBuffer(
      type.clone(element),
      ArrayRef(reinterpret_cast<const char *>(made.data()), made.size() * sizeof(uint16_t)));
}

void lathe::schedule::narrowOperands(ModuleOp module) {
  SmallVector<linalg::GenericOp> products;
  module.walk([&](linalg::GenericOp op) {
    if (isProductOfF32(op))
      products.push_back(op);
  });
  for (linalg::GenericOp op : products) {
    Value sources[2] = {findNarrow(op.getInputs()[0]), findNarrow(op.getInputs()[1])};
    Value known = sources[0] ? sources[0] : sources[1];
    if (!known)
      continue;
    auto element = cast<FloatType>(getElementTypeOrSelf(known.getType()));
    OpBuilder builder(op);
    for (unsigned i : {0u, 1u})
      if (!sources[i])
        if (TypedAttr constant = narrowConstant(op.getInputs()[i], element, /*mayRound=*/false))
          sources[i] = rt::WeightOp::create(builder, op.getLoc(), constant.getType(), constant);
    if (!sources[0] || !sources[1] ||
        getElementTypeOrSelf(sources[0].getType()) != getElementTypeOrSelf(sources[1].getType()))
      continue;
    Block &body = *op.getBody();
    builder.setInsertionPointToStart(&body);
    for (unsigned i : {0u, 1u}) {
      BlockArgument argument = body.getArgument(i);
      argument.setType(element);
      auto wide = arith::ExtFOp::create(builder, op.getLoc(), builder.getF32Type(), argument);
      argument.replaceAllUsesExcept(wide, wide);
      op->setOperand(i, sources[i]);
    }
  }
}
