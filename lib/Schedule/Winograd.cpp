// Winograd's minimal filtering F(4x4, 3x3): a convolution of 3x3 windows at stride 1 as 36 matrix
// products on transformed tiles of 6x6 pixels, a quarter of the multiplications. A work item
// transforms a block of tiles into scratch memory, multiplies there, and transforms back into the
// epilogue, so that nothing but the block ever lies in memory.
//
// The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity: the error is then less than twice that of a
// direct convolution, where the usual 0, 1, -1, 2, -2 lose a digit.
// Apache-2.0 WITH LLVM-exception
#include "Tile.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {
constexpr int64_t tileOut = 4, tileIn = 6, planes = tileIn * tileIn, panelLanes = 32;
// The squares of the two points besides 0 and infinity, and the points.
constexpr double p = 0.75, q = 1.5, pp = p * p, qq = q * q;
} // namespace

//===----------------------------------------------------------------------===//
// Which convolutions, and in what blocks
//===----------------------------------------------------------------------===//

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
    // elements. Weights beyond the second-level cache come from memory once, a byte in the time of
    // 8 multiply-adds of 16 lanes (10 GB/s beside 160 GFLOP/s) or 2 of 8, which are half as many a
    // second and leave more time to fetch ahead; for every further block from a cache, four times
    // as fast. 256 channels at 14x14, one image, 16 lanes: 1.4 ms direct, 1.9 ms so.
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
        double(weightBytes) * plan.lanes * plan.lanes / 32 * (1 + (plan.blocks - 1) / 4.0);
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

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {
using Vectors = SmallVector<Value, planes>;

class WinogradEmitter {
public:
  WinogradEmitter(Kernel &kernel, const Group &group, const WinogradPlan &plan,
                  const View &scratchView, const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), group(group), root(group.stages.front()),
        plan(plan), addressOf(addressOf), loc(root.loc), fewRegisters(target.vectorRegisters < 32),
        type(VectorType::get({plan.lanes}, builder.getF32Type())),
        input(root.inputs[1 - plan.weight]) {
    scratch = kernel.buffer(addressOf(scratchView), scratchView.element);
    source = kernel.buffer(addressOf(input.view), input.view.element);
    weights = kernel.buffer(addressOf(root.inputs[plan.weight].view), scratchView.element);
  }

  Work emit();

private:
  /// Where a tile stands: indices of the outer loops, and of its first row and column.
  struct Place {
    SmallVector<Value> indices; // per loop of the root
    Value row, column;
  };
  template <typename Body> void loop(Value end, int64_t step, Body body) {
    auto made = scf::ForOp::create(builder, loc, kernel.constant(0), end, kernel.constant(step));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(made.getBody());
    body(made.getInductionVar());
  }
  Place placeOf(Value tile);
  void transformInput(Value tile, Value to, ArrayRef<int64_t> points);
  void multiply(Value part);
  void transformOutput(Value tile, Value from, Value part, ArrayRef<int64_t> rows);
  SmallVector<Value, tileIn> pointsOfInput(ArrayRef<Value> d, ArrayRef<int64_t> points);
  SmallVector<Value, tileOut> rowsOfOutput(ArrayRef<Value> m, ArrayRef<int64_t> rows);

  /// How many rows, or columns, of results every tile has.
  static int64_t sureRows(const Size &extent) {
    if (!extent.isStatic())
      return 1;
    int64_t rest = extent.constant % tileOut;
    return rest ? rest : tileOut;
  }

  Value load(Value buffer, Value position) {
    return vector::LoadOp::create(builder, loc, type, buffer, position);
  }
  Value splat(double value) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(type, builder.getF32FloatAttr(float(value))));
  }
  Value add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
  Value scale(double factor, Value a) {
    return arith::MulFOp::create(builder, loc, splat(factor), a);
  }
  /// factor * a + b
  Value scaleAdd(double factor, Value a, Value b) {
    return vector::FMAOp::create(builder, loc, splat(factor), a, b);
  }
  Value inputAt(Value plane, Value tile) {
    return kernel.add(slotBase, kernel.add(kernel.mul(plane, kernel.constant(plan.inputPlane)),
                                           kernel.mul(tile, kernel.constant(plan.paddedInputs))));
  }
  Value outputAt(Value plane, Value tile) {
    Value base = kernel.add(slotBase, kernel.constant(planes * plan.inputPlane));
    return kernel.add(base, kernel.add(kernel.mul(plane, kernel.constant(plan.outputPlane)),
                                       kernel.mul(tile, kernel.constant(plan.part))));
  }

  Kernel &kernel;
  OpBuilder &builder;
  const Group &group;
  const Stage &root;
  const WinogradPlan &plan;
  AddressOf addressOf;
  Location loc;
  bool fewRegisters;
  VectorType type;
  const Access &input;
  Value scratch, source, weights, slotBase;
  Value tilesDown, tilesAcross, lastTile, blockSize;
};
} // namespace

