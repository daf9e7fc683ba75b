// Attention of com.microsoft: projections, masks and caches around the one operation.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/AttentionParts.h"
#include "lib/Import/Operators.h"
#include "lib/Import/QuantizedLinear.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

namespace {
/// Queries [B, N, S, H], keys and values [B, N, T, H], and what is added to the scores.
struct Heads {
  Value query, key, value, bias;
};
} // namespace

/// 1 / sqrt(head size), unless the node says another scale.
static double scaleAttribute(Node &node, Value &query) {
  double given = node.floatAttribute("scale", 0);
  return given != 0 ? given : defaultScale(node, query);
}

/// What masks of padding add to scores [B, N, S, T]: `lengths` tells the valid keys of each batch
/// ([B], or [2 B] with the first valid ones behind, or [3 B + 2] with what only packed queries need
/// behind), or is 0 for keys to leave out ([B, T], or [B, S, T]).
static Value paddingBias(Node &node, Value mask, const Heads &heads, double filter) {
  std::optional<int64_t> rank = node.requireRank(mask, "the mask");
  if (!rank)
    return {};
  Type element = Node::elementOf(heads.query);
  if (*rank == 2 || *rank == 3) {
    Value allowed =
        node.binary(BinaryKind::greater, mask, node.scalarInt(0, Node::elementOf(mask)));
    return asBias(node, node.unsqueeze(allowed, *rank == 2 ? Ints{1, 2} : Ints{1}), element,
                  filter);
  }
  if (*rank != 1) {
    node.error() << "the mask of " << node.opType() << " has rank " << *rank
                 << ", it takes 1, 2 or 3";
    return {};
  }
  int64_t given = staticDim(mask, 0), batch = staticDim(heads.query, 0);
  bool isKnown = !ShapedType::isDynamic(given) && !ShapedType::isDynamic(batch);
  if (isKnown && given != batch && given != 2 * batch && given != 3 * batch + 2) {
    node.error() << "the mask of " << node.opType() << " has " << given << " elements for " << batch
                 << " batches, it takes one, or two for each, or three for each and 2 more";
    return {};
  }
  Type i64 = node.builder().getI64Type();
  Value columns = node.iota(heads.key, 2), limits = node.cast(mask, i64), end = limits, start;
  if (isKnown ? given != batch : !haveSameSize(node, mask, heads.query, 0)) {
    // The lengths come first. Only the run may know what is behind: the first valid keys in one of
    // the forms. No other form has a place for the lengths.
    Value count = node.sizeOf(mask, 0), batches = node.sizeOf(heads.query, 0);
    Value zero = node.scalarInt(0, i64);
    auto isCount = [&](int64_t times, int64_t more) {
      Value wanted = node.binary(BinaryKind::mul, batches, node.scalarInt(times, i64));
      wanted = node.binary(BinaryKind::add, wanted, node.scalarInt(more, i64));
      return node.binary(BinaryKind::equal, count, wanted);
    };
    Value hasStart = isCount(2, 0);
    Value isValid = node.binary(BinaryKind::logical_or, hasStart, isCount(3, 2));
    isValid = node.binary(BinaryKind::logical_or, isValid, isCount(1, 0));
    Value index =
        node.binary(BinaryKind::add, node.iota(heads.query, 0), node.select(isValid, zero, count));
    end = node.gather(limits, index, 0);
    index = node.binary(BinaryKind::add, index, node.select(hasStart, batches, zero));
    start = node.select(hasStart, node.gather(limits, index, 0), zero);
  }
  auto perBatch = [&](Value list) { return node.unsqueeze(list, {1, 2, 3}); };
  Value allowed = node.binary(BinaryKind::less, columns, perBatch(end));
  if (start)
    allowed = node.binary(BinaryKind::logical_and, allowed,
                          node.binary(BinaryKind::greater_equal, columns, perBatch(start)));
  return asBias(node, allowed, element, filter);
}

