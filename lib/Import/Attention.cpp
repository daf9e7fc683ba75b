// Attention and what belongs to it: rotary embeddings, caches.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

static constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

static int64_t staticDim(Value value, int64_t dim) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getDimSize(dim < 0 ? dim + type.getRank() : dim) : ShapedType::kDynamic;
}

/// The size of a dimension as a scalar.
static Value sizeOf(Node &node, Value x, int64_t dim) {
  return node.squeeze(node.shapeOf(x, dim, dim + 1), {0});
}

// ---- Attention

namespace {

/// One Attention node on its way into operations. Values have the shapes [B, H, S, D] (queries),
/// [B, Hk, T, D] (keys) and [B, Hk, T, Dv] (values).
struct AttentionBuilder {
  Node &node;
  Type element;
  bool is3D = false;
  Value query, key, value, pastKey, nonPad;
  /// What is added to the scores, broadcast to [B, H, S, T]; null: nothing.
  Value bias;
  /// Whether the bias may forbid all keys of a query; its result is 0 then.
  bool mayForbidAll = false;

  explicit AttentionBuilder(Node &node) : node(node) {}
  bool readOperands();
  double readScale();
  Value toHeads(Value x, int64_t heads);
  Value fromHeads(Value x);
  Value asBias(Value allowed);
  void addBias(Value more);
  void addMask(Value mask);
  /// i + offset as [S, 1], or [B, 1, S, 1] where the offset is one per batch.
  Value queryPositions();
  void addWindow(bool causal, int64_t left, int64_t right);
  void addPadding();
  Value forbidsAll();
  Value repeatHeads(Value x);
};

} // namespace

/// [B, S, H * D] to [B, H, S, D]
Value AttentionBuilder::toHeads(Value x, int64_t heads) {
  return node.transpose(node.reshape(x, {0, 0, heads, -1}), {0, 2, 1, 3});
}

Value AttentionBuilder::fromHeads(Value x) {
  return is3D ? node.reshape(node.transpose(x, {0, 2, 1, 3}), {0, 0, -1}) : x;
}

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
    if (Node::rankOf(other) != *rank || Node::elementOf(other) != element) {
      node.error() << "inputs of Attention have types " << query.getType() << " and "
                   << other.getType() << ", ranks and element types must agree";
      return false;
    }
  is3D = *rank == 3;
  if (is3D && (heads < 1 || keyHeads < 1)) {
    node.error() << "Attention of rank 3 needs the attributes 'q_num_heads' and 'kv_num_heads'";
    return false;
  }
  if (is3D) {
    query = toHeads(query, heads);
    key = toHeads(key, keyHeads);
    value = toHeads(value, keyHeads);
  }
  if (bool(pastKey) != node.hasInput(5)) {
    node.error() << "Attention has one of past_key and past_value, it takes both or none";
    return false;
  }
  if (pastKey) {
    key = node.concat({pastKey, key}, 2);
    value = node.concat({node.input(5), value}, 2);
  }
  node.setResult(1, key);
  node.setResult(2, value);
  return query && key && value;
}

double AttentionBuilder::readScale() {
  if (node.hasAttribute("scale"))
    return node.floatAttribute("scale", 1);
  int64_t size = staticDim(query, 3);
  if (!ShapedType::isDynamic(size) && size > 0)
    return 1 / std::sqrt(static_cast<double>(size));
  node.error() << "the head size of Attention is not known when compiling; give it a 'scale'";
  return 1;
}

/// 0 where allowed, minus infinity elsewhere.
Value AttentionBuilder::asBias(Value allowed) {
  return node.select(allowed, node.scalar(0, element), node.scalar(kMinusInfinity, element));
}

void AttentionBuilder::addBias(Value more) {
  bias = bias ? node.binary(BinaryKind::add, bias, more) : more;
}

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
  Value additive = isBool ? asBias(mask) : mask;
  int64_t given = staticDim(mask, -1), keys = staticDim(key, 2);
  if (additive && (ShapedType::isDynamic(given) || given != keys)) {
    Value missing =
        node.binary(BinaryKind::sub, node.shapeOf(key, 2, 3), node.shapeOf(mask, *rank - 1, *rank));
    missing = node.binary(BinaryKind::max, missing, 0);
    Value pads = node.concat({node.constant(Ints{0}), missing}, 0);
    if (!pads)
      return;
    auto op = node.create<graph::PadOp>(node.likeOf(additive), additive, pads,
                                        node.scalar(kMinusInfinity, element),
                                        node.constant({*rank - 1}), graph::PadMode::constant);
    additive = op ? Value(op.getResult()) : Value();
  }
  addBias(additive);
}

