// Emission of convolutions by Winograd's algorithm.
// Apache-2.0 WITH LLVM-exception
#include "Winograd.h"
#include "Tile.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;
using namespace lathe::schedule::winograd;

namespace {
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
  /// A unit of work is a block of tiles, or a share of its filters: so many parts.
  struct Units {
    Value blocks, shares, partsOfShare;
  };
  /// Sets `blockSize` as well.
  Units cutUnits(Value tiles);
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

// An image that is smaller than the plan's takes smaller blocks: as many as threads are to find,
// but of whole register tiles, and none of tiles that do not exist. Where the blocks are few, each
// is shared out by its filters.
WinogradEmitter::Units WinogradEmitter::cutUnits(Value tiles) {
  auto divide = [&](Value a, Value b) -> Value {
    return arith::CeilDivUIOp::create(builder, loc, a, b);
  };
  auto atLeast = [&](int64_t least, Value a) -> Value {
    return arith::MaxUIOp::create(builder, loc, a, kernel.constant(least));
  };
  Value parts = kernel.constant(plan.parts);
  if (plan.isStatic) {
    blockSize = kernel.constant(plan.block);
    return {divide(tiles, blockSize), parts, kernel.constant(1)};
  }
  Value groups = divide(tiles, kernel.constant(plan.rows));
  Value wanted = atLeast(plan.spread, divide(groups, kernel.constant(plan.block / plan.rows)));
  // Without tiles there is no block, and nothing to divide by.
  Value each = atLeast(1, divide(groups, wanted));
  blockSize = kernel.mul(each, kernel.constant(plan.rows));
  Value blocks = divide(groups, each);
  wanted = divide(kernel.constant(WinogradPlan::leastItems), atLeast(1, blocks));
  Value partsOfShare = divide(parts, arith::MinUIOp::create(builder, loc, wanted, parts));
  return {blocks, divide(parts, partsOfShare), partsOfShare};
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
  auto [blocks, shares, partsOfShare] = cutUnits(tiles);
  Value units = kernel.mul(blocks, shares), parts = kernel.constant(plan.parts);

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
