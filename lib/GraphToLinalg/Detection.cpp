// Lowering of operations on boxes and regions of images.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Loops.h"
#include "lib/GraphToLinalg/Select.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;

static Value firstElement(Lowering &l, Value graphValue) {
  Tensor tensor = l.get(graphValue);
  Scalars s = l.scalars();
  SmallVector<Value> zeros(tensor.rank(), l.value(l.size(0)));
  return s.load(s.extract(tensor.value, zeros), tensor.element);
}

// ---- Non-maximum suppression -------------------------------------------------------------------

namespace {
/// A box [low, high] in two dimensions.
struct Box {
  Value low[2], high[2];
};
} // namespace

static Box readBox(const Scalars &s, const Tensor &boxes, Value batch, Value number,
                   bool centerPoint) {
  Value c[4];
  for (int64_t i = 0; i < 4; ++i)
    c[i] = s.load(s.extract(boxes.value, {batch, number, s.index(i)}), boxes.element);
  Box box;
  for (int i = 0; i < 2; ++i) {
    Value a = c[i], b = c[i + 2];
    if (centerPoint) {
      Value half = s.mul(b, s.constant(b.getType(), 0.5));
      b = s.add(a, half);
      a = s.sub(a, half);
    }
    box.low[i] = s.min(a, b);
    box.high[i] = s.max(a, b);
  }
  return box;
}

// Whether the intersection of two boxes is more than `threshold` of their union.
static Value overlaps(const Scalars &s, const Box &a, const Box &b, Value threshold) {
  Value common, areaA, areaB, zero = s.constant(threshold.getType(), 0), valid = s.boolean(true);
  for (int i = 0; i < 2; ++i) {
    Value inside = s.sub(s.min(a.high[i], b.high[i]), s.max(a.low[i], b.low[i]));
    Value sideA = s.sub(a.high[i], a.low[i]), sideB = s.sub(b.high[i], b.low[i]);
    for (Value length : {inside, sideA, sideB})
      valid = s.andI(valid, s.cmp(F::OGT, length, zero));
    common = common ? s.mul(common, inside) : inside;
    areaA = areaA ? s.mul(areaA, sideA) : sideA;
    areaB = areaB ? s.mul(areaB, sideB) : sideB;
  }
  Value all = s.sub(s.add(areaA, areaB), common);
  return s.andI(valid, s.cmp(F::OGT, s.divf(common, all), threshold));
}

