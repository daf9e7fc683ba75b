// The innermost loop of a stage on vectors: elementwise stages, and reductions along a row with
// several accumulators. Tails are masked, so that short and odd rows cost no scalar loop.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"

using namespace mlir;
using namespace lathe::schedule;

namespace {
class VectorStage {
public:
  VectorStage(Kernel &kernel, const Stage &stage, int64_t lanes, AddressOf addressOf,
              SmallVector<Value> indices)
      : kernel(kernel), builder(kernel.builder), stage(stage), lanes(lanes), addressOf(addressOf),
        loc(stage.loc), indices(std::move(indices)) {}

  bool choose(unsigned firstLoop);
  bool readsRows();
  void emit(unsigned firstLoop);
  void emitRange(Value begin, Value end);

private:
  void emitParallel(ArrayRef<unsigned> loops, ArrayRef<unsigned> reductions);
  SmallVector<Value> emitReduction(ArrayRef<unsigned> loops, SmallVector<Value> sums);
  SmallVector<Value> accumulate(Value at, SmallVector<Value> sums, Value mask);
  void emitElements(Value at, int64_t vectors, Value mask);
  SmallVector<Value> loadInputs(Value at, Value mask);
  template <typename Body>
  SmallVector<Value> loop(Value begin, Value end, int64_t step, ArrayRef<Value> carried, Body body);
  Value buffer(const Access &access) {
    return kernel.buffer(addressOf(access.view), access.view.element);
  }
  Type vectorType(Type element) { return VectorType::get({lanes}, element); }
  Value maskFor(Value at, Value end) {
    Value left = arith::SubIOp::create(builder, loc, end, at);
    return vector::CreateMaskOp::create(builder, loc, vectorType(builder.getI1Type()), left);
  }
  /// The end of the whole steps from `at`.
  Value wholeEnd(Value at, Value end, int64_t step) {
    APInt first, last;
    if (matchPattern(at, m_ConstantInt(&first)) && matchPattern(end, m_ConstantInt(&last))) {
      int64_t count = (last.getSExtValue() - first.getSExtValue()) / step;
      return kernel.constant(first.getSExtValue() + count * step);
    }
    Value left = arith::SubIOp::create(builder, loc, end, at);
    Value whole = arith::DivUIOp::create(builder, loc, left, kernel.constant(step));
    return kernel.add(at, kernel.mul(whole, kernel.constant(step)));
  }
  Value extent() { return kernel.size(stage.extents[vectorLoop]); }

  Kernel &kernel;
  OpBuilder &builder;
  const Stage &stage;
  int64_t lanes;
  AddressOf addressOf;
  Location loc;
  SmallVector<Value> indices;
  unsigned vectorLoop = 0;
  std::optional<Combiner> combiner;
  bool heavy = false;           // calls of mathematical functions: no unrolling
  std::optional<RowReads> rows; // of an irregular body
};
} // namespace

Value lathe::schedule::combine(OpBuilder &builder, const Stage &stage, const Combiner &combiner,
                               Value a, Value b) {
  Value accumulator = stage.body->getArguments().back();
  IRMapping mapping;
  for (Value operand : combiner.op->getOperands())
    mapping.map(operand, operand == accumulator ? a : b);
  return builder.clone(*combiner.op, mapping)->getResult(0);
}

// Whether an irregular body, as that of a resize or a gather, reads whole rows at computed places:
// what it reads either is the same for all lanes or moves with them by one element.
bool VectorStage::readsRows() {
  if (!stage.irregular || stage.checked)
    return false;
  rows.emplace();
  auto isUniform = [&](Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value);
        argument && argument.getOwner() == stage.body) {
      unsigned number = argument.getArgNumber();
      return number < stage.inputs.size() &&
             (stage.inputs[number].coefficients.empty() ||
              stage.inputs[number].coefficients[vectorLoop].isZero());
    }
    Operation *op = value.getDefiningOp();
    return !op || op->getBlock() != stage.body || rows->uniform.contains(op);
  };
  auto movesWithLanes = [&](tensor::ExtractOp extract) {
    Size step(0);
    unsigned moving = 0;
    for (auto [i, index] : llvm::enumerate(extract.getIndices())) {
      if (isUniform(index))
        continue;
      if (!index.getDefiningOp<linalg::IndexOp>())
        return false;
      auto captured = llvm::find_if(stage.captures, [&](const auto &capture) {
        return capture.first == extract.getTensor();
      });
      step = captured->second.strides[i];
      ++moving;
    }
    return moving == 1 && step.is(1);
  };
  for (Operation &op : stage.body->without_terminator()) {
    if (op.getNumRegions() > 0 || op.getNumResults() != 1)
      return false;
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      if (index.getDim() != vectorLoop)
        rows->uniform.insert(&op);
    } else if (llvm::all_of(op.getOperands(), isUniform)) {
      rows->uniform.insert(&op);
    } else if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
      if (!movesWithLanes(extract))
        return false;
    } else if (!isVectorizable(op)) {
      return false;
    }
  }
  return llvm::none_of(stage.body->getTerminator()->getOperandTypes(), llvm::IsaPred<IndexType>);
}

