// Decision trees: checks, and the tables that graph.tree_ensemble walks.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Forest.h"
#include "dialects/Graph/Weights.h"
#include "lib/Import/Scores.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::TreeAggregate;

/// Features beyond leave no room for the flags beside them.
static constexpr int64_t kMaxFeature = (int64_t(1) << 30) - 1;
static constexpr int64_t kMaxNodes = int64_t(1) << 28;
static constexpr uint64_t kMaxTableBytes = uint64_t(1) << 31;

void Forest::expandMember(int64_t index, ArrayRef<double> members) {
  SmallVector<double> sorted(members);
  llvm::sort(sorted);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  TreeNode branch = nodes[index];
  // A search by halves: the node itself is its first step.
  SmallVector<std::tuple<int64_t, ArrayRef<double>>> open{{index, sorted}};
  while (!open.empty()) {
    auto [at, part] = open.pop_back_val();
    TreeNode step = branch;
    if (part.size() <= 1) {
      step.mode = BranchMode::eq;
      step.threshold = part.empty() ? std::numeric_limits<double>::quiet_NaN() : part.front();
    } else {
      size_t half = part.size() / 2;
      step.mode = BranchMode::leq;
      step.threshold = part[half - 1];
      step.whenTrue = nodes.size();
      step.whenFalse = nodes.size() + 1;
      nodes.resize(nodes.size() + 2);
      open.push_back({step.whenTrue, part.take_front(half)});
      open.push_back({step.whenFalse, part.drop_front(half)});
    }
    nodes[at] = std::move(step);
  }
}

LogicalResult Forest::check(Node &node) {
  if (int64_t(nodes.size()) > kMaxNodes || int64_t(roots.size()) > kMaxNodes)
    return node.error() << "the trees of " << node.opType() << " have " << nodes.size()
                        << " nodes, the limit is " << kMaxNodes;
  for (const TreeNode &each : nodes) {
    if (each.mode != BranchMode::leaf && (each.feature < 0 || each.feature > kMaxFeature))
      return node.error() << "a node of " << node.opType() << " reads feature " << each.feature
                          << ", which is out of range";
    for (auto [target, weight] : each.weights)
      if (target < 0 || target >= targets)
        return node.error() << "a leaf of " << node.opType() << " has a weight for target "
                            << target << ", there are " << targets;
  }
  // Depths by a walk with a stack of its own, since trees may be deep.
  enum State : uint8_t { unseen, open, done };
  std::vector<State> states(nodes.size(), unseen);
  depths.assign(nodes.size(), 0);
  SmallVector<int64_t> stack;
  for (int64_t root : roots) {
    stack.push_back(root);
    while (!stack.empty()) {
      int64_t at = stack.back();
      const TreeNode &each = nodes[at];
      if (states[at] == done || each.mode == BranchMode::leaf) {
        states[at] = done;
        stack.pop_back();
        continue;
      }
      states[at] = open;
      bool ready = true;
      for (int64_t child : {each.whenTrue, each.whenFalse}) {
        if (states[child] == open)
          return node.error() << "the nodes of a tree of " << node.opType() << " form a cycle";
        if (states[child] == unseen) {
          stack.push_back(child);
          ready = false;
          break;
        }
      }
      if (!ready)
        continue;
      depths[at] = 1 + std::max(depths[each.whenTrue], depths[each.whenFalse]);
      states[at] = done;
      stack.pop_back();
    }
  }
  findTargets();
  return success();
}

/// Which targets the leaves of each tree have weights for, and from that what all trees decide.
void Forest::findTargets() {
  always.assign(targets, false);
  ever.assign(targets, false);
  for (int64_t root : roots) {
    llvm::SmallDenseMap<int64_t, int64_t> counts; // target -> leaves with a weight for it
    llvm::DenseSet<int64_t> seen{root};
    SmallVector<int64_t> stack{root};
    int64_t leaves = 0;
    while (!stack.empty()) {
      const TreeNode &node = nodes[stack.pop_back_val()];
      if (node.mode != BranchMode::leaf) {
        for (int64_t child : {node.whenTrue, node.whenFalse})
          if (seen.insert(child).second)
            stack.push_back(child);
        continue;
      }
      ++leaves;
      llvm::SmallDenseSet<int64_t> here;
      for (auto [target, weight] : node.weights)
        if (here.insert(target).second)
          ++counts[target];
    }
    for (auto [target, count] : counts) {
      ever[target] = true;
      if (count == leaves)
        always[target] = true;
    }
    treeTargets.push_back(counts.empty() ? 0 : counts.size() == 1 ? counts.begin()->first : -1);
  }
}