/// What hides the keys behind a query, which counts from the end of the past (null: from the first
/// key). As in ONNX Runtime the last query sees all keys, also those behind its own place.
static Value causalBias(Node &node, const Heads &heads, Value past) {
  Value rows = node.iota(heads.query, 2), columns = node.iota(heads.key, 2);
  Value end = node.binary(BinaryKind::sub, node.sizeOf(heads.query, 2),
                          node.scalarInt(1, node.builder().getI64Type()));
  Value isLast = node.binary(BinaryKind::equal, rows, end);
  Value places = past ? node.binary(BinaryKind::add, rows, node.sizeOf(past, 2)) : rows;
  Value seen = node.binary(BinaryKind::less_equal, columns, node.unsqueeze(places, {1}));
  return asBias(node, node.binary(BinaryKind::logical_or, seen, node.unsqueeze(isLast, {1})),
                Node::elementOf(heads.query));
}

/// Attention of `heads` where the last query sees the last key; the result is [B, S, N * H].
static Value attendHeads(Node &node, const Heads &heads, bool causal) {
  Value query = heads.query;
  double scale = scaleAttribute(node, query);
  return joinHeads(node, attend(node, query, heads.key, heads.value, heads.bias, scale, causal));
}

// ---- Attention, QAttention ---------------------------------------------------------------------

/// From the projection [B, S, Q + K + V] on; operands `mask`, `past` and `bias` may be missing.
static LogicalResult importProjected(Node &node, Value projected, Value mask, Value past,
                                     Value bias) {
  int64_t heads = node.intAttribute("num_heads", 0);
  bool causal = node.flag("unidirectional");
  double filter = node.floatAttribute("mask_filter_value", -10000);
  std::optional<Ints> sizes = node.intsAttribute("qkv_hidden_sizes");
  if (node.flag("do_rotary"))
    return node.error() << node.opType() << " with do_rotary is not supported";
  if (node.flag("past_present_share_buffer"))
    return node.error() << node.opType() << " with past_present_share_buffer is not supported";
  node.ignore({"rotary_embedding_dim"});
  if (!projected || node.hasFailed())
    return failure();
  if (Node::rankOf(projected) != 3)
    return node.error() << "input 0 of " << node.opType() << " must have rank 3";
  int64_t width = staticDim(projected, 2);
  if (ShapedType::isDynamic(width))
    return node.error() << "the size of the projection of " << node.opType()
                        << " is not known when compiling";
  if (!sizes || sizes->empty())
    sizes = Ints(3, width / 3);
  if (sizes->size() != 3 || (*sizes)[0] != (*sizes)[1] || (*sizes)[0] <= 0 || (*sizes)[2] <= 0 ||
      (*sizes)[0] + (*sizes)[1] + (*sizes)[2] != width || heads < 1 || (*sizes)[0] % heads != 0 ||
      (*sizes)[2] % heads != 0)
    return node.error() << node.opType() << " projects to " << width
                        << " elements, which cannot be queries, keys and values of " << heads
                        << " heads";
  Heads parts;
  int64_t begin = 0;
  for (auto [part, size] :
       llvm::zip(std::initializer_list<Value *>{&parts.query, &parts.key, &parts.value}, *sizes)) {
    *part = splitHeads(node, node.slice(projected, 2, begin, begin + size), heads);
    begin += size;
  }
  if (past) {
    if (Node::rankOf(past) != 5)
      return node.error() << "the past of " << node.opType() << " must have rank 5";
    parts.key = node.concat({node.squeeze(node.slice(past, 0, 0, 1), {0}), parts.key}, 2);
    parts.value = node.concat({node.squeeze(node.slice(past, 0, 1, 2), {0}), parts.value}, 2);
  }
  if (node.wantsOutput(1))
    node.setResult(
        1, node.concat({node.unsqueeze(parts.key, {0}), node.unsqueeze(parts.value, {0})}, 0));
  if (!parts.query || !parts.key || !parts.value)
    return failure();
  parts.bias = bias;
  if (mask)
    parts.bias = addBiases(node, paddingBias(node, mask, parts, filter), bias);
  return node.result(attendHeads(node, parts, causal));
}

