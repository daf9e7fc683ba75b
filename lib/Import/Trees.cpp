// Ensembles of decision trees (ai.onnx.ml).
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Forest.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Scores.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::TreeAggregate;

// ---- Attributes --------------------------------------------------------------------------------

static SmallVector<double> tensorNumbers(Node &node, StringRef name) {
  TypedAttr value = node.tensorAttribute(name);
  if (!value)
    return {};
  std::optional<SmallVector<double>> numbers = Node::numbersOf(value);
  if (!numbers)
    node.error() << "attribute '" << name << "' of " << node.opType() << " has type "
                 << value.getType() << ", it takes floats";
  return numbers.value_or(SmallVector<double>());
}

/// An attribute that is a list of floats, or since version 3 a tensor of doubles.
static SmallVector<double> numbersAttribute(Node &node, StringRef name) {
  std::string tensorName = (name + "_as_tensor").str();
  if (node.version() >= 3 && node.hasAttribute(tensorName))
    return tensorNumbers(node, tensorName);
  return node.floatsAttribute(name).value_or(SmallVector<double>());
}

static Ints intsOf(Node &node, StringRef name) { return node.intsAttribute(name).value_or(Ints()); }

/// Reports a list that does not have one value per node (or leaf); an empty one where `optional`.
static bool hasCount(Node &node, StringRef name, size_t count, size_t wanted,
                     bool optional = false) {
  if (count == wanted || (optional && count == 0))
    return true;
  node.error() << "attribute '" << name << "' of " << node.opType() << " has " << count
               << " values, it takes " << wanted;
  return false;
}

// ---- Versions 1 and 3: nodes named by tree and number ------------------------------------------

static std::optional<BranchMode> modeByName(StringRef name) {
  return llvm::StringSwitch<std::optional<BranchMode>>(name)
      .Case("BRANCH_LEQ", BranchMode::leq)
      .Case("BRANCH_LT", BranchMode::lt)
      .Case("BRANCH_GTE", BranchMode::gte)
      .Case("BRANCH_GT", BranchMode::gt)
      .Case("BRANCH_EQ", BranchMode::eq)
      .Case("BRANCH_NEQ", BranchMode::neq)
      .Case("LEAF", BranchMode::leaf)
      .Default(std::nullopt);
}

/// Reads the trees of TreeEnsembleClassifier (`prefix` "class") or -Regressor ("target").
static std::optional<Forest> readForest(Node &node, StringRef prefix, int64_t targets) {
  Forest forest;
  forest.targets = targets;
  Ints trees = intsOf(node, "nodes_treeids"), ids = intsOf(node, "nodes_nodeids");
  Ints features = intsOf(node, "nodes_featureids");
  Ints whenTrue = intsOf(node, "nodes_truenodeids"), whenFalse = intsOf(node, "nodes_falsenodeids");
  Ints missing = intsOf(node, "nodes_missing_value_tracks_true");
  auto modes = node.stringsAttribute("nodes_modes").value_or(std::vector<std::string>());
  SmallVector<double> thresholds = numbersAttribute(node, "nodes_values");
  numbersAttribute(node, "nodes_hitrates");
  auto named = [&](StringRef suffix) { return (prefix + "_" + suffix).str(); };
  Ints weightTrees = intsOf(node, named("treeids")), weightNodes = intsOf(node, named("nodeids"));
  Ints weightTargets = intsOf(node, named("ids"));
  SmallVector<double> weights = numbersAttribute(node, named("weights"));
  if (node.hasFailed())
    return std::nullopt;
  size_t count = ids.size(), votes = weights.size();
  if (count == 0) {
    node.error() << node.opType() << " has no nodes";
    return std::nullopt;
  }
  if (!hasCount(node, "nodes_treeids", trees.size(), count) ||
      !hasCount(node, "nodes_featureids", features.size(), count) ||
      !hasCount(node, "nodes_truenodeids", whenTrue.size(), count) ||
      !hasCount(node, "nodes_falsenodeids", whenFalse.size(), count) ||
      !hasCount(node, "nodes_modes", modes.size(), count) ||
      !hasCount(node, "nodes_values", thresholds.size(), count) ||
      !hasCount(node, "nodes_missing_value_tracks_true", missing.size(), count, true) ||
      !hasCount(node, named("treeids"), weightTrees.size(), votes) ||
      !hasCount(node, named("nodeids"), weightNodes.size(), votes) ||
      !hasCount(node, named("ids"), weightTargets.size(), votes))
    return std::nullopt;

  llvm::DenseMap<std::pair<int64_t, int64_t>, int64_t> places;
  for (size_t i = 0; i < count; ++i)
    if (!places.try_emplace({trees[i], ids[i]}, i).second) {
      node.error() << "node " << ids[i] << " of tree " << trees[i] << " of " << node.opType()
                   << " is given twice";
      return std::nullopt;
    }
  auto find = [&](int64_t tree, int64_t id, StringRef what) {
    auto it = places.find({tree, id});
    if (it != places.end())
      return it->second;
    node.error() << "tree " << tree << " of " << node.opType() << " has no node " << id << ", a "
                 << what << " names it";
    return int64_t(-1);
  };
  for (size_t i = 0; i < count; ++i) {
    TreeNode each;
    std::optional<BranchMode> mode = modeByName(modes[i]);
    if (!mode) {
      node.error() << "node " << ids[i] << " of tree " << trees[i] << " of " << node.opType()
                   << " has mode '" << modes[i] << "'";
      return std::nullopt;
    }
    each.mode = *mode;
    if (each.mode != BranchMode::leaf) {
      each.missing = !missing.empty() && missing[i] != 0;
      each.feature = features[i];
      each.threshold = thresholds[i];
      each.whenTrue = find(trees[i], whenTrue[i], "branch");
      each.whenFalse = find(trees[i], whenFalse[i], "branch");
      if (each.whenTrue < 0 || each.whenFalse < 0)
        return std::nullopt;
    }
    forest.nodes.push_back(std::move(each));
    // The first node of a tree is its root.
    if (i == 0 || trees[i] != trees[i - 1])
      forest.roots.push_back(i);
  }
  for (size_t i = 0; i < votes; ++i) {
    int64_t place = find(weightTrees[i], weightNodes[i], "weight");
    if (place < 0)
      return std::nullopt;
    forest.nodes[place].weights.push_back({weightTargets[i], weights[i]});
  }
  for (auto [i, each] : llvm::enumerate(forest.nodes))
    if (each.mode == BranchMode::leaf && each.weights.empty()) {
      node.error() << "leaf " << ids[i] << " of tree " << trees[i] << " of " << node.opType()
                   << " has no weight";
      return std::nullopt;
    }
  if (failed(forest.check(node)))
    return std::nullopt;
  return forest;
}