WinogradEmitter::Place WinogradEmitter::placeOf(Value tile) {
  Place place;
  place.indices.assign(root.numLoops(), Value());
  Value rest = tile;
  auto peel = [&](Value size) -> Value {
    APInt one;
    if (matchPattern(size, m_ConstantInt(&one)) && one == 1)
      return kernel.constant(0);
    Value index = arith::RemUIOp::create(builder, loc, rest, size);
    rest = arith::DivUIOp::create(builder, loc, rest, size);
    return index;
  };
  place.column = kernel.mul(peel(tilesAcross), kernel.constant(tileOut));
  place.row = kernel.mul(peel(tilesDown), kernel.constant(tileOut));
  for (unsigned loop : llvm::reverse(plan.outer))
    place.indices[loop] = peel(kernel.size(root.extents[loop]));
  return place;
}

// Some of the six points of a transformed row or column.
SmallVector<Value, tileIn> WinogradEmitter::pointsOfInput(ArrayRef<Value> d,
                                                          ArrayRef<int64_t> points) {
  SmallVector<Value, tileIn> results;
  // The even and the odd part of the polynomials at point r and -r; `other` is the other square.
  auto even = [&](double other) { return scaleAdd(-other, d[2], d[4]); };
  auto odd = [&](double r, double other) { return scale(r, scaleAdd(-other, d[1], d[3])); };
  Value e, o;
  int64_t pair = 0; // the first of the two points that `e` and `o` are for
  for (int64_t point : points) {
    double r = point <= 2 ? p : q, other = point <= 2 ? qq : pp;
    bool isFirst = point == 1 || point == 3;
    if (point != 0 && point != 5 && pair != (point <= 2 ? 1 : 3)) {
      pair = point <= 2 ? 1 : 3;
      e = even(other);
      o = odd(r, other);
    }
    switch (point) {
    case 0:
      results.push_back(scaleAdd(pp * qq, d[0], scaleAdd(-(pp + qq), d[2], d[4])));
      break;
    case 5:
      results.push_back(scaleAdd(pp * qq, d[1], scaleAdd(-(pp + qq), d[3], d[5])));
      break;
    default:
      results.push_back(isFirst ? add(e, o) : sub(e, o));
    }
  }
  return results;
}

// Some of the four results of six transformed values.
SmallVector<Value, tileOut> WinogradEmitter::rowsOfOutput(ArrayRef<Value> m,
                                                          ArrayRef<int64_t> rows) {
  SmallVector<Value, tileOut> results;
  Value sumP, sumQ, differenceP, differenceQ;
  for (int64_t row : rows) {
    if (row % 2 == 0 && !sumP) {
      sumP = add(m[1], m[2]);
      sumQ = add(m[3], m[4]);
    }
    if (row % 2 == 1 && !differenceP) {
      differenceP = sub(m[1], m[2]);
      differenceQ = sub(m[3], m[4]);
    }
    switch (row) {
    case 0:
      results.push_back(add(m[0], add(sumP, sumQ)));
      break;
    case 1:
      results.push_back(scaleAdd(p, differenceP, scale(q, differenceQ)));
      break;
    case 2:
      results.push_back(scaleAdd(pp, sumP, scale(qq, sumQ)));
      break;
    default:
      results.push_back(scaleAdd(p * pp, differenceP, scaleAdd(q * qq, differenceQ, m[5])));
    }
  }
  return results;
}

