// DynamicQuantizeLSTM of com.microsoft: a loop over time whose products are of integers. The input
// is quantized by its range over all steps, the state by its range in each. Apache-2.0 WITH
// LLVM-exception
#include "lib/Import/Activation.h"
#include "lib/Import/Importer.h"
#include "lib/Import/QuantizedLinear.h"
#include "lib/Import/Recurrent.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

namespace {

/// Weights [K, 4 * H] as integers around 0, and the scales to multiply sums with.
struct Weights {
  Value numbers, scale;
};

/// A direction of the layer. Operands that the model omits are null.
struct Direction {
  Weights input, recurrence;
  Value bias;         // [4 * H]
  Value hidden, cell; // [B, H]
  Value peepholes[3]; // input, output, forget
  Function f, g, h;
};

/// What both directions have in common.
struct Layer {
  Node &node;
  int64_t size; // of the hidden state
  double clip;
  bool inputForget;
  Value lengths; // [B], i64

  Value binary(BinaryKind kind, Value a, Value b) { return node.binary(kind, a, b); }
  Value apply(const Function &function, Value x) { return applyFunction(node, function, x); }
  Value gate(Value all, int64_t i);
  Value product(Value x, const Weights &weights);
  FailureOr<graph::LoopOp> run(Value x, const Direction &d, const void *key);
};

} // namespace

/// [..., H] of [..., 4 * H]; gates are in the order input, output, forget, cell.
Value Layer::gate(Value all, int64_t i) {
  std::optional<int64_t> rank = Node::rankOf(all);
  return rank ? node.slice(all, *rank - 1, i * size, (i + 1) * size) : Value();
}

/// x times the weights, x quantized by its own range.
Value Layer::product(Value x, const Weights &weights) {
  DynamicQuantization q = quantizeDynamically(node, x);
  Type i32 = node.builder().getI32Type();
  Value centred = binary(BinaryKind::sub, node.cast(q.quantized, i32), node.cast(q.zero, i32));
  Value sums = node.cast(node.matmul(centred, weights.numbers), node.builder().getF32Type());
  return binary(BinaryKind::mul, sums, binary(BinaryKind::mul, q.scale, weights.scale));
}

/// Results: the last states [B, H], all outputs [T, B, H].
FailureOr<graph::LoopOp> Layer::run(Value x, const Direction &d, const void *key) {
  Value inputs = product(x, d.input); // [T, B, 4 * H]
  if (d.bias)
    inputs = binary(BinaryKind::add, inputs, d.bias);
  Value steps = node.squeeze(node.shapeOf(x, 0, 1), {0});
  Value yes = node.scalarInt(1, node.builder().getI1Type());
  if (!inputs || !steps || !d.hidden || !d.cell)
    return failure();
  // What the last function of the cell takes is not clipped, as in the LSTM of ONNX Runtime.
  auto clipped = [&](Value value) {
    if (clip == 0)
      return value;
    return node.binary(BinaryKind::max, node.binary(BinaryKind::min, value, clip), -clip);
  };
  // Carried: the states where they still change, and the output, which is 0 after that.
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    Value time = arguments[0], hidden = arguments[1], before = arguments[2], last = arguments[3];
    Value sum = binary(BinaryKind::add, node.gather(inputs, time, 0), product(last, d.recurrence));
    auto peep = [&](int64_t i, Value cell) -> Value {
      Value value = gate(sum, i);
      if (d.peepholes[i])
        value = binary(BinaryKind::add, value, binary(BinaryKind::mul, d.peepholes[i], cell));
      return apply(d.f, clipped(value));
    };
    Value input = peep(0, before);
    Value forget = inputForget && input
                       ? binary(BinaryKind::sub, node.scalar(1, Node::elementOf(input)), input)
                       : peep(2, before);
    Value candidate = apply(d.g, clipped(gate(sum, 3)));
    Value cell = binary(BinaryKind::add, binary(BinaryKind::mul, forget, before),
                        binary(BinaryKind::mul, input, candidate));
    Value output = binary(BinaryKind::mul, peep(1, cell), apply(d.h, cell));
    Value next = output;
    if (lengths) {
      Value isActive = node.unsqueeze(binary(BinaryKind::less, time, lengths), {1}); // [B, 1]
      next = node.select(isActive, output, hidden);
      cell = node.select(isActive, cell, before);
      output =
          output ? node.select(isActive, output, node.scalar(0, Node::elementOf(output))) : Value();
    }
    if (!next || !cell || !output)
      return failure();
    return GraphImporter::LoopYield{node.scalarInt(1, node.builder().getI1Type()),
                                    {next, cell, output, output}};
  };
  return node.graphs().buildLoop(node.location(), key, steps, yes, {d.hidden, d.cell, d.hidden}, 1,
                                 build);
}

