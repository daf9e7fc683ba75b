// Attention and what belongs to it: rotary embeddings, caches.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/AttentionParts.h"
#include "lib/Import/Operators.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

// ---- Attention

namespace {

/// One Attention node on its way into operations. Values have the shapes [B, H, S, D] (queries),
/// [B, Hk, T, D] (keys) and [B, Hk, T, Dv] (values).
struct AttentionBuilder {
  Node &node;
  Type element;
  bool is3D = false;
  Value query, key, value, pastKey, nonPad;
  /// Whether the last query sees the last key when it sees no more than those up to its own place.
  bool endsTogether = false;
  /// What is added to the scores, broadcast to [B, H, S, T]; null: nothing.
  Value bias;
  /// Whether the bias may forbid all keys of a query; its result is 0 then.
  bool mayForbidAll = false;

  explicit AttentionBuilder(Node &node) : node(node) {}
  bool readOperands();
  double readScale();
  Value fromHeads(Value x) { return is3D ? joinHeads(node, x) : x; }
  Value asBias(Value allowed) { return import::asBias(node, allowed, element); }
  void addBias(Value more);
  void addMask(Value mask);
  /// i + offset as [S, 1], or [B, 1, S, 1] where the offset is one per batch.
  Value queryPositions();
  void addWindow(bool causal, int64_t left, int64_t right);
  void addPadding();
  Value forbidsAll();
};

} // namespace

bool AttentionBuilder::readOperands() {
  query = node.input(0), key = node.input(1), value = node.input(2);
  pastKey = node.input(4), nonPad = node.input(6);
  element = Node::elementOf(query);
  std::optional<int64_t> rank = node.requireRank(query, "input 0");
  int64_t heads = node.intAttribute("q_num_heads", 0);
  int64_t keyHeads = node.intAttribute("kv_num_heads", 0);
  if (!rank || node.hasFailed())
    return false;
  if (*rank != 3 && *rank != 4) {
    node.error() << "input 0 of Attention has rank " << *rank << ", it takes 3 or 4";
    return false;
  }
  for (Value other : {key, value})
    if (Node::rankOf(other) != *rank || (other == key && Node::elementOf(key) != element)) {
      node.error() << "inputs of Attention have types " << query.getType() << " and "
                   << other.getType()
                   << ", ranks and the element types of queries and keys must agree";
      return false;
    }
  is3D = *rank == 3;
  if (is3D && (heads < 1 || keyHeads < 1)) {
    node.error() << "Attention of rank 3 needs the attributes 'q_num_heads' and 'kv_num_heads'";
    return false;
  }
  if (is3D) {
    query = splitHeads(node, query, heads);
    key = splitHeads(node, key, keyHeads);
    value = splitHeads(node, value, keyHeads);
  }
  if (bool(pastKey) != node.hasInput(5)) {
    node.error() << "Attention has one of past_key and past_value, it takes both or none";
    return false;
  }
  endsTogether = haveSameSize(node, query, key, 2);
  if (pastKey) {
    key = node.concat({pastKey, key}, 2);
    value = node.concat({node.input(5), value}, 2);
  }
  if (nonPad)
    nonPad = node.requireRange(nonPad, "a number of keys", node.sizeOf(key, 2));
  node.setResult(1, key);
  node.setResult(2, value);
  // Values may have a type of their own: all is computed in one that holds both.
  if (Type other = Node::elementOf(value); other != element) {
    unsigned width = element.getIntOrFloatBitWidth(), otherWidth = other.getIntOrFloatBitWidth();
    element = width == otherWidth ? Type(node.builder().getF32Type())
                                  : (width > otherWidth ? element : other);
    for (Value *operand : {&query, &key, &value})
      *operand = node.cast(*operand, element);
  }
  return query && key && value;
}

/// What scores are multiplied with, beside what the queries already are.
double AttentionBuilder::readScale() {
  if (node.hasAttribute("scale"))
    return node.floatAttribute("scale", 1);
  return defaultScale(node, query);
}

void AttentionBuilder::addBias(Value more) { bias = addBiases(node, bias, more); }

/// A mask that is shorter than the keys forbids the rest.
void AttentionBuilder::addMask(Value mask) {
  bool isBool = Node::elementOf(mask).isInteger(1);
  std::optional<int64_t> rank = node.requireRank(mask, "the mask");
  if (!rank)
    return;
  if (*rank < 1) {
    node.error() << "the mask of Attention has rank 0, it takes 1 or more";
    return;
  }
  mayForbidAll = true;
  Value additive = isBool ? asBias(mask) : node.cast(mask, element);
  int64_t given = staticDim(mask, -1), keys = staticDim(key, 2);
  if (additive && (ShapedType::isDynamic(given) || given != keys)) {
    Value missing =
        node.binary(BinaryKind::sub, node.shapeOf(key, 2, 3), node.shapeOf(mask, *rank - 1, *rank));
    missing = node.binary(BinaryKind::max, missing, 0);
    additive = node.padEnd(additive, *rank - 1, missing, node.scalar(kMinusInfinity, element));
  }
  addBias(additive);
}