std::optional<Combiner> lathe::schedule::findCombiner(const Stage &stage) {
  if (stage.outputs.size() != 1 || !stage.readsOutput[0])
    return std::nullopt;
  Block &body = *stage.body;
  Value accumulator = body.getArguments().back();
  Operation *op = body.getTerminator()->getOperand(0).getDefiningOp();
  if (!op || op->getBlock() != &body || op->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      !llvm::is_contained(op->getOperands(), accumulator))
    return std::nullopt;
  Combiner combiner;
  combiner.op = op;
  Type type = accumulator.getType();
  OpBuilder builder(op->getContext());
  using vector::CombiningKind;
  if (auto add = dyn_cast<arith::AddFOp>(op)) {
    if (!bitEnumContainsAny(add.getFastmath(), arith::FastMathFlags::reassoc))
      return std::nullopt;
    combiner.kind = CombiningKind::ADD;
    combiner.neutral = builder.getFloatAttr(type, 0);
  } else if (auto mul = dyn_cast<arith::MulFOp>(op)) {
    if (!bitEnumContainsAny(mul.getFastmath(), arith::FastMathFlags::reassoc))
      return std::nullopt;
    combiner.kind = CombiningKind::MUL;
    combiner.neutral = builder.getFloatAttr(type, 1);
  } else if (isa<arith::AddIOp>(op)) {
    combiner.kind = CombiningKind::ADD;
    combiner.neutral = builder.getIntegerAttr(type, 0);
  } else if (isa<arith::MaximumFOp>(op)) {
    combiner.kind = CombiningKind::MAXIMUMF;
  } else if (isa<arith::MinimumFOp>(op)) {
    combiner.kind = CombiningKind::MINIMUMF;
  } else if (isa<arith::MaxSIOp>(op)) {
    combiner.kind = CombiningKind::MAXSI;
  } else if (isa<arith::MinSIOp>(op)) {
    combiner.kind = CombiningKind::MINSI;
  } else {
    return std::nullopt;
  }
  return combiner;
}

// Which loop runs across the lanes: the innermost one, where every access moves by one or not at
// all.
bool VectorStage::choose(unsigned firstLoop) {
  if (stage.numLoops() <= firstLoop || !(stage.irregular || isVectorizable(*stage.body)))
    return false;
  std::optional<unsigned> innermost;
  bool reduces = false;
  for (unsigned i = firstLoop; i < stage.numLoops(); ++i)
    reduces |= stage.reduction[i];
  for (unsigned i = firstLoop; i < stage.numLoops(); ++i)
    if (stage.reduction[i] == reduces)
      innermost = i;
  vectorLoop = *innermost;
  const Size &size = stage.extents[vectorLoop];
  if (size.isStatic() && size.constant * 2 < lanes)
    return false;
  for (const Access &input : stage.inputs)
    if (!input.coefficients.empty() && !input.coefficients[vectorLoop].is(1) &&
        !input.coefficients[vectorLoop].isZero())
      return false;
  if (stage.irregular && !readsRows())
    return false;
  for (Operation &op : stage.body->without_terminator())
    heavy |= isa<math::MathDialect>(op.getDialect());
  if (reduces) {
    combiner = findCombiner(stage);
    return combiner && stage.outputs[0].coefficients[vectorLoop].isZero() &&
           llvm::any_of(stage.inputs, [&](const Access &input) {
             return !input.coefficients.empty() && input.coefficients[vectorLoop].is(1);
           });
  }
  return llvm::all_of(stage.outputs,
                      [&](const Access &output) { return output.coefficients[vectorLoop].is(1); });
}

template <typename Body>
SmallVector<Value> VectorStage::loop(Value begin, Value end, int64_t step, ArrayRef<Value> carried,
                                     Body body) {
  if (begin == end) // constants are one value
    return SmallVector<Value>(carried);
  auto made = scf::ForOp::create(builder, loc, begin, end, kernel.constant(step), carried);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(made.getBody());
  SmallVector<Value> next =
      body(made.getInductionVar(), SmallVector<Value>(made.getRegionIterArgs()));
  if (!carried.empty())
    scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(made.getResults());
}

