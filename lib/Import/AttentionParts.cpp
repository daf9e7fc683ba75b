// Steps that the attention operators share, and rotary embeddings.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/AttentionParts.h"
#include "lib/Import/Importer.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

int64_t lathe::import::staticDim(Value value, int64_t dim) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getDimSize(dim < 0 ? dim + type.getRank() : dim) : ShapedType::kDynamic;
}

bool lathe::import::haveSameSize(Node &node, Value a, Value b, int64_t dim) {
  auto sizes = a && b ? node.graphs().shapes.getDims(a) : std::nullopt;
  if (!sizes || size_t(dim) >= sizes->size())
    return false;
  AffineExpr size = (*sizes)[dim]; // what is asked next may move the sizes of `a`
  auto others = node.graphs().shapes.getDims(b);
  return others && size_t(dim) < others->size() && size && size == (*others)[dim];
}

Value lathe::import::splitHeads(Node &node, Value x, int64_t heads) {
  return node.transpose(node.reshape(x, {0, 0, heads, -1}), {0, 2, 1, 3});
}

Value lathe::import::joinHeads(Node &node, Value x) {
  return node.reshape(node.transpose(x, {0, 2, 1, 3}), {0, 0, -1});
}

Value lathe::import::asBias(Node &node, Value allowed, Type element, double otherwise) {
  return node.select(allowed, node.scalar(0, element), node.scalar(otherwise, element));
}

Value lathe::import::addBiases(Node &node, Value a, Value b) {
  return !a ? b : !b ? a : node.binary(BinaryKind::add, a, b);
}

double lathe::import::defaultScale(Node &node, Value &query) {
  int64_t size = staticDim(query, 3);
  if (!ShapedType::isDynamic(size) && size > 0)
    return 1 / std::sqrt(static_cast<double>(size));
  Type element = Node::elementOf(query), f32 = node.builder().getF32Type();
  Value root = node.unary(graph::UnaryKind::sqrt, node.cast(node.shapeOf(query, 3, 4), f32));
  query = node.cast(node.binary(BinaryKind::div, node.cast(query, f32), root), element);
  return 1;
}

