// Minimum cut of a directed graph with source and sink.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/MinCut.h"
#include <algorithm>

using namespace lathe::graph;

MinCut::MinCut() : edgesOf(2) {}

unsigned MinCut::addNode() {
  edgesOf.emplace_back();
  return edgesOf.size() - 1;
}

void MinCut::addEdge(unsigned from, unsigned to, int64_t capacity) {
  if (from == to || capacity <= 0)
    return;
  edgesOf[from].push_back(edges.size());
  edges.push_back({to, std::min(capacity, unlimited)});
  edgesOf[to].push_back(edges.size());
  edges.push_back({from, 0});
}

bool MinCut::findLevels() {
  levels.assign(edgesOf.size(), -1);
  llvm::SmallVector<unsigned> queue{getSource()};
  levels[getSource()] = 0;
  for (size_t i = 0; i < queue.size(); ++i)
    for (unsigned edge : edgesOf[queue[i]])
      if (edges[edge].capacity > 0 && levels[edges[edge].to] < 0) {
        levels[edges[edge].to] = levels[queue[i]] + 1;
        queue.push_back(edges[edge].to);
      }
  return levels[getSink()] >= 0;
}

/// Finds one path along increasing levels, without recursion: models may be deep.
int64_t MinCut::push(int64_t &budget) {
  llvm::SmallVector<unsigned> path; // edges
  unsigned node = getSource();
  while (node != getSink()) {
    if (--budget < 0)
      return 0;
    unsigned &next = nextEdge[node];
    bool advanced = false;
    for (; next < edgesOf[node].size(); ++next) {
      const Edge &edge = edges[edgesOf[node][next]];
      --budget;
      if (edge.capacity > 0 && levels[edge.to] == levels[node] + 1) {
        path.push_back(edgesOf[node][next]);
        node = edge.to;
        advanced = true;
        break;
      }
    }
    if (advanced)
      continue;
    if (path.empty())
      return 0;
    node = edges[path.pop_back_val() ^ 1].to;
    ++nextEdge[node];
  }
  int64_t flow = unlimited;
  for (unsigned edge : path)
    flow = std::min(flow, edges[edge].capacity);
  for (unsigned edge : path) {
    edges[edge].capacity -= flow;
    edges[edge ^ 1].capacity += flow;
  }
  budget -= path.size();
  return flow;
}

bool MinCut::solve(int64_t budget) {
  while (findLevels()) {
    nextEdge.assign(edgesOf.size(), 0);
    budget -= edges.size();
    while (push(budget) > 0) {
    }
    if (budget < 0)
      return false;
  }
  reachesSink.assign(edgesOf.size(), false);
  reachesSink[getSink()] = true;
  llvm::SmallVector<unsigned> queue{getSink()};
  for (size_t i = 0; i < queue.size(); ++i)
    for (unsigned edge : edgesOf[queue[i]])
      if (unsigned node = edges[edge].to; edges[edge ^ 1].capacity > 0 && !reachesSink[node]) {
        reachesSink[node] = true;
        queue.push_back(node);
      }
  return true;
}
