// The most memory that a run can need, from the bounds of the inputs' dims.
//
// Upstream's integer ranges do the arithmetic, for the few values that the arena's size comes from.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/InferIntRangeInterface.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

namespace {

class Ranges {
public:
  Ranges(ArrayRef<artifact::TensorSpec> inputs) : inputs(inputs) {}

  const ConstantIntRanges &of(Value root) {
    // Operands first; chains of large models are too long to recurse on.
    SmallVector<Value> open{root};
    while (!open.empty()) {
      Value value = open.back();
      Operation *op = value.getDefiningOp();
      size_t before = open.size();
      if (!known.contains(value) && op && op->getNumRegions() == 0)
        for (Value operand : op->getOperands())
          if (operand.getType().isIntOrIndex() && !known.contains(operand))
            open.push_back(operand);
      if (open.size() != before)
        continue;
      open.pop_back();
      if (!known.contains(value))
        known.try_emplace(value, compute(value));
    }
    return known.find(root)->second;
  }

private:
  static ConstantIntRanges anything(Value value) {
    return ConstantIntRanges::maxRange(ConstantIntRanges::getStorageBitwidth(value.getType()));
  }

  ConstantIntRanges dim(rt::DimOp op) {
    int64_t least = 0, most = INT64_MAX;
    if (op.getInput() < inputs.size() && op.getDim() < inputs[op.getInput()].dims.size()) {
      const artifact::Dim &dim = inputs[op.getInput()].dims[op.getDim()];
      least = dim.size == LATHE_DYNAMIC ? dim.min : dim.size;
      most = dim.size == LATHE_DYNAMIC ? dim.max : dim.size;
    }
    return ConstantIntRanges::fromSigned(APInt(64, least), APInt(64, most));
  }

  ConstantIntRanges compute(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return anything(value);
    if (auto size = dyn_cast<rt::DimOp>(op))
      return dim(size);
    APInt mask;
    if (auto andOp = dyn_cast<arith::AndIOp>(op);
        andOp && matchPattern(andOp.getRhs(), m_ConstantInt(&mask)) && (-mask).isPowerOf2()) {
      // Rounding down keeps the order; upstream would round the upper end up to a power of two.
      const ConstantIntRanges &range = known.find(andOp.getLhs())->second;
      if (range.smin().isNonNegative())
        return ConstantIntRanges::fromSigned(range.smin() & mask, range.smax() & mask);
    }
    auto inferable = dyn_cast<InferIntRangeInterface>(op);
    if (!inferable)
      return anything(value);
    SmallVector<ConstantIntRanges> operands;
    for (Value operand : op->getOperands()) {
      auto found = known.find(operand);
      if (found == known.end())
        return anything(value);
      operands.push_back(found->second);
    }
    ConstantIntRanges result = anything(value);
    inferable.inferResultRanges(operands, [&](Value inferred, const ConstantIntRanges &range) {
      if (inferred == value)
        result = range;
    });
    return result;
  }

  ArrayRef<artifact::TensorSpec> inputs;
  llvm::DenseMap<Value, ConstantIntRanges> known;
};

} // namespace

std::optional<uint64_t> lathe::pipeline::boundFormula(Value value,
                                                      ArrayRef<artifact::TensorSpec> inputs) {
  const APInt most = Ranges(inputs).of(value).smax();
  // What may overflow has no bound worth telling.
  if (most.getSignificantBits() > 62)
    return std::nullopt;
  return most.getZExtValue();
}