static LogicalResult importMicrosoftAttention(Node &node) {
  Value projected = node.matmul(node.input(0), node.input(1));
  if (node.hasInput(2))
    projected = node.binary(BinaryKind::add, projected, node.input(2));
  return importProjected(node, projected, node.input(3), node.input(4), node.input(5));
}

/// Operands: input, weight, bias, the scales of both, a mask, the zero points of both, the past.
static LogicalResult importQAttention(Node &node) {
  Value projected = integerProduct(node, node.input(0), node.input(1), node.require(3),
                                   node.require(4), node.input(6), node.input(7));
  if (projected)
    projected = node.binary(BinaryKind::add, projected, node.require(2));
  return importProjected(node, projected, node.input(5), node.input(8), Value());
}

// ---- MultiHeadAttention ------------------------------------------------------------------------

/// [B, S, N, parts, H] into `parts` tensors of [B, N, S, H].
static SmallVector<Value> unpack(Node &node, Value packed, int64_t parts) {
  SmallVector<Value> result;
  for (int64_t i = 0; i < parts; ++i)
    result.push_back(
        node.transpose(node.squeeze(node.slice(packed, 3, i, i + 1), {3}), {0, 2, 1, 3}));
  return result;
}

static LogicalResult importMultiHead(Node &node) {
  Value query = node.input(0), key = node.input(1), value = node.input(2);
  int64_t count = node.intAttribute("num_heads", 0);
  double filter = node.floatAttribute("mask_filter_value", -10000);
  bool causal = node.flag("unidirectional");
  std::optional<int64_t> rank = node.requireRank(query, "input 0");
  if (!rank)
    return failure();
  if (count < 1)
    return node.error() << "attribute 'num_heads' of MultiHeadAttention is " << count;
  for (unsigned i : {8, 9})
    if (node.hasInput(i))
      return node.error() << "MultiHeadAttention with a cache in place is not supported";
  if (bool(node.input(6)) != bool(node.input(7)))
    return node.error() << "MultiHeadAttention has one of past_key and past_value";
  // The bias is that of the three projections one behind the other.
  Value bias = node.input(3);
  Value none = node.constant(Ints{0}), hidden, twice, all = node.constant(Ints{INT64_MAX});
  if (bias && *rank == 3) {
    hidden = node.shapeOf(query, 2, 3);
    twice = node.binary(BinaryKind::add, hidden, hidden);
  }
  auto withBias = [&](Value x, Value begin, Value end) {
    if (!bias || !x)
      return x;
    Value part = node.slice(bias, 0, begin, end);
    return node.requireShapeOf(node.binary(BinaryKind::add, x, part), x);
  };
  Heads heads;
  if (*rank == 5) {
    if (key || value || bias)
      return node.error() << "MultiHeadAttention with packed queries takes no keys, values or bias";
    SmallVector<Value> parts = unpack(node, query, 3);
    heads = {parts[0], parts[1], parts[2], {}};
  } else if (*rank != 3 || !key) {
    return node.error() << "MultiHeadAttention takes queries of rank 3 with keys, or of rank 5";
  } else {
    heads.query = splitHeads(node, withBias(query, none, hidden), count);
    std::optional<int64_t> keyRank = node.requireRank(key, "input 1");
    if (keyRank == 5 && !value && !bias) {
      SmallVector<Value> parts = unpack(node, key, 2);
      heads.key = parts[0];
      heads.value = parts[1];
    } else if (keyRank == 4 && value) {
      heads.key = key;
      heads.value = value;
    } else if (keyRank == 3 && value) {
      heads.key = splitHeads(node, withBias(key, hidden, twice), count);
      heads.value = splitHeads(node, withBias(value, twice, all), count);
    } else {
      return node.error() << "MultiHeadAttention takes keys and values of rank 3 or 4, or packed "
                             "ones of rank 5 without a bias";
    }
  }
  // The operation's own causal mask lines up the last query with the last key.
  bool endsTogether = haveSameSize(node, heads.query, heads.key, 2);
  if (node.hasInput(6)) {
    heads.key = node.concat({node.input(6), heads.key}, 2);
    heads.value = node.concat({node.input(7), heads.value}, 2);
  }
  node.setResult(1, heads.key);
  node.setResult(2, heads.value);
  if (!heads.query || !heads.key || !heads.value)
    return failure();
  heads.bias = node.input(5);
  if (node.hasInput(4))
    heads.bias = addBiases(node, paddingBias(node, node.input(4), heads, filter), heads.bias);
  if (causal && !endsTogether)
    heads.bias = addBiases(node, causalBias(node, heads, node.input(6)), heads.bias);
  return node.result(attendHeads(node, heads, causal && endsTogether));
}

