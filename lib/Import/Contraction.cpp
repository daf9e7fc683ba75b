// Matrix products and Einstein sums.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Activation.h"
#include "lib/Import/Operators.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

static LogicalResult importMatMul(Node &node) {
  return node.result(node.matmul(node.input(0), node.input(1)));
}

/// alpha * A' * B' + beta * C
static Value gemm(Node &node) {
  Value a = node.input(0), b = node.input(1), c = node.input(2);
  for (Value operand : {a, b})
    if (std::optional<int64_t> rank = Node::rankOf(operand); rank && *rank != 2) {
      node.error() << "an operand of " << node.opType() << " has rank " << *rank
                   << ", it takes matrices";
      return {};
    }
  if (node.flag("transA"))
    a = node.transpose(a, {1, 0});
  if (node.flag("transB"))
    b = node.transpose(b, {1, 0});
  double alpha = node.floatAttribute("alpha", 1), beta = node.floatAttribute("beta", 1);
  Value product = node.matmul(a, b);
  if (!product)
    return {};
  if (beta == 0)
    c = {};
  Type element = Node::elementOf(product);
  if (isa_and_nonnull<IntegerType>(element) &&
      (alpha != std::trunc(alpha) || (c && beta != std::trunc(beta)))) {
    Type wide = node.builder().getF64Type();
    product = node.cast(product, wide);
    c = c ? node.cast(c, wide) : c;
  }
  if (alpha != 1)
    product = node.binary(BinaryKind::mul, product, alpha);
  if (c && beta != 1)
    c = node.binary(BinaryKind::mul, c, beta);
  Value sum = c ? node.binary(BinaryKind::add, product, c) : product;
  return node.cast(sum, element);
}

static LogicalResult importGemm(Node &node) {
  node.ignore({"broadcast"});
  return node.result(gemm(node));
}

/// com.microsoft's product with an activation behind.
static LogicalResult importFusedGemm(Node &node) {
  const FunctionInfo *function =
      chooseFunction(node, {"Relu", "Tanh", "Sigmoid", "Softplus", "Softsign", "LeakyRelu", "Elu",
                            "ThresholdedRelu", "HardSigmoid", "ScaledTanh"});
  static constexpr StringRef parameters[] = {"activation_alpha", "activation_beta"};
  double values[2];
  for (unsigned i : {0, 1}) {
    if (function && i < function->parameters && !node.hasAttribute(parameters[i]))
      return node.error() << "FusedGemm has no attribute '" << parameters[i] << "', which "
                          << function->name << " takes";
    values[i] = node.floatAttribute(parameters[i], 0);
  }
  node.ignore({"activation_gamma"});
  Value y = gemm(node);
  return node.result(function ? applyFunction(node, {function->name, values[0], values[1]}, y) : y);
}

/// [rows, batch..., columns] as [batch..., rows, columns].
static Value batchLast(Node &node, Value x) {
  std::optional<int64_t> rank = node.requireRank(x, "an operand");
  if (!rank)
    return {};
  if (*rank < 3)
    return x;
  Ints perm = llvm::to_vector(llvm::seq<int64_t>(1, *rank - 1));
  perm.append({0, *rank - 1});
  return node.transpose(x, perm);
}

/// Transposes of com.microsoft's matrix product: of the last two dimensions; vectors stay.
static LogicalResult importFusedMatMul(Node &node) {
  Value a = node.input(0), b = node.input(1);
  if (node.flag("transBatchA"))
    a = batchLast(node, a);
  if (node.flag("transBatchB"))
    b = batchLast(node, b);
  if (node.flag("transA") && Node::rankOf(a) != 1)
    a = node.swapLastTwo(a);
  if (node.flag("transB") && Node::rankOf(b) != 1)
    b = node.swapLastTwo(b);
  double alpha = node.floatAttribute("alpha", 1);
  Value product = node.matmul(a, b);
  return node.result(alpha == 1 ? product : node.binary(BinaryKind::mul, product, alpha));
}

/// Letters used anywhere in an equation, so that new ones can be taken.
static std::string unusedLetters(StringRef equation) {
  std::string letters;
  for (StringRef range : {"azAZ"})
    for (size_t i = 0; i < range.size(); i += 2)
      for (char c = range[i]; c <= range[i + 1]; ++c)
        if (!equation.contains(c))
          letters += c;
  return letters;
}