/// Adds a value per target, given once for all rows.
static Value addBase(Node &node, Value scores, ArrayRef<double> base) {
  if (base.empty() || !scores)
    return scores;
  return node.binary(BinaryKind::add, scores,
                     floatConstant(node, {int64_t(base.size())}, base, Node::elementOf(scores)));
}

/// What the trees give for each target, with the aggregate and base that the model names.
static Value aggregateForest(Node &node, const Forest &forest, Value x, unsigned aggregate,
                             ArrayRef<double> base) {
  static constexpr TreeAggregate kinds[] = {TreeAggregate::sum, TreeAggregate::sum,
                                            TreeAggregate::min, TreeAggregate::max};
  Value scores = forest.combine(node, x, kinds[aggregate]);
  if (aggregate == 0) // AVERAGE
    scores = node.binary(BinaryKind::div, scores, double(forest.roots.size()));
  return addBase(node, scores, base);
}

static LogicalResult importRegressor(Node &node) {
  static constexpr StringRef aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  int64_t targets = node.intAttribute("n_targets", 1);
  if (targets < 1 || targets > (1 << 24))
    return node.error() << "attribute 'n_targets' of " << node.opType() << " is " << targets;
  std::optional<Forest> forest = readForest(node, "target", targets);
  SmallVector<double> base = numbersAttribute(node, "base_values");
  unsigned aggregate = node.choice("aggregate_function", aggregates, 1);
  PostTransform transform = postTransformAttribute(node);
  if (!forest || node.hasFailed() || !hasCount(node, "base_values", base.size(), targets, true))
    return failure();
  Value x = asRows(node, node.input(0), /*keepDouble=*/true);
  Value scores = aggregateForest(node, *forest, x, aggregate, base);
  scores = scores ? node.cast(scores, node.builder().getF32Type()) : Value();
  return node.result(transformTargets(node, transform, scores, targets));
}

// ---- Classes -----------------------------------------------------------------------------------