// Each round takes the best box that lives of every batch and class, and ends those that it
// overlaps: as many rounds as boxes are wanted, and no sorting.
static LogicalResult lowerNonMaxSuppression(graph::NonMaxSuppressionOp op, Lowering &l) {
  Tensor boxes = l.get(op.getBoxes()), scores = l.get(op.getScores());
  if (!isa<FloatType>(boxes.element))
    return l.unsupported(op) << "element type " << boxes.element;
  l.requireEqual(boxes.sizes[0], scores.sizes[0], "boxes of %0 batches, scores of %1");
  l.requireEqual(boxes.sizes[1], scores.sizes[2], "%0 boxes, scores of %1");
  l.requireEqual(boxes.sizes[2], l.size(4), "boxes of %0 numbers, which takes %1");
  Type compute = getComputeType(boxes.element), i64 = l.b.getI64Type(), i8 = l.b.getI8Type();
  Value threshold = op.getIouThreshold() ? firstElement(l, op.getIouThreshold())
                                         : l.scalars().constant(compute, 0);
  std::optional<Value> least;
  if (op.getScoreThreshold())
    least = firstElement(l, op.getScoreThreshold());
  OpFoldResult rounds = l.size(0);
  if (op.getMaxOutput()) {
    std::optional<Sizes> given = l.getElements(op.getMaxOutput());
    if (!given || given->size() != 1)
      return l.unsupported(op) << "the largest number of boxes is not one number";
    rounds = l.max(l.min(given->front(), scores.sizes[2]), l.size(0));
  }
  OpFoldResult batches = scores.sizes[0], classes = scores.sizes[1], count = scores.sizes[2];
  Tensor alive = l.elementwise(
      {scores}, scores.sizes, i8,
      [&](const Scalars &s, ValueRange x) -> Value {
        Value score = s.load(x[0], scores.element);
        Value lives = least ? s.cmp(F::OGT, score, *least) : s.cmp(F::ORD, score, score);
        return arith::ExtUIOp::create(s.b, s.loc, i8, lives);
      },
      /*raw=*/true);
  Sizes chosenSizes{batches, classes, rounds};
  Value chosen = l.filled(chosenSizes, l.number(i64, -1));
  Value zero = l.value(l.size(0)), one = l.value(l.size(1)), all = l.value(count);
  auto loop =
      scf::ForOp::create(l.b, l.loc, zero, l.value(rounds), one, ValueRange{alive.value, chosen});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    Value living = loop.getRegionIterArg(0);
    Tensor best = l.fromIndices(
        {batches, classes, l.size(1)}, i64, [&](const Scalars &s, ValueRange at) -> Value {
          Value lowest = s.constant(compute, -std::numeric_limits<double>::infinity());
          return forLoop(s, all, {lowest, s.constant(i64, -1)},
                         [&](const Scalars &in, Value n, ValueRange x) -> SmallVector<Value> {
                           SmallVector<Value> place{at[0], at[1], n};
                           Value score = in.load(in.extract(scores.value, place), scores.element);
                           Value lives =
                               in.cmp(I::ne, in.extract(living, place), in.constant(i8, 0));
                           Value isFirst = in.cmp(I::slt, x[1], in.constant(i64, 0));
                           Value better = in.orI(isFirst, in.cmp(F::OGT, score, x[0]));
                           better = in.andI(lives, better);
                           return {in.select(better, score, x[0]),
                                   in.select(better, in.fromIndex(n, i64), x[1])};
                         })
              .back();
        });
    Tensor next = l.fromIndices(scores.sizes, i8, [&](const Scalars &s, ValueRange at) -> Value {
      Value winner = s.extract(best.value, {at[0], at[1], s.index(0)});
      Value lives = s.cmp(I::ne, s.extract(living, at), s.constant(i8, 0));
      Value other = s.cmp(I::ne, winner, s.fromIndex(at[2], i64));
      Value exists = s.cmp(I::sge, winner, s.constant(i64, 0));
      Value possible = s.andI(lives, s.andI(other, exists));
      Value stays = ifElse(
          s, possible,
          [&](const Scalars &in) -> Value {
            Box mine = readBox(in, boxes, at[0], at[2], op.getCenterPoint());
            Box kept = readBox(in, boxes, at[0], in.toIndex(winner, i64), op.getCenterPoint());
            return in.notI(overlaps(in, kept, mine, threshold));
          },
          s.boolean(false));
      return arith::ExtUIOp::create(s.b, s.loc, i8, stays);
    });
    Sizes offsets{l.size(0), l.size(0), OpFoldResult(loop.getInductionVar())};
    Value kept = l.insert(best, loop.getRegionIterArg(1), offsets);
    scf::YieldOp::create(l.b, l.loc, ValueRange{next.value, kept});
  }
  Tensor selected{loop.getResult(1), chosenSizes, i64};
  Tensor flat = l.reshape(selected, {l.product(chosenSizes)});
  Tensor flags = l.elementwise(
      {flat}, flat.sizes, i8,
      [&](const Scalars &s, ValueRange x) -> Value {
        return arith::ExtUIOp::create(s.b, s.loc, i8, s.cmp(I::sge, x[0], s.constant(i64, 0)));
      },
      /*raw=*/true);
  Tensor places = selectPlaces(l, flags);
  Sizes sizes = l.resultSizes(op.getResult(), {places.sizes[0], l.size(3)});
  SmallVector<Value> dims = sizeValues(l, chosenSizes);
  l.set(op.getResult(), l.fromIndices(sizes, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value place = s.toIndex(s.extract(places.value, at[0]), i64);
    SmallVector<Value> parts = delinearize(s, place, dims);
    Value result = s.extract(flat.value, place);
    for (int64_t i = 0; i < 2; ++i)
      result = s.select(s.cmp(I::eq, at[1], s.index(i)), s.fromIndex(parts[i], i64), result);
    return result;
  }));
  return success();
}

// ---- Regions -----------------------------------------------------------------------------------

/// More samples than this in a bin mean that a region is no region of an image.
static constexpr int64_t maxSamples = 1 << 12;

// Reading needs a pixel to be there even where a check has failed.
static void requirePixels(Lowering &l, const Tensor &data, ArrayRef<OpFoldResult> result) {
  Value pixels = l.value(l.product(data.sizes)), count = l.value(l.product(result));
  Value zero = l.value(l.size(0));
  Scalars s = l.scalars();
  s.check(s.orI(s.cmp(I::sgt, pixels, zero), s.cmp(I::eq, count, zero)), LATHE_CODE_SHAPE,
          "regions of images that have no pixels");
}

static Value checkBatch(const Scalars &s, Value batch, Value batches) {
  Value zero = s.index(0);
  Value valid = s.andI(s.cmp(I::sge, batch, zero), s.cmp(I::slt, batch, batches));
  s.check(valid, LATHE_CODE_INDEX, "region of image %0 in a batch of %1", {batch, batches});
  return s.select(valid, batch, zero);
}

