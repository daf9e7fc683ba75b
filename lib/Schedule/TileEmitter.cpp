// The steps of one register tile.
// Apache-2.0 WITH LLVM-exception
#include "TileEmitter.h"

using namespace mlir;
using namespace lathe::schedule;

Value TileEmitter::address(const Access &access, ArrayRef<Value> at, unsigned vectorLoop,
                           const Lanes &lanes, int64_t vector) {
  Value position = kernel.linear(access.coefficients, at);
  if (access.panel > 0) {
    Value lane = kernel.add(lanes.start, kernel.constant(vector * tile.lanes));
    int64_t width = tile.lanes * tile.vectors;
    Value panel, within;
    if (width % access.panel == 0 && !tile.apart) {
      // The tile covers whole panels.
      panel = kernel.add(
          arith::DivUIOp::create(builder, root.loc, lanes.start, kernel.constant(access.panel)),
          kernel.constant(vector * tile.lanes / access.panel));
      within = kernel.constant(vector * tile.lanes % access.panel);
    } else {
      panel = arith::DivUIOp::create(builder, root.loc, lane, kernel.constant(access.panel));
      within = arith::RemUIOp::create(builder, root.loc, lane, kernel.constant(access.panel));
    }
    if (access.pairLoop)
      within = kernel.mul(within, kernel.constant(2));
    return kernel.add(position,
                      kernel.add(kernel.mul(panel, kernel.constant(access.panelStride)), within));
  }
  if (isAbsent(access, vectorLoop))
    return position;
  Value lane = kernel.add(lanes.start, kernel.constant(vector * tile.lanes));
  return kernel.add(position, kernel.mul(lane, kernel.size(access.coefficients[vectorLoop])));
}

// Lanes that are `stride` elements apart. Every other one comes by two vectors, of which the second
// ends with the last lane's element, so that nothing behind it is read.
Value TileEmitter::loadStrided(Value buffer, Value position, VectorType type, int64_t stride,
                               Value mask) {
  int64_t lanes = tile.lanes;
  if (stride == 2 && !mask) {
    Value low = vector::LoadOp::create(builder, root.loc, type, buffer, position);
    Value behind = kernel.add(position, kernel.constant(lanes - 1));
    Value high = vector::LoadOp::create(builder, root.loc, type, buffer, behind);
    SmallVector<int64_t> places;
    for (int64_t i = 0; i < 2 * lanes; i += 2)
      places.push_back(i < lanes ? i : i + 1);
    return vector::ShuffleOp::create(builder, root.loc, low, high, places);
  }
  SmallVector<int32_t> places;
  for (int64_t i = 0; i < lanes; ++i)
    places.push_back(int32_t(i * stride));
  Value indices = arith::ConstantOp::create(builder, root.loc, builder.getI32VectorAttr(places));
  auto bits = VectorType::get({lanes}, builder.getI1Type());
  if (!mask)
    mask = arith::ConstantOp::create(builder, root.loc, DenseElementsAttr::get(bits, true));
  Value zero = arith::ConstantOp::create(builder, root.loc, builder.getZeroAttr(type));
  return vector::GatherOp::create(builder, root.loc, type, buffer, ValueRange(position), indices,
                                  mask, zero);
}

Value TileEmitter::load(const Access &access, ArrayRef<Value> at, unsigned vectorLoop,
                        const Lanes &lanes, int64_t vector) {
  Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
  Value position = address(access, at, vectorLoop, lanes, vector);
  Type type = vectorType(access.view.element);
  if (isAbsent(access, vectorLoop)) {
    Value scalar = memref::LoadOp::create(builder, root.loc, buffer, position);
    return vector::BroadcastOp::create(builder, root.loc, type, scalar);
  }
  if (isStrided(root, access, vectorLoop))
    return loadStrided(buffer, position, cast<VectorType>(type),
                       access.coefficients[vectorLoop].constant, lanes.masks[vector]);
  if (lanes.masks[vector] && access.panel == 0) {
    Value zero = arith::ConstantOp::create(builder, root.loc, builder.getZeroAttr(type));
    return vector::MaskedLoadOp::create(builder, root.loc, type, buffer, position,
                                        lanes.masks[vector], zero);
  }
  return vector::LoadOp::create(builder, root.loc, type, buffer, position);
}