// ---- GroupQueryAttention -----------------------------------------------------------------------

namespace {
/// One node on its way. Every batch has its own number of keys in the cache, which only the run
/// knows, so what belongs to the past is told per batch.
struct GroupQuery {
  Node &node;
  Type element;
  int64_t heads = 0, groups = 0;
  double cap = 0;          // on scores; 0: none
  bool smooth = false;     // whether a score of 0 takes part in the softmax
  Value query, key, value; // [B, S, heads * H]
  Value lengths;           // [B]: keys in the cache after this step, without padding
  Value isPrompt;          // scalar: whether there is no past
  Value past;              // [B]: keys in the cache before this step
  Value wanted;            // scalar: the greatest of the lengths
  Value total;             // scalar: keys that a present cache has room for

  explicit GroupQuery(Node &node) : node(node) {}
  bool read();
  void readPast();
  Value positions();
  Value append(Value cache, Value fresh);
  Value allowed(int64_t window);
  Value upToWanted(Value x, int64_t axis);
  bool isPlain() const { return cap <= 0 && !smooth && !node.hasInput(11); }
  /// The type that all but plain attention is computed in: half precision is rounded once.
  Type wide() const { return element.isF64() ? element : node.builder().getF32Type(); }
  Value attention(Value q, Value k, Value v, Value bias, double scale);
};
} // namespace

bool GroupQuery::read() {
  query = node.input(0), key = node.input(1), value = node.input(2);
  element = Node::elementOf(query);
  heads = node.intAttribute("num_heads", 0), groups = node.intAttribute("kv_num_heads", 0);
  if (Node::rankOf(query) != 3 || heads < 1 || groups < 1 || heads % groups != 0) {
    node.error() << "GroupQueryAttention takes queries of rank 3 and a number of heads that "
                    "divides by that of keys, it has "
                 << heads << " and " << groups << " heads";
    return false;
  }
  if (bool(key) != bool(value) || node.hasInput(3) != node.hasInput(4)) {
    node.error() << "GroupQueryAttention has keys without values or the other way round";
    return false;
  }
  if (key)
    return true;
  int64_t width = staticDim(query, 2), all = heads + 2 * groups;
  if (ShapedType::isDynamic(width)) {
    node.error()
        << "the size of packed queries, keys and values of GroupQueryAttention is not known "
           "when compiling";
    return false;
  }
  if (width % all != 0) {
    node.error() << "packed queries, keys and values of GroupQueryAttention have a size that "
                    "does not divide by "
                 << all << " heads";
    return false;
  }
  int64_t size = width / all;
  key = node.slice(query, 2, heads * size, (heads + groups) * size);
  value = node.slice(query, 2, (heads + groups) * size, width);
  query = node.slice(query, 2, 0, heads * size);
  return query && key && value;
}