SmallVector<Value> VectorStage::loadInputs(Value at, Value mask) {
  indices[vectorLoop] = at;
  if (rows)
    rows->mask = mask;
  SmallVector<Value> operands;
  for (const Access &input : stage.inputs) {
    if (!input.view.base) {
      operands.push_back(Value());
      continue;
    }
    Type type = vectorType(input.view.element);
    Value position = kernel.linear(input.coefficients, indices);
    if (input.coefficients[vectorLoop].isZero()) {
      Value scalar = memref::LoadOp::create(builder, loc, buffer(input), position);
      operands.push_back(
          rows ? scalar : vector::BroadcastOp::create(builder, loc, type, scalar).getResult());
    } else if (mask) {
      Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
      operands.push_back(
          vector::MaskedLoadOp::create(builder, loc, type, buffer(input), position, mask, zero));
    } else {
      operands.push_back(vector::LoadOp::create(builder, loc, type, buffer(input), position));
    }
  }
  return operands;
}

void VectorStage::emitElements(Value at, int64_t vectors, Value mask) {
  for (int64_t i = 0; i < vectors; ++i) {
    Value place = kernel.add(at, kernel.constant(i * lanes));
    SmallVector<Value> operands = loadInputs(place, mask);
    for (auto [output, reads, init] :
         llvm::zip_equal(stage.outputs, stage.readsOutput, stage.inits)) {
      Value before;
      if (reads) {
        Type type = vectorType(output.view.element);
        Value position = kernel.linear(output.coefficients, indices);
        if (init)
          before = arith::ConstantOp::create(
              builder, loc, DenseElementsAttr::get(cast<ShapedType>(type), Attribute(init)));
        else if (mask)
          before = vector::MaskedLoadOp::create(
              builder, loc, type, buffer(output), position, mask,
              arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type)));
        else
          before = vector::LoadOp::create(builder, loc, type, buffer(output), position);
      }
      operands.push_back(before);
    }
    SmallVector<Value> results =
        emitBody(kernel, stage, operands, indices, lanes, addressOf, rows ? &*rows : nullptr);
    for (auto [result, output] : llvm::zip_equal(results, stage.outputs)) {
      Value position = kernel.linear(output.coefficients, indices);
      if (mask)
        vector::MaskedStoreOp::create(builder, loc, buffer(output), position, mask, result);
      else
        vector::StoreOp::create(builder, loc, result, buffer(output), position);
    }
  }
}

void VectorStage::emitRange(Value begin, Value end) {
  Value at = begin;
  SmallVector<int64_t> widths = heavy ? SmallVector<int64_t>{1} : SmallVector<int64_t>{4, 1};
  for (int64_t vectors : widths) {
    Value until = wholeEnd(at, end, vectors * lanes);
    loop(at, until, vectors * lanes, {}, [&](Value place, ArrayRef<Value>) {
      emitElements(place, vectors, Value());
      return SmallVector<Value>();
    });
    at = until;
  }
  // At most one vector with a mask.
  loop(at, end, lanes, {}, [&](Value place, ArrayRef<Value>) {
    emitElements(place, 1, maskFor(place, end));
    return SmallVector<Value>();
  });
}

// Several vectors of the row, each into an accumulator of its own.
SmallVector<Value> VectorStage::accumulate(Value at, SmallVector<Value> sums, Value mask) {
  for (auto [i, sum] : llvm::enumerate(sums)) {
    SmallVector<Value> operands =
        loadInputs(kernel.add(at, kernel.constant(int64_t(i) * lanes)), mask);
    operands.push_back(sum);
    Value next =
        emitBody(kernel, stage, operands, indices, lanes, addressOf, rows ? &*rows : nullptr)[0];
    sum = mask ? arith::SelectOp::create(builder, loc, mask, next, sum).getResult() : next;
  }
  return sums;
}

