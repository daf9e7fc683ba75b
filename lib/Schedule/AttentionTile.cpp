// How many queries and keys a block of threads takes at once. Apache-2.0 WITH LLVM-exception
#include "AttentionTile.h"

using namespace mlir;
using namespace lathe::schedule;

int64_t AttentionTile::sharedBytes() const {
  int64_t parts =
      joined ? std::max(keyElements(), valueElements()) : keyElements() + valueElements();
  int64_t width = stored.getIntOrFloatBitWidth() / 8;
  return (queryElements() + parts) * width + rows * (scoreStride() + perRow() + 1) * 4;
}

/// `blocks` says how many there would be of so many queries each, 0 where only the run knows.
static std::optional<AttentionTile> choose(ArrayRef<Type> elements, int64_t head, int64_t valueHead,
                                           const TargetInfo &target,
                                           llvm::function_ref<int64_t(int64_t)> blocks) {
  // What a block may have without asking the driver for more.
  constexpr int64_t mostShared = 48 << 10;
  // Results of a thread, at most, that it keeps in registers.
  constexpr int64_t mostResults = 64;
  constexpr int64_t fewBlocks = 128;
  static constexpr int64_t sizes[][2] = {{64, 64}, {64, 32}, {32, 64}, {32, 32},
                                         {16, 64}, {16, 32}, {16, 16}};
  AttentionTile tile;
  bool isNarrow = elements[0].getIntOrFloatBitWidth() == 16 && llvm::all_equal(elements);
  tile.unit = isNarrow ? findMatrixUnit(target.matrixUnit) : nullptr;
  tile.stored = tile.unit ? elements[0] : Float32Type::get(elements[0].getContext());
  std::optional<AttentionTile> found;
  for (auto [rows, keys] : sizes) {
    if (found && rows == found->rows)
      continue;
    // Fewer queries each only for more blocks, or where there are no more queries.
    if (found && (blocks(rows) == 0 ||
                  (blocks(found->rows) >= fewBlocks && blocks(rows) > blocks(found->rows))))
      break;
    tile.rows = rows;
    tile.keys = keys;
    int64_t results;
    if (tile.unit) {
      tile.threads = 4 * tile.unit->lanes;
      tile.warpsDown = std::min<int64_t>(4, rows / tile.unit->rows);
      tile.warpsAcross = 4 / tile.warpsDown;
      int64_t columns = tile.warpsAcross * tile.unit->columns;
      if (keys % columns != 0)
        continue;
      tile.head = llvm::alignTo(head, tile.unit->depth);
      tile.valueHead = llvm::alignTo(valueHead, columns);
      results = rows * tile.valueHead / tile.threads;
    } else {
      tile.threads = tile.grid * tile.grid;
      tile.head = head;
      tile.valueHead = llvm::alignTo(valueHead, tile.grid);
      results = rows * tile.valueHead / tile.threads;
    }
    if (results > mostResults)
      continue;
    for (bool joined : {false, true}) {
      tile.joined = joined;
      if (tile.sharedBytes() > mostShared)
        continue;
      found = tile;
      break;
    }
  }
  return found;
}

AttentionTile lathe::schedule::chooseAttentionTile(const AttentionShape &shape,
                                                   const TargetInfo &target) {
  const auto &sizes = shape.query.sizes;
  return *choose({shape.query.element, shape.key.element, shape.value.element}, sizes[3].constant,
                 shape.value.sizes[3].constant, target, [&](int64_t rows) -> int64_t {
                   Size heads = sizes[0] * sizes[1];
                   if (!heads.isStatic() || !sizes[2].isStatic())
                     return 0;
                   return heads.constant * llvm::divideCeil(sizes[2].constant, rows);
                 });
}

bool lathe::schedule::canEmitBlockAttention(ArrayRef<Type> operands, const TargetInfo &target) {
  SmallVector<Type> elements;
  for (Type type : operands) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || tensor.getRank() > 4)
      return false;
    elements.push_back(tensor.getElementType());
    if (!elements.back().isF32() && !elements.back().isF16() && !elements.back().isBF16())
      return false;
  }
  for (Type type : operands.take_front(3)) {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getRank() != 4 || tensor.isDynamicDim(3) || tensor.getDimSize(3) == 0)
      return false;
  }
  auto sizeOf = [&](unsigned i) { return cast<RankedTensorType>(operands[i]).getDimSize(3); };
  return choose(ArrayRef(elements).take_front(3), sizeOf(0), sizeOf(2), target,
                [](int64_t) { return 0; })
      .has_value();
}