TileEmitter::Accumulators TileEmitter::step(Accumulators accumulators, const Lanes &lanes,
                                            ArrayRef<Value> rowIndices) {
  bool multiplyAdd = isMultiplyAdd(root);
  unsigned vectors = lanes.masks.size();
  // What does not depend on the row is loaded once.
  SmallVector<SmallVector<Value>> shared(root.inputs.size());
  for (auto [i, input] : llvm::enumerate(root.inputs)) {
    bool perRow = choice.rowLoop && !input.coefficients.empty() &&
                  !input.coefficients[*choice.rowLoop].isZero();
    if (input.coefficients.empty() || perRow)
      continue;
    for (unsigned j = 0; j < vectors; ++j)
      shared[i].push_back(j > 0 && isAbsent(input, choice.vectorLoop)
                              ? shared[i][0]
                              : load(input, indices, choice.vectorLoop, lanes, j));
  }
  for (unsigned row = 0; row < rowIndices.size(); ++row) {
    SmallVector<Value> at = indices;
    if (choice.rowLoop)
      at[*choice.rowLoop] = rowIndices[row];
    SmallVector<Value> scalars(root.inputs.size());
    for (unsigned j = 0; j < vectors; ++j) {
      SmallVector<Value> operands;
      for (auto [i, input] : llvm::enumerate(root.inputs)) {
        if (input.coefficients.empty()) {
          operands.push_back(Value());
        } else if (!shared[i].empty()) {
          operands.push_back(shared[i][j]);
        } else if (isAbsent(input, choice.vectorLoop)) {
          if (!scalars[i])
            scalars[i] = load(input, at, choice.vectorLoop, lanes, j);
          operands.push_back(scalars[i]);
        } else {
          operands.push_back(load(input, at, choice.vectorLoop, lanes, j));
        }
      }
      Value &accumulator = accumulators[row][j];
      if (multiplyAdd) {
        accumulator =
            vector::FMAOp::create(builder, root.loc, operands[0], operands[1], accumulator);
        continue;
      }
      operands.push_back(accumulator);
      accumulator = emitBody(kernel, root, operands, {}, tile.lanes, addressOf)[0];
    }
  }
  return accumulators;
}

// The same for operands that come in pairs.
TileEmitter::Accumulators TileEmitter::stepPairs(Accumulators accumulators, const Lanes &lanes,
                                                 ArrayRef<Value> rowIndices) {
  const Access &weights = root.inputs[*pairedInput], &other = root.inputs[1 - *pairedInput];
  auto bufferOf = [&](const Access &access) {
    return kernel.buffer(addressOf(access.view), access.view.element);
  };
  SmallVector<Value> loaded;
  for (unsigned j = 0; j < lanes.masks.size(); ++j)
    loaded.push_back(loadPairedWeights(kernel, bufferOf(weights),
                                       address(weights, indices, choice.vectorLoop, lanes, j),
                                       tile.lanes));
  for (auto [row, sums] : llvm::enumerate(accumulators)) {
    SmallVector<Value> at = indices;
    if (choice.rowLoop)
      at[*choice.rowLoop] = rowIndices[row];
    Value pair = loadPair(kernel, bufferOf(other), kernel.linear(other.coefficients, at),
                          tile.lanes, single);
    for (auto [sum, values] : llvm::zip_equal(sums, loaded))
      sum = emitPairProduct(kernel, sum, values, pair, target);
  }
  return accumulators;
}