/// With as many queries as keys there is no past, whatever the lengths say: prompts are padded
/// behind.
void GroupQuery::readPast() {
  Type i64 = node.builder().getI64Type();
  lengths = node.binary(BinaryKind::add, node.cast(node.reshape(node.require(5), {-1}), i64), 1);
  wanted = node.cast(node.reshape(node.require(6), Ints{}), i64);
  Value count = node.sizeOf(query, 1);
  if (!lengths || !wanted || !count)
    return;
  Value zero = node.scalarInt(0, i64);
  Value before = node.binary(BinaryKind::sub, lengths, count);
  isPrompt = node.binary(BinaryKind::equal, wanted, count);
  past = node.select(isPrompt, zero, node.binary(BinaryKind::max, before, zero));
  total = wanted;
  if (node.hasInput(3))
    total = node.binary(BinaryKind::max, total, node.sizeOf(node.input(3), 2));
}

/// Of the queries, counted from the first key: [B, S].
Value GroupQuery::positions() {
  return node.binary(BinaryKind::add, node.iota(query, 1), node.unsqueeze(past, {1}));
}

/// The cache [B, groups, P, H] up to the past of each batch, then `fresh`, then zeros.
Value GroupQuery::append(Value cache, Value fresh) {
  Type i64 = node.builder().getI64Type();
  Value rows = node.range(node.scalarInt(0, i64), total, node.scalarInt(1, i64));
  Value before = node.unsqueeze(past, {1});
  Value added = node.sizeOf(fresh, 2), shift = node.scalarInt(0, i64);
  SmallVector<Value> pieces{fresh};
  if (cache) {
    pieces.insert(pieces.begin(), cache);
    shift = node.sizeOf(cache, 2);
  }
  Value blankShape =
      node.concat({node.shapeOf(fresh, 0, 2), node.constant({1}), node.shapeOf(fresh, 3, 4)}, 0);
  pieces.push_back(node.full(blankShape, 0, element));
  Value all = node.concat(pieces, 2);
  // Where each row comes from in all of these.
  Value isOld = node.binary(BinaryKind::less, rows, before);
  Value behind = node.binary(BinaryKind::sub, rows, before);
  Value isNew = node.binary(BinaryKind::less, behind, added);
  Value blank = node.binary(BinaryKind::add, shift, added);
  Value index = node.select(isOld, rows,
                            node.select(isNew, node.binary(BinaryKind::add, behind, shift), blank));
  Value shape = node.concat({node.shapeOf(fresh, 0, 2), node.reshape(total, Ints{1})}, 0);
  index = node.expand(node.unsqueeze(index, {1}), shape);
  if (!all || !index)
    return {};
  auto op = node.create<graph::GatherNDOp>(node.likeOf(all), all, node.unsqueeze(index, {3}),
                                           /*batch_dims=*/2);
  return op ? Value(op.getResult()) : Value();
}

/// Which keys a query sees, as [B, 1, S, T].
Value GroupQuery::allowed(int64_t window) {
  Type i64 = node.builder().getI64Type();
  Value columns = node.range(node.scalarInt(0, i64), total, node.scalarInt(1, i64));
  Value rows = node.unsqueeze(positions(), {1, 3});
  Value seen = node.binary(BinaryKind::less_equal, columns, rows);
  // Queries of the padding behind a prompt see no keys of the padding.
  seen = node.binary(BinaryKind::logical_and, seen,
                     node.binary(BinaryKind::less, columns, node.unsqueeze(lengths, {1, 2, 3})));
  if (window < 0)
    return seen;
  Value distance = node.binary(BinaryKind::sub, rows, columns);
  return node.binary(BinaryKind::logical_and, seen,
                     node.binary(BinaryKind::less, distance, node.scalarInt(window, i64)));
}

/// The part of `x` that belongs to keys in use.
Value GroupQuery::upToWanted(Value x, int64_t axis) {
  return node.slice(x, axis, node.constant(Ints{0}), node.reshape(wanted, Ints{1}));
}

