// Lowering of recurrent layers: the input's product for all steps at once, then a loop over time.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::RecurrentKind;

// ---- Activations -------------------------------------------------------------------------------

namespace {
struct Activation {
  StringRef name;
  double alpha, beta;
};
} // namespace

static Value hardSigmoid(const Scalars &s, Value x, const Activation &a) {
  Type type = x.getType();
  Value line = s.add(s.mul(x, s.constant(type, a.alpha)), s.constant(type, a.beta));
  return s.max(s.min(line, s.constant(type, 1)), s.constant(type, 0));
}

static Value whenPositive(const Scalars &s, Value x, Value positive, Value otherwise) {
  return s.select(s.cmp(arith::CmpFPredicate::OGE, x, s.constant(x.getType(), 0)), positive,
                  otherwise);
}

static Value activate(const Scalars &s, Value x, const Activation &a) {
  Type type = x.getType();
  Value alpha = s.constant(type, a.alpha), beta = s.constant(type, a.beta);
  if (a.name == "Sigmoid")
    return emitUnary(s, graph::UnaryKind::sigmoid, x, type);
  if (a.name == "Tanh")
    return math::TanhOp::create(s.b, s.loc, x);
  if (a.name == "Relu")
    return s.max(x, s.constant(type, 0));
  if (a.name == "Affine")
    return s.add(s.mul(alpha, x), beta);
  if (a.name == "LeakyRelu")
    return whenPositive(s, x, x, s.mul(alpha, x));
  if (a.name == "ThresholdedRelu")
    return s.select(s.cmp(arith::CmpFPredicate::OGT, x, alpha), x, s.constant(type, 0));
  if (a.name == "ScaledTanh")
    return s.mul(alpha, math::TanhOp::create(s.b, s.loc, s.mul(beta, x)));
  if (a.name == "HardSigmoid")
    return hardSigmoid(s, x, a);
  if (a.name == "Elu")
    return whenPositive(s, x, x, s.mul(alpha, math::ExpM1Op::create(s.b, s.loc, x)));
  if (a.name == "Softsign")
    return s.divf(x, s.add(s.constant(type, 1), math::AbsFOp::create(s.b, s.loc, x)));
  if (a.name == "Softplus")
    return emitUnary(s, graph::UnaryKind::softplus, x, type);
  return nullptr;
}

static bool isActivation(StringRef name) {
  return llvm::is_contained({"Sigmoid", "Tanh", "Relu", "Affine", "LeakyRelu", "ThresholdedRelu",
                             "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus"},
                            name);
}

// ---- The layer ---------------------------------------------------------------------------------

namespace {
/// One direction of a layer, with weights as [K, N] matrices.
struct Direction {
  int64_t index;
  bool reverse;
  SmallVector<Activation> functions;
  /// x W + bias for all steps [T, B, gates * H], and the weights of the state [H, gates * H].
  Tensor inputs, recurrence;
  /// The part of the bias that the reset gate multiplies (GRU, linear_before_reset), [H].
  std::optional<Tensor> hiddenBias;
  std::optional<Tensor> peepholes; // [3 * H]
};

struct Layer {
  mutable graph::RecurrentOp op; // its getters are not const
  Lowering &l;
  OpFoldResult steps, batch, hidden;
  Type element;
  int64_t gates;
  std::optional<Tensor> lengths;
  double clip;

  /// [B, H] of gate `gate` out of [B, gates * H].
  Tensor gate(const Tensor &all, int64_t gate) const {
    return l.slice(all, {l.size(0), l.mul(l.size(gate), hidden)}, {batch, hidden});
  }
  Value clipped(const Scalars &s, Value x) const {
    if (clip == 0)
      return x;
    return s.max(s.min(x, s.constant(x.getType(), clip)), s.constant(x.getType(), -clip));
  }
  Value run(const Scalars &s, Value x, const Activation &function) const {
    return activate(s, clipped(s, x), function);
  }
};

/// The tensors of a time step.
struct Step {
  Value time;
  Tensor inputs;              // [B, gates * H]
  Tensor hidden;              // [B, H]
  std::optional<Tensor> cell; // [B, H]
};

/// What a step yields: `output` goes into y, and differs from the state where a sequence has ended.
struct StepResult {
  Tensor hidden;
  std::optional<Tensor> cell;
  Tensor output;
};
} // namespace

