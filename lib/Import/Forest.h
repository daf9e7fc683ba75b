// Ensembles of decision trees on their way to graph.tree_ensemble.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_FOREST_H
#define LATHE_LIB_IMPORT_FOREST_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// How a node of a tree decides, numbered as TreeEnsemble-5 does.
enum class BranchMode { leq, lt, gte, gt, eq, neq, member, leaf };

/// One node of a tree as a model writes it.
struct TreeNode {
  BranchMode mode = BranchMode::leaf;
  bool missing = false; ///< NaN goes to the true child
  int64_t feature = 0;
  double threshold = 0;
  /// Of a branch: children, as indices of Forest::nodes.
  int64_t whenTrue = 0, whenFalse = 0;
  /// Of a leaf: what it adds to which target.
  llvm::SmallVector<std::pair<int64_t, double>, 1> weights = {};
};

/// The trees of one operator. Branches may share children, but there are no cycles.
class Forest {
public:
  std::vector<TreeNode> nodes;
  std::vector<int64_t> roots;
  int64_t targets = 0;

  /// Replaces the branch `node` by ones that compare with one value each: true for `members`.
  void expandMember(int64_t node, llvm::ArrayRef<double> members);

  /// Reports cycles, and features, targets or weights that cannot be. Must hold before `combine`.
  llvm::LogicalResult check(Node &node);

  /// For each row of `input` [rows, features] (f32 or f64) what the trees give for each target;
  /// 0 for targets that no tree decided.
  mlir::Value combine(Node &node, mlir::Value input, graph::TreeAggregate aggregate) const;

  /// Whether every row gets a value for `target`.
  bool alwaysDecides(int64_t target) const { return always[target]; }
  bool everDecides(int64_t target) const { return ever[target]; }
  /// 1 where a row gets a value for a target, else 0.
  mlir::Value decided(Node &node, mlir::Value input) const;

private:
  struct Tables;
  Tables flatten(mlir::FloatType element, graph::TreeAggregate aggregate) const;

  void findTargets();

  // Filled by `check`: the most steps from each node to a leaf; the one target of each tree, or -1;
  // the targets that every row, and that any row gets a value for.
  std::vector<int64_t> depths, treeTargets;
  std::vector<bool> always, ever;
};

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_FOREST_H
