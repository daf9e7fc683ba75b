// Linear models and support vector machines (ai.onnx.ml): matrix products and what follows.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/Scores.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

static SmallVector<double> floatsOf(Node &node, StringRef name) {
  return node.floatsAttribute(name).value_or(SmallVector<double>());
}

/// `values` written as [rows, count / rows] turned around: [count / rows, rows].
static Value turned(Node &node, ArrayRef<double> values, int64_t rows) {
  int64_t columns = values.size() / rows;
  SmallVector<double> result(values.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      result[j * rows + i] = values[i * columns + j];
  return floatConstant(node, {columns, rows}, result, node.builder().getF32Type());
}

/// Reports a list that cannot be divided into `parts`.
static bool divides(Node &node, StringRef name, size_t count, int64_t parts) {
  if (parts > 0 && count > 0 && count % parts == 0)
    return true;
  node.error() << "attribute '" << name << "' of " << node.opType() << " has " << count
               << " values, which don't divide by " << parts;
  return false;
}

static Value addRow(Node &node, Value scores, ArrayRef<double> row) {
  if (row.empty())
    return scores;
  return node.binary(BinaryKind::add, scores,
                     floatConstant(node, {int64_t(row.size())}, row, node.builder().getF32Type()));
}

// ---- Linear models -----------------------------------------------------------------------------

static LogicalResult importLinearRegressor(Node &node) {
  SmallVector<double> coefficients = floatsOf(node, "coefficients");
  SmallVector<double> intercepts = floatsOf(node, "intercepts");
  int64_t targets = node.intAttribute("targets", 1);
  PostTransform transform = postTransformAttribute(node);
  Value x = asRows(node, node.input(0));
  if (!x || node.hasFailed() || !divides(node, "coefficients", coefficients.size(), targets))
    return failure();
  if (!intercepts.empty() && int64_t(intercepts.size()) != targets)
    return node.error() << "attribute 'intercepts' of LinearRegressor has " << intercepts.size()
                        << " values, there are " << targets << " targets";
  Value scores = addRow(node, node.matmul(x, turned(node, coefficients, targets)), intercepts);
  return node.result(transformTargets(node, transform, scores, targets));
}

static LogicalResult importLinearClassifier(Node &node) {
  ClassLabels labels = classLabels(node, "classlabels_ints", "classlabels_strings");
  SmallVector<double> coefficients = floatsOf(node, "coefficients");
  SmallVector<double> intercepts = floatsOf(node, "intercepts");
  PostTransform transform = postTransformAttribute(node);
  node.ignore({"multi_class"}); // says how the model was trained
  Value x = asRows(node, node.input(0));
  int64_t rows = intercepts.empty() ? labels.count : intercepts.size();
  if (!x || !labels.table || node.hasFailed() ||
      !divides(node, "coefficients", coefficients.size(), rows))
    return failure();
  if (rows != labels.count && !(rows == 1 && labels.count == 2))
    return node.error() << "LinearClassifier has " << labels.count << " labels for " << rows
                        << " rows of coefficients";
  Value scores = addRow(node, node.matmul(x, turned(node, coefficients, rows)), intercepts);
  if (rows == 1 && labels.count == 2) {
    node.setResult(0, labelOfTwo(node, labels, scores, 0));
    node.setResult(1, scoresOfTwo(node, transform, scores, /*fraction=*/true));
    return node.status();
  }
  node.setResult(0, labelOfBest(node, labels, scores));
  node.setResult(1, transformTargets(node, transform, scores, rows));
  return node.status();
}

// ---- Support vector machines -------------------------------------------------------------------

namespace {
struct SvmKernel {
  enum Kind { linear, poly, rbf, sigmoid } kind;
  double gamma = 0, shift = 0, degree = 3;
};
} // namespace

static SvmKernel kernelAttributes(Node &node) {
  static constexpr StringRef names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
  SvmKernel kernel{SvmKernel::Kind(node.choice("kernel_type", names, 0))};
  SmallVector<double> parameters = floatsOf(node, "kernel_params");
  if (parameters.size() >= 3) {
    kernel.gamma = parameters[0];
    kernel.shift = parameters[1];
    kernel.degree = parameters[2];
  } else if (kernel.kind != SvmKernel::linear || !parameters.empty()) {
    node.error() << "attribute 'kernel_params' of " << node.opType() << " has " << parameters.size()
                 << " values, it takes 3";
  }
  return kernel;
}

/// The kernel between the rows of `x` and `count` vectors: [rows, count].
static Value applyKernel(Node &node, const SvmKernel &kernel, Value x, ArrayRef<double> vectors,
                         int64_t count) {
  if (kernel.kind == SvmKernel::rbf) {
    // Differences first: squares of both would cancel.
    Value others = floatConstant(node, {count, int64_t(vectors.size()) / count}, vectors,
                                 node.builder().getF32Type());
    Value difference = node.binary(BinaryKind::sub, node.unsqueeze(x, {1}), others);
    Value distance = node.reduce(ReduceKind::sum_square, difference, Ints{2}, false);
    return node.unary(UnaryKind::exp, node.binary(BinaryKind::mul, distance, -kernel.gamma));
  }
  Value product = node.matmul(x, turned(node, vectors, count));
  if (kernel.kind == SvmKernel::linear)
    return product;
  product = node.binary(BinaryKind::add, node.binary(BinaryKind::mul, product, kernel.gamma),
                        kernel.shift);
  return kernel.kind == SvmKernel::poly ? node.binary(BinaryKind::pow, product, kernel.degree)
                                        : node.unary(UnaryKind::tanh, product);
}

static LogicalResult importSvmRegressor(Node &node) {
  SmallVector<double> coefficients = floatsOf(node, "coefficients");
  SmallVector<double> vectors = floatsOf(node, "support_vectors"), rho = floatsOf(node, "rho");
  int64_t count = node.intAttribute("n_supports", 0);
  bool oneClass = node.flag("one_class");
  postTransformAttribute(node); // other implementations leave it out, too
  SvmKernel kernel = kernelAttributes(node);
  Value x = asRows(node, node.input(0));
  if (!x || node.hasFailed())
    return failure();
  if (rho.empty())
    return node.error() << "SVMRegressor has no attribute 'rho'";
  Value sum;
  if (count > 0) {
    if (!divides(node, "support_vectors", vectors.size(), count))
      return failure();
    if (int64_t(coefficients.size()) != count)
      return node.error() << "attribute 'coefficients' of SVMRegressor has " << coefficients.size()
                          << " values, there are " << count << " support vectors";
    sum = node.matmul(applyKernel(node, kernel, x, vectors, count), turned(node, coefficients, 1));
  } else {
    if (coefficients.empty())
      return node.error() << "SVMRegressor has neither support vectors nor coefficients";
    sum = node.matmul(x, turned(node, coefficients, 1));
  }
  sum = node.binary(BinaryKind::add, sum, rho[0]);
  if (oneClass && sum) {
    Type element = Node::elementOf(sum);
    sum = node.select(node.binary(BinaryKind::greater, sum, 0.0), node.scalar(1, element),
                      node.scalar(-1, element));
  }
  return node.result(sum);
}

/// A classifier without support vectors: one row of coefficients per class.
static LogicalResult importLinearSvm(Node &node, Value x, const ClassLabels &labels,
                                     ArrayRef<double> coefficients, double rho,
                                     PostTransform transform) {
  if (!divides(node, "coefficients", coefficients.size(), labels.count))
    return failure();
  Value scores = node.matmul(x, turned(node, coefficients, labels.count));
  scores = node.binary(BinaryKind::add, scores, rho);
  if (labels.count == 2) {
    // A large score of either class speaks for the second.
    bool positive = llvm::all_of(coefficients, [](double value) { return value >= 0; });
    Value best = node.reduce(ReduceKind::max, scores, Ints{1}, true);
    Value second = node.slice(scores, 1, 1, 2), first = node.slice(scores, 1, 0, 1);
    Value wins = node.binary(positive ? BinaryKind::greater_equal : BinaryKind::greater, best,
                             positive ? 0.5 : 0.0);
    wins =
        node.binary(BinaryKind::logical_or, wins, node.binary(BinaryKind::greater, second, first));
    Value index = wins ? node.cast(node.squeeze(wins, {1}), node.builder().getI64Type()) : Value();
    node.setResult(0, lookUpLabels(node, labels, index));
  } else {
    node.setResult(0, labelOfBest(node, labels, scores));
  }
  node.setResult(1, transformTargets(node, transform, scores, labels.count));
  return node.status();
}

/// Decides between every two classes: how coefficients of the support vectors make up the sums, and
/// whom they vote for.
static LogicalResult importVotes(Node &node, Value kernels, const ClassLabels &labels,
                                 ArrayRef<double> coefficients, ArrayRef<int64_t> perClass,
                                 ArrayRef<double> rho, PostTransform transform) {
  int64_t classes = labels.count, pairs = classes * (classes - 1) / 2, count = 0;
  SmallVector<int64_t> starts;
  for (int64_t each : perClass) {
    starts.push_back(count);
    count += each;
  }
  SmallVector<double> weights(count * pairs, 0), forFirst(pairs * classes, 0);
  SmallVector<double> forSecond(pairs * classes, 0);
  int64_t pair = 0;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      for (int64_t k = starts[i]; k < starts[i] + perClass[i]; ++k)
        weights[k * pairs + pair] = coefficients[(j - 1) * count + k];
      for (int64_t k = starts[j]; k < starts[j] + perClass[j]; ++k)
        weights[k * pairs + pair] = coefficients[i * count + k];
      forFirst[pair * classes + i] = 1;
      forSecond[pair * classes + j] = 1;
    }
  // Sums in double, since the sign alone makes a vote.
  Type f32 = node.builder().getF32Type(), f64 = node.builder().getF64Type();
  Value sums =
      node.matmul(node.cast(kernels, f64), floatConstant(node, {count, pairs}, weights, f64));
  sums =
      node.binary(BinaryKind::add, sums, floatConstant(node, {pairs}, rho.take_front(pairs), f64));
  if (!sums)
    return failure();
  Value scores = node.cast(sums, f32), zero = node.scalar(0, f64);
  Value first = node.cast(node.binary(BinaryKind::greater, sums, zero), f32);
  Value second = node.binary(BinaryKind::sub, node.scalar(1, f32), first);
  Value votes = node.binary(
      BinaryKind::add, node.matmul(first, floatConstant(node, {pairs, classes}, forFirst, f32)),
      node.matmul(second, floatConstant(node, {pairs, classes}, forSecond, f32)));
  node.setResult(0, labelOfBest(node, labels, votes));
  if (classes == 2)
    node.setResult(1, scoresOfTwo(node, transform, scores, transform != PostTransform::none));
  else
    node.setResult(1, applyTransform(node, transform, scores));
  return node.status();
}

