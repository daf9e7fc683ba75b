// What a group keeps in registers, and the layout of its weights.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

void lathe::schedule::keepInRegisters(Group &group) {
  llvm::SmallPtrSet<Operation *, 4> members;
  for (const Stage &stage : group.stages)
    if (stage.op)
      members.insert(stage.op);
  for (Stage &stage : group.stages) {
    if (!stage.op)
      continue;
    for (auto [result, stores] : llvm::zip_equal(stage.op->getResults(), stage.storesOutput))
      stores = result.use_empty() || llvm::any_of(result.getUses(), [&](OpOperand &use) {
                 auto generic = dyn_cast<linalg::GenericOp>(use.getOwner());
                 return !generic || !members.contains(generic) || !generic.isDpsInput(&use);
               });
  }
}

constexpr int64_t panelLanes = 32;

void lathe::schedule::packWeights(OpBuilder &builder, Value call, Group &group,
                                  const TileChoice &choice, const TargetInfo &target) {
  Stage &root = group.stages.front();
  const Size &lanesExtent = root.extents[choice.vectorLoop];
  for (auto [number, input] : llvm::enumerate(root.inputs)) {
    if (input.coefficients.empty() || !input.coefficients[choice.vectorLoop].is(1))
      continue;
    auto address = input.view.base.getDefiningOp<rt::WeightAddressOp>();
    if (!address || input.view.offset || input.view.constantOffset || !lanesExtent.isStatic())
      continue;
    std::optional<unsigned> pairLoop = choosePairLoop(root, number, choice, target);
    if (lanesExtent.constant <= panelLanes && !pairLoop)
      continue;
    // Loops that move through the weights, slowest first: parallel ones, panels, reductions.
    SmallVector<unsigned> parallel, reductions;
    bool isStatic = true;
    for (unsigned loop = 0; loop < root.numLoops(); ++loop) {
      if (loop == choice.vectorLoop || input.coefficients[loop].isZero())
        continue;
      isStatic &= input.coefficients[loop].isStatic() && root.extents[loop].isStatic();
      (root.reduction[loop] ? reductions : parallel).push_back(loop);
    }
    // Weights that rows walk through as well are no stream.
    if (!isStatic || (choice.rowLoop && llvm::is_contained(parallel, *choice.rowLoop)))
      continue;

    SmallVector<char> storage;
    ArrayRef<char> bytes = graph::getConstantBytes(address.getValue(), storage);
    int64_t width = input.view.element.getIntOrFloatBitWidth() / 8;
    int64_t lanes = lanesExtent.constant, panels = llvm::divideCeil(lanes, panelLanes);
    SmallVector<unsigned> loops = parallel;
    loops.append(reductions.begin(), reductions.end());
    // Pairs are the innermost loop, of an even size.
    int64_t group = pairLoop ? 2 : 1;
    if (pairLoop) {
      llvm::erase(reductions, *pairLoop);
      reductions.push_back(*pairLoop);
    }
    auto paddedExtent = [&](unsigned loop) {
      return pairLoop == loop ? int64_t(llvm::alignTo(root.extents[loop].constant, group))
                              : root.extents[loop].constant;
    };
    int64_t outerCount = 1, innerCount = 1, paddedCount = 1;
    for (unsigned loop : parallel)
      outerCount *= root.extents[loop].constant;
    for (unsigned loop : reductions) {
      innerCount *= root.extents[loop].constant;
      paddedCount *= paddedExtent(loop);
    }
    int64_t total = outerCount * panels * paddedCount * panelLanes;
    std::vector<char> packed(total * width, 0);
    auto offsetOf = [&](ArrayRef<unsigned> order, int64_t index) {
      int64_t offset = 0;
      for (unsigned loop : llvm::reverse(order)) {
        offset += index % root.extents[loop].constant * input.coefficients[loop].constant;
        index /= root.extents[loop].constant;
      }
      return offset;
    };
    for (int64_t outer = 0; outer < outerCount; ++outer)
      for (int64_t inner = 0; inner < innerCount; ++inner) {
        int64_t from = offsetOf(parallel, outer) + offsetOf(reductions, inner);
        int64_t last = pairLoop ? root.extents[*pairLoop].constant : 1;
        int64_t place = pairLoop ? inner / last * paddedExtent(*pairLoop) + inner % last : inner;
        int64_t half = place % group;
        for (int64_t panel = 0; panel < panels; ++panel) {
          int64_t count = std::min(panelLanes, lanes - panel * panelLanes);
          char *to =
              packed.data() +
              (((outer * panels + panel) * paddedCount + place - half) * panelLanes + half) * width;
          const char *source = bytes.data() + (from + panel * panelLanes) * width;
          if (group == 1)
            std::memcpy(to, source, count * width);
          else
            for (int64_t lane = 0; lane < count; ++lane)
              std::memcpy(to + lane * group * width, source + lane * width, width);
        }
      }

    int64_t stride = panelLanes;
    auto place = [&](ArrayRef<unsigned> order) {
      for (unsigned loop : llvm::reverse(order)) {
        input.coefficients[loop] = Size(stride);
        stride *= paddedExtent(loop);
      }
    };
    place(reductions);
    input.panel = panelLanes;
    input.pairLoop = pairLoop;
    input.panelStride = stride;
    stride *= panels;
    place(parallel);
    input.coefficients[choice.vectorLoop] = Size(0);

    auto type = RankedTensorType::get({total}, input.view.element);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(address);
    input.view.base = rt::WeightAddressOp::create(builder, address.getLoc(), address.getType(),
                                                  call, graph::makeConstantAttr(type, packed));
    input.view.sizes = {Size(total)};
    input.view.strides = {Size(1)};
  }
}
