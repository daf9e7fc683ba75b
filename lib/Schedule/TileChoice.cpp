// Which loops a register tile runs across, and how large it is. Apache-2.0 WITH LLVM-exception
#include "MatrixTile.h"

using namespace mlir;
using namespace lathe::schedule;

static bool fitsLanes(Type type) {
  return type.isF32() || type.isInteger(32) || type.isF64() || type.isInteger(64);
}

/// `mayBeStrided`: inputs may have lanes some elements apart.
static std::optional<TileChoice> findTile(const Stage &stage, int64_t lanes, bool mayBeStrided) {
  const Access &output = stage.outputs[0];
  for (unsigned v = stage.numLoops(); v-- > 0;) {
    const Size &extent = stage.extents[v];
    if (stage.reduction[v] || !output.coefficients[v].is(1) || extent.is(1) ||
        (extent.isStatic() && extent.constant * 4 < lanes && !isMultiplyAdd(stage)))
      continue;
    if (!llvm::all_of(stage.inputs, [&](const Access &input) {
          return input.coefficients.empty() || isAcross(input, v) || isAbsent(input, v) ||
                 (mayBeStrided && isStrided(stage, input, v));
        }))
      continue;
    TileChoice choice;
    choice.vectorLoop = v;
    // Rows reuse what is loaded for the lanes: the innermost loop that some such input lacks.
    for (unsigned r = stage.numLoops(); r-- > 0 && !choice.rowLoop;) {
      if (r == v || stage.reduction[r] || stage.extents[r].is(1))
        continue;
      if (llvm::any_of(stage.inputs, [&](const Access &input) {
            return !input.coefficients.empty() && isAcross(input, v) &&
                   input.coefficients[r].isZero();
          }))
        choice.rowLoop = r;
    }
    return choice;
  }
  return std::nullopt;
}

std::optional<TileChoice> lathe::schedule::chooseTile(const Stage &stage,
                                                      const TargetInfo &target) {
  if (target.itemPerThread || !stage.hasReduction() || stage.irregular ||
      stage.outputs.size() != 1 || !isVectorizable(*stage.body) ||
      !fitsLanes(stage.outputs[0].view.element))
    return std::nullopt;
  int64_t lanes = target.vectorBits / 32;
  std::optional<TileChoice> choice = findTile(stage, lanes, /*mayBeStrided=*/false);
  return choice ? choice : findTile(stage, lanes, /*mayBeStrided=*/true);
}

bool lathe::schedule::fitsEpilogue(const Group &group, const Stage &stage,
                                   const TargetInfo &target) {
  const Stage &root = group.stages.front();
  std::optional<TileChoice> choice = chooseTile(root, target);
  if (!choice || stage.irregular || stage.hasReduction() || stage.outputs.size() != 1 ||
      stage.readsOutput[0] || !isVectorizable(*stage.body))
    return false;
  SmallVector<unsigned> parallel;
  for (unsigned i = 0; i < root.numLoops(); ++i)
    if (!root.reduction[i])
      parallel.push_back(i);
  if (stage.numLoops() != parallel.size())
    return false;
  unsigned vector = 0;
  for (auto [i, loop] : llvm::enumerate(parallel)) {
    if (stage.extents[i] != root.extents[loop])
      return false;
    if (loop == choice->vectorLoop)
      vector = i;
  }
  if (!stage.outputs[0].coefficients[vector].is(1))
    return false;
  auto sameCoefficients = [&](const Access &input, const Stage &producer) {
    for (unsigned i = 0; i < parallel.size(); ++i) {
      unsigned loop = &producer == &root ? parallel[i] : i;
      if (input.coefficients[i] != producer.outputs[0].coefficients[loop] &&
          !stage.extents[i].is(1))
        return false;
    }
    return true;
  };
  for (const Access &input : stage.inputs) {
    if (input.coefficients.empty())
      continue;
    bool produced = false;
    for (const Stage &other : group.stages)
      if (other.outputs[0].view.base == input.view.base) {
        if (!sameCoefficients(input, other))
          return false;
        produced = true;
      }
    if (!produced && !isAcross(input, vector) && !isAbsent(input, vector))
      return false;
  }
  return true;
}

/// How many rows of a window's tile keep what they read in registers, where windows of neighbouring
/// rows overlap along the lanes (depthwise convolutions, pooling): two vectors of accumulators, and
/// the columns of one. 0: there is no such window.
static int64_t rowsOfWindow(const Stage &root, const TileChoice &choice, const TargetInfo &target) {
  if (!choice.rowLoop)
    return 0;
  for (const Access &input : root.inputs) {
    if (input.coefficients.empty() || !isAcross(input, choice.vectorLoop))
      continue;
    const Size &row = input.coefficients[*choice.rowLoop];
    for (unsigned loop = 0; loop < root.numLoops(); ++loop) {
      const Size &column = input.coefficients[loop], &width = root.extents[loop];
      if (!root.reduction[loop] || !row.isStatic() || !column.isStatic() || column.constant == 0 ||
          !width.isStatic() || width.constant < 2 || width.constant > 7 ||
          row.constant % column.constant != 0)
        continue;
      int64_t step = row.constant / column.constant;
      // One register is left for a weight and one for nothing.
      if (step > 0 && step < width.constant)
        return std::clamp<int64_t>(
            (int64_t(target.vectorRegisters) - 2 - width.constant + step) / (2 + step), 1, 8);
    }
  }
  return 0;
}