/// Part `index` of the first dimension, without it.
static Value part(Node &node, Value x, int64_t index) {
  return x ? node.squeeze(node.slice(x, 0, index, index + 1), {0}) : Value();
}

/// Operands i (zero points: i + 2): [directions] or [directions, 4 * H].
static Weights weightsOf(Node &node, unsigned matrix, unsigned scale, int64_t direction) {
  Type i32 = node.builder().getI32Type();
  Value numbers = node.cast(part(node, node.input(matrix), direction), i32);
  Value zero = node.cast(part(node, node.input(scale + 1), direction), i32);
  return {node.binary(BinaryKind::sub, numbers, zero), part(node, node.input(scale), direction)};
}

/// The operand, which must have that rank; null where it is omitted.
static Value ranked(Node &node, unsigned i, int64_t rank) {
  Value value = node.input(i);
  std::optional<int64_t> actual = Node::rankOf(value);
  if (actual && *actual != rank)
    node.error() << "input " << i << " of " << node.opType() << " has rank " << *actual
                 << ", it must have rank " << rank;
  return value;
}

/// Zeros after the longest sequence, which must not count for the range.
static Value withoutTail(Node &node, Value x, Value lengths) {
  Value longest = node.reduce(graph::ReduceKind::max, lengths, std::nullopt, false);
  Value isUsed = node.binary(BinaryKind::less, node.iota(x, 0), longest);
  Value zero = node.scalar(0, Node::elementOf(x));
  return node.select(node.unsqueeze(isUsed, {1, 2}), x, zero);
}

