// Products of an attention, by the warps of a matrix unit or by threads.
// Apache-2.0 WITH LLVM-exception
#include "AttentionProducts.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

AttentionProducts::AttentionProducts(Kernel &kernel, const AttentionTile &tile, Value thread)
    : kernel(kernel), builder(kernel.builder), loc(kernel.loc), tile(tile), unit(tile.unit) {
  auto split = [&](Value number, int64_t by) {
    Value divisor = kernel.constant(by);
    return std::pair<Value, Value>{arith::DivUIOp::create(builder, loc, number, divisor),
                                   arith::RemUIOp::create(builder, loc, number, divisor)};
  };
  if (!unit) {
    down = tile.rows / tile.gridDown;
    std::tie(row, column) = split(thread, tile.gridAcross);
    return;
  }
  warpRows = tile.rows / tile.warpsDown;
  down = warpRows / unit->rows;
  Value warp;
  std::tie(warp, lane) = split(thread, unit->lanes);
  std::tie(row, column) = split(warp, tile.warpsAcross);
  row = kernel.mul(row, kernel.constant(warpRows));
}

SmallVector<Value> AttentionProducts::zeros(int64_t columns) {
  int64_t count = tile.rows * columns / tile.threads;
  Type type = builder.getF32Type();
  if (unit) {
    type = VectorType::get({unit->sums.size()}, type);
    count /= unit->sums.size();
  }
  return SmallVector<Value>(
      count, arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type)).getResult());
}

SmallVector<AttentionProducts::Row> AttentionProducts::rowsOf(ArrayRef<Value> sums) {
  SmallVector<Row> rows;
  int64_t across = sums.size() / down;
  for (int64_t i = 0; i < down; ++i) {
    llvm::MapVector<int64_t, Row> ofPiece;
    for (int64_t j = 0; j < across; ++j) {
      Value sum = sums[i * across + j];
      if (!unit) {
        Row &made = ofPiece[0];
        made.number = kernel.add(row, kernel.constant(i * tile.gridDown));
        made.sums.push_back({kernel.add(column, kernel.constant(j * tile.gridAcross)), sum});
        continue;
      }
      Value first = kernel.mul(column, kernel.constant(across * unit->columns));
      for (unsigned e = 0; e < unit->sums.size(); ++e) {
        Row &made = ofPiece[unit->sums.across.offsets[e]];
        if (!made.number)
          made.number = place(unit->sums.across, e, i * unit->rows, row);
        made.sums.push_back({place(unit->sums.along, e, j * unit->columns, first),
                             vector::ExtractOp::create(builder, loc, sum, int64_t(e))});
      }
    }
    for (auto &[offset, made] : ofPiece)
      rows.push_back(made);
  }
  return rows;
}

SmallVector<Value> AttentionProducts::scale(ArrayRef<Value> sums, Value numbers) {
  SmallVector<Value> scaled;
  int64_t across = sums.size() / down;
  auto load = [&](Value at) -> Value { return memref::LoadOp::create(builder, loc, numbers, at); };
  for (int64_t i = 0; i < down; ++i) {
    Value factor;
    if (unit) {
      SmallVector<Value> elements;
      for (unsigned e = 0; e < unit->sums.size(); ++e)
        elements.push_back(load(place(unit->sums.across, e, i * unit->rows, row)));
      factor = vector::FromElementsOp::create(builder, loc, sums.front().getType(), elements);
    } else {
      factor = load(kernel.add(row, kernel.constant(i * tile.gridDown)));
    }
    for (Value sum : sums.slice(i * across, across))
      scaled.push_back(arith::MulFOp::create(builder, loc, sum, factor));
  }
  return scaled;
}

SmallVector<Value> AttentionProducts::multiply(const Factor &left, const Factor &right,
                                               ArrayRef<Value> sums) {
  int64_t across = right.part.size / tile.gridAcross;
  auto loop = scf::ForOp::create(builder, loc, kernel.constant(0),
                                 kernel.constant(right.part.depth), kernel.constant(1), sums);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  auto read = [&](const Factor &factor, Value first, int64_t beyond) -> Value {
    Value at = placeIn(kernel, factor.part, kernel.add(first, kernel.constant(beyond)),
                       loop.getInductionVar());
    return memref::LoadOp::create(builder, loc, factor.memory, kernel.add(factor.base, at));
  };
  SmallVector<Value> rights, next;
  for (int64_t j = 0; j < across; ++j)
    rights.push_back(read(right, column, j * tile.gridAcross));
  for (int64_t i = 0; i < down; ++i) {
    Value factor = read(left, row, i * tile.gridDown);
    for (Value other : rights)
      next.push_back(
          math::FmaOp::create(builder, loc, factor, other, loop.getRegionIterArg(next.size())));
  }
  scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> AttentionProducts::multiply(LeftsAt leftsAt, const Factor &right,
                                               ArrayRef<Value> sums) {
  int64_t columns = right.part.size / tile.warpsAcross;
  WarpOperand operand(kernel, *unit, /*isLeft=*/false, right.part, right.memory, lane,
                      kernel.mul(column, kernel.constant(columns)), columns / unit->columns);
  SmallVector<Value> next(sums);
  for (int64_t k = 0; k < right.part.depth; k += unit->depth) {
    SmallVector<SmallVector<Value>> lefts = leftsAt(k);
    SmallVector<Value> rights = operand.load(right.base, k);
    for (auto [i, parts] : llvm::enumerate(lefts))
      for (auto [j, fragment] : llvm::enumerate(rights)) {
        Value &sum = next[i * rights.size() + j];
        for (Value left : parts)
          sum = rt::MultiplyMatricesOp::create(builder, loc, sum.getType(), unit->name, left,
                                               fragment, sum);
      }
  }
  return next;
}

SmallVector<SmallVector<Value>> AttentionProducts::loadQueries(Value memory) {
  WarpOperand operand(kernel, *unit, /*isLeft=*/true, tile.queryPart, memory, lane, row, down);
  SmallVector<SmallVector<Value>> fragments;
  for (int64_t k = 0; k < tile.head; k += unit->depth)
    fragments.push_back(operand.load(kernel.constant(0), k));
  return fragments;
}

// Rounded once, they would take a digit off small sums of large values.
SmallVector<SmallVector<Value>> AttentionProducts::loadExponentials(Value memory,
                                                                    int64_t firstKey) {
  Type f32 = builder.getF32Type();
  SmallVector<SmallVector<Value>> fragments;
  for (int64_t i = 0; i < down; ++i) {
    SmallVector<Value> elements;
    for (unsigned e = 0; e < unit->left.size(); ++e) {
      Value at = kernel.add(kernel.mul(place(unit->left.across, e, i * unit->rows, row),
                                       kernel.constant(tile.scoreStride())),
                            place(unit->left.along, e, firstKey, kernel.constant(0)));
      elements.push_back(memref::LoadOp::create(builder, loc, memory, at));
    }
    Value exact = vector::FromElementsOp::create(
        builder, loc, VectorType::get({unit->left.size()}, f32), elements);
    Value rounded = convertFloats(kernel, exact, tile.stored);
    Value rest = arith::SubFOp::create(builder, loc, exact, convertFloats(kernel, rounded, f32));
    fragments.push_back({convertFloats(kernel, rest, tile.stored), rounded});
  }
  return fragments;
}