static LogicalResult importSvmClassifier(Node &node) {
  ClassLabels labels = classLabels(node, "classlabels_ints", "classlabels_strings");
  SmallVector<double> coefficients = floatsOf(node, "coefficients");
  SmallVector<double> vectors = floatsOf(node, "support_vectors"), rho = floatsOf(node, "rho");
  Ints perClass = node.intsAttribute("vectors_per_class").value_or(Ints());
  PostTransform transform = postTransformAttribute(node);
  SvmKernel kernel = kernelAttributes(node);
  if (node.hasAttribute("prob_a") || node.hasAttribute("prob_b"))
    if (!floatsOf(node, "prob_a").empty() || !floatsOf(node, "prob_b").empty())
      node.error() << "SVMClassifier with probabilities ('prob_a', 'prob_b') is not supported";
  Value x = asRows(node, node.input(0));
  if (!x || !labels.table || node.hasFailed())
    return failure();
  int64_t classes = labels.count, count = 0;
  if (rho.empty() || classes > 1024)
    return node.error() << "SVMClassifier has " << classes << " classes and " << rho.size()
                        << " values of 'rho'";
  for (int64_t each : perClass) {
    if (each < 0 || each > int64_t(vectors.size()))
      return node.error() << "attribute 'vectors_per_class' of SVMClassifier holds " << each;
    count += each;
  }
  if (count == 0)
    return importLinearSvm(node, x, labels, coefficients, rho[0], transform);
  if (int64_t(perClass.size()) != classes || classes < 2)
    return node.error() << "attribute 'vectors_per_class' of SVMClassifier has " << perClass.size()
                        << " values, there are " << classes << " classes";
  if (!divides(node, "support_vectors", vectors.size(), count))
    return failure();
  if (int64_t(coefficients.size()) != (classes - 1) * count)
    return node.error() << "attribute 'coefficients' of SVMClassifier has " << coefficients.size()
                        << " values, it takes " << (classes - 1) * count;
  if (int64_t(rho.size()) < classes * (classes - 1) / 2)
    return node.error() << "attribute 'rho' of SVMClassifier has " << rho.size()
                        << " values, it takes " << classes * (classes - 1) / 2;
  return importVotes(node, applyKernel(node, kernel, x, vectors, count), labels, coefficients,
                     perClass, rho, transform);
}

ArrayRef<Operator> lathe::import::classifierOperators() {
  static constexpr StringRef domain = "ai.onnx.ml";
  static constexpr uint32_t kTypes = kFloats | kIntegers;
  static const Operator operators[] = {
      {"LinearClassifier", {1}, 1, 1, importLinearClassifier, kTypes, "", domain},
      {"LinearRegressor", {1}, 1, 1, importLinearRegressor, kTypes, "", domain},
      {"SVMClassifier", {1}, 1, 1, importSvmClassifier, kTypes, "no probabilities", domain},
      {"SVMRegressor", {1}, 1, 1, importSvmRegressor, kTypes, "", domain},
  };
  return operators;
}