LogicalResult lathe::import::importQuantizedLstm(Node &node) {
  OpBuilder &builder = node.builder();
  unsigned direction = node.choice("direction", {"forward", "reverse", "bidirectional"}, 0);
  int64_t count = direction == 2 ? 2 : 1;
  Activations activations;
  if (!readActivations(node, {"Sigmoid", "Tanh", "Tanh"}, count, activations))
    return failure();
  double clip = node.floatAttribute("clip", 0);
  bool inputForget = node.flag("input_forget");
  Value x = ranked(node, 0, 3), w = ranked(node, 1, 3), r = ranked(node, 2, 3);
  Value bias = ranked(node, 3, 2), lengths = ranked(node, 4, 1);
  Value hidden = ranked(node, 5, 3), cell = ranked(node, 6, 3), peepholes = ranked(node, 7, 2);
  for (unsigned i : {8, 9, 10, 11}) {
    std::optional<int64_t> rank = Node::rankOf(node.require(i));
    if (rank && *rank != 1 && *rank != 2)
      node.error() << "input " << i << " of " << node.opType() << " has rank " << *rank
                   << ", it must have rank 1 (a number for each direction) or 2 (for each column)";
  }
  if (node.hasFailed())
    return failure();
  for (unsigned i : {1, 2}) {
    Type type = Node::elementOf(node.input(i));
    Type zeroType = Node::elementOf(node.input(i == 1 ? 9 : 11));
    if (!type.isInteger(8) || type != zeroType)
      node.error() << "input " << i << " of " << node.opType() << " has element type " << type
                   << " and its zero point " << zeroType << ", both are i8 or ui8";
  }
  if (node.hasFailed())
    return failure();
  auto recurrence = dyn_cast<RankedTensorType>(r.getType());
  int64_t known = recurrence && !recurrence.isDynamicDim(1) ? recurrence.getDimSize(1) : 0;
  int64_t size = node.intAttribute("hidden_size", known);
  if (size < 1 || size > (int64_t(1) << 24) || (known && size != known))
    return node.error() << "attribute 'hidden_size' of " << node.opType() << " is " << size
                        << ", the recurrence weights have " << known << " rows";
  for (Value weights : {w, r}) {
    auto type = dyn_cast<RankedTensorType>(weights.getType());
    if (type && ((!type.isDynamicDim(0) && type.getDimSize(0) != count) ||
                 (!type.isDynamicDim(2) && type.getDimSize(2) != 4 * size)))
      return node.error() << "weights of " << node.opType() << " have type " << type
                          << ", expected are " << count << " direction(s) of " << 4 * size
                          << " columns";
  }

  if (lengths) {
    lengths = node.requireRange(node.cast(lengths, builder.getI64Type()), "a sequence length",
                                node.sizeOf(x, 0));
    x = withoutTail(node, x, lengths);
  }
  Layer layer{node, size, clip, inputForget, lengths};
  Value state = node.full(node.concat({node.shapeOf(x, 1, 2), node.constant(Ints{size})}, 0), 0,
                          builder.getF32Type());
  SmallVector<Value> outputs[3];
  for (int64_t i = 0; i < count; ++i) {
    auto function = [&](int64_t place) {
      auto at = [&](ArrayRef<Attribute> values) { return values[3 * i + place]; };
      return Function{cast<StringAttr>(at(activations.names)).getValue(),
                      cast<FloatAttr>(at(activations.alphas)).getValueAsDouble(),
                      cast<FloatAttr>(at(activations.betas)).getValueAsDouble()};
    };
    Direction d{weightsOf(node, 1, 8, i),
                weightsOf(node, 2, 10, i),
                {},
                hidden ? part(node, hidden, i) : state,
                cell ? part(node, cell, i) : state,
                {},
                function(0),
                function(1),
                function(2)};
    if (Value both = part(node, bias, i))
      d.bias = node.binary(BinaryKind::add, node.slice(both, 0, 0, 4 * size),
                           node.slice(both, 0, 4 * size, 8 * size));
    if (Value all = part(node, peepholes, i))
      for (int64_t gate = 0; gate < 3; ++gate)
        d.peepholes[gate] = node.slice(all, 0, gate * size, (gate + 1) * size);
    bool isReverse = direction == 1 || i == 1;
    auto reversed = [&](Value value) {
      if (!isReverse)
        return value;
      return lengths ? reverseInTime(node, value, lengths, 0) : node.reverse(value, 0);
    };
    // The loop of each direction has a key of its own.
    const void *key =
        i == 0 ? static_cast<const void *>(&node.getProto()) : &node.getProto().name();
    auto loop = layer.run(reversed(x), d, key);
    if (failed(loop))
      return node.fail();
    outputs[0].push_back(node.unsqueeze(reversed(loop->getResult(3)), {1}));
    for (unsigned j : {0, 1}) {
      Value last = loop->getResult(j);
      if (lengths) { // a sequence of nothing ends with 0
        Value isEmpty = node.unsqueeze(node.binary(BinaryKind::less_equal, lengths, 0), {1});
        last = node.select(isEmpty, node.scalar(0, builder.getF32Type()), last);
      }
      outputs[1 + j].push_back(node.unsqueeze(last, {0}));
    }
  }
  for (unsigned i = 0; i < 3; ++i)
    if (node.wantsOutput(i))
      node.setResult(i, node.concat(outputs[i], i == 0 ? 1 : 0));
  return node.status();
}
