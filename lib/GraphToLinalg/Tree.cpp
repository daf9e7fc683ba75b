// Lowering of decision trees: a walk of a number of steps that the tree fixes, without branches at
// its nodes, so that walks of several trees and rows run beside each other in one core.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::TreeAggregate;
using utils::IteratorType;

/// Trees up to this depth are walked in a straight line, deeper ones in rounds of so many steps,
/// since their leaves lie at different depths.
static constexpr int64_t kStraightSteps = 8;
static constexpr int64_t kRoundSteps = 4;

namespace {
/// Emits walks over the node table of one operation.
struct Walk {
  /// Whether NaN, and whether equality may decide at any node.
  bool missing, equal;
  Value input, nodes;
  Type element;
  /// The most steps of any tree.
  int64_t depth;

  Value field(const Scalars &s, Value node, int64_t which) const {
    return s.extract(nodes, {node, s.index(which)});
  }

  Value toIndex(const Scalars &s, Value integer) const {
    return arith::IndexCastOp::create(s.b, s.loc, s.b.getIndexType(), integer);
  }

  /// The node after `node` for one row.
  Value step(const Scalars &s, Value row, Value node) const {
    using F = arith::CmpFPredicate;
    Value feature = field(s, node, 0);
    Type integer = feature.getType();
    unsigned width = integer.getIntOrFloatBitWidth();
    bool flagged = missing || equal;
    Value number = feature;
    if (flagged)
      number = s.andI(feature, s.constant(integer, APInt::getLowBitsSet(width, width - 2)));
    Value x = s.extract(input, {row, toIndex(s, number)});
    Value threshold = arith::BitcastOp::create(s.b, s.loc, element, field(s, node, 2));
    Value goes = s.cmp(F::OLE, x, threshold);
    if (equal) {
      Value flag = s.andI(feature, s.constant(integer, APInt::getOneBitSet(width, width - 2)));
      Value isEqual = s.cmp(arith::CmpIPredicate::ne, flag, s.constant(integer, 0));
      goes = s.select(isEqual, s.cmp(F::OEQ, x, threshold), goes);
    }
    if (missing) {
      Value tracked = s.cmp(arith::CmpIPredicate::slt, feature, s.constant(integer, 0));
      goes = s.orI(goes, s.andI(tracked, s.cmp(F::UNO, x, x)));
    }
    Value one = arith::ExtUIOp::create(s.b, s.loc, integer, goes);
    return toIndex(s, s.add(field(s, node, 1), one));
  }

  /// The leaf where `row` ends in the tree that begins at `root`, after `steps` or more steps.
  Value leaf(const Scalars &s, Value row, Value root, Value steps) const {
    Value node = toIndex(s, root);
    if (depth <= kStraightSteps) {
      for (int64_t i = 0; i < depth; ++i)
        node = step(s, row, node);
      return node;
    }
    // Until the leaf is reached, or the tree's own depth.
    Value rounds =
        s.floorDiv(s.add(toIndex(s, steps), s.index(kRoundSteps - 1)), s.index(kRoundSteps));
    Type index = s.b.getIndexType();
    auto loop = scf::WhileOp::create(
        s.b, s.loc, TypeRange{index, index, s.b.getI1Type()},
        ValueRange{node, s.index(0), s.boolean(true)},
        [&](OpBuilder &b, Location at, ValueRange state) {
          Scalars inner{b, at};
          Value more = inner.cmp(arith::CmpIPredicate::slt, state[1], rounds);
          scf::ConditionOp::create(b, at, inner.andI(more, state[2]), state);
        },
        [&](OpBuilder &b, Location at, ValueRange state) {
          Scalars inner{b, at};
          Value last = state[0], next = state[0];
          for (int64_t i = 0; i < kRoundSteps; ++i) {
            last = next;
            next = step(inner, row, next);
          }
          Value moves = inner.cmp(arith::CmpIPredicate::ne, last, next);
          scf::YieldOp::create(b, at, ValueRange{next, inner.add(state[1], inner.index(1)), moves});
        });
    return loop.getResult(0);
  }
};
} // namespace

static Value combine(const Scalars &s, TreeAggregate aggregate, Value total, Value value) {
  switch (aggregate) {
  case TreeAggregate::sum:
    return s.add(total, value);
  case TreeAggregate::min:
    return s.min(total, value);
  case TreeAggregate::max:
    return s.max(total, value);
  }
  llvm_unreachable("all kinds are covered");
}

