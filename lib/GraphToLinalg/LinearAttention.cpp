// Lowering of linear attention: a loop over time that carries the state.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

static LogicalResult lowerLinearAttention(graph::LinearAttentionOp op, Lowering &l) {
  Tensor q = l.get(op.getQ()), k = l.get(op.getK()), v = l.get(op.getV());
  Tensor state = l.get(op.getState());
  if (!isa<FloatType>(q.element))
    return l.unsupported(op) << "element type " << q.element;
  OpFoldResult batch = q.sizes[0], steps = q.sizes[1], heads = q.sizes[2], group = q.sizes[3],
               keys = q.sizes[4], values = v.sizes[3], one = l.size(1);
  StringRef differ = "sizes %0 and %1 of a dimension of linear attention differ";
  for (auto [tensor, expected] : {std::pair(&k, Sizes{batch, steps, heads, keys}),
                                  {&v, Sizes{batch, steps, heads, values}},
                                  {&state, Sizes{batch, heads, keys, values}}})
    for (auto [size, wanted] : llvm::zip_equal(tensor->sizes, expected))
      l.requireEqual(size, wanted, differ);
  // What is there once for all heads or keys broadcasts.
  std::optional<Tensor> decay, beta;
  if (op.getDecay())
    decay = l.broadcast(l.get(op.getDecay()), {batch, steps, heads, keys});
  if (op.getBeta())
    beta = l.broadcast(l.get(op.getBeta()), {batch, steps, heads});
  Type element = q.element, sum = getAccumulatorType(element);

  Sizes stateSizes{batch, heads, keys, values};
  Tensor start = l.elementwise(
      {l.withSizes(state, stateSizes)}, stateSizes, sum,
      [&](const Scalars &s, ValueRange x) { return s.convert(x[0], state.element, sum); });
  Value out = l.empty({batch, steps, heads, group, values}, getStorageType(element));
  Value zero = l.value(l.size(0));
  auto loop = scf::ForOp::create(l.b, l.loc, zero, l.value(steps), l.value(one),
                                 ValueRange{start.value, out});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    OpFoldResult time = OpFoldResult(loop.getInductionVar());
    auto now = [&](const Tensor &tensor) {
      Sizes offsets(tensor.rank(), l.size(0)), sizes = tensor.sizes, rest;
      offsets[1] = time;
      sizes[1] = one;
      rest.push_back(sizes[0]);
      rest.append(sizes.begin() + 2, sizes.end());
      return l.reshape(l.slice(tensor, offsets, sizes), rest);
    };
    Tensor kNow = now(k), vNow = now(v), qNow = now(q);
    Tensor held{loop.getRegionIterArg(0), stateSizes, sum};
    AffineMap byKey = l.dimMap(4, {0, 1, 2}), byValue = l.dimMap(4, {0, 1, 3});
    AffineMap all = l.b.getMultiDimIdentityMap(4);
    if (decay)
      held = l.elementwise({{held, all}, {now(*decay), byKey}}, stateSizes, sum,
                           [](const Scalars &s, ValueRange x) {
                             return s.mul(x[0], math::ExpOp::create(s.b, s.loc, x[1]));
                           });
    if (beta) {
      Tensor known = l.reduce(
          {{held, all}, {kNow, byKey}}, {2}, l.number(sum, 0),
          [](const Scalars &s, ValueRange x) { return sumBody(s, {s.mul(x[0], x[1]), x[2]}); });
      vNow = l.elementwise(
          {vNow, known, {now(*beta), l.dimMap(3, {0, 1})}}, known.sizes, sum,
          [](const Scalars &s, ValueRange x) { return s.mul(x[2], s.sub(x[0], x[1])); });
    }
    Tensor next = l.elementwise(
        {{held, all}, {kNow, byKey}, {vNow, byValue}}, stateSizes, sum,
        [](const Scalars &s, ValueRange x) { return s.add(x[0], s.mul(x[1], x[2])); });
    // b, h, key, g, value
    Sizes resultSizes{batch, heads, group, values};
    Value init = l.filled(resultSizes, l.number(sum, 0));
    using utils::IteratorType;
    IteratorType iterators[] = {IteratorType::parallel, IteratorType::parallel,
                                IteratorType::parallel, IteratorType::parallel,
                                IteratorType::reduction};
    Value read = l.generic({{qNow, l.dimMap(5, {0, 1, 2, 4})}, {next, l.dimMap(5, {0, 1, 4, 3})}},
                           init, l.dimMap(5, {0, 1, 2, 3}), iterators,
                           [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                             Value product = s.mul(s.load(x[0], element), s.load(x[1], sum));
                             return {sumBody(s, {product, x[2]})};
                           })
                     .front();
    Tensor answer = l.convert(Tensor{read, resultSizes, sum}, element);
    Sizes offsets(5, l.size(0));
    offsets[1] = time;
    Tensor piece = l.reshape(answer, {batch, one, heads, group, values});
    Value kept = l.insert(piece, loop.getRegionIterArg(1), offsets);
    scf::YieldOp::create(l.b, l.loc, ValueRange{next.value, kept});
  }
  l.set(op.getY(), {loop.getResult(1), {batch, steps, heads, group, values}, element});
  Tensor last{loop.getResult(0), stateSizes, sum};
  l.set(op.getLast(), l.convert(last, state.element));
  return success();
}

void lathe::g2l::addLinearAttention(LoweringTable &table) { table.add(lowerLinearAttention); }