// ---- Tables ------------------------------------------------------------------------------------

/// The operands of graph.tree_ensemble, as integers of the width of the element type.
struct Forest::Tables {
  std::vector<std::array<int64_t, 4>> nodes; // feature and flags, children, threshold, payload
  std::vector<std::array<int64_t, 2>> roots; // node, steps
  SmallVector<int64_t, 2> rootShape;
  std::vector<double> values; // with rows: one per leaf and target
  bool rows = false;
  int64_t features = 0;
  bool missing = false, equal = false;
};

/// `value` as the bits of a float of that type.
static int64_t bitsOf(double value, FloatType element) {
  if (element.isF64())
    return llvm::bit_cast<int64_t>(value);
  return llvm::bit_cast<int32_t>(static_cast<float>(value));
}

static double justBelow(double value, FloatType element) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (value == -infinity) // nothing is less
    return std::numeric_limits<double>::quiet_NaN();
  if (element.isF64())
    return std::nextafter(value, -infinity);
  return std::nextafter(static_cast<float>(value), -std::numeric_limits<float>::infinity());
}

static double identityOf(TreeAggregate aggregate) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return aggregate == TreeAggregate::sum ? 0
                                         : (aggregate == TreeAggregate::min ? infinity : -infinity);
}

static double combineWeights(TreeAggregate aggregate, double a, double b) {
  switch (aggregate) {
  case TreeAggregate::sum:
    return a + b;
  case TreeAggregate::min:
    return std::min(a, b);
  case TreeAggregate::max:
    return std::max(a, b);
  }
  llvm_unreachable("all kinds are covered");
}

Forest::Tables Forest::flatten(FloatType element, TreeAggregate aggregate) const {
  Tables tables;
  // Where every tree decides one target, trees are sorted by it; else leaves are rows of values.
  SmallVector<SmallVector<int64_t>> treesOf(targets);
  for (auto [root, target] : llvm::zip_equal(roots, treeTargets)) {
    if (target < 0)
      tables.rows = true;
    else
      treesOf[target].push_back(root);
  }
  // Trees of the same depth side by side and one after the other: the loops that walk them end
  // together, and as the processor expects. Their sum is taken in that order.
  auto byDepth = [&](int64_t a, int64_t b) { return depths[a] < depths[b]; };
  std::vector<int64_t> ordered = roots;
  llvm::stable_sort(ordered, byDepth);
  for (auto &trees : treesOf)
    llvm::stable_sort(trees, byDepth);
  size_t longest = 1;
  for (auto &trees : treesOf)
    longest = std::max(longest, trees.size());
  if (targets > 1 && longest * targets > 2 * roots.size() + 64)
    tables.rows = true;

  unsigned width = element.getWidth();
  int64_t missingFlag = int64_t(-1) << (width - 1), equalFlag = int64_t(1) << (width - 2);
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  llvm::DenseMap<int64_t, int64_t> leafRows;
  auto valueOf = [&](const TreeNode &leaf, int64_t target) {
    double value = identityOf(aggregate);
    bool first = true;
    for (auto [each, weight] : leaf.weights)
      if (each == target) {
        value = first ? weight : combineWeights(aggregate, value, weight);
        first = false;
      }
    return value;
  };
  auto makeLeaf = [&](int64_t place, int64_t payload) {
    tables.nodes[place] = {0, place, bitsOf(nan, element), payload};
  };
  auto payloadOf = [&](int64_t index, int64_t target) {
    if (!tables.rows)
      return bitsOf(valueOf(nodes[index], target), element);
    auto [it, isNew] = leafRows.try_emplace(index, leafRows.size());
    if (isNew)
      for (int64_t i = 0; i < targets; ++i)
        tables.values.push_back(valueOf(nodes[index], i));
    return it->second;
  };
  auto addTree = [&](int64_t root, int64_t target) {
    int64_t start = tables.nodes.size();
    tables.roots.push_back({start, depths[root]});
    tables.nodes.emplace_back();
    // Children that branches share are laid out once per pair.
    llvm::DenseMap<int64_t, int64_t> pairs;
    std::vector<std::pair<int64_t, int64_t>> queue{{root, start}};
    for (size_t i = 0; i < queue.size(); ++i) {
      auto [index, place] = queue[i];
      const TreeNode &node = nodes[index];
      if (node.mode == BranchMode::leaf) {
        makeLeaf(place, payloadOf(index, target));
        continue;
      }
      tables.features = std::max(tables.features, node.feature + 1);
      // All comparisons are <= or == : the others swap the children, and NaN with them.
      bool swap = node.mode == BranchMode::gt || node.mode == BranchMode::gte ||
                  node.mode == BranchMode::neq;
      bool equal = node.mode == BranchMode::eq || node.mode == BranchMode::neq;
      bool missing = node.mode == BranchMode::neq ? false : node.missing != swap;
      // x >= t is not (x < t), and x < t is x <= the number before t.
      bool below = node.mode == BranchMode::lt || node.mode == BranchMode::gte;
      double threshold = below ? justBelow(node.threshold, element) : node.threshold;
      auto [pair, isNew] = pairs.try_emplace(index, tables.nodes.size());
      if (isNew) {
        tables.nodes.resize(tables.nodes.size() + 2);
        queue.push_back({swap ? node.whenTrue : node.whenFalse, pair->second});
        queue.push_back({swap ? node.whenFalse : node.whenTrue, pair->second + 1});
      }
      tables.missing |= missing;
      tables.equal |= equal;
      tables.nodes[place] = {node.feature | (missing ? missingFlag : 0) | (equal ? equalFlag : 0),
                             pair->second, bitsOf(threshold, element), 0};
    }
  };
  if (tables.rows) {
    for (int64_t root : ordered)
      addTree(root, 0);
    tables.rootShape = {int64_t(roots.size()), 2};
    return tables;
  }
  std::optional<int64_t> padding;
  for (int64_t target = 0; target < targets; ++target)
    for (size_t i = 0; i < longest; ++i) {
      if (i < treesOf[target].size()) {
        addTree(treesOf[target][i], target);
        continue;
      }
      if (!padding) {
        padding = tables.nodes.size();
        tables.nodes.emplace_back();
        makeLeaf(*padding, bitsOf(identityOf(aggregate), element));
      }
      tables.roots.push_back({*padding, 0});
    }
  tables.rootShape = {targets, int64_t(longest), 2};
  return tables;
}