TileEmitter::Accumulators TileEmitter::reduce(ArrayRef<unsigned> loops, Accumulators accumulators,
                                              const Lanes &lanes, ArrayRef<Value> rowIndices) {
  if (loops.empty())
    return pairedInput ? stepPairs(std::move(accumulators), lanes, rowIndices)
                       : step(std::move(accumulators), lanes, rowIndices);
  unsigned loop = loops.front();
  bool inPairs = pairedInput && root.inputs[*pairedInput].pairLoop == loop;
  int64_t stride = inPairs ? 2 : 1;
  // Inside, with the loop at that place.
  auto reduceAt = [&](int64_t place, Accumulators sums) {
    indices[loop] = kernel.constant(place);
    single = inPairs ? place + 1 == root.extents[loop].constant : single;
    sums = reduce(loops.drop_front(), std::move(sums), lanes, rowIndices);
    single = inPairs ? false : single;
    return sums;
  };
  // Small windows are unrolled, so that overlapping loads of neighbouring rows become one.
  int64_t total = 1;
  for (unsigned inner : loops)
    total = root.extents[inner].isStatic() && total < 4096 ? total * root.extents[inner].constant
                                                           : 4096;
  int64_t width = rowIndices.size() * lanes.masks.size();
  if (total > 0 && total <= 25 && total * width <= 150) {
    if (tile.apart && loops.size() == 1 && lanes.masks.size() > 1) {
      for (auto [j, mask] : llvm::enumerate(lanes.masks)) {
        Lanes one{kernel.add(lanes.start, kernel.constant(j * tile.lanes)), {mask}};
        Accumulators column;
        for (auto &row : accumulators)
          column.push_back({row[j]});
        column = reduce(loops, std::move(column), one, rowIndices);
        for (auto [row, sum] : llvm::zip_equal(accumulators, column))
          row[j] = sum[0];
      }
      return accumulators;
    }
    for (int64_t i = 0; i < root.extents[loop].constant; i += stride)
      accumulators = reduceAt(i, std::move(accumulators));
    return accumulators;
  }
  SmallVector<Value> flat;
  for (auto &row : accumulators)
    flat.append(row.begin(), row.end());
  int64_t odd = inPairs ? root.extents[loop].constant % 2 : 0;
  Value end =
      odd ? kernel.constant(root.extents[loop].constant - 1) : kernel.size(root.extents[loop]);
  auto unflatten = [&](ValueRange values) {
    Accumulators rows(accumulators.size());
    unsigned next = 0;
    for (auto [row, old] : llvm::zip_equal(rows, accumulators))
      for (unsigned j = 0; j < old.size(); ++j)
        row.push_back(values[next++]);
    return rows;
  };
  // A loop that carries the accumulators; `inside` gives their next values.
  auto carry = [&](Value from, Value to, int64_t step, ValueRange carried,
                   llvm::function_ref<SmallVector<Value>(Value, ValueRange)> inside) {
    auto made = scf::ForOp::create(builder, root.loc, from, to, kernel.constant(step), carried);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(made.getBody());
    scf::YieldOp::create(builder, root.loc,
                         inside(made.getInductionVar(), made.getRegionIterArgs()));
    return SmallVector<Value>(made.getResults());
  };
  auto steps = [&](Value from, Value to, ValueRange carried) {
    return carry(from, to, stride, carried, [&](Value place, ValueRange values) {
      indices[loop] = place;
      SmallVector<Value> next;
      for (auto &row : reduce(loops.drop_front(), unflatten(values), lanes, rowIndices))
        next.append(row.begin(), row.end());
      return next;
    });
  };
  if (stream && loops.size() == 1) {
    int64_t chunk = chunkSteps * stride;
    bool isWhole = !odd && root.extents[loop].constant % chunk == 0;
    flat = carry(kernel.constant(0), end, chunk, flat, [&](Value first, ValueRange values) {
      prefetch(lanes, loop, first);
      Value last = kernel.add(first, kernel.constant(chunk));
      if (!isWhole)
        last = arith::MinUIOp::create(builder, root.loc, last, end);
      return steps(first, last, values);
    });
  } else {
    flat = steps(kernel.constant(0), end, flat);
  }
  Accumulators sums = unflatten(flat);
  return odd ? reduceAt(root.extents[loop].constant - 1, std::move(sums)) : sums;
}