/// Attention with what graph.attention lacks: a cap on scores, and a score that takes part in the
/// sum of a softmax without a value (0, or one per head).
Value GroupQuery::attention(Value q, Value k, Value v, Value bias, double scale) {
  if (isPlain())
    return attend(node, q, k, v, bias, scale, /*causal=*/false);
  Type wide = this->wide();
  Value sink = node.input(11);
  q = node.cast(q, wide), k = node.cast(k, wide), v = node.cast(v, wide);
  if (!q || !k || !v)
    return {};
  Value scores = node.matmul(q, node.swapLastTwo(repeatHeads(node, k, q)));
  scores = node.binary(BinaryKind::mul, scores, scale);
  if (cap > 0)
    scores =
        node.binary(BinaryKind::mul,
                    node.unary(UnaryKind::tanh, node.binary(BinaryKind::div, scores, cap)), cap);
  scores = node.binary(BinaryKind::add, scores, node.cast(bias, wide));
  if (!scores)
    return {};
  Value weights;
  if (smooth || sink) {
    Value extra = sink ? node.reshape(node.cast(sink, wide), {1, -1, 1, 1}) : node.scalar(0, wide);
    Value shape = node.concat({node.shapeOf(scores, 0, 3), node.constant({1})}, 0);
    weights = node.softmax(node.concat({scores, node.expand(extra, shape)}, 3), 3);
    weights = node.slice(weights, 3, 0, -1);
  } else {
    weights = node.softmax(scores, 3);
  }
  return node.cast(node.matmul(weights, repeatHeads(node, v, q)), element);
}

static LogicalResult importGroupQuery(Node &node) {
  GroupQuery builder(node);
  if (!builder.read())
    return failure();
  builder.cap = node.floatAttribute("softcap", 0);
  builder.smooth = node.flag("smooth_softmax");
  int64_t window = node.intAttribute("local_window_size", -1);
  bool rotary = node.flag("do_rotary");
  Rotation rotation{node.flag("rotary_interleaved"), builder.heads};
  node.ignore({"qk_output"});
  if (node.wantsOutput(3) || node.hasInput(12) || node.hasInput(13))
    return node.error() << "GroupQueryAttention with scores as a result, or with scales of a "
                           "quantized cache, is not supported";
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (node.choice(name, {"NONE", "PER_TENSOR", "PER_CHANNEL"}, 0) != 0)
      return node.error() << "GroupQueryAttention with a quantized cache is not supported";
  node.ignore({"kv_cache_bit_width"});
  builder.readPast();
  if (node.hasFailed() || !builder.past)
    return failure();
  if (rotary) {
    Value cosines = node.require(7), sines = node.require(8);
    if (!cosines || !sines)
      return failure();
    Value positions = builder.positions();
    if (Value given = node.input(9)) {
      // Of a prompt only the first of the given positions counts.
      Value first = node.gather(node.reshape(given, {-1}), node.constant(Ints{0}), 0);
      positions =
          node.select(builder.isPrompt, node.binary(BinaryKind::add, positions, first), given);
    }
    int64_t half = staticDim(cosines, -1);
    rotation.rotated = ShapedType::isDynamic(half) ? 0 : 2 * half;
    builder.query = rotate(node, builder.query, cosines, sines, positions, rotation);
    rotation.heads = builder.groups;
    builder.key = rotate(node, builder.key, cosines, sines, positions, rotation);
  }
  if (node.hasFailed())
    return failure();
  Value query = splitHeads(node, builder.query, builder.heads);
  Value key = builder.append(node.input(3), splitHeads(node, builder.key, builder.groups));
  Value value = builder.append(node.input(4), splitHeads(node, builder.value, builder.groups));
  node.setResult(1, key);
  node.setResult(2, value);
  if (!query || !key || !value)
    return failure();
  if (!builder.isPlain())
    query = node.cast(query, builder.wide());
  double scale = scaleAttribute(node, query);
  // A bias has no place for the rest of a cache that has room for more keys.
  if (node.hasInput(10)) {
    key = builder.upToWanted(key, 2);
    value = builder.upToWanted(value, 2);
    builder.total = builder.wanted;
  }
  Value bias = asBias(node, builder.allowed(window), builder.element);
  if (node.hasInput(10))
    bias = addBiases(node, bias, builder.upToWanted(node.input(10), 3));
  if (!bias)
    return failure();
  Value result = builder.attention(query, key, value, bias, scale);
  if (window >= 0) {
    // Queries of the padding may be too far behind all keys; their result is 0, as is that of all
    // with a window of nothing.
    Value distance =
        node.binary(BinaryKind::sub, builder.positions(), node.unsqueeze(builder.lengths, {1}));
    Value limit = node.scalarInt(window > 0 ? window - 1 : INT64_MIN, node.builder().getI64Type());
    Value seesAny = node.binary(BinaryKind::less, distance, limit);
    result = node.select(node.unsqueeze(seesAny, {1, 3}), result, node.scalar(0, builder.element));
  }
  return node.result(joinHeads(node, result));
}

