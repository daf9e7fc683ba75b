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

ArrayRef<Operator> lathe::import::sortOperators() {
  static const Operator operators[] = {
      {"TopK", {1, 10, 11, 24}, 1, 2, importTopK, kNumbers},
  };
  return operators;
}