/// Two classes of which `decided` alone has weights. Its score (more than half of the most where no
/// weight is negative) makes the second label.
static LogicalResult importOneOfTwo(Node &node, const Forest &forest, Value x, int64_t decided,
                                    ArrayRef<double> base, PostTransform transform,
                                    const ClassLabels &labels) {
  if (base.size() > 1 || (decided == 1 && !base.empty()))
    return node.error() << "attribute 'base_values' of " << node.opType() << " has " << base.size()
                        << " values where only class " << decided << " has weights";
  bool positive = llvm::all_of(forest.nodes, [](const TreeNode &each) {
    return llvm::all_of(each.weights, [](auto weight) { return weight.second >= 0; });
  });
  Type f32 = node.builder().getF32Type();
  Value all = forest.combine(node, x, TreeAggregate::sum);
  Value score = addBase(node, node.slice(all, 1, decided, decided + 1), base);
  if (!score)
    return failure();
  score = node.cast(score, f32);
  node.setResult(0, labelOfTwo(node, labels, score, positive ? 0.5 : 0.0));
  // The score of the first class stands for the second, whose opposite the first gets.
  node.setResult(1, decided == 0 ? scoresOfTwo(node, transform, score, positive)
                                 : applyTransform(node, transform, node.cast(all, f32)));
  return node.status();
}

static LogicalResult importClassifier(Node &node) {
  ClassLabels labels = classLabels(node, "classlabels_int64s", "classlabels_strings");
  if (!labels.table)
    return failure();
  int64_t classes = labels.count;
  std::optional<Forest> forest = readForest(node, "class", classes);
  SmallVector<double> base = numbersAttribute(node, "base_values");
  PostTransform transform = postTransformAttribute(node);
  Value x = asRows(node, node.input(0), /*keepDouble=*/true);
  if (!forest || node.hasFailed() || !x)
    return failure();
  if (classes == 2 && forest->everDecides(0) != forest->everDecides(1))
    return importOneOfTwo(node, *forest, x, forest->everDecides(0) ? 0 : 1, base, transform,
                          labels);
  if (!hasCount(node, "base_values", base.size(), classes, true))
    return failure();
  Type f32 = node.builder().getF32Type();
  Value scores = addBase(node, forest->combine(node, x, TreeAggregate::sum), base);
  if (!scores)
    return failure();
  // Classes that no tree decided for a row cannot win it, unless they have a base value.
  Value contest = scores;
  if (base.empty() && !llvm::all_of(llvm::seq<int64_t>(0, classes),
                                    [&](int64_t i) { return forest->alwaysDecides(i); }))
    contest =
        node.select(node.binary(BinaryKind::greater, forest->decided(node, x), 0.0), scores,
                    node.scalar(-std::numeric_limits<double>::infinity(), Node::elementOf(scores)));
  if (!contest)
    return failure();
  node.setResult(0, labelOfBest(node, labels, contest));
  node.setResult(1, transformTargets(node, transform, node.cast(scores, f32), classes));
  return node.status();
}

// ---- Version 5: branches and leaves apart ------------------------------------------------------

/// Members of the sets that branches test, set after set, a NaN behind each.
static bool expandMembers(Node &node, Forest &forest, ArrayRef<double> members) {
  size_t next = 0;
  for (size_t i = 0, count = forest.nodes.size(); i < count; ++i) {
    if (forest.nodes[i].mode != BranchMode::member)
      continue;
    size_t end = next;
    while (end < members.size() && !std::isnan(members[end]))
      ++end;
    if (end == members.size()) {
      node.error() << "attribute 'membership_values' of " << node.opType()
                   << " has fewer sets than there are nodes that test one";
      return false;
    }
    forest.expandMember(i, members.slice(next, end - next));
    next = end + 1;
  }
  if (next == members.size())
    return true;
  node.error() << "attribute 'membership_values' of " << node.opType()
               << " has more sets than there are nodes that test one";
  return false;
}