// One generic over [B, H] with a result for the state, the cell (for LSTM) and, with lengths, the
// output. `body` gets computed operands and returns {hidden, cell}; the states before come first.
static StepResult
finishStep(const Layer &layer, const Step &step, ArrayRef<Operand> operands,
           function_ref<std::pair<Value, Value>(const Scalars &, ValueRange)> body) {
  Lowering &l = layer.l;
  SmallVector<Operand> inputs{{step.hidden, l.dimMap(2, {0, 1})}};
  if (step.cell)
    inputs.emplace_back(*step.cell, l.dimMap(2, {0, 1}));
  size_t states = inputs.size();
  if (layer.lengths)
    inputs.emplace_back(*layer.lengths, l.dimMap(2, 0));
  size_t extra = inputs.size();
  for (const Operand &operand : operands)
    inputs.emplace_back(operand.tensor, operand.map ? operand.map : l.dimMap(2, {0, 1}));
  Sizes sizes{layer.batch, layer.hidden};
  SmallVector<Value> outs(states + layer.lengths.has_value(), l.empty(sizes, layer.element));
  SmallVector<AffineMap> outMaps(outs.size(), l.dimMap(2, {0, 1}));
  SmallVector<utils::IteratorType> iterators(2, utils::IteratorType::parallel);
  ResultRange results = l.generic(
      inputs, outs, outMaps, iterators, [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
        SmallVector<Value> values;
        for (size_t i = 0; i < states; ++i)
          values.push_back(s.load(x[i], layer.element));
        for (size_t i = extra; i < inputs.size(); ++i)
          values.push_back(s.load(x[i], inputs[i].tensor.element));
        auto [hidden, cell] = body(s, values);
        SmallVector<Value> stored{s.store(hidden, layer.element)};
        if (step.cell)
          stored.push_back(s.store(cell, layer.element));
        if (!layer.lengths)
          return stored;
        Value length = s.toIndex(x[states], layer.lengths->element);
        Value active = s.cmp(arith::CmpIPredicate::slt, step.time, length);
        Value output = s.select(active, stored[0], s.constant(layer.element, 0));
        for (size_t i = 0; i < states; ++i)
          stored[i] = s.select(active, stored[i], x[i]);
        stored.push_back(output);
        return stored;
      });
  StepResult result;
  result.hidden = {results[0], sizes, layer.element};
  if (step.cell)
    result.cell = Tensor{results[1], sizes, layer.element};
  result.output = {results.back(), sizes, layer.element};
  if (!layer.lengths)
    result.output = result.hidden;
  return result;
}

static StepResult stepRnn(const Layer &layer, const Direction &d, const Step &step) {
  Tensor product = matmul(layer.l, step.hidden, d.recurrence, layer.element);
  return finishStep(layer, step, {step.inputs, product},
                    [&](const Scalars &s, ValueRange x) -> std::pair<Value, Value> {
                      return {layer.run(s, s.add(x[1], x[2]), d.functions[0]), {}};
                    });
}

// (1 - z) * candidate + z * before
static Value mixGru(const Scalars &s, Value z, Value candidate, Value before) {
  Value one = s.constant(z.getType(), 1);
  return s.add(s.mul(s.sub(one, z), candidate), s.mul(z, before));
}