void TileEmitter::emitTile(const Lanes &lanes, Value firstRow, int64_t rows) {
  SmallVector<Value> rowIndices;
  for (int64_t i = 0; i < rows; ++i)
    rowIndices.push_back(choice.rowLoop ? kernel.add(firstRow, kernel.constant(i)) : Value());
  unsigned vectors = lanes.masks.size();

  Accumulators values(rows, SmallVector<Value>(vectors));
  for (int64_t i = 0; i < rows; ++i)
    for (unsigned j = 0; j < vectors; ++j) {
      if (root.inits[0]) {
        Type type = vectorType(root.outputs[0].view.element);
        values[i][j] = arith::ConstantOp::create(
            builder, root.loc, DenseElementsAttr::get(cast<ShapedType>(type), root.inits[0]));
        continue;
      }
      SmallVector<Value> at = indices;
      if (choice.rowLoop)
        at[*choice.rowLoop] = rowIndices[i];
      values[i][j] = load(root.outputs[0], at, choice.vectorLoop, lanes, j);
    }
  values = reduce(reductions, std::move(values), lanes, rowIndices);

  for (int64_t i = 0; i < rows; ++i)
    for (unsigned j = 0; j < vectors; ++j) {
      SmallVector<Value> at = indices;
      if (choice.rowLoop)
        at[*choice.rowLoop] = rowIndices[i];
      at[choice.vectorLoop] = kernel.add(lanes.start, kernel.constant(j * tile.lanes));
      emitEpilogue(kernel, group, values[i][j], at, tile.lanes, lanes.masks[j], choice.vectorLoop,
                   addressOf);
    }
}

// The steps of one tile: the loop along pairs is the innermost.
void TileEmitter::reduceMatrix(ArrayRef<unsigned> loops, const Lanes &lanes, Value firstRow,
                               int64_t rows) {
  const Access &weights = root.inputs[*pairedInput], &other = root.inputs[1 - *pairedInput];
  unsigned loop = loops.front();
  bool innermost = loops.size() == 1;
  auto made =
      scf::ForOp::create(builder, root.loc, kernel.constant(0), kernel.size(root.extents[loop]),
                         kernel.constant(innermost ? MatrixUnit::step : 1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(made.getBody());
  indices[loop] = made.getInductionVar();
  if (!innermost) {
    reduceMatrix(loops.drop_front(), lanes, firstRow, rows);
    return;
  }
  if (stream && loop == reductions.back())
    prefetch(lanes, loop, indices[loop]);
  auto bufferOf = [&](const Access &access) {
    return kernel.buffer(addressOf(access.view), access.view.element);
  };
  SmallVector<Value> at = indices, places;
  at[*choice.rowLoop] = firstRow;
  for (unsigned j = 0; j < lanes.masks.size(); ++j)
    places.push_back(address(weights, at, choice.vectorLoop, lanes, j));
  Value rowStride =
      kernel.mul(kernel.size(other.coefficients[*choice.rowLoop]), kernel.constant(2));
  matrix.accumulate(rows, lanes.masks.size(), bufferOf(other),
                    kernel.linear(other.coefficients, at), rowStride, bufferOf(weights), places,
                    weights.panel * 4);
}

void TileEmitter::emitMatrixTile(const Lanes &lanes, Value firstRow, int64_t rows) {
  unsigned pairs = *root.inputs[*pairedInput].pairLoop;
  SmallVector<unsigned> loops = reductions;
  llvm::erase(loops, pairs);
  loops.push_back(pairs);
  matrix.zero(rows, lanes.masks.size());
  reduceMatrix(loops, lanes, firstRow, rows);
  Value sums = matrix.store(rows, lanes.masks.size());

  auto made = scf::ForOp::create(builder, root.loc, kernel.constant(0), kernel.constant(rows),
                                 kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(made.getBody());
  Value row = made.getInductionVar();
  for (auto [j, mask] : llvm::enumerate(lanes.masks)) {
    SmallVector<Value> at = indices;
    at[*choice.rowLoop] = kernel.add(firstRow, row);
    at[choice.vectorLoop] = kernel.add(lanes.start, kernel.constant(j * tile.lanes));
    Value place = kernel.add(kernel.mul(row, kernel.constant(2 * tile.lanes)),
                             kernel.constant(j * tile.lanes));
    Value value = vector::LoadOp::create(builder, root.loc,
                                         vectorType(root.outputs[0].view.element), sums, place);
    emitEpilogue(kernel, group, value, at, tile.lanes, mask, choice.vectorLoop, addressOf);
  }
}
