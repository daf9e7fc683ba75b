// Control flow inside the bodies of generics.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Loops.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

SmallVector<Value> lathe::g2l::forLoop(const Scalars &s, Value count, ValueRange initial,
                                       LoopBody body) {
  auto loop =
      scf::ForOp::create(s.b, s.loc, s.index(0), count, s.index(1), initial,
                         [&](OpBuilder &b, Location loc, Value index, ValueRange carried) {
                           scf::YieldOp::create(b, loc, body(Scalars{b, loc}, index, carried));
                         });
  return SmallVector<Value>(loop.getResults());
}

Value lathe::g2l::ifElse(const Scalars &s, Value condition,
                         llvm::function_ref<Value(const Scalars &)> then, Value otherwise) {
  auto choice = scf::IfOp::create(
      s.b, s.loc, condition,
      [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, then(Scalars{b, loc})); },
      [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, otherwise); });
  return choice.getResult(0);
}

Value lathe::g2l::extractIf(const Scalars &s, Value inside, Value tensor, ValueRange place) {
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  return ifElse(
      s, inside, [&](const Scalars &in) { return in.extract(tensor, place); },
      s.constant(element, 0));
}

SmallVector<Value> lathe::g2l::delinearize(const Scalars &s, Value flat, ValueRange sizes) {
  SmallVector<Value> indices(sizes.size());
  for (size_t i = sizes.size(); i-- > 0;) {
    if (i == 0) {
      indices[0] = flat;
      break;
    }
    indices[i] = arith::RemUIOp::create(s.b, s.loc, flat, sizes[i]);
    flat = arith::DivUIOp::create(s.b, s.loc, flat, sizes[i]);
  }
  return indices;
}

Value lathe::g2l::linearize(const Scalars &s, ValueRange indices, ValueRange sizes) {
  Value flat = s.index(0);
  for (auto [index, size] : llvm::zip_equal(indices, sizes))
    flat = s.add(s.mul(flat, size), index);
  return flat;
}

SmallVector<Value> lathe::g2l::sizeValues(Lowering &l, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> values;
  for (OpFoldResult size : sizes)
    values.push_back(l.value(size));
  return values;
}