// ---- Embeddings --------------------------------------------------------------------------------

/// Operands: ids, segments, three tables, scale and bias of the normalization, mask, positions.
static LogicalResult importEmbedLayerNorm(Node &node) {
  Value ids = node.input(0), positions = node.input(8), mask = node.input(7);
  if (Node::rankOf(ids) != 2)
    return node.error() << "input 0 of EmbedLayerNormalization must have rank 2";
  if (!positions)
    positions = node.iota(ids, 1);
  Value sum = node.binary(BinaryKind::add, node.gather(node.require(2), ids, 0),
                          node.gather(node.require(3), positions, 0));
  if (node.hasInput(1) && node.hasInput(4))
    sum = node.binary(BinaryKind::add, sum, node.gather(node.input(4), node.input(1), 0));
  Value scale = node.require(5), bias = node.require(6);
  double epsilon = node.floatAttribute("epsilon", 1e-12f);
  node.ignore({"mask_index_type"});
  if (!sum || !scale || !bias)
    return failure();
  Type i32 = node.builder().getI32Type();
  auto op = node.create<graph::LayerNormOp>(
      node.likeOf(sum), Type(), Type(), sum, scale, bias, node.builder().getI64IntegerAttr(2),
      node.builder().getF32FloatAttr(epsilon), node.builder().getBoolAttr(false));
  if (!op)
    return failure();
  if (node.wantsOutput(1)) {
    // The number of words is that of ones.
    Value isWord = mask ? node.binary(BinaryKind::equal, mask, node.scalarInt(1, i32)) : Value();
    node.setResult(1, mask ? node.reduce(graph::ReduceKind::sum, node.cast(isWord, i32), Ints{1},
                                         /*keepDims=*/false)
                           : node.full(node.shapeOf(ids, 0, 1), 0, i32));
  }
  node.setResult(2, sum);
  return node.result(op.getResult());
}

ArrayRef<Operator> lathe::import::microsoftAttentionOperators() {
  static constexpr StringRef microsoft = "com.microsoft";
  static const Operator operators[] = {
      {"Attention",
       {1},
       2,
       7,
       importMicrosoftAttention,
       kFloats,
       "no rotary embedding, no masks of rank 4, no shared buffers",
       microsoft},
      {"QAttention", {1}, 5, 9, importQAttention, kSigned | kUnsigned, "as Attention", microsoft},
      {"MultiHeadAttention",
       {1},
       1,
       10,
       importMultiHead,
       kFloats,
       "no masks of rank 4, no cache in place, no scores",
       microsoft},
      {"GroupQueryAttention",
       {1},
       1,
       14,
       importGroupQuery,
       kFloats,
       "no quantized cache, no scores",
       microsoft},
      {"EmbedLayerNormalization", {1}, 1, 9, importEmbedLayerNorm, kSigned, "", microsoft},
  };
  return operators;
}
