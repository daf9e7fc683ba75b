// Labels, scores and their transforms.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Scores.h"
#include "dialects/Graph/Weights.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

PostTransform lathe::import::postTransformAttribute(Node &node) {
  static constexpr StringRef names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  return static_cast<PostTransform>(node.choice("post_transform", names, 0));
}

/// Softmax that leaves zeros out: they stay zero, and add nothing to the sum.
static Value softmaxZero(Node &node, Value x) {
  Value largest = node.reduce(ReduceKind::max, x, Ints{1}, true);
  Value isZero = node.binary(BinaryKind::less_equal, node.unary(UnaryKind::abs, x), 1e-7);
  if (!largest || !isZero)
    return {};
  Value power = node.unary(UnaryKind::exp, node.binary(BinaryKind::sub, x, largest));
  Value kept = node.select(isZero, node.scalar(0, Node::elementOf(x)), power);
  Value sum = node.reduce(ReduceKind::sum, kept, Ints{1}, true);
  Value scaled = node.binary(BinaryKind::mul, x,
                             node.unary(UnaryKind::exp, node.unary(UnaryKind::neg, largest)));
  return node.binary(BinaryKind::div, node.select(isZero, scaled, power), sum);
}

/// The inverse of the normal distribution, by the approximation that this transform is known by.
static Value probit(Node &node, Value score) {
  Value x = node.binary(BinaryKind::sub, node.binary(BinaryKind::mul, score, 2), 1);
  if (!x)
    return {};
  Type element = Node::elementOf(x);
  Value one = node.scalar(1, element);
  Value rest = node.binary(BinaryKind::mul, node.binary(BinaryKind::sub, one, x),
                           node.binary(BinaryKind::add, one, x));
  Value log = node.unary(UnaryKind::log, rest);
  Value a =
      node.binary(BinaryKind::add, node.binary(BinaryKind::mul, log, 0.5), 2 / (3.14159 * 0.147));
  Value b = node.binary(BinaryKind::mul, log, 1 / 0.147);
  Value inner = node.unary(UnaryKind::sqrt,
                           node.binary(BinaryKind::sub, node.binary(BinaryKind::mul, a, a), b));
  Value size = node.unary(UnaryKind::sqrt, node.binary(BinaryKind::sub, inner, a));
  Value negative = node.binary(BinaryKind::less, x, 0.0);
  return node.binary(BinaryKind::mul, node.select(negative, node.unary(UnaryKind::neg, size), size),
                     1.41421356);
}

Value lathe::import::applyTransform(Node &node, PostTransform transform, Value scores) {
  switch (transform) {
  case PostTransform::none:
    return scores;
  case PostTransform::softmax:
    return node.softmax(scores, 1);
  case PostTransform::logistic:
    return node.unary(UnaryKind::sigmoid, scores);
  case PostTransform::softmax_zero:
    return softmaxZero(node, scores);
  case PostTransform::probit:
    return probit(node, scores);
  }
  llvm_unreachable("all transforms are covered");
}

Value lathe::import::transformTargets(Node &node, PostTransform transform, Value scores,
                                      int64_t targets) {
  if (targets == 1 && transform != PostTransform::probit)
    return scores;
  return applyTransform(node, transform, scores);
}

Value lathe::import::scoresOfTwo(Node &node, PostTransform transform, Value score, bool fraction) {
  Value negative = node.unary(UnaryKind::neg, score);
  if (transform == PostTransform::logistic)
    return node.unary(UnaryKind::sigmoid, node.concat({negative, score}, 1));
  if (transform == PostTransform::probit) // of probabilities, which add up to 1
    return probit(node, node.concat({node.binary(BinaryKind::add, negative, 1), score}, 1));
  return node.concat({fraction ? node.binary(BinaryKind::add, negative, 1) : negative, score}, 1);
}

ClassLabels lathe::import::classLabels(Node &node, StringRef ints, StringRef strings) {
  Ints numbers = node.intsAttribute(ints).value_or(Ints());
  auto names = node.stringsAttribute(strings).value_or(std::vector<std::string>());
  if (node.hasFailed())
    return {};
  if (numbers.empty() == names.empty()) {
    node.error() << node.opType() << " has " << (names.empty() ? "neither" : "both") << " of '"
                 << ints << "' and '" << strings << "', it takes one";
    return {};
  }
  if (names.empty())
    return {node.constant(numbers), int64_t(numbers.size())};
  return {node.constantStrings(names), int64_t(names.size())};
}

Value lathe::import::lookUpLabels(Node &node, const ClassLabels &labels, Value classes) {
  return node.gather(labels.table, classes, 0);
}

Value lathe::import::labelOfTwo(Node &node, const ClassLabels &labels, Value score, double least) {
  Value wins = node.squeeze(node.binary(BinaryKind::greater, score, least), {1});
  return lookUpLabels(node, labels, node.cast(wins, node.builder().getI64Type()));
}

Value lathe::import::labelOfBest(Node &node, const ClassLabels &labels, Value scores) {
  if (!scores)
    return {};
  auto best = node.create<graph::ArgReduceOp>(node.tensorOf(node.builder().getI64Type()), scores,
                                              /*smallest=*/false, 1, /*keep_dims=*/false,
                                              /*select_last=*/false);
  return best ? lookUpLabels(node, labels, best.getResult()) : Value();
}

Value lathe::import::asRows(Node &node, Value x, bool keepDouble) {
  std::optional<int64_t> rank = node.requireRank(x, "the input");
  if (!rank)
    return {};
  if (*rank != 1 && *rank != 2) {
    node.error() << "the input of " << node.opType() << " has rank " << *rank
                 << ", it takes 1 or 2";
    return {};
  }
  if (!keepDouble || !Node::elementOf(x).isF64())
    x = node.cast(x, node.builder().getF32Type());
  return *rank == 1 ? node.unsqueeze(x, {0}) : x;
}

Value lathe::import::floatConstant(Node &node, ArrayRef<int64_t> shape, ArrayRef<double> values,
                                   Type element) {
  auto type = RankedTensorType::get(shape, element);
  if (element.isF64())
    return node.constant(graph::makeConstantAttr(
        type, ArrayRef(reinterpret_cast<const char *>(values.data()), values.size() * 8)));
  std::vector<float> narrow(values.begin(), values.end());
  return node.constant(graph::makeConstantAttr(
      type, ArrayRef(reinterpret_cast<const char *>(narrow.data()), narrow.size() * 4)));
}
