// Linear models and support vector machines (ai.onnx.ml): matrix products and what follows.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Importer.h"
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

/// The probabilities of all classes from those of every two, by the iteration of Wu, Lin and Weng
/// (2004, their second method) that libsvm has: a row ends when its largest error is small.
static Value coupledProbabilities(Node &node, Value pairwise, int64_t classes) {
  Type f32 = node.builder().getF32Type(), i1 = node.builder().getI1Type();
  auto binary = [&](BinaryKind kind, Value a, auto b) { return node.binary(kind, a, b); };
  // Q [N, K, K]: -r(j, i) r(i, j) beside the diagonal, which has the sums of r(j, i)^2.
  Value turned = node.transpose(pairwise, {0, 2, 1});
  Value diagonal = node.reduce(ReduceKind::sum, binary(BinaryKind::mul, turned, turned), Ints{2},
                               false); // [N, K]
  SmallVector<double> unit(classes * classes, 0);
  for (int64_t i = 0; i < classes; ++i)
    unit[i * classes + i] = 1;
  Value units = floatConstant(node, {classes, classes}, unit, f32);
  Value q = binary(BinaryKind::sub, binary(BinaryKind::mul, units, node.unsqueeze(diagonal, {2})),
                   binary(BinaryKind::mul, pairwise, turned));
  if (!q)
    return {};
  Value rows = node.shapeOf(q, 0, 1);
  Value p = node.full(node.concat({rows, node.constant(Ints{classes})}, 0), 1.0f / classes, f32);
  Value ended = node.full(node.concat({rows, node.constant(Ints{1})}, 0), 0, i1);
  constexpr int64_t mostRounds = 100;
  Value trip = node.scalarInt(mostRounds, node.builder().getI64Type());
  Value yes = node.scalarInt(1, i1);
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    Value now = arguments[1], done = arguments[2];
    Value qp = node.reduce(ReduceKind::sum, binary(BinaryKind::mul, q, node.unsqueeze(now, {1})),
                           Ints{2}, false);
    Value pqp = node.reduce(ReduceKind::sum, binary(BinaryKind::mul, now, qp), Ints{1}, true);
    Value error =
        node.reduce(ReduceKind::max, node.unary(UnaryKind::abs, binary(BinaryKind::sub, qp, pqp)),
                    Ints{1}, true);
    done = binary(BinaryKind::logical_or, done,
                  binary(BinaryKind::less, error, 0.005f / static_cast<float>(classes)));
    Value next = now;
    for (int64_t i = 0; i < classes; ++i) {
      Value row = node.squeeze(node.slice(q, 1, i, i + 1), {1});
      Value middle = node.slice(diagonal, 1, i, i + 1), mine = node.slice(qp, 1, i, i + 1);
      Value step = binary(BinaryKind::div, binary(BinaryKind::sub, pqp, mine), middle);
      Value grown = binary(BinaryKind::add, step, 1.0);
      Value here = node.slice(units, 0, i, i + 1);
      next = binary(BinaryKind::add, next, binary(BinaryKind::mul, here, step));
      next = binary(BinaryKind::div, next, grown);
      Value inner = binary(BinaryKind::add, binary(BinaryKind::mul, step, middle),
                           binary(BinaryKind::mul, mine, 2.0));
      pqp = binary(BinaryKind::add, pqp, binary(BinaryKind::mul, step, inner));
      pqp = binary(BinaryKind::div, binary(BinaryKind::div, pqp, grown), grown);
      qp = binary(BinaryKind::add, qp, binary(BinaryKind::mul, step, row));
      qp = binary(BinaryKind::div, qp, grown);
    }
    next = node.select(done, now, next);
    Value left = node.reduce(
        ReduceKind::max,
        node.cast(node.unary(UnaryKind::logical_not, done), node.builder().getI32Type()),
        std::nullopt, false);
    Value goesOn = binary(BinaryKind::greater, left, 0.0);
    if (!next || !goesOn)
      return failure();
    return GraphImporter::LoopYield{goesOn, {next, done}};
  };
  auto loop =
      node.graphs().buildLoop(node.location(), &node.getProto(), trip, yes, {p, ended}, 0, build);
  if (failed(loop)) {
    (void)node.fail();
    return {};
  }
  return loop->getResult(0);
}