SmallVector<Value> VectorStage::emitReduction(ArrayRef<unsigned> loops, SmallVector<Value> sums) {
  if (loops.size() > 1)
    return loop(kernel.constant(0), kernel.size(stage.extents[loops.front()]), 1, sums,
                [&](Value index, SmallVector<Value> carried) {
                  indices[loops.front()] = index;
                  return emitReduction(loops.drop_front(), std::move(carried));
                });
  Value at = kernel.constant(0), end = extent();
  int64_t count = sums.size();
  for (int64_t vectors : {count, int64_t(1)}) {
    Value until = wholeEnd(at, end, vectors * lanes);
    SmallVector<Value> some(sums.begin(), sums.begin() + vectors);
    some = loop(at, until, vectors * lanes, some, [&](Value place, SmallVector<Value> carried) {
      return accumulate(place, std::move(carried), Value());
    });
    llvm::copy(some, sums.begin());
    at = until;
  }
  sums.front() = loop(at, end, lanes, {sums.front()}, [&](Value place, SmallVector<Value> carried) {
    return accumulate(place, std::move(carried), maskFor(place, end));
  })[0];
  return sums;
}

void VectorStage::emitParallel(ArrayRef<unsigned> loops, ArrayRef<unsigned> reductions) {
  if (!loops.empty()) {
    loop(kernel.constant(0), kernel.size(stage.extents[loops.front()]), 1, {},
         [&](Value index, ArrayRef<Value>) {
           indices[loops.front()] = index;
           emitParallel(loops.drop_front(), reductions);
           return SmallVector<Value>();
         });
    return;
  }
  if (reductions.empty()) {
    emitRange(kernel.constant(0), extent());
    return;
  }
  const Access &output = stage.outputs[0];
  indices[vectorLoop] = kernel.constant(0);
  Value place = kernel.linear(output.coefficients, indices);
  Value initial = stage.inits[0]
                      ? arith::ConstantOp::create(builder, loc, stage.inits[0]).getResult()
                      : memref::LoadOp::create(builder, loc, buffer(output), place).getResult();
  Value neutral = combiner->neutral
                      ? arith::ConstantOp::create(builder, loc, combiner->neutral).getResult()
                      : initial;
  Value start = vector::BroadcastOp::create(builder, loc, vectorType(output.view.element), neutral);
  int64_t count = heavy ? 2 : 4;
  const Size &size = stage.extents[vectorLoop];
  if (size.isStatic())
    count = std::clamp<int64_t>(size.constant / lanes, 1, count);
  SmallVector<Value> sums = emitReduction(reductions, SmallVector<Value>(count, start));
  // Accumulators are added up as the body combines.
  auto combine = [&](Value a, Value b) {
    OperationState state(loc, combiner->op->getName());
    state.addOperands({a, b});
    state.addTypes(a.getType());
    state.propertiesAttr = combiner->op->getPropertiesAsAttribute();
    Operation *made = builder.create(state);
    ignoreZeroSigns(made);
    return made->getResult(0);
  };
  while (sums.size() > 1) {
    Value last = sums.pop_back_val();
    size_t target = sums.size() / 2;
    sums[target] = combine(sums[target], last);
  }
  Value vector = sums[0];
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    SmallVector<int64_t> order;
    for (int64_t lane = 0; lane < lanes; ++lane)
      order.push_back(lane ^ half);
    vector = combine(vector, vector::ShuffleOp::create(builder, loc, vector, vector, order));
  }
  Value result = vector::ExtractOp::create(builder, loc, vector, ArrayRef<int64_t>{0});
  if (combiner->neutral)
    result = combine(initial, result);
  memref::StoreOp::create(builder, loc, result, buffer(output), place);
}

void VectorStage::emit(unsigned firstLoop) {
  SmallVector<unsigned> parallel, reductions;
  for (unsigned i = firstLoop; i < stage.numLoops(); ++i) {
    if (stage.reduction[i])
      reductions.push_back(i);
    else if (i != vectorLoop)
      parallel.push_back(i);
  }
  emitParallel(parallel, reductions);
}

bool lathe::schedule::emitVectorStage(Kernel &kernel, const Stage &stage, unsigned firstLoop,
                                      ArrayRef<Value> outer, int64_t lanes, AddressOf addressOf) {
  SmallVector<Value> indices(stage.numLoops());
  llvm::copy(outer, indices.begin());
  VectorStage vectors(kernel, stage, lanes, addressOf, indices);
  if (!vectors.choose(firstLoop))
    return false;
  vectors.emit(firstLoop);
  return true;
}

bool lathe::schedule::emitVectorRange(Kernel &kernel, const Stage &stage, int64_t lanes,
                                      AddressOf addressOf) {
  VectorStage vectors(kernel, stage, lanes, addressOf, SmallVector<Value>(stage.numLoops()));
  if (stage.numLoops() != 1 || stage.hasReduction() || !vectors.choose(0))
    return false;
  vectors.emitRange(kernel.begin(), kernel.end());
  return true;
}