// How far rows are apart; 0: unknown, or no distance.
static int64_t rowBytes(const Access &access, unsigned rowLoop) {
  const Size &stride = access.coefficients[rowLoop];
  return stride.isStatic() ? stride.constant * access.view.element.getIntOrFloatBitWidth() / 8 : 0;
}

std::string lathe::schedule::describeShape(const Stage &stage) {
  std::string results, terms;
  for (auto [extent, isReduction] : llvm::zip_equal(stage.extents, stage.reduction)) {
    std::string &text = isReduction ? terms : results;
    text += (text.empty() ? "" : "x") + (extent.isStatic() ? std::to_string(extent.constant) : "?");
  }
  std::string element;
  llvm::raw_string_ostream(element) << stage.inputs.front().view.element;
  return element + (isMultiplyAdd(stage) ? " product " : " reduction ") + results + " by " + terms;
}

/// The class of a tile's shape in tables of schedules. `width` is that of the lanes' loop in
/// vectors.
static StringRef classifyRows(const Stage &root, unsigned rowLoop, int64_t width) {
  if (width <= 1)
    return "narrow";
  const Size &rows = root.extents[rowLoop];
  if (rows.isStatic() && rows.constant <= 14)
    return "few";
  bool shareSet = llvm::any_of(root.inputs, [&](const Access &input) {
    return !input.coefficients.empty() && rowBytes(input, rowLoop) % 4096 == 0 &&
           rowBytes(input, rowLoop) > 0;
  });
  return shareSet ? "aliased" : "wide";
}

TileParameters lathe::schedule::chooseParameters(const Stage &root, const TileChoice &choice,
                                                 const Options &options, Tiling tiling) {
  const TargetInfo &target = options.target;
  TileParameters tile;
  tile.lanes = target.vectorBits / 32;
  tile.matrix = fitsMatrixTiles(root, choice, target);
  const Size &extent = root.extents[choice.vectorLoop];
  int64_t available = extent.isStatic() ? llvm::divideCeil(extent.constant, tile.lanes) : 2;
  int64_t rows = 1, overlapping = rowsOfWindow(root, choice, target);
  if (choice.rowLoop) {
    const Size &rowExtent = root.extents[*choice.rowLoop];
    // What the table gives is about products; a window's rows are as many as registers hold.
    bool isChosen = tiling.rows.has_value();
    tiling.complete(options.findTiling(classifyRows(root, *choice.rowLoop, available)));
    int64_t most = tiling.rows.value_or(6);
    if (tile.matrix)
      most = MatrixUnit::mostRows;
    rows = rowExtent.isStatic() ? std::min(rowExtent.constant, most) : most;
    if (overlapping > 0 && !isChosen)
      rows = std::min(rows, overlapping);
    rows = std::max<int64_t>(rows, 1);
    if (rowExtent.isStatic() && rowExtent.constant > 0)
      rows = llvm::divideCeil(rowExtent.constant, llvm::divideCeil(rowExtent.constant, rows));
  }
  tile.rows = rows;
  // Eight independent chains hide the latency of the multiply-add; beside them lie the vectors that
  // several rows share, and one number. Windows are short: the next tile's chains run beside.
  tile.apart = overlapping > 0;
  tile.vectors = tile.matrix ? 2 : tiling.vectors.value_or(2);
  auto inRegisters = [&](int64_t vectors) {
    return vectors * tile.rows + (tile.rows > 1 ? vectors + 1 : 1) <=
           int64_t(target.vectorRegisters);
  };
  // A table may say one of both numbers alone.
  while (!tile.apart && !tile.matrix && !inRegisters(tile.vectors) && tile.rows > 1)
    --tile.rows;
  while (!tiling.vectors && !tile.apart && !tile.matrix && tile.vectors * tile.rows < 8 &&
         tile.vectors * 2 <= available && inRegisters(tile.vectors * 2))
    tile.vectors *= 2;
  tile.vectors = std::min(tile.vectors, std::max<int64_t>(1, available));
  tile.vectorOuter = llvm::any_of(root.inputs, [&](const Access &input) {
    return !input.coefficients.empty() && isAbsent(input, choice.vectorLoop);
  });
  return tile;
}