// 6x6 pixels of all channels into the 36 planes, of which those of a few columns are made at a
// time: no more values live than there are registers.
void WinogradEmitter::transformInput(Value tile, Value to, ArrayRef<int64_t> points) {
  Place place = placeOf(arith::MinUIOp::create(builder, loc, tile, lastTile));
  Value base = kernel.linear(input.coefficients, place.indices);
  // Tiles at the border read their last row or column again for those that do not exist.
  auto positions = [&](Value start, unsigned loop) {
    SmallVector<Value> result;
    const Size &extent = root.extents[loop];
    Value coefficient = kernel.size(input.coefficients[loop]);
    for (int64_t i = 0; i < tileIn; ++i) {
      Value index = kernel.add(start, kernel.constant(i));
      if (i >= sureRows(extent) + 2)
        index = arith::MinUIOp::create(builder, loc, index,
                                       kernel.add(kernel.size(extent), kernel.constant(1)));
      result.push_back(kernel.mul(index, coefficient));
    }
    return result;
  };
  SmallVector<Value> rows = positions(place.row, plan.row);
  SmallVector<Value> columns = positions(place.column, plan.column);
  auto maskType = VectorType::get({plan.lanes}, builder.getI1Type());
  loop(kernel.constant(plan.paddedInputs), plan.lanes, [&](Value channel) {
    Value mask;
    if (plan.inputs % plan.lanes)
      mask = vector::CreateMaskOp::create(
          builder, loc, maskType,
          arith::SubIOp::create(builder, loc, kernel.constant(plan.inputs), channel).getResult());
    SmallVector<SmallVector<Value>> half(points.size()); // [point][row]
    for (int64_t i = 0; i < tileIn; ++i) {
      SmallVector<Value> pixels;
      Value row = kernel.add(kernel.add(base, rows[i]), channel);
      for (int64_t j = 0; j < tileIn; ++j) {
        Value position = kernel.add(row, columns[j]);
        pixels.push_back(mask ? vector::MaskedLoadOp::create(builder, loc, type, source, position,
                                                             mask, splat(0))
                                    .getResult()
                              : load(source, position));
      }
      for (auto [made, value] : llvm::zip_equal(half, pointsOfInput(pixels, points)))
        made.push_back(value);
    }
    for (auto [column, values] : llvm::zip_equal(points, half))
      for (auto [row, value] : llvm::enumerate(pointsOfInput(values, {0, 1, 2, 3, 4, 5})))
        vector::StoreOp::create(
            builder, loc, value, scratch,
            kernel.add(inputAt(kernel.constant(row * tileIn + column), to), channel));
  });
}

// For each plane [tiles x inputs] times [inputs x part of the outputs].
void WinogradEmitter::multiply(Value part) {
  int64_t width = 2 * plan.lanes, panels = llvm::divideCeil(plan.outputs, panelLanes);
  loop(kernel.constant(planes), 1, [&](Value plane) {
    loop(kernel.constant(plan.part), width, [&](Value column) {
      Value output = kernel.add(kernel.mul(part, kernel.constant(plan.part)), column);
      // Past the last filter there is no panel: the first is as good, nobody stores the result.
      Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, output,
                                           kernel.constant(panels * panelLanes));
      output = arith::SelectOp::create(builder, loc, inside, output, kernel.constant(0));
      Value panel = arith::DivUIOp::create(builder, loc, output, kernel.constant(panelLanes));
      Value within = arith::RemUIOp::create(builder, loc, output, kernel.constant(panelLanes));
      Value block = kernel.add(kernel.mul(plane, kernel.constant(panels)), panel);
      Value start =
          kernel.add(kernel.mul(block, kernel.constant(plan.inputs * panelLanes)), within);
      // The panel after this one, or of the next plane, is fetched ahead.
      int64_t panelElements = plan.inputs * panelLanes, passes = plan.block / plan.rows;
      int64_t panelsOfPart = std::max<int64_t>(1, plan.part / panelLanes);
      Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge,
                                           kernel.add(column, kernel.constant(panelLanes)),
                                           kernel.constant(plan.part));
      Value distance = arith::SelectOp::create(
          builder, loc, isLast, kernel.constant((panels - panelsOfPart + 1) * panelElements),
          kernel.constant(panelElements));
      Value next = kernel.add(kernel.mul(block, kernel.constant(panelElements)), distance);
      loop(blockSize, plan.rows, [&](Value first) {
        Value pass = arith::DivUIOp::create(builder, loc, first, kernel.constant(plan.rows));
        SmallVector<Value> sums(2 * plan.rows, splat(0)), rows;
        for (int64_t i = 0; i < plan.rows; ++i)
          rows.push_back(inputAt(plane, kernel.add(first, kernel.constant(i))));
        auto reduction = scf::ForOp::create(builder, loc, kernel.constant(0),
                                            kernel.constant(plan.inputs), kernel.constant(1), sums);
        {
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(reduction.getBody());
          Value channel = reduction.getInductionVar();
          Value at = kernel.add(start, kernel.mul(channel, kernel.constant(panelLanes)));
          Value left = load(weights, at);
          Value right = load(weights, kernel.add(at, kernel.constant(plan.lanes)));
          // A step reads two lines.
          int64_t lines = passes > 1 ? 1 : 2;
          Value walked = kernel.add(kernel.mul(pass, kernel.constant(plan.inputs)), channel);
          emitPrefetch(kernel, weights, next, panelElements * sizeof(float),
                       kernel.mul(walked, kernel.constant(lines)), lines);
          SmallVector<Value> carried(reduction.getRegionIterArgs());
          for (int64_t i = 0; i < plan.rows; ++i) {
            Value number =
                memref::LoadOp::create(builder, loc, scratch, kernel.add(rows[i], channel));
            Value row = vector::BroadcastOp::create(builder, loc, type, number);
            carried[2 * i] = vector::FMAOp::create(builder, loc, row, left, carried[2 * i]);
            carried[2 * i + 1] =
                vector::FMAOp::create(builder, loc, row, right, carried[2 * i + 1]);
          }
          scf::YieldOp::create(builder, loc, carried);
        }
        for (int64_t i = 0; i < plan.rows; ++i) {
          Value to = kernel.add(outputAt(plane, kernel.add(first, kernel.constant(i))), column);
          for (int64_t j = 0; j < 2; ++j)
            vector::StoreOp::create(builder, loc, reduction.getResult(2 * i + j), scratch,
                                    kernel.add(to, kernel.constant(j * plan.lanes)));
        }
      });
    });
  });
}

