// Control flow, as far as it is decided when compiling.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// Exporters write conditions on ranks and static sizes: only the branch that is taken is imported.
static LogicalResult importIf(Node &node) {
  std::optional<double> condition = node.constantScalar(0);
  if (!condition)
    return failure();
  node.ignore({"then_branch", "else_branch"});
  StringRef branch = *condition != 0 ? "then_branch" : "else_branch";
  FailureOr<SmallVector<Value>> values = node.inlineGraph(branch);
  if (failed(values))
    return failure();
  if (values->size() != node.outputCount())
    return node.error() << "'" << branch << "' of If has " << values->size()
                        << " outputs, the node has " << node.outputCount();
  for (auto [i, value] : llvm::enumerate(*values))
    node.setResult(i, value);
  return success();
}

ArrayRef<Operator> lathe::import::controlOperators() {
  static const Operator operators[] = {
      {"If",
       {1, 11, 13, 16, 19, 21, 23, 24, 25},
       1,
       1,
       importIf,
       kBool,
       "the condition must be constant"},
  };
  return operators;
}