// A float as an index; infinite and undefined ones end up in range of i64.
static Value toWhole(const Scalars &s, Value x) {
  Type i64 = s.b.getI64Type();
  return s.toIndex(s.convert(x, x.getType(), i64), i64);
}

namespace {
/// One coordinate of a sample: its two neighbours and the weight of the second.
struct Neighbours {
  Value low, high, weight, isInside;
};
} // namespace

static Neighbours findNeighbours(const Scalars &s, Value x, Value size) {
  Type type = x.getType();
  Value zero = s.constant(type, 0), limit = s.fromIndex(size, type);
  Value last = s.sub(size, s.index(1));
  Neighbours result;
  result.isInside = s.andI(s.cmp(F::OGE, x, s.constant(type, -1)), s.cmp(F::OLE, x, limit));
  Value held = s.max(x, zero);
  result.low = s.max(s.min(toWhole(s, held), last), s.index(0));
  result.high = s.max(s.min(s.add(result.low, s.index(1)), last), s.index(0));
  Value isLast = s.cmp(I::sge, result.low, last);
  result.weight = s.select(isLast, zero, s.sub(held, s.fromIndex(result.low, type)));
  return result;
}

static LogicalResult lowerRoiAlign(graph::RoiAlignOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), rois = l.get(op.getRois()), batch = l.get(op.getBatch());
  if (!isa<FloatType>(data.element))
    return l.unsupported(op) << "element type " << data.element;
  l.requireEqual(rois.sizes[1], l.size(4), "regions of %0 numbers, which takes %1");
  l.requireEqual(rois.sizes[0], batch.sizes[0], "%0 regions, %1 images");
  Sizes sizes = l.resultSizes(op.getResult(), {rois.sizes[0], data.sizes[1], l.size(op.getHeight()),
                                               l.size(op.getWidth())});
  requirePixels(l, data, sizes);
  SmallVector<Value> dims = sizeValues(l, data.sizes);
  Type compute = getComputeType(data.element);
  int64_t bins[] = {int64_t(op.getHeight()), int64_t(op.getWidth())};
  l.set(
      op.getResult(),
      l.fromIndices(sizes, data.element, [&](const Scalars &s, ValueRange at) -> Value {
        Value image = s.toIndex(s.extract(batch.value, at[0]), batch.element);
        image = checkBatch(s, image, dims[0]);
        Value start[2], step[2], samples[2];
        for (int64_t i = 0; i < 2; ++i) { // rows, columns; regions have x first
          auto corner = [&](int64_t which) {
            Value x = s.extract(rois.value, {at[0], s.index(2 * which + 1 - i)});
            x = s.mul(s.load(x, rois.element),
                      s.constant(compute, op.getSpatialScale().convertToDouble()));
            return op.getHalfPixel() ? s.sub(x, s.constant(compute, 0.5)) : x;
          };
          start[i] = corner(0);
          Value length = s.sub(corner(1), start[i]);
          if (!op.getHalfPixel())
            length = s.max(length, s.constant(compute, 1));
          step[i] = s.divf(length, s.constant(compute, double(bins[i])));
          samples[i] = s.index(op.getSamplingRatio());
          if (op.getSamplingRatio() == 0) {
            samples[i] = toWhole(s, math::CeilOp::create(s.b, s.loc, step[i]));
            Value fits = s.cmp(I::sle, samples[i], s.index(maxSamples));
            s.check(fits, LATHE_CODE_SIZE, "a bin of a region would take %0 samples", {samples[i]});
            samples[i] = s.max(s.select(fits, samples[i], s.index(0)), s.index(0));
          }
        }
        auto position = [&](const Scalars &in, int i, Value sample) {
          Value bin = in.mul(in.fromIndex(at[2 + i], compute), step[i]);
          Value offset = in.add(in.fromIndex(sample, compute), in.constant(compute, 0.5));
          offset = in.divf(in.mul(offset, step[i]), in.fromIndex(samples[i], compute));
          return in.add(in.add(start[i], bin), offset);
        };
        Value zero = s.constant(compute, 0), none = s.boolean(true);
        SmallVector<Value> sums = forLoop(
            s, samples[0], {zero, none},
            [&](const Scalars &outer, Value row, ValueRange before) -> SmallVector<Value> {
              Neighbours y = findNeighbours(outer, position(outer, 0, row), dims[2]);
              return forLoop(
                  outer, samples[1], before,
                  [&](const Scalars &in, Value column, ValueRange x) -> SmallVector<Value> {
                    Neighbours c = findNeighbours(in, position(in, 1, column), dims[3]);
                    Value inside = in.andI(y.isInside, c.isInside);
                    Value one = in.constant(compute, 1), sample;
                    for (auto [pixelY, weightY] :
                         {std::pair(y.low, in.sub(one, y.weight)), {y.high, y.weight}})
                      for (auto [pixelX, weightX] :
                           {std::pair(c.low, in.sub(one, c.weight)), {c.high, c.weight}}) {
                        Value pixel =
                            extractIf(in, inside, data.value, {image, at[1], pixelY, pixelX});
                        Value part = in.mul(in.mul(weightY, weightX), in.load(pixel, data.element));
                        sample = !sample           ? part
                                 : op.getLargest() ? in.max(sample, part)
                                                   : in.add(sample, part);
                      }
                    Value next = op.getLargest() ? in.select(x[1], sample, in.max(x[0], sample))
                                                 : in.add(x[0], sample);
                    return {next, in.boolean(false)};
                  });
            });
        Value result = sums[0];
        if (!op.getLargest()) {
          Value count = s.max(s.mul(samples[0], samples[1]), s.index(1));
          result = s.divf(result, s.fromIndex(count, compute));
        }
        return s.store(result, data.element);
      }));
  return success();
}