static StepResult stepGru(const Layer &layer, const Direction &d, const Step &step) {
  Lowering &l = layer.l;
  const Activation &f = d.functions[0], &g = d.functions[1];
  Tensor xz = layer.gate(step.inputs, 0), xr = layer.gate(step.inputs, 1);
  Tensor xh = layer.gate(step.inputs, 2);
  if (layer.op.getLinearBeforeReset()) {
    Tensor product = matmul(l, step.hidden, d.recurrence, layer.element);
    SmallVector<Operand> operands{
        xz, xr, xh, layer.gate(product, 0), layer.gate(product, 1), layer.gate(product, 2)};
    if (d.hiddenBias)
      operands.emplace_back(*d.hiddenBias, l.dimMap(2, 1));
    return finishStep(layer, step, operands,
                      [&](const Scalars &s, ValueRange x) -> std::pair<Value, Value> {
                        Value z = layer.run(s, s.add(x[1], x[4]), f);
                        Value r = layer.run(s, s.add(x[2], x[5]), f);
                        Value linear = d.hiddenBias ? s.add(x[6], x[7]) : x[6];
                        Value h = layer.run(s, s.add(x[3], s.mul(r, linear)), g);
                        return {mixGru(s, z, h, x[0]), {}};
                      });
  }
  // The reset gate acts on the state before the product.
  OpFoldResult zero = l.size(0), two = l.mul(l.size(2), layer.hidden);
  Tensor gates = matmul(l, step.hidden, l.slice(d.recurrence, {zero, zero}, {layer.hidden, two}),
                        layer.element);
  Sizes sizes{layer.batch, layer.hidden};
  Tensor reset = l.elementwise({xr, layer.gate(gates, 1), step.hidden}, sizes, layer.element,
                               [&](const Scalars &s, ValueRange x) {
                                 return s.mul(layer.run(s, s.add(x[0], x[1]), f), x[2]);
                               });
  Tensor product = matmul(
      l, reset, l.slice(d.recurrence, {zero, two}, {layer.hidden, layer.hidden}), layer.element);
  return finishStep(layer, step, {xz, xh, layer.gate(gates, 0), product},
                    [&](const Scalars &s, ValueRange x) -> std::pair<Value, Value> {
                      Value z = layer.run(s, s.add(x[1], x[3]), f);
                      Value h = layer.run(s, s.add(x[2], x[4]), g);
                      return {mixGru(s, z, h, x[0]), {}};
                    });
}

// Gates in the order input, output, forget, cell.
static StepResult stepLstm(const Layer &layer, const Direction &d, const Step &step) {
  Lowering &l = layer.l;
  Tensor product = matmul(l, step.hidden, d.recurrence, layer.element);
  SmallVector<Operand> operands;
  for (int64_t gate = 0; gate < 4; ++gate) {
    operands.push_back(layer.gate(step.inputs, gate));
    operands.push_back(layer.gate(product, gate));
  }
  if (d.peepholes)
    for (int64_t gate = 0; gate < 3; ++gate)
      operands.emplace_back(
          l.slice(*d.peepholes, {l.mul(l.size(gate), layer.hidden)}, {layer.hidden}),
          l.dimMap(2, 1));
  return finishStep(
      layer, step, operands, [&](const Scalars &s, ValueRange x) -> std::pair<Value, Value> {
        const Activation &f = d.functions[0], &g = d.functions[1], &h = d.functions[2];
        Value before = x[1];
        auto sum = [&](int64_t gate) { return s.add(x[2 + 2 * gate], x[3 + 2 * gate]); };
        auto peep = [&](Value value, int64_t gate, Value cell) {
          return d.peepholes ? s.add(value, s.mul(x[10 + gate], cell)) : value;
        };
        Value input = layer.run(s, peep(sum(0), 0, before), f);
        Value forget = layer.op.getInputForget() ? s.sub(s.constant(input.getType(), 1), input)
                                                 : layer.run(s, peep(sum(2), 2, before), f);
        Value candidate = layer.run(s, sum(3), g);
        Value cell = s.add(s.mul(forget, before), s.mul(input, candidate));
        Value output = layer.run(s, peep(sum(1), 1, cell), f);
        return {s.mul(output, activate(s, cell, h)), cell};
      });
}

// ---- Preparation -------------------------------------------------------------------------------

// Part `index` of the first dimension, without it.
static Tensor part(Lowering &l, const Tensor &tensor, int64_t index) {
  Sizes offsets(tensor.rank(), l.size(0)), sizes = tensor.sizes;
  offsets[0] = l.size(index);
  sizes[0] = l.size(1);
  Tensor cut = l.slice(tensor, offsets, sizes);
  return l.reshape(cut, ArrayRef(sizes).drop_front());
}