static TypedAttr identityOf(Lowering &l, TreeAggregate aggregate, Type element) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return l.number(element, aggregate == TreeAggregate::sum   ? 0
                           : aggregate == TreeAggregate::min ? infinity
                                                             : -infinity);
}

/// The largest number of steps in the table of roots, where it is known.
static std::optional<int64_t> deepest(Lowering &l, Value roots) {
  TypedAttr constant = l.getConstant(roots);
  std::optional<SmallVector<int64_t>> fields =
      constant ? graph::getIntegers(constant, int64_t(1) << 30) : std::nullopt;
  if (!fields)
    return std::nullopt;
  int64_t depth = 0;
  for (size_t i = 1; i < fields->size(); i += 2)
    depth = std::max(depth, (*fields)[i]);
  return depth;
}

static LogicalResult lowerTreeEnsemble(graph::TreeEnsembleOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), roots = l.get(op.getRoots());
  std::optional<int64_t> depth = deepest(l, op.getRoots());
  if (!depth)
    return l.unsupported(op) << "trees that are not known when compiling";
  if (!getConstantIntValue(input.sizes[1])) {
    Value features = l.value(input.sizes[1]), wanted = l.value(l.size(op.getFeatures()));
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::sge, features, wanted), LATHE_CODE_SHAPE,
            "a row has %0 features, the trees read %1", {features, wanted});
  }
  Walk walk{op.getMissing(), op.getEqual(), input.value, l.get(op.getNodes()).value,
            input.element,   *depth};
  TreeAggregate aggregate = op.getAggregate();
  // A table of nodes without branches reads feature 0 all the same.
  OpFoldResult rows = input.sizes[0];
  AffineExpr zero = l.b.getAffineConstantExpr(0), one = l.b.getAffineConstantExpr(1);
  auto dim = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  auto map = [&](unsigned loops, ArrayRef<AffineExpr> results) {
    return AffineMap::get(loops, 0, results, l.context);
  };
  auto rowIndex = [](const Scalars &s) -> Value { return linalg::IndexOp::create(s.b, s.loc, 0); };

  if (!op.getValues()) {
    Sizes sizes{rows, roots.sizes[0]};
    Value init = l.filled(sizes, identityOf(l, aggregate, input.element));
    Value result =
        l.generic({{roots, map(3, {dim(1), dim(2), zero})}, {roots, map(3, {dim(1), dim(2), one})}},
                  init, map(3, {dim(0), dim(1)}),
                  {IteratorType::parallel, IteratorType::parallel, IteratorType::reduction},
                  [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                    Value leaf = walk.leaf(s, rowIndex(s), x[0], x[1]);
                    Value value =
                        arith::BitcastOp::create(s.b, s.loc, input.element, walk.field(s, leaf, 3));
                    return {combine(s, aggregate, x[2], value)};
                  })
            .front();
    l.set(op.getResult(), {result, sizes, input.element});
    return success();
  }

  // Leaves first, then their rows of values.
  Tensor values = l.get(op.getValues());
  Type index = roots.element;
  Sizes leafSizes{rows, roots.sizes[0]}, sizes{rows, values.sizes[1]};
  Value leaves = l.generic({{roots, map(2, {dim(1), zero})}, {roots, map(2, {dim(1), one})}},
                           l.empty(leafSizes, index), map(2, {dim(0), dim(1)}),
                           {IteratorType::parallel, IteratorType::parallel},
                           [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                             return {walk.field(s, walk.leaf(s, rowIndex(s), x[0], x[1]), 3)};
                           })
                     .front();
  Value init = l.filled(sizes, identityOf(l, aggregate, input.element));
  Value result =
      l.generic({{{leaves, leafSizes, index}, map(3, {dim(0), dim(2)})}}, init,
                map(3, {dim(0), dim(1)}),
                {IteratorType::parallel, IteratorType::parallel, IteratorType::reduction},
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  Value target = linalg::IndexOp::create(s.b, s.loc, 1);
                  Value value = s.extract(values.value, {walk.toIndex(s, x[0]), target});
                  return {combine(s, aggregate, x[1], value)};
                })
          .front();
  l.set(op.getResult(), {result, sizes, input.element});
  return success();
}

void lathe::g2l::addTree(LoweringTable &table) { table.add(lowerTreeEnsemble); }
