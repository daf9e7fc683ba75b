// Minimum cut of a directed graph with source and sink.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_MINCUT_H
#define LATHE_LIB_GRAPH_MINCUT_H

#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace lathe::graph {

/// Splits nodes into a source side and a sink side so that the capacities of the edges from the
/// former to the latter sum to the least (Dinic's algorithm).
class MinCut {
public:
  static constexpr int64_t unlimited = int64_t(1) << 60;

  MinCut();
  unsigned getSource() const { return 0; }
  unsigned getSink() const { return 1; }
  unsigned addNode();
  void addEdge(unsigned from, unsigned to, int64_t capacity);

  /// Computes the cut. False when the work would exceed `budget` steps, which only contrived graphs
  /// do; isOnSinkSide then has no meaning.
  bool solve(int64_t budget);
  /// Of several least cuts the one with the fewest nodes on the sink's side.
  bool isOnSinkSide(unsigned node) const { return reachesSink[node]; }
  /// Of several least cuts the one with the most nodes on the sink's side.
  bool mayBeOnSinkSide(unsigned node) const { return levels[node] < 0; }

private:
  struct Edge {
    unsigned to;
    int64_t capacity; // what is left
  };
  bool findLevels();
  int64_t push(int64_t &budget);

  llvm::SmallVector<Edge, 0> edges; // edge i ^ 1 is the reverse of edge i
  llvm::SmallVector<llvm::SmallVector<unsigned, 4>, 0> edgesOf;
  llvm::SmallVector<int, 0> levels;
  llvm::SmallVector<bool, 0> reachesSink;
  llvm::SmallVector<unsigned, 0> nextEdge;
};

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_MINCUT_H
