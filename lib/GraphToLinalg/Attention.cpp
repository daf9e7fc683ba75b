// Lowering of attention.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "lib/GraphToLinalg/Normalization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using utils::IteratorType;

// The mask beside scores [B, Hk, H / Hk, S, T]: its head dimension becomes two.
static Tensor splitHeads(Lowering &l, const Tensor &mask, OpFoldResult groups,
                         OpFoldResult perGroup) {
  if (mask.rank() < 3)
    return mask;
  Sizes sizes = mask.sizes;
  size_t head = sizes.size() - 3;
  bool one = isConstantIntValue(sizes[head], 1);
  sizes[head] = one ? l.size(1) : groups;
  sizes.insert(sizes.begin() + head + 1, one ? l.size(1) : perGroup);
  return l.reshape(mask, sizes);
}

// Scores, softmax and the weighted sum of the values, one after the other.
static Tensor reference(graph::AttentionOp op, Lowering &l, ArrayRef<Tensor> given) {
  Tensor query = given[0], key = given[1], value = given[2];
  Type element = query.element, sumType = getAccumulatorType(element);
  OpFoldResult batch = query.sizes[0], heads = query.sizes[1], rows = query.sizes[2];
  OpFoldResult keyHeads = key.sizes[1], columns = key.sizes[2], valueSize = value.sizes[3];
  // Grouped heads: [B, Hk, H / Hk, S, D]; several query heads read one head of keys.
  bool grouped = heads != keyHeads;
  int64_t g = grouped;
  OpFoldResult perGroup = grouped ? l.floorDiv(heads, keyHeads) : l.size(1);
  Sizes scoreSizes{batch, keyHeads};
  if (grouped) {
    query = l.reshape(query, {batch, keyHeads, perGroup, rows, query.sizes[3]});
    scoreSizes.push_back(perGroup);
  }
  Sizes resultSizes = scoreSizes;
  scoreSizes.append({rows, columns});
  resultSizes.append({rows, valueSize});

  // Loops: b, h, [group], row, column | inner.
  int64_t loops = 5 + g, row = 2 + g, column = 3 + g, inner = 4 + g;
  SmallVector<IteratorType> iterators(loops, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  auto map = [&](bool hasGroup, int64_t a, int64_t c) {
    SmallVector<int64_t> dims{0, 1};
    if (hasGroup)
      dims.push_back(2);
    dims.append({a, c});
    return l.dimMap(loops, dims);
  };
  Tensor scores = contract(l, query, map(grouped, row, inner), key, map(false, column, inner),
                           scoreSizes, map(grouped, row, column), iterators, sumType);

  SmallVector<Operand> operands{scores};
  Tensor mask;
  if (given.size() > 3) {
    mask = given[3];
    if (grouped)
      mask = splitHeads(l, mask, keyHeads, perGroup);
    operands.push_back(mask);
  }
  double scale = op.getScale().convertToDouble();
  Value shift = op.getCausal() ? l.value(l.sub(columns, rows)) : Value();
  scores = l.elementwise(operands, scoreSizes, sumType, [&](const Scalars &s, ValueRange x) {
    Value score = s.mul(x[0], s.constant(sumType, scale));
    if (given.size() > 3)
      score = s.add(score, s.convert(x[1], mask.element, sumType));
    if (!op.getCausal())
      return score;
    Value at = linalg::IndexOp::create(s.b, s.loc, column);
    Value last = s.add(linalg::IndexOp::create(s.b, s.loc, row), shift);
    Value lowest = s.constant(sumType, -std::numeric_limits<double>::infinity());
    return s.select(s.cmp(arith::CmpIPredicate::sle, at, last), score, lowest);
  });
  Tensor weights = softmax(l, scores, {column});
  Tensor result = contract(l, weights, map(grouped, row, inner), value, map(false, inner, column),
                           resultSizes, map(grouped, row, column), iterators, element);
  return l.reshape(result, {batch, heads, rows, valueSize});
}

static LogicalResult lowerAttention(graph::AttentionOp op, Lowering &l) {
  Tensor query = l.get(op.getQuery()), key = l.get(op.getKey()), value = l.get(op.getValue());
  if (query.rank() != 4 || key.rank() != 4 || value.rank() != 4)
    return l.unsupported(op) << "operands of rank " << query.rank() << ", " << key.rank() << " and "
                             << value.rank();
  OpFoldResult batch = query.sizes[0], keyHeads = key.sizes[1], columns = key.sizes[2];
  l.requireEqual(batch, key.sizes[0], "queries have a batch of %0, keys of %1");
  l.requireEqual(batch, value.sizes[0], "queries have a batch of %0, values of %1");
  l.requireEqual(keyHeads, value.sizes[1], "there are %0 heads of keys and %1 of values");
  l.requireEqual(query.sizes[3], key.sizes[3], "queries have size %0, keys %1");
  l.requireEqual(columns, value.sizes[2], "there are %0 keys and %1 values");

  SmallVector<Tensor> operands{query, key, value};
  if (op.getMask()) {
    Tensor mask = l.get(op.getMask());
    operands.push_back(mask.rank() > 0 ? mask : l.reshape(mask, {l.size(1)}));
  }
  SmallVector<NamedAttribute> parameters{
      l.b.getNamedAttr("scale", l.b.getF64FloatAttr(op.getScale().convertToDouble()))};
  if (op.getCausal())
    parameters.push_back(l.b.getNamedAttr("causal", l.b.getUnitAttr()));
  if (op.getMask())
    parameters.push_back(l.b.getNamedAttr("masked", l.b.getUnitAttr()));
  auto kind = sched::KindAttr::get(l.context, sched::Composite::attention,
                                   DictionaryAttr::get(l.context, parameters));
  l.set(op.getResult(), l.composite(kind, operands, [&](ArrayRef<Tensor> inner) {
    return reference(op, l, inner);
  }));
  return success();
}

void lathe::g2l::addAttention(LoweringTable &table) { table.add(lowerAttention); }