// 36 planes back into some rows of 4x4 pixels, each finished by the epilogue.
void WinogradEmitter::transformOutput(Value tile, Value from, Value part, ArrayRef<int64_t> rows) {
  Place place = placeOf(arith::MinUIOp::create(builder, loc, tile, lastTile));
  auto indexType = VectorType::get({plan.lanes}, builder.getI1Type());
  bool ragged = plan.part * plan.parts != plan.outputs;
  loop(kernel.constant(plan.part), plan.lanes, [&](Value column) {
    Value output = kernel.add(kernel.mul(part, kernel.constant(plan.part)), column);
    SmallVector<SmallVector<Value>> half(rows.size()); // [row][plane column]
    for (int64_t j = 0; j < tileIn; ++j) {
      SmallVector<Value> values;
      for (int64_t i = 0; i < tileIn; ++i)
        values.push_back(
            load(scratch, kernel.add(outputAt(kernel.constant(i * tileIn + j), from), column)));
      for (auto [made, value] : llvm::zip_equal(half, rowsOfOutput(values, rows)))
        made.push_back(value);
    }
    Value left = arith::SubIOp::create(builder, loc, kernel.constant(plan.outputs), output);
    for (auto [i, values] : llvm::zip_equal(rows, half))
      for (auto [j, value] : llvm::enumerate(rowsOfOutput(values, {0, 1, 2, 3}))) {
        Value row = kernel.add(place.row, kernel.constant(i));
        Value pixel = kernel.add(place.column, kernel.constant(j));
        Value mask, lanes = ragged ? left : Value();
        auto bound = [&](Value index, int64_t within, const Size &extent) {
          if (within < sureRows(extent))
            return;
          Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index,
                                               kernel.size(extent));
          lanes = arith::SelectOp::create(builder, loc, inside,
                                          lanes ? lanes : kernel.constant(plan.lanes),
                                          kernel.constant(0));
        };
        bound(row, i, root.extents[plan.row]);
        bound(pixel, j, root.extents[plan.column]);
        if (lanes)
          mask = vector::CreateMaskOp::create(builder, loc, indexType, lanes);
        SmallVector<Value> at = place.indices;
        at[plan.row] = row;
        at[plan.column] = pixel;
        at[plan.filters] = output;
        emitEpilogue(kernel, group, value, at, plan.lanes, mask, plan.filters, addressOf);
      }
  });
}