static Tensor addTensors(Lowering &l, const Tensor &lhs, const Tensor &rhs) {
  return l.elementwise({lhs, rhs}, lhs.sizes, lhs.element,
                       [](const Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
}

// Both biases as one [gates * H], but for what linear_before_reset keeps apart.
static std::optional<Tensor> combineBias(const Layer &layer, Direction &d) {
  Lowering &l = layer.l;
  if (!layer.op.getBias())
    return std::nullopt;
  Tensor bias = part(l, l.get(layer.op.getBias()), d.index);
  OpFoldResult width = l.mul(l.size(layer.gates), layer.hidden);
  Tensor first = l.slice(bias, {l.size(0)}, {width});
  Tensor second = l.slice(bias, {width}, {width});
  if (layer.op.getKind() != RecurrentKind::gru || !layer.op.getLinearBeforeReset())
    return addTensors(l, first, second);
  OpFoldResult two = l.mul(l.size(2), layer.hidden);
  d.hiddenBias = l.slice(second, {two}, {layer.hidden});
  Tensor gates =
      addTensors(l, l.slice(first, {l.size(0)}, {two}), l.slice(second, {l.size(0)}, {two}));
  Value joined = l.insert(gates, l.empty({width}, layer.element), {l.size(0)});
  joined = l.insert(l.slice(first, {two}, {layer.hidden}), joined, {two});
  return Tensor{joined, {width}, layer.element};
}

static Direction prepareDirection(const Layer &layer, const Tensor &x, int64_t index,
                                  bool reverse) {
  Lowering &l = layer.l;
  graph::RecurrentOp op = layer.op;
  Direction d{index, reverse, {}, {}, {}, {}, {}};
  int64_t count = layer.gates == 1 ? 1 : layer.gates == 3 ? 2 : 3;
  for (int64_t i = index * count; i < (index + 1) * count; ++i)
    d.functions.push_back({cast<StringAttr>(op.getActivations()[i]).getValue(),
                           cast<FloatAttr>(op.getActivationAlpha()[i]).getValueAsDouble(),
                           cast<FloatAttr>(op.getActivationBeta()[i]).getValueAsDouble()});
  Tensor w = l.transpose(part(l, l.get(op.getW()), index), {1, 0});
  d.recurrence = l.transpose(part(l, l.get(op.getR()), index), {1, 0});
  std::optional<Tensor> bias = combineBias(layer, d);
  // All time steps in one product.
  Tensor rows = l.reshape(x, {l.mul(layer.steps, layer.batch), x.sizes[2]});
  Tensor product = matmul(l, rows, w, layer.element);
  if (bias)
    product = l.elementwise({product, *bias}, product.sizes, layer.element,
                            [](const Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
  d.inputs = l.reshape(product, {layer.steps, layer.batch, product.sizes[1]});
  if (op.getPeepholes())
    d.peepholes = part(l, l.get(op.getPeepholes()), index);
  return d;
}

static Tensor initialState(const Layer &layer, Value given, int64_t index) {
  Lowering &l = layer.l;
  if (!given) {
    Sizes sizes{layer.batch, layer.hidden};
    return {l.filled(sizes, l.number(layer.element, 0)), sizes, layer.element};
  }
  Tensor states = l.get(given);
  if (layer.op.getBatchFirst())
    states = l.transpose(states, {1, 0, 2});
  return l.withSizes(part(l, states, index), {layer.batch, layer.hidden});
}

// Runs one direction; y is the [T, D, B, H] tensor that it fills its part of, or null.
static StepResult runDirection(const Layer &layer, const Direction &d, Value &y) {
  Lowering &l = layer.l;
  bool isLstm = layer.op.getKind() == RecurrentKind::lstm;
  Tensor hidden = initialState(layer, layer.op.getInitialH(), d.index);
  SmallVector<Value> initial{hidden.value};
  if (isLstm)
    initial.push_back(initialState(layer, layer.op.getInitialC(), d.index).value);
  if (y)
    initial.push_back(y);
  Value zero = l.value(l.size(0)), one = l.value(l.size(1)), count = l.value(layer.steps);
  Sizes state{layer.batch, layer.hidden};
  auto loop = scf::ForOp::create(l.b, l.loc, zero, count, one, initial);
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    Value time = loop.getInductionVar();
    if (d.reverse)
      time = l.scalars().sub(l.scalars().sub(count, one), time);
    Tensor inputs = l.slice(d.inputs, {time, l.size(0), l.size(0)},
                            {l.size(1), layer.batch, d.inputs.sizes[2]});
    inputs = l.reshape(inputs, {layer.batch, d.inputs.sizes[2]});
    Step step{time, inputs, {loop.getRegionIterArg(0), state, layer.element}, {}};
    if (isLstm)
      step.cell = Tensor{loop.getRegionIterArg(1), state, layer.element};
    StepResult result = isLstm                                     ? stepLstm(layer, d, step)
                        : layer.op.getKind() == RecurrentKind::gru ? stepGru(layer, d, step)
                                                                   : stepRnn(layer, d, step);
    SmallVector<Value> next{result.hidden.value};
    if (isLstm)
      next.push_back(result.cell->value);
    if (y) {
      Tensor row = l.reshape(result.output, {l.size(1), l.size(1), layer.batch, layer.hidden});
      next.push_back(l.insert(row, loop.getRegionIterArgs().back(),
                              {time, l.size(d.index), l.size(0), l.size(0)}));
    }
    scf::YieldOp::create(l.b, l.loc, next);
  }
  if (y)
    y = loop.getResults().back();
  StepResult last;
  last.hidden = {loop.getResult(0), state, layer.element};
  if (isLstm)
    last.cell = Tensor{loop.getResult(1), state, layer.element};
  return last;
}

static LogicalResult lowerRecurrent(graph::RecurrentOp op, Lowering &l) {
  Tensor x = l.get(op.getX());
  for (Attribute name : op.getActivations())
    if (!isActivation(cast<StringAttr>(name).getValue()))
      return l.unsupported(op) << "activation " << name;
  if (!isa<FloatType>(x.element))
    return l.unsupported(op) << "element type " << x.element;
  if (op.getBatchFirst())
    x = l.transpose(x, {1, 0, 2});
  RecurrentKind kind = op.getKind();
  Layer layer{op,
              l,
              x.sizes[0],
              x.sizes[1],
              l.size(op.getHiddenSize()),
              x.element,
              kind == RecurrentKind::rnn   ? 1
              : kind == RecurrentKind::gru ? 3
                                           : 4,
              {},
              op.getClip().convertToDouble()};
  if (op.getLengths())
    layer.lengths = l.get(op.getLengths());
  bool both = op.getDirection() == graph::Direction::bidirectional;
  OpFoldResult count = l.size(both ? 2 : 1);
  std::vector<Direction> directions;
  for (int64_t i = 0; i < (both ? 2 : 1); ++i)
    directions.push_back(
        prepareDirection(layer, x, i, i == 1 || op.getDirection() == graph::Direction::reverse));

  Sizes outputSizes{layer.steps, count, layer.batch, layer.hidden};
  Value y = op.getY() ? l.empty(outputSizes, layer.element) : Value();
  std::vector<StepResult> last;
  for (const Direction &d : directions)
    last.push_back(runDirection(layer, d, y));
  if (op.getY()) {
    Tensor output{y, outputSizes, layer.element};
    l.set(op.getY(), op.getBatchFirst() ? l.transpose(output, {2, 0, 1, 3}) : output);
  }
  auto setState = [&](Value result, function_ref<Tensor(const StepResult &)> pick) {
    if (!result)
      return;
    Sizes sizes{count, layer.batch, layer.hidden};
    Tensor states = l.reshape(pick(last[0]), {l.size(1), layer.batch, layer.hidden});
    if (both) {
      Value joined = l.insert(states, l.empty(sizes, layer.element), Sizes(3, l.size(0)));
      states = l.reshape(pick(last[1]), {l.size(1), layer.batch, layer.hidden});
      joined = l.insert(states, joined, {l.size(1), l.size(0), l.size(0)});
      states = {joined, sizes, layer.element};
    }
    l.set(result, op.getBatchFirst() ? l.transpose(states, {1, 0, 2}) : states);
  };
  setState(op.getYH(), [](const StepResult &result) { return result.hidden; });
  setState(op.getYC(), [](const StepResult &result) { return *result.cell; });
  return success();
}

void lathe::g2l::addRecurrent(LoweringTable &table) { table.add(lowerRecurrent); }