static LogicalResult lowerMaxRoiPool(graph::MaxRoiPoolOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), rois = l.get(op.getRois());
  if (!isa<FloatType>(data.element))
    return l.unsupported(op) << "element type " << data.element;
  l.requireEqual(rois.sizes[1], l.size(5), "regions of %0 numbers, which takes %1");
  Sizes sizes = l.resultSizes(op.getResult(), {rois.sizes[0], data.sizes[1], l.size(op.getHeight()),
                                               l.size(op.getWidth())});
  requirePixels(l, data, sizes);
  SmallVector<Value> dims = sizeValues(l, data.sizes);
  Type compute = getComputeType(data.element);
  int64_t bins[] = {int64_t(op.getHeight()), int64_t(op.getWidth())};
  l.set(op.getResult(),
        l.fromIndices(sizes, data.element, [&](const Scalars &s, ValueRange at) -> Value {
          auto number = [&](int64_t i) {
            return s.load(s.extract(rois.value, {at[0], s.index(i)}), rois.element);
          };
          Value image = checkBatch(s, toWhole(s, number(0)), dims[0]);
          Value begin[2], end[2];
          for (int64_t i = 0; i < 2; ++i) { // rows, columns; regions have x first
            auto corner = [&](int64_t which) -> Value {
              Value x = s.mul(number(1 + 2 * which + 1 - i),
                              s.constant(compute, op.getSpatialScale().convertToDouble()));
              return math::RoundOp::create(s.b, s.loc, x);
            };
            Value start = corner(0), one = s.constant(compute, 1);
            Value length = s.max(s.add(s.sub(corner(1), start), one), one);
            Value step = s.divf(length, s.constant(compute, double(bins[i])));
            Value bin = s.fromIndex(at[2 + i], compute);
            Value from = math::FloorOp::create(s.b, s.loc, s.mul(bin, step));
            Value to = math::CeilOp::create(s.b, s.loc, s.mul(s.add(bin, one), step));
            auto hold = [&](Value x) {
              Value whole = toWhole(s, s.min(s.add(x, start), s.fromIndex(dims[2 + i], compute)));
              return s.min(s.max(whole, s.index(0)), dims[2 + i]);
            };
            begin[i] = hold(from);
            end[i] = hold(to);
          }
          Value zero = s.constant(compute, 0), none = s.boolean(true);
          Value rows = s.max(s.sub(end[0], begin[0]), s.index(0));
          Value columns = s.max(s.sub(end[1], begin[1]), s.index(0));
          SmallVector<Value> result = forLoop(
              s, rows, {zero, none},
              [&](const Scalars &outer, Value row, ValueRange before) -> SmallVector<Value> {
                return forLoop(
                    outer, columns, before,
                    [&](const Scalars &in, Value column, ValueRange x) -> SmallVector<Value> {
                      Value pixel = in.extract(data.value, {image, at[1], in.add(begin[0], row),
                                                            in.add(begin[1], column)});
                      pixel = in.load(pixel, data.element);
                      return {in.select(x[1], pixel, in.max(x[0], pixel)), in.boolean(false)};
                    });
              });
          return s.store(result[0], data.element);
        }));
  return success();
}

void lathe::g2l::addDetection(LoweringTable &table) {
  table.add(lowerNonMaxSuppression);
  table.add(lowerRoiAlign);
  table.add(lowerMaxRoiPool);
}