Value AttentionBuilder::queryPositions() {
  Value rows = node.unsqueeze(node.iota(query, 2), {1});
  if (pastKey)
    return node.binary(BinaryKind::add, rows, sizeOf(node, pastKey, 2));
  if (!nonPad)
    return rows;
  Value offset = node.binary(BinaryKind::sub, nonPad, sizeOf(node, query, 2));
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

/// Keys or values repeated for the heads of queries that share them.
Value AttentionBuilder::repeatHeads(Value x) {
  int64_t heads = staticDim(query, 1), groups = staticDim(x, 1);
  if (!ShapedType::isDynamic(heads) && heads == groups)
    return x;
  Value repeats = node.binary(BinaryKind::div, node.shapeOf(query, 1, 2), node.shapeOf(x, 1, 2));
  Value grown = node.unsqueeze(x, {2});
  Value shape = node.concat({node.shapeOf(x, 0, 2), repeats, node.shapeOf(x, 2, 4)}, 0);
  Value joined =
      node.concat({node.shapeOf(x, 0, 1), node.shapeOf(query, 1, 2), node.shapeOf(x, 2, 4)}, 0);
  return node.reshape(node.expand(grown, shape), joined);
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
  Type precision = builder.element;
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
  // The operation's own causal mask lines up the last query with the last key.
  int64_t queries = staticDim(builder.query, 2), keys = staticDim(builder.key, 2);
  bool alignedAtEnd = builder.pastKey || (!ShapedType::isDynamic(queries) && queries == keys);
  bool ownCausal = fused && causal && !builder.nonPad && left < 0 && right < 0 && alignedAtEnd;
  if (!ownCausal)
    builder.addWindow(causal, left, right);
  builder.addPadding();
  if (node.hasFailed())
    return failure();

  Value query = builder.query, key = builder.key, value = builder.value, result;
  Value empty = builder.mayForbidAll ? builder.forbidsAll() : Value();
  Value zero = node.scalar(0, builder.element);
  if (fused) {
    auto op = node.create<graph::AttentionOp>(node.likeOf(query), query, key, value, builder.bias,
                                              node.builder().getF32FloatAttr(scale),
                                              node.builder().getBoolAttr(ownCausal));
    result = op ? Value(op.getResult()) : Value();
    if (empty)
      result = node.select(empty, zero, result);
    return node.result(builder.fromHeads(result));
  }
  key = builder.repeatHeads(key);
  value = builder.repeatHeads(value);
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
  node.setResult(3, stages[mode]);
  return node.result(builder.fromHeads(node.matmul(weights, value)));
}

// ---- Rotary embedding

/// x[..., first::2]
static Value everySecond(Node &node, Value x, int64_t first, int64_t end) {
  if (!x)
    return {};
  auto op =
      node.create<graph::SliceOp>(node.likeOf(x), x, node.constant({first}), node.constant({end}),
                                  node.constant({3}), node.constant({2}));
  return op ? Value(op.getResult()) : Value();
}

/// Rotates pairs of elements of the last dimension by angles whose cosines and sines are given as
/// [B, S, R / 2], or as a table that `positions` [B, S] looks up.
static LogicalResult rotate(Node &node, Value x, Value cosines, Value sines, Value positions) {
  bool interleaved = node.flag("interleaved");
  int64_t heads = node.intAttribute("num_heads", 0);
  int64_t rotated = node.intAttribute("rotary_embedding_dim", 0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || node.hasFailed())
    return failure();
  if (*rank != 3 && *rank != 4)
    return node.error() << "input 0 of RotaryEmbedding has rank " << *rank << ", it takes 3 or 4";
  bool is3D = *rank == 3;
  if (is3D) {
    // The size of the caches tells that of a head where the number of heads is missing.
    int64_t half = staticDim(cosines, -1);
    if (heads < 1 && (ShapedType::isDynamic(half) || half < 1))
      return node.error() << "RotaryEmbedding of rank 3 needs the attribute 'num_heads'";
    x = heads > 0 ? node.reshape(x, {0, 0, heads, -1}) : node.reshape(x, {0, 0, -1, 2 * half});
  }
  if (!x)
    return failure();
  int64_t size = staticDim(x, 3);
  if (ShapedType::isDynamic(size))
    return node.error() << "the head size of RotaryEmbedding is not known when compiling";
  if (rotated == 0)
    rotated = size;
  if (rotated < 0 || rotated > size || rotated % 2 != 0)
    return node.error() << "RotaryEmbedding rotates " << rotated << " of " << size
                        << " elements, it takes an even number of at most as many";
  if (positions) {
    cosines = node.gather(cosines, positions, 0);
    sines = node.gather(sines, positions, 0);
  }
  // Rank 3 is [B, S, H, D] by now, rank 4 is [B, H, S, D].
  int64_t headDim = is3D ? 2 : 1;
  cosines = node.unsqueeze(cosines, {headDim});
  sines = node.unsqueeze(sines, {headDim});
  Value first = interleaved ? everySecond(node, x, 0, rotated) : node.slice(x, 3, 0, rotated / 2);
  Value second =
      interleaved ? everySecond(node, x, 1, rotated) : node.slice(x, 3, rotated / 2, rotated);
  Value real = node.binary(BinaryKind::sub, node.binary(BinaryKind::mul, cosines, first),
                           node.binary(BinaryKind::mul, sines, second));
  Value imaginary = node.binary(BinaryKind::add, node.binary(BinaryKind::mul, sines, first),
                                node.binary(BinaryKind::mul, cosines, second));
  Value result;
  if (interleaved)
    result =
        node.reshape(node.concat({node.unsqueeze(real, {4}), node.unsqueeze(imaginary, {4})}, 4),
                     {0, 0, 0, rotated});
  else
    result = node.concat({real, imaginary}, 3);
  if (rotated < size)
    result = node.concat({result, node.slice(x, 3, rotated, size)}, 3);
  return node.result(is3D ? node.reshape(result, {0, 0, -1}) : result);
}

static LogicalResult importRotary(Node &node) {
  return rotate(node, node.input(0), node.input(1), node.input(2), node.input(3));
}

/// com.microsoft has the positions second, and may have one position to count from.
static LogicalResult importMicrosoftRotary(Node &node) {
  if (node.flag("is_packed_batching"))
    return node.error() << "RotaryEmbedding with packed batches is not supported";
  if (node.floatAttribute("scale", 1) != 1)
    return node.error() << "RotaryEmbedding with a scale is not supported";
  Value x = node.input(0), positions = node.input(1);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || (*rank != 3 && *rank != 4))
    return failure();
  if (Node::rankOf(positions) == 1) {
    Value rows = node.iota(x, *rank == 3 ? 1 : 2);
    positions = node.unsqueeze(node.binary(BinaryKind::add, rows, positions), {0});
  }
  return rotate(node, x, node.input(2), node.input(3), positions);
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
  Value index = node.iota(update, axis);
  if (axis < *rank - 1)
    index = node.unsqueeze(index, llvm::to_vector(llvm::seq<int64_t>(1, *rank - axis)));
  if (node.hasInput(2)) {
    Value start = node.unsqueeze(node.input(2), llvm::to_vector(llvm::seq<int64_t>(1, *rank)));
    index = node.binary(BinaryKind::add, index, start);
  }
  if (circular)
    index = node.binary(BinaryKind::mod, index, sizeOf(node, cache, axis));
  index = node.expand(index, node.shapeOf(update));
  if (!index)
    return failure();
  auto op = node.create<graph::ScatterElementsOp>(node.likeOf(cache), cache, index, update, axis,
                                                  graph::ScatterReduction::none);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::attentionOperators() {
  static const Operator operators[] = {
      {"Attention", {23, 24, 25}, 3, 7, importAttention, kFloats, "head size must be known"},
      {"RotaryEmbedding", {23}, 3, 4, importRotary, kFloats, "head size must be known"},
      {"RotaryEmbedding",
       {1},
       4,
       4,
       importMicrosoftRotary,
       kFloats,
       "no packed batches, no scale",
       "com.microsoft"},
      {"TensorScatter", {24}, 2, 3, importTensorScatter, kAny},
  };
  return operators;
}
