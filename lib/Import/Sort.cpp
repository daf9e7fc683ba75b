// Sorting and selection.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

static LogicalResult importTopK(Node &node) {
  Value x = node.input(0), k;
  int64_t axis = node.axis(node.intAttribute("axis", -1), Node::rankOf(x));
  if (node.version() >= 10) {
    k = node.require(1);
  } else {
    if (!node.hasAttribute("k"))
      return node.error() << "TopK has no attribute 'k'";
    k = node.constant({node.intAttribute("k", 1)});
  }
  bool largest = node.flag("largest", true), sorted = node.flag("sorted", true);
  if (!k || node.hasFailed())
    return failure();
  auto op = node.create<graph::TopKOp>(node.likeOf(x), node.tensorOf(node.builder().getI64Type()),
                                       x, k, axis, largest, sorted);
  if (!op)
    return failure();
  node.setResult(1, op.getIndices());
  return node.result(op.getValues());
}

static LogicalResult importUnique(Node &node) {
  Value x = node.input(0);
  bool sorted = node.flag("sorted", true);
  int64_t axis = 0;
  if (node.hasAttribute("axis"))
    axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(x));
  else
    x = node.reshape(x, {-1});
  if (node.hasFailed() || !x)
    return failure();
  Type ints = node.tensorOf(node.builder().getI64Type());
  auto op = node.create<graph::UniqueOp>(TypeRange{ints, ints, ints}, x, axis, sorted);
  if (!op)
    return failure();
  for (auto [i, value] : llvm::enumerate(op.getResults()))
    if (node.wantsOutput(i + 1))
      node.setResult(i + 1, value);
  return node.result(node.gather(x, op.getIndices(), axis));
}

ArrayRef<Operator> lathe::import::sortOperators() {
  static const Operator operators[] = {
      {"TopK", {1, 10, 11, 24}, 1, 2, importTopK, kNumbers},
      {"Unique", {11, 28}, 1, 1, importUnique, kNumbers | kBool | kComplex | kString},
  };
  return operators;
}
