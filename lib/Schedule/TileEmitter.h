// Register tiles: a reduction over any number of loops computes `rows` x `vectors` accumulators at
// a time, one loop across the lanes, and its elementwise epilogue runs on the accumulators. One
// emitter serves matrix products, convolutions, depthwise convolutions and pooling.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_TILEEMITTER_H
#define LATHE_LIB_SCHEDULE_TILEEMITTER_H

#include "MatrixTile.h"

namespace lathe::schedule {

/// Emits the tiles of one kernel: TileWalk.cpp the walk over them, TileEmitter.cpp what is in one.
class TileEmitter {
public:
  TileEmitter(Kernel &kernel, const Group &group, const TileChoice &choice,
              const TileParameters &tile, const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), group(group), root(group.stages.front()),
        choice(choice), tile(tile), target(target), addressOf(addressOf), indices(root.numLoops()),
        matrix(kernel) {
    for (unsigned i = 0; i < root.numLoops(); ++i)
      (root.reduction[i] ? reductions : parallel).push_back(i);
    for (auto [i, input] : llvm::enumerate(root.inputs))
      if (input.pairLoop)
        pairedInput = i;
  }

  Work emit();

private:
  // One place of the vector loop: full vectors, or with a mask for the last.
  struct Lanes {
    Value start;                    // first lane
    llvm::SmallVector<Value> masks; // per vector; null: full
  };
  using Accumulators = llvm::SmallVector<llvm::SmallVector<Value>>; // [row][vector]

  void emitRowTiles(const Lanes &lanes, Value firstTile, Value lastTile);
  void emitTile(const Lanes &lanes, Value firstRow, int64_t rows);
  void emitMatrixTile(const Lanes &lanes, Value firstRow, int64_t rows);
  void reduceMatrix(llvm::ArrayRef<unsigned> loops, const Lanes &lanes, Value firstRow,
                    int64_t rows);
  Accumulators reduce(llvm::ArrayRef<unsigned> loops, Accumulators accumulators, const Lanes &lanes,
                      llvm::ArrayRef<Value> rowIndices);
  Accumulators step(Accumulators accumulators, const Lanes &lanes,
                    llvm::ArrayRef<Value> rowIndices);
  Accumulators stepPairs(Accumulators accumulators, const Lanes &lanes,
                         llvm::ArrayRef<Value> rowIndices);
  Value loadStrided(Value buffer, Value position, mlir::VectorType type, int64_t stride,
                    Value mask);
  Value load(const Access &access, llvm::ArrayRef<Value> at, unsigned vectorLoop,
             const Lanes &lanes, int64_t vector);
  Value address(const Access &access, llvm::ArrayRef<Value> at, unsigned vectorLoop,
                const Lanes &lanes, int64_t vector);
  mlir::Type vectorType(mlir::Type element) { return mlir::VectorType::get({tile.lanes}, element); }

  Kernel &kernel;
  mlir::OpBuilder &builder;
  const Group &group;
  const Stage &root;
  TileChoice choice;
  TileParameters tile;
  const TargetInfo &target;
  AddressOf addressOf;
  llvm::SmallVector<unsigned> parallel, reductions;
  llvm::SmallVector<Value> indices;    // of the root's loops; null: handled apart
  std::optional<unsigned> pairedInput; // the weights, where they lie in pairs
  bool single = false;                 // the last of an odd number, which has no neighbour
  MatrixUnit matrix;

  /// Weights in panels that are fetched ahead: while tiles walk along some panels, pass after pass,
  /// the next ones come.
  struct Stream {
    const Access *weights;
    int64_t panels;     // that one tile reads
    int64_t bytes;      // of so many
    int64_t chunkBytes; // of one walk between two prefetches
    int64_t lines;      // of one prefetch
    int64_t chunks;     // of one pass
  };
  std::optional<Stream> chooseStream(std::optional<int64_t> passes) const;
  bool hasSmallWeights() const;
  int64_t blocksOfStripe(int64_t blockTiles, std::optional<int64_t> rowBlocks) const;
  void prefetch(const Lanes &lanes, unsigned loop, Value first);
  /// Steps of the innermost loop between two prefetches.
  static constexpr int64_t chunkSteps = 16;
  std::optional<Stream> stream;
  Value pass; // how often the panels were walked along before
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_TILEEMITTER_H