/// Scores [N, pairs] as probabilities of the first class of each pair, and from them those of all.
static Value pairwiseProbabilities(Node &node, Value scores, int64_t classes,
                                   ArrayRef<double> slopes, ArrayRef<double> offsets) {
  Type f32 = node.builder().getF32Type();
  int64_t pairs = classes * (classes - 1) / 2;
  auto each = [&](ArrayRef<double> values) {
    return floatConstant(node, {pairs}, values.take_front(pairs), f32);
  };
  Value line = node.binary(BinaryKind::mul, scores, each(slopes));
  line = node.binary(BinaryKind::add, line, each(offsets));
  Value first = node.unary(UnaryKind::sigmoid, node.unary(UnaryKind::neg, line));
  first = node.binary(BinaryKind::max, first, 1e-7);
  first = node.binary(BinaryKind::min, first, double(1 - 1e-7f));
  Value second = first ? node.binary(BinaryKind::sub, node.scalar(1, f32), first) : Value();
  // Place (i, j) of [K, K] for i < j has the first, (j, i) the second, the diagonal 0.
  Ints places(classes * classes, 2 * pairs);
  int64_t pair = 0;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      places[i * classes + j] = pair;
      places[j * classes + i] = pairs + pair;
    }
  Value none = node.binary(BinaryKind::mul, node.slice(first, 1, 0, 1), 0.0);
  Value all = node.gather(node.concat({first, second, none}, 1), node.constant(places), 1);
  return coupledProbabilities(node, node.reshape(all, {-1, classes, classes}), classes);
}

/// Decides between every two classes: how coefficients of the support vectors make up the sums, and
/// whom they vote for.
static LogicalResult importVotes(Node &node, Value kernels, const ClassLabels &labels,
                                 ArrayRef<double> coefficients, ArrayRef<int64_t> perClass,
                                 ArrayRef<double> rho, ArrayRef<double> probA,
                                 ArrayRef<double> probB, PostTransform transform) {
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
  if (!probA.empty())
    node.setResult(1, applyTransform(node, transform,
                                     pairwiseProbabilities(node, scores, classes, probA, probB)));
  else if (classes == 2)
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
  SmallVector<double> probA = floatsOf(node, "prob_a"), probB = floatsOf(node, "prob_b");
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
  size_t pairs = classes * (classes - 1) / 2;
  if (probA.size() != probB.size() || (!probA.empty() && probA.size() < pairs))
    return node.error() << "attributes 'prob_a' and 'prob_b' of SVMClassifier have " << probA.size()
                        << " and " << probB.size() << " values, they take " << pairs << " each";
  if (!probA.empty() && (count == 0 || classes > 64))
    return node.error() << "SVMClassifier with probabilities has " << count
                        << " support vectors and " << classes
                        << " classes, it takes 1 or more vectors and 64 classes at most";
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
  if (rho.size() < pairs)
    return node.error() << "attribute 'rho' of SVMClassifier has " << rho.size()
                        << " values, it takes " << pairs;
  return importVotes(node, applyKernel(node, kernel, x, vectors, count), labels, coefficients,
                     perClass, rho, probA, probB, transform);
}

ArrayRef<Operator> lathe::import::classifierOperators() {
  static constexpr StringRef domain = "ai.onnx.ml";
  static constexpr uint32_t kTypes = kFloats | kIntegers;
  static const Operator operators[] = {
      {"LinearClassifier", {1}, 1, 1, importLinearClassifier, kTypes, "", domain},
      {"LinearRegressor", {1}, 1, 1, importLinearRegressor, kTypes, "", domain},
      {"SVMClassifier",
       {1},
       1,
       1,
       importSvmClassifier,
       kTypes,
       "64 classes with probabilities",
       domain},
      {"SVMRegressor", {1}, 1, 1, importSvmRegressor, kTypes, "", domain},
  };
  return operators;
}
