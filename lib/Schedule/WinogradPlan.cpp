// Which convolutions go by Winograd's algorithm, in what blocks, and their weights.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "Winograd.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;
using namespace lathe::schedule::winograd;

std::optional<WinogradPlan>
lathe::schedule::planWinograd(const Stage &root, const TargetInfo &target, const Tiling &tiling) {
  if (!isMultiplyAdd(root) || target.vectorBits < 256 || tiling.winograd == false)
    return std::nullopt;
  auto zero = dyn_cast_or_null<FloatAttr>(root.inits[0]);
  if (!zero || !zero.getValue().isZero())
    return std::nullopt;
  for (unsigned index : {0u, 1u}) {
    const Access &input = root.inputs[1 - index], &weight = root.inputs[index];
    auto address = weight.view.base.getDefiningOp<rt::WeightAddressOp>();
    if (!address || weight.view.offset || weight.view.constantOffset)
      continue;
    if (!llvm::all_of(weight.coefficients, [](const Size &c) { return c.isStatic(); }))
      return std::nullopt;
    WinogradPlan plan;
    plan.weight = index;
    SmallVector<unsigned> windows, channels, spatial;
    for (unsigned loop = 0; loop < root.numLoops(); ++loop) {
      bool inInput = !input.coefficients[loop].isZero();
      bool inWeight = !weight.coefficients[loop].isZero();
      if (root.reduction[loop]) {
        if (!inInput || !inWeight)
          return std::nullopt;
        (root.extents[loop].is(3) && !input.coefficients[loop].is(1) ? windows : channels)
            .push_back(loop);
      } else if (inWeight) {
        if (inInput || !weight.coefficients[loop].is(1))
          return std::nullopt;
        plan.filters = loop;
        ++plan.numFilterLoops;
      } else {
        spatial.push_back(loop);
      }
    }
    if (windows.size() != 2 || channels.size() != 1 || plan.numFilterLoops != 1 ||
        !input.coefficients[channels[0]].is(1) || !root.outputs[0].coefficients[plan.filters].is(1))
      return std::nullopt;
    plan.channels = channels[0];
    // Each window loop slides along one spatial loop, a step at a time.
    SmallVector<unsigned> slides;
    for (unsigned window : windows) {
      auto match = llvm::find_if(spatial, [&](unsigned loop) {
        return input.coefficients[loop] == input.coefficients[window];
      });
      if (match == spatial.end())
        return std::nullopt;
      slides.push_back(*match);
      spatial.erase(match);
    }
    plan.windowRow = windows[0];
    plan.windowColumn = windows[1];
    plan.row = slides[0];
    plan.column = slides[1];
    plan.outer.assign(spatial.begin(), spatial.end());

    if (!root.extents[plan.channels].isStatic() || !root.extents[plan.filters].isStatic())
      return std::nullopt;
    plan.lanes = target.vectorBits / 32;
    plan.inputs = root.extents[plan.channels].constant;
    plan.outputs = root.extents[plan.filters].constant;
    // Where sizes are known when running only: one image, and one that is worth it.
    const Size &height = root.extents[plan.row], &width = root.extents[plan.column];
    int64_t pixels =
        (height.isStatic() ? height.constant : 64) * (width.isStatic() ? width.constant : 64);
    plan.tiles = llvm::divideCeil(height.isStatic() ? height.constant : 64, tileOut) *
                 llvm::divideCeil(width.isStatic() ? width.constant : 64, tileOut);
    for (unsigned loop : plan.outer)
      if (root.extents[loop].isStatic()) {
        plan.tiles *= root.extents[loop].constant;
        pixels *= root.extents[loop].constant;
      }
    plan.isStatic = llvm::all_of(root.extents, [](const Size &e) { return e.isStatic(); });
    plan.paddedInputs = llvm::alignTo(plan.inputs, plan.lanes);
    int64_t paddedOutputs = llvm::alignTo(plan.outputs, 2 * plan.lanes);
    if (plan.tiles < 4 || plan.inputs < 12 || plan.outputs < 12)
      return std::nullopt;

    // Cost in multiply-adds of one lane. A transform takes some ten operations for each of the 36
    // elements. Weights beyond the second-level cache come from memory once, while each lane does
    // 5 multiply-adds a nanosecond (80 G/s of 16 lanes). For every further block they come from a
    // cache, four times as fast. 256 channels at 14x14, one image: on a Xeon at 10 GB/s 1.4 ms
    // direct and 1.9 ms so, on an EPYC at 20 GB/s 2.1 ms and 0.9 ms.
    int64_t weightBytes = planes * plan.inputs * paddedOutputs * 4;
    if (weightBytes > int64_t(16) << 20)
      return std::nullopt;
    double direct = double(pixels) * 9 * plan.inputs * paddedOutputs;
    double products = double(plan.tiles) * planes * plan.inputs * paddedOutputs;
    double transforms = double(plan.tiles) * 300 * (plan.paddedInputs + paddedOutputs);

    // Blocks of tiles whose scratch stays in the second-level cache, of whole register tiles.
    int64_t mostRows = target.vectorRegisters >= 32 ? 8 : 6;
    int64_t perTile = planes * 4 * (plan.paddedInputs + paddedOutputs);
    int64_t block = std::clamp<int64_t>(int64_t(target.l2Bytes) * 5 / 8 / perTile, mostRows, 64);
    // Smaller ones for threads to share, but for weights that each block would fetch anew.
    if (weightBytes <= int64_t(target.l2Bytes) / 2) {
      plan.spread = WinogradPlan::leastItems;
      block = std::min(
          block,
          std::max(mostRows, int64_t(llvm::divideCeil(plan.tiles, WinogradPlan::leastItems))));
    }
    int64_t blocks = llvm::divideCeil(plan.tiles, block);
    block = llvm::divideCeil(plan.tiles, blocks);
    int64_t registerTiles = llvm::divideCeil(block, mostRows);
    plan.rows = llvm::divideCeil(block, registerTiles);
    plan.block = plan.rows * registerTiles;
    plan.blocks = llvm::divideCeil(plan.tiles, plan.block);
    // Few blocks: the filters are divided as well, so that threads find work. How many blocks there
    // are may be known when running only: then the parts are small, and an item takes several.
    int64_t parts = std::clamp<int64_t>(WinogradPlan::leastItems / plan.blocks, 1,
                                        std::max<int64_t>(1, plan.outputs / 64));
    int64_t least = plan.outputs >= panelLanes ? panelLanes : 2 * plan.lanes;
    plan.part = plan.isStatic ? llvm::alignTo(llvm::divideCeil(plan.outputs, parts), least) : least;
    plan.parts = llvm::divideCeil(plan.outputs, plan.part);
    if (plan.isStatic)
      transforms += double(plan.parts - 1) * plan.tiles * 300 * plan.paddedInputs;
    double stream =
        double(weightBytes) * plan.lanes * 5 / target.memoryBytes * (1 + (plan.blocks - 1) / 4.0);
    double cost = products * (double(plan.block * plan.blocks) / plan.tiles) * 1.1 + transforms +
                  (weightBytes > int64_t(target.l2Bytes) / 2 ? stream : 0);
    if (cost * 1.15 > direct && !tiling.winograd)
      return std::nullopt;

    // Planes are apart by no power of two, which the first-level cache would take for one place.
    auto plane = [&](int64_t width) { return llvm::alignTo(plan.block * width, 64) + 16; };
    plan.inputPlane = plane(plan.paddedInputs);
    plan.outputPlane = plane(plan.part);
    plan.slot = llvm::alignTo(planes * (plan.inputPlane + plan.outputPlane), 1024);
    // Concurrent pieces have scratch of their own, so there are not too many.
    constexpr int64_t mostItems = 32;
    plan.items = plan.isStatic ? std::min(plan.blocks * plan.parts, mostItems) : mostItems;
    // Some 5 us of work are not worth waking a thread for.
    constexpr double serialWork = 600000;
    if (plan.isStatic && cost < serialWork)
      plan.items = 1;
    plan.count = Size(plan.items);
    return plan;
  }
  return std::nullopt;
}