/// Integers narrowed to the width of `element`, as a constant.
static Value integerTable(Node &node, ArrayRef<int64_t> shape, ArrayRef<int64_t> values,
                          Type element) {
  auto type = RankedTensorType::get(shape, element);
  if (element.isInteger(64))
    return node.constant(graph::makeConstantAttr(
        type, ArrayRef(reinterpret_cast<const char *>(values.data()), values.size() * 8)));
  std::vector<int32_t> narrow(values.begin(), values.end());
  return node.constant(graph::makeConstantAttr(
      type, ArrayRef(reinterpret_cast<const char *>(narrow.data()), narrow.size() * 4)));
}

Value Forest::combine(Node &node, Value input, TreeAggregate aggregate) const {
  if (!input)
    return {};
  auto element = cast<FloatType>(Node::elementOf(input));
  Tables tables = flatten(element, aggregate);
  uint64_t bytes = 0;
  for (auto [count, each] : {std::pair(tables.nodes.size(), 4), {tables.values.size(), 1}})
    bytes += uint64_t(count) * each * (element.getWidth() / 8);
  if (bytes > kMaxTableBytes) {
    node.error() << "the trees of " << node.opType() << " take " << bytes << " bytes, the limit is "
                 << kMaxTableBytes;
    return {};
  }
  Type integer = node.builder().getIntegerType(element.getWidth());
  auto flat = [](auto &rows) {
    return ArrayRef<int64_t>(rows.empty() ? nullptr : rows.front().data(),
                             rows.size() * (rows.empty() ? 0 : rows.front().size()));
  };
  Value nodeTable =
      integerTable(node, {int64_t(tables.nodes.size()), 4}, flat(tables.nodes), integer);
  Value rootTable = integerTable(node, tables.rootShape, flat(tables.roots), integer);
  Value values;
  if (tables.rows)
    values = floatConstant(node, {int64_t(tables.values.size()) / targets, targets}, tables.values,
                           element);
  auto op =
      node.create<graph::TreeEnsembleOp>(node.likeOf(input), aggregate, input, nodeTable, rootTable,
                                         values, tables.features, tables.missing, tables.equal);
  if (!op)
    return {};
  Value result = op.getResult();
  if (aggregate == TreeAggregate::sum || llvm::all_of(always, [](bool each) { return each; }))
    return result;
  Value undecided = node.binary(graph::BinaryKind::equal, result, identityOf(aggregate));
  return node.select(undecided, node.scalar(0, element), result);
}

Value Forest::decided(Node &node, Value input) const {
  Forest ones = *this;
  for (TreeNode &each : ones.nodes)
    for (auto &weight : each.weights)
      weight.second = 1;
  return ones.combine(node, input, TreeAggregate::max);
}
