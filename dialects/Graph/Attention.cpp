// Attention: verifier and shape.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult AttentionOp::verify() {
  for (auto [name, value] :
       {std::pair("query", getQuery()), {"key", getKey()}, {"value", getValue()}})
    if (failed(verifyRank(*this, name, value, 4)))
      return failure();
  return verifySameElementTypes(*this, {getQuery(), getKey(), getValue(), getResult()});
}

LogicalResult AttentionOp::inferShapes(SymbolicShapes &shapes) {
  auto query = shapes.getDims(getQuery()), key = shapes.getDims(getKey());
  auto value = shapes.getDims(getValue());
  if (!query || !key || !value)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(4));
  ArrayRef<AffineExpr> q = *query, k = *key, v = *value;
  if (failed(shapes.checkEqual(*this, q[0], k[0], "batch sizes of query and key")) ||
      failed(shapes.checkEqual(*this, k[0], v[0], "batch sizes of key and value")) ||
      failed(shapes.checkEqual(*this, k[1], v[1], "heads of key and value")) ||
      failed(shapes.checkEqual(*this, k[2], v[2], "lengths of key and value")) ||
      failed(shapes.checkEqual(*this, q[3], k[3], "head sizes of query and key")))
    return failure();
  if (auto heads = getConstant(q[1]), groups = getConstant(k[1]);
      heads && groups && (*groups == 0 || *heads % *groups != 0))
    return emitOpError("query has ")
           << *heads << " heads, which don't divide by the " << *groups << " of key and value";
  if (getMask())
    if (auto mask = shapes.getDims(getMask())) {
      SmallVector<AffineExpr> scores{q[0], q[1], q[2], k[2]};
      if (mask->size() > 4)
        return emitOpError("mask must have at most rank 4, got ") << shapes.toString(*mask);
      if (failed(shapes.broadcast(*this, {scores, *mask})))
        return failure();
    }
  return shapes.setDims(getResult(), {q[0], q[1], q[2], v[3]});
}
