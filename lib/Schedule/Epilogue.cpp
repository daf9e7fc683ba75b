// What follows a reduction in registers: the elementwise stages of a tiled group, vector by vector.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"

using namespace mlir;
using namespace lathe::schedule;

bool lathe::schedule::isMultiplyAdd(const Stage &stage) {
  Block &body = *stage.body;
  if (stage.inputs.size() != 2 || !stage.outputs[0].view.element.isF32())
    return false;
  if (std::distance(body.begin(), body.end()) != 3)
    return false;
  auto mul = dyn_cast<arith::MulFOp>(body.front());
  auto add = dyn_cast<arith::AddFOp>(*std::next(body.begin()));
  if (!mul || !add || body.getTerminator()->getOperand(0) != add.getResult())
    return false;
  Value accumulator = body.getArgument(2);
  bool adds = (add.getLhs() == accumulator && add.getRhs() == mul.getResult()) ||
              (add.getRhs() == accumulator && add.getLhs() == mul.getResult());
  Value a = body.getArgument(0), b = body.getArgument(1);
  return adds &&
         ((mul.getLhs() == a && mul.getRhs() == b) || (mul.getLhs() == b && mul.getRhs() == a));
}

void lathe::schedule::emitEpilogue(Kernel &kernel, const Group &group, Value value,
                                   ArrayRef<Value> at, int64_t lanes, Value mask,
                                   unsigned vectorLoop, AddressOf addressOf) {
  OpBuilder &builder = kernel.builder;
  const Stage &root = group.stages.front();
  // The loops of the other stages are the parallel ones of the root, in order.
  SmallVector<Value> epilogueAt;
  unsigned epilogueVector = 0;
  for (unsigned loop = 0; loop < root.numLoops(); ++loop) {
    if (root.reduction[loop])
      continue;
    if (loop == vectorLoop)
      epilogueVector = epilogueAt.size();
    epilogueAt.push_back(at[loop]);
  }
  auto load = [&](const Stage &stage, const Access &access) -> Value {
    auto type = VectorType::get({lanes}, access.view.element);
    Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
    Value position = kernel.linear(access.coefficients, epilogueAt);
    if (access.coefficients[epilogueVector].isZero()) {
      Value scalar = memref::LoadOp::create(builder, stage.loc, buffer, position);
      return vector::BroadcastOp::create(builder, stage.loc, type, scalar);
    }
    if (!mask)
      return vector::LoadOp::create(builder, stage.loc, type, buffer, position);
    Value zero = arith::ConstantOp::create(builder, stage.loc, builder.getZeroAttr(type));
    return vector::MaskedLoadOp::create(builder, stage.loc, type, buffer, position, mask, zero);
  };
  SmallVector<Value> results;
  for (const Stage &stage : group.stages) {
    bool isRoot = &stage == &root;
    if (!isRoot) {
      SmallVector<Value> operands;
      for (const Access &input : stage.inputs) {
        Value operand;
        if (!input.coefficients.empty()) {
          for (auto [other, result] : llvm::zip(group.stages, results))
            if (!operand && other.outputs[0].view.base == input.view.base)
              operand = result;
          if (!operand)
            operand = load(stage, input);
        }
        operands.push_back(operand);
      }
      operands.push_back(Value());
      value = emitBody(kernel, stage, operands, {}, lanes, addressOf)[0];
    }
    results.push_back(value);
    if (!stage.storesOutput[0])
      continue;
    const Access &output = stage.outputs[0];
    Value buffer = kernel.buffer(addressOf(output.view), output.view.element);
    Value position = kernel.linear(output.coefficients, isRoot ? at : ArrayRef(epilogueAt));
    if (mask)
      vector::MaskedStoreOp::create(builder, stage.loc, buffer, position, mask, value);
    else
      vector::StoreOp::create(builder, stage.loc, value, buffer, position);
  }
}