void lathe::schedule::transformWinogradWeights(OpBuilder &builder, Value call, Stage &root,
                                               const WinogradPlan &plan) {
  // The transform of the window, one dimension: a row per point.
  const double matrix[tileIn][3] = {
      {1 / (pp * qq), 0, 0},
      {1 / (2 * pp * (pp - qq)), p / (2 * pp * (pp - qq)), pp / (2 * pp * (pp - qq))},
      {1 / (2 * pp * (pp - qq)), -p / (2 * pp * (pp - qq)), pp / (2 * pp * (pp - qq))},
      {1 / (2 * qq * (qq - pp)), q / (2 * qq * (qq - pp)), qq / (2 * qq * (qq - pp))},
      {1 / (2 * qq * (qq - pp)), -q / (2 * qq * (qq - pp)), qq / (2 * qq * (qq - pp))},
      {0, 0, 1},
  };
  Access &weight = root.inputs[plan.weight];
  auto address = weight.view.base.getDefiningOp<rt::WeightAddressOp>();
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(address.getValue(), storage);
  const auto *values = reinterpret_cast<const float *>(bytes.data());
  int64_t panels = llvm::divideCeil(plan.outputs, panelLanes);
  int64_t total = planes * panels * plan.inputs * panelLanes;
  std::vector<float> result(total, 0);
  for (int64_t c = 0; c < plan.inputs; ++c)
    for (int64_t k = 0; k < plan.outputs; ++k) {
      const float *window = values + c * weight.coefficients[plan.channels].constant + k;
      double half[tileIn][3];
      for (int64_t i = 0; i < tileIn; ++i)
        for (int64_t x = 0; x < 3; ++x) {
          half[i][x] = 0;
          for (int64_t y = 0; y < 3; ++y)
            half[i][x] +=
                matrix[i][y] * double(window[y * weight.coefficients[plan.windowRow].constant +
                                             x * weight.coefficients[plan.windowColumn].constant]);
        }
      for (int64_t i = 0; i < tileIn; ++i)
        for (int64_t j = 0; j < tileIn; ++j) {
          double sum = 0;
          for (int64_t x = 0; x < 3; ++x)
            sum += half[i][x] * matrix[j][x];
          result[(((i * tileIn + j) * panels + k / panelLanes) * plan.inputs + c) * panelLanes +
                 k % panelLanes] = float(sum);
        }
    }
  auto type = RankedTensorType::get({total}, weight.view.element);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(address);
  ArrayRef<char> raw(reinterpret_cast<const char *>(result.data()), total * sizeof(float));
  weight.view.base = rt::WeightAddressOp::create(builder, address.getLoc(), address.getType(), call,
                                                 graph::makeConstantAttr(type, raw));
}
