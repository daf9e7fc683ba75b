// How many queries and keys a block of threads takes at once. Apache-2.0 WITH LLVM-exception
#include "AttentionTile.h"

using namespace mlir;
using namespace lathe::schedule;

int64_t AttentionTile::sharedBytes() const {
  int64_t key = keyPart.elements(), value = valuePart.elements();
  int64_t parts = joined ? std::max(key, value) : stages * (key + value);
  return parts * (stored.getIntOrFloatBitWidth() / 8) + (unit ? 0 : queryBytes()) + scoreBytes() +
         rows * (perRow() + 1) * 4;
}

/// `blocks` says how many there would be of so many rows each, 0 where only the run knows.
/// `operands` are queries, keys and values, or none where only types and sizes of heads are known.
static std::optional<AttentionTile> choose(ArrayRef<Type> elements, int64_t head, int64_t valueHead,
                                           ArrayRef<AttentionOperand> operands,
                                           const TargetInfo &target, bool mayShareKeys,
                                           llvm::function_ref<int64_t(int64_t)> blocks) {
  // What a block may have without asking the driver for more.
  constexpr int64_t mostShared = 48 << 10;
  // Results of a thread, at most, that it keeps in registers.
  constexpr int64_t mostResults = 64;
  constexpr int64_t fewBlocks = 128;
  static constexpr int64_t sizes[][2] = {{64, 64}, {64, 32}, {32, 64}, {32, 32}, {16, 64}, {16, 32},
                                         {16, 16}, {8, 64},  {8, 32},  {4, 64},  {4, 32}};
  constexpr int64_t unitRows = 16, fewThreads = 128;
  AttentionTile tile;
  bool isNarrow = elements[0].getIntOrFloatBitWidth() == 16 && llvm::all_equal(elements);
  tile.unit = isNarrow ? findMatrixUnit(target.matrixUnit, elements[0], elements[1]) : nullptr;
  tile.stored = tile.unit ? elements[0] : Float32Type::get(elements[0].getContext());
  std::optional<AttentionTile> found;
  for (auto [rows, keys] : sizes) {
    if (found && rows == found->rows)
      continue;
    // Fewer rows each only for more blocks, or where there are no more rows.
    bool isMore = found && blocks(rows) > blocks(found->rows);
    if (found && (blocks(rows) == 0 || (isMore && (blocks(found->rows) >= fewBlocks ||
                                                   !mayShareKeys || rows < unitRows))))
      break;
    if (tile.unit && rows < unitRows)
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
      tile.gridDown = std::min(rows, unitRows);
      tile.gridAcross = rows < unitRows ? fewThreads / rows : unitRows;
      tile.threads = tile.gridDown * tile.gridAcross;
      if (keys % tile.gridAcross != 0)
        continue;
      tile.head = head;
      tile.valueHead = llvm::alignTo(valueHead, tile.gridAcross);
      results = rows * tile.valueHead / tile.threads;
    }
    if (results > mostResults)
      continue;
    auto plan = [&](AttentionRole role, int64_t rows, int64_t columns) {
      return AttentionOperand::plan(operands.empty() ? nullptr : &operands[unsigned(role)], role,
                                    rows, columns, tile.unit, tile.stored);
    };
    tile.queryPart = plan(AttentionRole::query, tile.rows, tile.head);
    tile.keyPart = plan(AttentionRole::key, tile.keys, tile.head);
    tile.valuePart = plan(AttentionRole::value, tile.keys, tile.valueHead);
    bool hasOneStep = !operands.empty() && operands[1].rows.extent.isStatic() &&
                      operands[1].rows.extent.constant <= keys;
    bool mayBeAhead =
        target.copyStages > 1 && !hasOneStep && (tile.keyPart.chunk || tile.valuePart.chunk);
    static constexpr struct {
      int64_t stages;
      bool joined;
    } rooms[] = {{2, false}, {1, false}, {1, true}};
    for (auto [stages, joined] : ArrayRef(rooms).drop_front(mayBeAhead ? 0 : 1)) {
      tile.stages = stages;
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
                                                   const TargetInfo &target,
                                                   std::optional<int64_t> mostRows) {
  Size groups = shape.query.sizes[0] * shape.groups(), all = shape.rows();
  auto blocks = [&](int64_t rows) -> int64_t {
    if (mostRows)
      return llvm::divideCeil(*mostRows, rows);
    if (!groups.isStatic() || !all.isStatic())
      return 0;
    return groups.constant * llvm::divideCeil(all.constant, rows);
  };
  AttentionOperand operands[] = {
      {shape, AttentionRole::query}, {shape, AttentionRole::key}, {shape, AttentionRole::value}};
  return *choose({shape.query.element, shape.key.element, shape.value.element},
                 shape.query.sizes[3].constant, shape.value.sizes[3].constant, operands, target,
                 /*mayShareKeys=*/!mostRows, blocks);
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
  return choose(ArrayRef(elements).take_front(3), sizeOf(0), sizeOf(2), {}, target,
                /*mayShareKeys=*/true, [](int64_t) { return 0; })
      .has_value();
}