Value AttentionBuilder::queryPositions() {
  Value rows = node.unsqueeze(node.iota(query, 2), {1});
  if (pastKey)
    return node.binary(BinaryKind::add, rows, node.sizeOf(pastKey, 2));
  if (!nonPad)
    return rows;
  Value offset = node.binary(BinaryKind::sub, nonPad, node.sizeOf(query, 2));
  return node.binary(BinaryKind::add, rows, node.unsqueeze(offset, {1, 2, 3}));
}

/// Keys after the query (`causal`), more than `left` before it or more than `right` after it are
/// forbidden; -1: no bound.
void AttentionBuilder::addWindow(bool causal, int64_t left, int64_t right) {
  if (!causal && left < 0 && right < 0)
    return;
  mayForbidAll |= !causal || left >= 0 || nonPad;
  Value columns = node.iota(key, 2), positions = queryPositions();
  Value distance = node.binary(BinaryKind::sub, positions, columns);
  if (causal)
    right = right < 0 ? 0 : std::min<int64_t>(right, 0);
  if (right >= 0)
    addBias(asBias(node.binary(BinaryKind::greater_equal, distance, -right)));
  if (left >= 0)
    addBias(asBias(node.binary(BinaryKind::less_equal, distance, left)));
}

/// Keys from the given length on are padding, for each batch.
void AttentionBuilder::addPadding() {
  if (!nonPad)
    return;
  mayForbidAll = true;
  Value lengths = node.unsqueeze(nonPad, {1, 2, 3});
  addBias(asBias(node.binary(BinaryKind::less, node.iota(key, 2), lengths)));
}

/// Whether a query may see no key at all, as [..., S, 1].
Value AttentionBuilder::forbidsAll() {
  std::optional<int64_t> rank = Node::rankOf(bias);
  if (!rank)
    return {};
  Value best = node.reduce(ReduceKind::max, bias, Ints{*rank - 1}, true);
  return node.binary(BinaryKind::equal, best, kMinusInfinity);
}

static LogicalResult importAttention(Node &node) {
  AttentionBuilder builder(node);
  if (!builder.readOperands())
    return failure();
  double scale = builder.readScale(), softcap = node.floatAttribute("softcap", 0);
  bool causal = node.flag("is_causal");
  int64_t left = node.intAttribute("left_window_size", -1);
  int64_t right = node.intAttribute("right_window_size", -1);
  int64_t mode = node.intAttribute("qk_matmul_output_mode", 0);
  Type precision = builder.element, given = Node::elementOf(node.input(0));
  if (node.intAttribute("softmax_precision", 0) != 0)
    precision = node.typeAttribute("softmax_precision", precision);
  if (mode < 0 || mode > 3)
    return node.error() << "attribute 'qk_matmul_output_mode' of Attention is " << mode
                        << ", it must be 0 to 3";
  if (node.hasFailed())
    return failure();
  bool wantsScores = node.wantsOutput(3);
  bool fused = softcap <= 0 && !wantsScores && precision == builder.element;

  if (node.hasInput(3))
    builder.addMask(node.input(3));
  // The operation's own causal mask lines up the last query with the last key. It is no part of the
  // bias, which must say by itself where no key is left.
  bool ownCausal = fused && causal && !builder.nonPad && left < 0 && right < 0 &&
                   builder.endsTogether && !builder.bias;
  if (!ownCausal)
    builder.addWindow(causal, left, right);
  builder.addPadding();
  if (node.hasFailed())
    return failure();

  Value query = builder.query, key = builder.key, value = builder.value, result;
  Value empty = builder.mayForbidAll ? builder.forbidsAll() : Value();
  Value zero = node.scalar(0, builder.element);
  if (fused) {
    result = attend(node, query, key, value, builder.bias, scale, ownCausal);
    if (empty)
      result = node.select(empty, zero, result);
    return node.result(node.cast(builder.fromHeads(result), given));
  }
  key = repeatHeads(node, key, builder.query);
  value = repeatHeads(node, value, builder.query);
  double root = std::sqrt(scale);
  Value scores = node.matmul(node.binary(BinaryKind::mul, query, root),
                             node.transpose(node.binary(BinaryKind::mul, key, root), {0, 1, 3, 2}));
  SmallVector<Value> stages = {scores};
  if (softcap > 0)
    scores = node.binary(BinaryKind::mul,
                         node.unary(UnaryKind::tanh, node.binary(BinaryKind::div, scores, softcap)),
                         softcap);
  stages.push_back(scores);
  if (builder.bias)
    scores = node.binary(BinaryKind::add, scores, builder.bias);
  stages.push_back(scores);
  Value weights = node.cast(node.softmax(node.cast(scores, precision), 3), builder.element);
  if (empty)
    weights = node.select(empty, zero, weights);
  stages.push_back(weights);
  node.setResult(3, node.cast(stages[mode], given));
  return node.result(node.cast(builder.fromHeads(node.matmul(weights, value)), given));
}

// ---- FlexAttention