/// Writes out the ellipsis of each term and the implicit result.
static LogicalResult importEinsum(Node &node) {
  std::string text = node.stringAttribute("equation", "");
  llvm::erase_if(text, [](char c) { return c == ' '; });
  StringRef equation = text;
  auto [left, right] = equation.split("->");
  bool isExplicit = equation.contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != node.inputCount())
    return node.error() << "the equation '" << text << "' of Einsum has " << terms.size()
                        << " terms, the node has " << node.inputCount() << " inputs";

  // All ellipses share their dimensions from the last one on.
  std::string fresh = unusedLetters(equation), ellipsis;
  SmallVector<unsigned> widths(terms.size(), 0);
  auto isTerm = [](StringRef term) {
    auto [head, tail] = term.split("...");
    return llvm::all_of(head.str() + tail.str(), llvm::isAlpha);
  };
  for (auto [i, term] : llvm::enumerate(terms)) {
    std::optional<int64_t> rank = node.requireRank(node.require(i), "an operand");
    if (!rank)
      return failure();
    bool hasEllipsis = term.contains("...");
    int64_t letters = term.size() - (hasEllipsis ? 3 : 0);
    if (!isTerm(term) || letters > *rank || (!hasEllipsis && letters != *rank))
      return node.error() << "the term '" << term << "' of Einsum does not fit an operand of rank "
                          << *rank;
    widths[i] = *rank - letters;
    if (widths[i] > fresh.size())
      return node.error() << "the equation '" << text << "' of Einsum has too many dimensions";
    if (widths[i] > ellipsis.size())
      ellipsis = fresh.substr(0, widths[i]);
  }
  auto expand = [&](StringRef term, unsigned width) {
    auto [head, tail] = term.split("...");
    return head.str() + (term.contains("...") ? ellipsis.substr(ellipsis.size() - width) : "") +
           tail.str();
  };
  std::string result;
  for (auto [i, term] : llvm::enumerate(terms))
    result += (i == 0 ? "" : ",") + expand(term, widths[i]); // a scalar's term is empty
  result += "->";
  if (isExplicit) {
    if (!isTerm(right))
      return node.error() << "the result '" << right << "' of Einsum is malformed";
    std::string output = expand(right, ellipsis.size());
    for (char c : output)
      if (StringRef(result).count(c) == 0 || StringRef(output).count(c) > 1)
        return node.error() << "the result '" << right << "' of Einsum names a dimension twice, or "
                            << "one that no term has";
    result += output;
  } else {
    // The ellipsis, then every letter that occurs once, in alphabetical order.
    result += ellipsis;
    for (unsigned c = 'A'; c <= 'z'; ++c)
      if (llvm::isAlpha(c) && left.count(static_cast<char>(c)) == 1)
        result += static_cast<char>(c);
  }
  for (unsigned i = 1; i < node.inputCount(); ++i)
    if (Node::elementOf(node.input(i)) != Node::elementOf(node.input(0)))
      return node.error() << "operands of Einsum have element types "
                          << Node::elementOf(node.input(0)) << " and "
                          << Node::elementOf(node.input(i)) << ", they must agree";
  auto op = node.create<graph::EinsumOp>(node.likeOf(node.input(0)), node.allInputs(), result);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::contractionOperators() {
  static const Operator operators[] = {
      {"MatMul", {1, 9, 13}, 2, 2, importMatMul, kNumbers},
      {"Gemm", {1, 6, 7, 9, 11, 13}, 2, 3, importGemm, kNumbers},
      {"Einsum", {12, 28}, 1, kUnlimited, importEinsum, kNumbers},
      {"FusedGemm",
       {1},
       2,
       3,
       importFusedGemm,
       kFloats,
       "no Selu, no ParametricSoftplus",
       "com.microsoft"},
      {"FusedMatMul", {1}, 2, 2, importFusedMatMul, kFloats, "", "com.microsoft"},
      {"TransposeMatMul", {1}, 2, 2, importFusedMatMul, kFloats, "", "com.microsoft"},
  };
  return operators;
}
