// Register tiles: what decides them, and the weights that they walk along.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_TILE_H
#define LATHE_LIB_SCHEDULE_TILE_H

#include "KernelBuilder.h"

namespace lathe::schedule {

/// The numbers of a register tile; everything the emitter decides by.
struct TileParameters {
  int64_t lanes = 0;       // of one vector
  int64_t vectors = 0;     // per row of the tile
  int64_t rows = 1;        // most rows of a tile
  bool apart = false;      // a window's row is added up vector by vector
  bool matrix = false;     // bf16 on tiles of 16 x 16 sums
  bool vectorOuter = true; // vector tiles are the slowest loop: their weights stay in cache
};

/// `choice` is what chooseTile gave for `root`, `tiling` what the tables say of its shape; its
/// class is asked for where that is not all.
TileParameters chooseParameters(const Stage &root, const TileChoice &choice, const Options &options,
                                Tiling tiling);

inline bool isAcross(const Access &access, unsigned loop) {
  return access.panel > 0 || access.coefficients[loop].is(1);
}

/// Lanes lie a few elements apart, as in pooling with strides. Sums of products have better ways,
/// and short rows that are added up each are one vector.
inline bool isStrided(const Stage &stage, const Access &access, unsigned loop) {
  constexpr int64_t most = 4;
  const Size &stride = access.coefficients[loop];
  if (access.panel > 0 || !stride.isStatic() || stride.constant < 2 || stride.constant > most ||
      isMultiplyAdd(stage))
    return false;
  // However its loops are joined.
  Size terms(1);
  for (auto [extent, isReduction] : llvm::zip_equal(stage.extents, stage.reduction))
    terms = isReduction ? terms * extent : terms;
  return terms != stride;
}

inline bool isAbsent(const Access &access, unsigned loop) {
  return access.panel == 0 && access.coefficients[loop].isZero();
}

/// Asks for `lines` cache lines of the `bytes` that begin at the element `region` of `buffer`, from
/// the line `first` on or the last ones, to come into the second-level cache.
void emitPrefetch(Kernel &kernel, Value buffer, Value region, int64_t bytes, Value first,
                  int64_t lines);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_TILE_H