Value lathe::import::repeatHeads(Node &node, Value x, Value query) {
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

Value lathe::import::attend(Node &node, Value query, Value key, Value value, Value bias,
                            double scale, bool causal) {
  if (!query || !key || !value)
    return {};
  // Where heads of queries share those of keys, the mask's heads are split like the queries', so
  // whether there is only one of them must be known.
  std::optional<int64_t> rank = bias ? Node::rankOf(bias) : std::nullopt;
  int64_t heads = staticDim(query, 1);
  bool mayShare = ShapedType::isDynamic(heads) || heads != staticDim(key, 1);
  if (mayShare && rank && *rank >= 3 && ShapedType::isDynamic(staticDim(bias, *rank - 3)))
    bias =
        node.expand(bias, node.concat({node.shapeOf(query, 1, 2), node.constant(Ints{1, 1})}, 0));
  auto op = node.create<graph::AttentionOp>(node.likeOf(query), query, key, value, bias,
                                            node.builder().getF32FloatAttr(scale),
                                            node.builder().getBoolAttr(causal));
  return op ? Value(op.getResult()) : Value();
}

// ---- Rotary embedding --------------------------------------------------------------------------

/// x[..., first::2]
static Value everySecond(Node &node, Value x, int64_t first, int64_t end) {
  if (!x)
    return {};
  auto op =
      node.create<graph::SliceOp>(node.likeOf(x), x, node.constant({first}), node.constant({end}),
                                  node.constant({3}), node.constant({2}));
  return op ? Value(op.getResult()) : Value();
}

/// Ends a function that returns a value after an error.
static Value reject(InFlightDiagnostic &&) { return {}; }

Value lathe::import::rotate(Node &node, Value x, Value cosines, Value sines, Value positions,
                            Rotation rotation) {
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || node.hasFailed())
    return {};
  if (*rank != 3 && *rank != 4)
    return reject(node.error() << "input 0 of " << node.opType() << " has rank " << *rank
                               << ", it takes 3 or 4");
  bool is3D = *rank == 3;
  if (is3D) {
    // The size of the caches tells that of a head where the number of heads is missing.
    int64_t half = staticDim(cosines, -1);
    if (rotation.heads > 0)
      x = node.reshape(x, {0, 0, rotation.heads, -1});
    else if (!ShapedType::isDynamic(half))
      x = node.reshape(x, {0, 0, -1, 2 * half});
    else
      x = node.reshape(x, node.concat({node.constant({0, 0, -1}),
                                       node.binary(BinaryKind::mul, node.shapeOf(cosines, -1), 2)},
                                      0));
  }
  if (!x)
    return {};
  int64_t size = staticDim(x, 3), rotated = rotation.rotated;
  bool isKnown = !ShapedType::isDynamic(size);
  if (rotated == 0 && isKnown)
    rotated = size;
  if (rotated < 0 || (isKnown && rotated > size) || rotated % 2 != 0)
    return reject(node.error() << node.opType() << " rotates " << rotated << " of "
                               << (isKnown ? Twine(size) : Twine("the"))
                               << " elements, it takes an even number of at most as many");
  if (positions) {
    cosines = node.gather(cosines, positions, 0);
    sines = node.gather(sines, positions, 0);
  }
  for (Value cache : {cosines, sines})
    if (Node::rankOf(cache) != 3)
      return cache ? reject(node.error()
                            << "the cosines and sines of " << node.opType() << " have type "
                            << cache.getType() << ", rank 3 is needed, or 2 and positions")
                   : Value();
  // Rank 3 is [B, S, H, D] by now, rank 4 is [B, H, S, D].
  int64_t headDim = is3D ? 2 : 1, pairDim = rotation.interleaved ? 4 : 3;
  cosines = node.unsqueeze(cosines, {headDim});
  sines = node.unsqueeze(sines, {headDim});
  // Reshapes have the run check that the caches fit what is rotated, and that this is even.
  bool isHalfKnown = isKnown || rotated > 0;
  Value half = isHalfKnown ? node.constant({rotated / 2}) : node.shapeOf(cosines, 3);
  for (Value *cache : {&cosines, &sines})
    if (!isHalfKnown || staticDim(*cache, 3) != rotated / 2)
      *cache = node.reshape(*cache, node.concat({node.constant({0, 0, 0}), half}, 0));
  Value first, second;
  if (isKnown) {
    first =
        rotation.interleaved ? everySecond(node, x, 0, rotated) : node.slice(x, 3, 0, rotated / 2);
    second = rotation.interleaved ? everySecond(node, x, 1, rotated)
                                  : node.slice(x, 3, rotated / 2, rotated);
  } else {
    SmallVector<Value> shape{node.constant({0, 0, 0}), half};
    shape.insert(shape.begin() + (pairDim - 2), node.constant(Ints{2}));
    Value pairs =
        node.reshape(rotated > 0 ? node.slice(x, 3, 0, rotated) : x, node.concat(shape, 0));
    first = node.squeeze(node.slice(pairs, pairDim, 0, 1), {pairDim});
    second = node.squeeze(node.slice(pairs, pairDim, 1, 2), {pairDim});
  }
  // Half precision is rounded once.
  Type element = Node::elementOf(x), wide = element.isF64() ? element : node.builder().getF32Type();
  for (Value *part : {&first, &second, &cosines, &sines})
    *part = node.cast(*part, wide);
  Value real = node.binary(BinaryKind::sub, node.binary(BinaryKind::mul, cosines, first),
                           node.binary(BinaryKind::mul, sines, second));
  Value imaginary = node.binary(BinaryKind::add, node.binary(BinaryKind::mul, sines, first),
                                node.binary(BinaryKind::mul, cosines, second));
  Value result;
  if (rotation.interleaved)
    result =
        node.reshape(node.concat({node.unsqueeze(real, {4}), node.unsqueeze(imaginary, {4})}, 4),
                     {0, 0, 0, isHalfKnown ? rotated : -1});
  else
    result = node.concat({real, imaginary}, 3);
  result = node.cast(result, element);
  if (isHalfKnown && rotated != size)
    result = node.concat({result, node.slice(x, 3, rotated, isKnown ? size : INT64_MAX)}, 3);
  return is3D ? node.reshape(result, {0, 0, -1}) : result;
}

static Rotation rotationAttributes(Node &node) {
  Rotation rotation;
  rotation.interleaved = node.flag("interleaved");
  rotation.heads = node.intAttribute("num_heads", 0);
  rotation.rotated = node.intAttribute("rotary_embedding_dim", 0);
  return rotation;
}

static LogicalResult importRotary(Node &node) {
  return node.result(rotate(node, node.input(0), node.input(1), node.input(2),
                            node.requireRange(node.input(3), "a position"),
                            rotationAttributes(node)));
}

/// com.microsoft has the positions second, and may have one position to count from.
static LogicalResult importMicrosoftRotary(Node &node) {
  // ONNX Runtime computes the same with any value of these.
  node.ignore({"is_packed_batching", "scale"});
  Value x = node.input(0), positions = node.input(1);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  if (*rank != 3 && *rank != 4)
    return node.error() << "input 0 of RotaryEmbedding has rank " << *rank << ", it takes 3 or 4";
  if (Node::rankOf(positions) == 1) {
    Value rows = node.iota(x, *rank == 3 ? 1 : 2);
    positions = node.unsqueeze(node.binary(BinaryKind::add, rows, positions), {0});
  }
  return node.result(rotate(node, x, node.input(2), node.input(3),
                            node.requireRange(positions, "a position"), rotationAttributes(node)));
}

ArrayRef<Operator> lathe::import::rotaryOperators() {
  static const Operator operators[] = {
      {"RotaryEmbedding", {23}, 3, 4, importRotary, kFloats},
      {"RotaryEmbedding", {1}, 4, 4, importMicrosoftRotary, kFloats, "", "com.microsoft"},
  };
  return operators;
}
