// How large the tiles of products are. Apache-2.0 WITH LLVM-exception
#include "BlockTile.h"
#include "TensorParts.h"
#include "lathe/ArtifactFormat.h"

using namespace mlir;
using namespace lathe::schedule;

static constexpr int64_t unknownProcessors = 100;

static int64_t bytesOf(Type element) { return std::max(1u, element.getIntOrFloatBitWidth() / 8); }

int64_t BlockTile::bytesOfPart(const Stage &root, unsigned input) const {
  return parts[input].elements() * bytesOf(root.inputs[input].view.element);
}

int64_t BlockTile::sumsBytes(const Stage &root) const {
  return rows * sumsRow * bytesOf(root.outputs[0].view.element);
}

// Where a lane stores its first sum, those beside it shall store into other banks.
static int64_t padSums(const BlockTile &tile) {
  auto find = [](const LanePlace &place, int64_t lane) {
    return lane / place.divisor % place.modulus * place.scale + place.offsets.front();
  };
  constexpr int64_t banks = 32;
  int64_t least = banks + 1, best = tile.columns;
  for (int64_t padding : {0, 4, 8, 16}) {
    int64_t counts[banks] = {}, most = 0, pitch = tile.columns + padding;
    for (int64_t lane = 0; lane < banks; ++lane) {
      int64_t row = tile.unit ? find(tile.unit->sums.across, lane) : lane / tile.grid;
      int64_t column = tile.unit ? find(tile.unit->sums.along, lane) : lane % tile.grid;
      most = std::max(most, ++counts[(row * pitch + column) % banks]);
    }
    if (most < least) {
      least = most;
      best = pitch;
    }
  }
  return best;
}

/// About how many there are; of a size that only the run knows, enough to fill some tiles.
static int64_t estimate(const Size &size) {
  constexpr int64_t unknown = 512, further = 8;
  int64_t count = std::max<int64_t>(1, size.constant);
  for (size_t i = 0; i < std::min<size_t>(size.factors.size(), 4); ++i)
    count *= i ? further : unknown;
  return count;
}

// Sums that begin with what is in memory come to shared memory first, by all threads.
static bool startsWithConstant(const Stage &root) { return !root.readsOutput[0] || root.inits[0]; }

/// A unit's shape of tiles as a tile of this product.
static BlockTile makeTile(const MatrixUnit &unit, const TileShape &shape) {
  BlockTile tile;
  tile.unit = &unit;
  tile.rows = shape.rows;
  tile.columns = shape.columns;
  tile.threads = shape.warps * unit.lanes;
  tile.depth = unit.tileDepth;
  // Warps that read their operands from registers are two rows, one above the other.
  int64_t down = unit.groupWarps > 1 ? shape.warps : 2;
  tile.warpRows = tile.rows / down;
  tile.warpColumns = tile.columns / (shape.warps / down);
  return tile;
}

BlockTile lathe::schedule::chooseBlockTile(const Stage &root, const JoinedLoops &batch,
                                           const JoinedLoops &rows, const JoinedLoops &columns,
                                           const JoinedLoops &depth, const TargetInfo &target) {
  auto rowsAtMost = [&](int64_t size) {
    return rows.extent.isStatic() && rows.extent.constant <= size;
  };
  // A block shares no more than it declares, which a check of faults takes some of, or than it can
  // ask for.
  constexpr int64_t ofFaults = 16, mostStatic = LATHE_MOST_STATIC_SHARED - ofFaults;
  int64_t most = std::max<int64_t>(mostStatic, target.sharedBytes - ofFaults);
  auto complete = [&](BlockTile &tile, int64_t stages) {
    tile.sumsRow = padSums(tile);
    tile.parts = {planPart(root, 0, rows, depth, tile.rows, tile.depth, tile.unit),
                  planPart(root, 1, columns, depth, tile.columns, tile.depth, tile.unit)};
    bool copies = tile.parts[0].chunk || tile.parts[1].chunk;
    tile.bringsTensors = target.copiesTensors && tile.isOfGroups() && startsWithConstant(root) &&
                         isTensorPart(root, 0, batch, rows, depth, tile.parts[0]) &&
                         isTensorPart(root, 1, batch, columns, depth, tile.parts[1]);
    int64_t room = tile.isOfGroups() || tile.rows * tile.columns > 64 * 64 ? most : mostStatic;
    if (copies || tile.isOfGroups())
      tile.stages = std::clamp<int64_t>(
          room / (tile.bytesOfStage(root) + 2 * BlockTile::barrierBytes), 1, stages);
    return tile.partsBytes(root) + tile.barriersBytes() <= room &&
           tile.ahead() >= (tile.isOfGroups() ? 1 : 0);
  };
  std::optional<BlockTile> best;
  int64_t leastTime = 0;
  int64_t processors = target.processors ? target.processors : unknownProcessors;
  std::optional<UnitProduct> product = findUnitProduct(root);
  if (product)
    for (const std::string &names : {target.groupUnit, target.matrixUnit}) {
      const MatrixUnit *unit = findMatrixUnit(names, product->left, product->right,
                                              product->leftUnsigned || product->rightUnsigned);
      if (!unit || best)
        continue;
      for (const TileShape &shape : unit->tiles) {
        // Rows of which there are few have tiles of their own.
        bool isFlat = shape.rows < 64;
        if (isFlat != rowsAtMost(32))
          continue;
        BlockTile tile = makeTile(*unit, shape);
        tile.product = *product;
        if (!complete(tile, std::min<int64_t>(shape.stages, target.copyStages)))
          continue;
        int64_t blocks = estimate(batch.extent) *
                         llvm::divideCeil(estimate(rows.extent), tile.rows) *
                         llvm::divideCeil(estimate(columns.extent), tile.columns);
        int64_t rounds = llvm::divideCeil(blocks, processors);
        int64_t time = rounds * tile.rows * tile.columns * 100 / shape.rate;
        if (!best || time < leastTime) {
          best = std::move(tile);
          leastTime = time;
        }
      }
    }
  if (best)
    return *best;
  BlockTile tile;
  for (int64_t size : {16, 32})
    if (rowsAtMost(size)) {
      tile.rows = size;
      break;
    }
  complete(tile, target.copyStages);
  return tile;
}
