// Lowering of decision trees: a walk of a number of steps that the tree fixes, without branches at
// its nodes. A step waits for memory twice, so several trees are walked side by side, a step of
// each in turn. Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::TreeAggregate;
using utils::IteratorType;

/// Trees up to this depth are walked to their full depth, in a straight line where it is that of
/// all; deeper ones in rounds of so many steps, since their leaves lie at different depths.
static constexpr int64_t kStraightSteps = 8;
static constexpr int64_t kRoundSteps = 4;
/// As many walks as keep their places in the registers of a processor with 16.
static constexpr int64_t kSideBySide = 4;

namespace {
/// Emits walks over the node table of one operation.
struct Walk {
  /// Whether NaN, and whether equality may decide at any node.
  bool missing, equal;
  Value input, nodes;
  Type element;
  /// The fewest and the most steps of any tree.
  int64_t least, depth;

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

  /// The leaves where `row` ends in the trees that begin at `roots`, after `steps` or more steps.
  SmallVector<Value> leaves(const Scalars &s, Value row, ValueRange roots, ValueRange steps) const {
    SmallVector<Value> nodes;
    for (Value root : roots)
      nodes.push_back(toIndex(s, root));
    auto stepAll = [&](const Scalars &at) {
      for (Value &node : nodes)
        node = step(at, row, node);
    };
    if (depth <= kStraightSteps && least == depth) {
      for (int64_t i = 0; i < depth; ++i)
        stepAll(s);
      return nodes;
    }
    Value most = toIndex(s, steps.front());
    for (Value other : steps.drop_front())
      most = s.max(most, toIndex(s, other));
    if (depth <= kStraightSteps)
      return scf::ForOp::create(s.b, s.loc, s.index(0), most, s.index(1), nodes,
                                [&](OpBuilder &b, Location at, Value, ValueRange places) {
                                  llvm::copy(places, nodes.begin());
                                  stepAll({b, at});
                                  scf::YieldOp::create(b, at, nodes);
                                })
          .getResults();
    // Until all leaves are reached, or the depth of the deepest tree.
    Value rounds = s.floorDiv(s.add(most, s.index(kRoundSteps - 1)), s.index(kRoundSteps));
    Type index = s.b.getIndexType();
    SmallVector<Value> initial = nodes;
    initial.append({s.index(0), s.boolean(true)});
    SmallVector<Type> types(nodes.size() + 1, index);
    types.push_back(s.b.getI1Type());
    auto loop = scf::WhileOp::create(
        s.b, s.loc, types, initial,
        [&](OpBuilder &b, Location at, ValueRange state) {
          Scalars inner{b, at};
          Value more = inner.cmp(arith::CmpIPredicate::slt, state[nodes.size()], rounds);
          scf::ConditionOp::create(b, at, inner.andI(more, state.back()), state);
        },
        [&](OpBuilder &b, Location at, ValueRange state) {
          Scalars inner{b, at};
          llvm::copy(state.take_front(nodes.size()), nodes.begin());
          SmallVector<Value> last;
          for (int64_t i = 0; i < kRoundSteps; ++i) {
            last = nodes;
            stepAll(inner);
          }
          Value moves = inner.boolean(false);
          for (auto [before, after] : llvm::zip_equal(last, nodes))
            moves = inner.orI(moves, inner.cmp(arith::CmpIPredicate::ne, before, after));
          SmallVector<Value> next = nodes;
          next.append({inner.add(state[nodes.size()], inner.index(1)), moves});
          scf::YieldOp::create(b, at, next);
        });
    return SmallVector<Value>(loop.getResults().take_front(nodes.size()));
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

/// The fewest and the most steps in the table of roots, where they are known.
static std::optional<std::pair<int64_t, int64_t>> depthsOf(Lowering &l, Value roots) {
  TypedAttr constant = l.getConstant(roots);
  std::optional<SmallVector<int64_t>> fields =
      constant ? graph::getIntegers(constant, int64_t(1) << 30) : std::nullopt;
  if (!fields)
    return std::nullopt;
  std::pair<int64_t, int64_t> depths{fields->size() < 2 ? 0 : (*fields)[1], 0};
  for (size_t i = 1; i < fields->size(); i += 2)
    depths = {std::min(depths.first, (*fields)[i]), std::max(depths.second, (*fields)[i])};
  return depths;
}

/// `body(scalars, first tree, number of trees, total)` over all trees, several at a time.
static Value forSeveral(const Scalars &s, Value count, Value total,
                        function_ref<Value(const Scalars &, Value, int64_t, Value)> body) {
  Value several = s.index(kSideBySide);
  Value whole = s.mul(s.floorDiv(count, several), several);
  auto loop = [&](Value begin, Value end, int64_t step, Value initial) -> Value {
    return scf::ForOp::create(s.b, s.loc, begin, end, s.index(step), ValueRange{initial},
                              [&](OpBuilder &b, Location at, Value tree, ValueRange carried) {
                                Scalars inner{b, at};
                                Value sum = body(inner, tree, step, carried.front());
                                scf::YieldOp::create(b, at, sum);
                              })
        .getResult(0);
  };
  return loop(whole, count, 1, loop(s.index(0), whole, kSideBySide, total));
}

static LogicalResult lowerTreeEnsemble(graph::TreeEnsembleOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), roots = l.get(op.getRoots());
  std::optional<std::pair<int64_t, int64_t>> depths = depthsOf(l, op.getRoots());
  if (!depths)
    return l.unsupported(op) << "trees that are not known when compiling";
  if (!getConstantIntValue(input.sizes[1])) {
    Value features = l.value(input.sizes[1]), wanted = l.value(l.size(op.getFeatures()));
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::sge, features, wanted), LATHE_CODE_SHAPE,
            "a row has %0 features, the trees read %1", {features, wanted});
  }
  Walk walk{op.getMissing(), op.getEqual(), input.value,   l.get(op.getNodes()).value,
            input.element,   depths->first, depths->second};
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
    Value count = l.value(roots.sizes[1]);
    Value result =
        l.generic({}, init, map(2, {dim(0), dim(1)}),
                  {IteratorType::parallel, IteratorType::parallel},
                  [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                    Value row = rowIndex(s), target = linalg::IndexOp::create(s.b, s.loc, 1);
                    auto add = [&](const Scalars &at, Value first, int64_t trees, Value total) {
                      SmallVector<Value> begins, steps;
                      for (int64_t i = 0; i < trees; ++i) {
                        Value tree = at.add(first, at.index(i));
                        begins.push_back(at.extract(roots.value, {target, tree, at.index(0)}));
                        steps.push_back(at.extract(roots.value, {target, tree, at.index(1)}));
                      }
                      for (Value leaf : walk.leaves(at, row, begins, steps)) {
                        Value value = arith::BitcastOp::create(at.b, at.loc, input.element,
                                                               walk.field(at, leaf, 3));
                        total = combine(at, aggregate, total, value);
                      }
                      return total;
                    };
                    return {forSeveral(s, count, x.back(), add)};
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
                             Value leaf = walk.leaves(s, rowIndex(s), x[0], x[1]).front();
                             return {walk.field(s, leaf, 3)};
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