/// Runs a subgraph on scores or probabilities, whose type must stay.
static Value modify(Node &node, StringRef attribute, Value x) {
  if (!node.hasAttribute(attribute) || !x)
    return x;
  onnx::GraphProto *body = node.subgraph(attribute);
  if (!body)
    return {};
  if (body->input_size() != 1 || body->output_size() != 1) {
    node.error() << "'" << attribute << "' of FlexAttention has " << body->input_size()
                 << " inputs and " << body->output_size() << " outputs, expected are 1 and 1";
    return {};
  }
  auto values = node.inlineGraph(*body, {x});
  if (failed(values)) {
    (void)node.fail();
    return {};
  }
  Value result = values->front();
  auto type = dyn_cast<RankedTensorType>(result.getType());
  if (!type || type.getRank() != 4 || type.getElementType() != Node::elementOf(x)) {
    node.error() << "'" << attribute << "' of FlexAttention makes " << result.getType() << " of "
                 << x.getType() << ", rank and element type must stay";
    return {};
  }
  return result;
}

static LogicalResult importFlexAttention(Node &node) {
  Value query = node.input(0), key = node.input(1), value = node.input(2);
  Type element = Node::elementOf(query), f32 = node.builder().getF32Type();
  for (Value operand : {query, key, value})
    if (Node::rankOf(operand) != 4 || Node::elementOf(operand) != element)
      return node.error() << "inputs of FlexAttention have types " << query.getType() << " and "
                          << operand.getType() << ", they take rank 4 and one element type";
  Type precision = node.typeAttribute("softmax_precision", element.isF64() ? element : f32);
  if (node.hasFailed())
    return failure();
  if (!isa<FloatType>(precision))
    return node.error() << "attribute 'softmax_precision' of FlexAttention is " << precision
                        << ", it takes a floating-point type";
  bool isPlain = !node.hasAttribute("score_mod") && !node.hasAttribute("prob_mod");
  int64_t headSize = staticDim(query, 3);
  bool hasScale = node.hasAttribute("scale"), isKnown = !ShapedType::isDynamic(headSize);
  double scale = node.floatAttribute("scale", isKnown ? 1 / std::sqrt(double(headSize)) : 0);
  if (isPlain && precision == element && (hasScale || isKnown))
    return node.result(attend(node, query, key, value, {}, scale, false));
  key = repeatHeads(node, key, query);
  value = repeatHeads(node, value, query);
  // Half of the scale goes to each side, so that products of half precision do not overflow.
  Value root;
  if (hasScale || isKnown) {
    root = node.scalar(std::sqrt(scale), element);
  } else {
    Value size = node.cast(node.sizeOf(query, 3), f32);
    root = node.unary(UnaryKind::sqrt, node.unary(UnaryKind::sqrt, size));
    root = node.cast(node.binary(BinaryKind::div, node.scalar(1, f32), root), element);
  }
  Value scores = node.matmul(node.binary(BinaryKind::mul, query, root),
                             node.swapLastTwo(node.binary(BinaryKind::mul, key, root)));
  scores = modify(node, "score_mod", node.cast(scores, precision));
  if (node.hasFailed())
    return failure();
  Value weights = modify(node, "prob_mod", node.softmax(scores, 3));
  if (node.hasFailed())
    return failure();
  return node.result(node.cast(node.matmul(weights, node.cast(value, precision)), element));
}

// ---- Caches

/// TensorScatter: the update goes to consecutive places of the cache, from an index per batch on.
static LogicalResult importTensorScatter(Node &node) {
  Value cache = node.input(0), update = node.input(1);
  bool circular = node.choice("mode", {"linear", "circular"}, 0) == 1;
  std::optional<int64_t> rank = node.requireRank(cache, "input 0");
  if (!rank)
    return failure();
  int64_t axis = node.axis(node.intAttribute("axis", -2), rank);
  if (node.hasFailed())
    return failure();
  if (axis == 0)
    return node.error() << "axis of TensorScatter is 0, the dimension of batches";
  Value index = node.iota(update, axis), length;
  if (circular) {
    length = node.sizeOf(cache, axis);
    index = node.requireRange(index, "a place in the update of a circular cache",
                              node.binary(BinaryKind::sub, length, 1));
  }
  if (axis < *rank - 1)
    index = node.unsqueeze(index, llvm::to_vector(llvm::seq<int64_t>(1, *rank - axis)));
  if (node.hasInput(2)) {
    Value start = node.requireRange(node.input(2), "a place to write at");
    start = node.unsqueeze(start, llvm::to_vector(llvm::seq<int64_t>(1, *rank)));
    index = node.binary(BinaryKind::add, index, start);
  }
  if (circular)
    index = node.binary(BinaryKind::mod, index, length);
  index = node.expand(index, node.shapeOf(update));
  if (!index)
    return failure();
  auto op = node.create<graph::ScatterElementsOp>(node.likeOf(cache), cache, index, update, axis,
                                                  graph::ScatterReduction::none);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::attentionOperators() {
  static const Operator operators[] = {
      {"Attention", {23, 24, 25}, 3, 7, importAttention, kFloats},
      {"FlexAttention", {1}, 3, 3, importFlexAttention, kFloats, "", "ai.onnx.preview"},
      {"TensorScatter", {24}, 2, 3, importTensorScatter, kAny},
  };
  return operators;
}