Work WinogradEmitter::emit() {
  Work work;
  work.count = plan.count;
  work.coarse = true;
  // A call has the scratch of its first item for all of them.
  slotBase = kernel.mul(kernel.begin(), kernel.constant(plan.slot));
  auto tilesOf = [&](unsigned loop) -> Value {
    const Size &extent = root.extents[loop];
    if (extent.isStatic())
      return kernel.constant(llvm::divideCeil(extent.constant, tileOut));
    return arith::CeilDivUIOp::create(builder, loc, kernel.size(extent), kernel.constant(tileOut));
  };
  tilesDown = tilesOf(plan.row);
  tilesAcross = tilesOf(plan.column);
  Value tiles = kernel.mul(tilesDown, tilesAcross);
  for (unsigned loop : plan.outer)
    tiles = kernel.mul(tiles, kernel.size(root.extents[loop]));
  lastTile = arith::SubIOp::create(builder, loc, tiles, kernel.constant(1));
  // An image that is smaller than the plan's takes smaller blocks: as many as threads are to find,
  // but of whole register tiles, and none of tiles that do not exist.
  auto divide = [&](Value a, Value b) -> Value {
    return arith::CeilDivUIOp::create(builder, loc, a, b);
  };
  Value blocks;
  if (plan.isStatic) {
    blockSize = kernel.constant(plan.block);
    blocks = divide(tiles, blockSize);
  } else {
    Value groups = divide(tiles, kernel.constant(plan.rows));
    Value wanted = arith::MaxUIOp::create(builder, loc,
                                          divide(groups, kernel.constant(plan.block / plan.rows)),
                                          kernel.constant(plan.spread));
    // Without tiles there is no block, and nothing to divide by.
    Value each = arith::MaxUIOp::create(builder, loc, divide(groups, wanted), kernel.constant(1));
    blockSize = kernel.mul(each, kernel.constant(plan.rows));
    blocks = divide(groups, each);
  }
  // Where the blocks are few, each is shared out by its filters.
  Value parts = kernel.constant(plan.parts), shares = parts, partsOfShare = kernel.constant(1);
  if (!plan.isStatic) {
    auto atLeastOne = [&](Value a) -> Value {
      return arith::MaxUIOp::create(builder, loc, a, kernel.constant(1));
    };
    Value wanted = divide(kernel.constant(WinogradPlan::leastItems), atLeastOne(blocks));
    shares = arith::MinUIOp::create(builder, loc, wanted, parts);
    partsOfShare = divide(parts, shares);
    shares = divide(parts, partsOfShare);
  }
  Value units = kernel.mul(blocks, shares);

  forUnits(kernel, units, kernel.size(plan.count), [&](Value unit) {
    Value firstPart = kernel.constant(0), block = unit;
    if (plan.parts > 1) {
      Value share = arith::RemUIOp::create(builder, loc, unit, shares);
      firstPart = kernel.mul(share, partsOfShare);
      block = arith::DivUIOp::create(builder, loc, unit, shares);
    }
    Value first = kernel.mul(block, blockSize);
    using Passes = SmallVector<SmallVector<int64_t>>;
    Passes columns =
        fewRegisters ? Passes{{0}, {1}, {2}, {3}, {4}, {5}} : Passes{{0}, {1, 2}, {3, 4}, {5}};
    Passes rows = fewRegisters ? Passes{{0}, {1}, {2}, {3}} : Passes{{0, 2}, {1, 3}};
    for (ArrayRef<int64_t> points : columns)
      loop(blockSize, 1,
           [&](Value tile) { transformInput(kernel.add(first, tile), tile, points); });
    auto finishPart = [&](Value part) {
      multiply(part);
      for (ArrayRef<int64_t> chosen : rows)
        loop(blockSize, 1,
             [&](Value tile) { transformOutput(kernel.add(first, tile), tile, part, chosen); });
    };
    if (plan.isStatic || plan.parts == 1) {
      finishPart(firstPart);
      return;
    }
    Value end = arith::MinUIOp::create(builder, loc, kernel.add(firstPart, partsOfShare), parts);
    auto made = scf::ForOp::create(builder, loc, firstPart, end, kernel.constant(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(made.getBody());
    finishPart(made.getInductionVar());
  });
  return work;
}

Work lathe::schedule::emitWinograd(Kernel &kernel, const Group &group, const WinogradPlan &plan,
                                   const View &scratch, const TargetInfo &target,
                                   AddressOf addressOf) {
  return WinogradEmitter(kernel, group, plan, scratch, target, addressOf).emit();
}