static std::optional<Forest> readTreeEnsemble(Node &node, int64_t targets) {
  Forest forest;
  forest.targets = targets;
  SmallVector<double> modes = tensorNumbers(node, "nodes_modes");
  SmallVector<double> thresholds = tensorNumbers(node, "nodes_splits");
  SmallVector<double> weights = tensorNumbers(node, "leaf_weights");
  SmallVector<double> members = tensorNumbers(node, "membership_values");
  tensorNumbers(node, "nodes_hitrates");
  Ints features = intsOf(node, "nodes_featureids"), roots = intsOf(node, "tree_roots");
  Ints whenTrue = intsOf(node, "nodes_truenodeids"), whenFalse = intsOf(node, "nodes_falsenodeids");
  Ints trueLeafs = intsOf(node, "nodes_trueleafs"), falseLeafs = intsOf(node, "nodes_falseleafs");
  Ints missing = intsOf(node, "nodes_missing_value_tracks_true");
  Ints leafTargets = intsOf(node, "leaf_targetids");
  size_t count = modes.size(), leaves = weights.size();
  if (node.hasFailed() || !hasCount(node, "nodes_splits", thresholds.size(), count) ||
      !hasCount(node, "nodes_featureids", features.size(), count) ||
      !hasCount(node, "nodes_truenodeids", whenTrue.size(), count) ||
      !hasCount(node, "nodes_falsenodeids", whenFalse.size(), count) ||
      !hasCount(node, "nodes_trueleafs", trueLeafs.size(), count) ||
      !hasCount(node, "nodes_falseleafs", falseLeafs.size(), count) ||
      !hasCount(node, "nodes_missing_value_tracks_true", missing.size(), count, true) ||
      !hasCount(node, "leaf_targetids", leafTargets.size(), leaves))
    return std::nullopt;
  if (roots.empty()) {
    node.error() << node.opType() << " has no trees";
    return std::nullopt;
  }
  // Leaves stand behind the branches.
  auto place = [&](int64_t id, bool leaf) {
    int64_t limit = leaf ? leaves : count;
    if (id >= 0 && id < limit)
      return leaf ? int64_t(count) + id : id;
    node.error() << "a branch of " << node.opType() << " leads to " << (leaf ? "leaf " : "node ")
                 << id << ", there are " << limit;
    return int64_t(-1);
  };
  for (size_t i = 0; i < count; ++i) {
    TreeNode each;
    if (!(modes[i] >= 0 && modes[i] <= 6)) {
      node.error() << "a node of " << node.opType() << " has mode " << modes[i];
      return std::nullopt;
    }
    each.mode = static_cast<BranchMode>(int(modes[i]));
    each.missing = !missing.empty() && missing[i] != 0;
    each.feature = features[i];
    each.threshold = thresholds[i];
    each.whenTrue = place(whenTrue[i], trueLeafs[i] != 0);
    each.whenFalse = place(whenFalse[i], falseLeafs[i] != 0);
    if (each.whenTrue < 0 || each.whenFalse < 0)
      return std::nullopt;
    forest.nodes.push_back(std::move(each));
  }
  for (size_t i = 0; i < leaves; ++i) {
    TreeNode leaf;
    leaf.weights.push_back({leafTargets[i], weights[i]});
    forest.nodes.push_back(std::move(leaf));
  }
  for (int64_t root : roots) {
    if (root < 0 || root >= int64_t(count)) {
      node.error() << "a tree of " << node.opType() << " begins at node " << root << ", there are "
                   << count;
      return std::nullopt;
    }
    forest.roots.push_back(root);
  }
  if (!expandMembers(node, forest, members) || failed(forest.check(node)))
    return std::nullopt;
  return forest;
}

static LogicalResult importTreeEnsemble(Node &node) {
  static constexpr PostTransform transforms[] = {
      PostTransform::none, PostTransform::softmax, PostTransform::logistic,
      PostTransform::softmax_zero, PostTransform::probit};
  int64_t targets = node.intAttribute("n_targets", 1);
  int64_t aggregate = node.intAttribute("aggregate_function", 1);
  int64_t transform = node.intAttribute("post_transform", 0);
  if (targets < 1 || targets > (1 << 24))
    return node.error() << "attribute 'n_targets' of " << node.opType() << " is " << targets;
  if (aggregate < 0 || aggregate > 3)
    return node.error() << "attribute 'aggregate_function' of " << node.opType() << " is "
                        << aggregate << ", it must lie in [0, 3]";
  if (transform < 0 || transform > 4)
    return node.error() << "attribute 'post_transform' of " << node.opType() << " is " << transform
                        << ", it must lie in [0, 4]";
  std::optional<Forest> forest = readTreeEnsemble(node, targets);
  Value x = asRows(node, node.input(0), /*keepDouble=*/true);
  if (!forest || !x)
    return failure();
  Value scores = aggregateForest(node, *forest, x, aggregate, {});
  scores = transformTargets(node, transforms[transform], scores, targets);
  return node.result(scores ? node.cast(scores, Node::elementOf(node.input(0))) : Value());
}

ArrayRef<Operator> lathe::import::treeOperators() {
  static constexpr StringRef domain = "ai.onnx.ml";
  static constexpr uint32_t kTypes = kFloats | kIntegers;
  static const Operator operators[] = {
      {"TreeEnsemble", {5}, 1, 1, importTreeEnsemble, kFloats, "", domain},
      {"TreeEnsembleClassifier", {1, 3, 5}, 1, 1, importClassifier, kTypes, "", domain},
      {"TreeEnsembleRegressor", {1, 3, 5}, 1, 1, importRegressor, kTypes, "", domain},
  };
  return operators;
}
