// Lowering of resize: tables of taps per dimension, then sums of the elements that they name.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/ResizeTaps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::ResizeMode;

// ---- Arithmetic --------------------------------------------------------------------------------

namespace {
/// The formulas' arithmetic when compiling.
struct ConstantMath {
  using Number = float;
  float number(double value) { return float(value); }
  float add(float a, float b) { return a + b; }
  float sub(float a, float b) { return a - b; }
  float mul(float a, float b) { return a * b; }
  float div(float a, float b) { return a / b; }
  float min(float a, float b) { return std::min(a, b); }
  float max(float a, float b) { return std::max(a, b); }
  float floor(float a) { return std::floor(a); }
  float ceil(float a) { return std::ceil(a); }
  float abs(float a) { return std::abs(a); }
  float selectLess(float a, float b, float c, float d) { return a < b ? c : d; }
};

/// The same as operations. Nothing is contracted, so that both give the same bits.
struct EmittedMath {
  using Number = Value;
  Scalars s;
  Type type() { return s.b.getF32Type(); }
  Value number(double value) { return s.constant(type(), value); }
  Value add(Value a, Value b) { return arith::AddFOp::create(s.b, s.loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(s.b, s.loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(s.b, s.loc, a, b); }
  Value div(Value a, Value b) { return s.divf(a, b); }
  Value min(Value a, Value b) { return s.min(a, b); }
  Value max(Value a, Value b) { return s.max(a, b); }
  Value floor(Value a) { return math::FloorOp::create(s.b, s.loc, a); }
  Value ceil(Value a) { return math::CeilOp::create(s.b, s.loc, a); }
  Value abs(Value a) { return math::AbsFOp::create(s.b, s.loc, a); }
  Value selectLess(Value a, Value b, Value c, Value d) {
    return s.select(s.cmp(arith::CmpFPredicate::OLT, a, b), c, d);
  }
};

/// A number that is known when compiling or is an f32 value.
struct Amount {
  std::optional<float> known;
  Value value;
  Value get(const Scalars &s) const { return known ? s.constant(s.b.getF32Type(), *known) : value; }
};

/// A dimension that changes.
struct Resized {
  int64_t axis;
  Amount scale, roiBegin, roiEnd;
};

/// Tables of one dimension: [output size] or [output size, taps].
struct Tables {
  Tensor indices, weights;
  std::optional<Tensor> outside;
  int64_t taps;
};

/// Antialiasing widens the kernel where it shrinks.
struct Footprint {
  int64_t start, count;
};
} // namespace

static Amount amount(Lowering &l, OpFoldResult size) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return {float(*known), {}};
  return {{}, l.scalars().fromIndex(l.value(size), l.b.getF32Type())};
}

// ---- Tables ------------------------------------------------------------------------------------

/// More taps than this are those of no picture.
static constexpr int64_t maxTaps = 4096;

/// How many elements away the kernel reaches, before it is widened.
static float getReach(graph::ResizeOp op) { return op.getMode() == ResizeMode::linear ? 1 : 2; }

// Of a known scale.
static Footprint getFootprint(graph::ResizeOp op, const Resized &dim) {
  float scale = std::min(*dim.scale.known, 1.0f), reach = getReach(op);
  int64_t start = int64_t(std::floor(-reach / scale)) + 1;
  return Footprint{start, 2 - 2 * start};
}

template <typename Math>
static ResizeTaps<typename Math::Number> computeTaps(graph::ResizeOp op, Math math,
                                                     const ResizeDim<typename Math::Number> &dim,
                                                     typename Math::Number x, Footprint footprint) {
  ResizeFormulas<Math> formulas(math, op);
  if (footprint.count)
    return formulas.antialiased(dim, x, footprint.start, footprint.count,
                                op.getMode() == ResizeMode::cubic);
  switch (op.getMode()) {
  case ResizeMode::nearest:
    return formulas.nearest(dim, x);
  case ResizeMode::linear:
    return formulas.linear(dim, x);
  case ResizeMode::cubic:
    return formulas.cubic(dim, x);
  }
  llvm_unreachable("all modes are handled");
}

static int64_t countTaps(graph::ResizeOp op, Footprint footprint) {
  if (footprint.count)
    return footprint.count;
  return op.getMode() == ResizeMode::nearest ? 1 : op.getMode() == ResizeMode::linear ? 2 : 4;
}

static Tables constantTables(Lowering &l, graph::ResizeOp op, int64_t input, int64_t output,
                             const Resized &dim, Footprint footprint) {
  std::vector<int64_t> indices;
  std::vector<float> weights, outside;
  ResizeDim<float> sizes{float(input), float(output), *dim.scale.known,
                         dim.roiBegin.known.value_or(0), dim.roiEnd.known.value_or(1)};
  for (int64_t x = 0; x < output; ++x) {
    ResizeTaps<float> taps = computeTaps(op, ConstantMath(), sizes, float(x), footprint);
    llvm::append_range(indices, taps.indices);
    llvm::append_range(weights, taps.weights);
    outside.push_back(taps.outside);
  }
  int64_t count = countTaps(op, footprint);
  auto make = [&](Type type, auto values, ArrayRef<int64_t> shape) {
    return l.constantTensor(
        DenseElementsAttr::get(RankedTensorType::get(shape, type), ArrayRef(values)));
  };
  Tables tables{make(l.b.getI64Type(), indices, {output, count}),
                make(l.b.getF32Type(), weights, {output, count}),
                {},
                count};
  if (op.getCoordinates() == graph::ResizeCoordinates::tf_crop_and_resize)
    tables.outside = make(l.b.getF32Type(), outside, {output});
  return tables;
}

static Tables runTimeTables(Lowering &l, graph::ResizeOp op, OpFoldResult input,
                            OpFoldResult output, const Resized &dim, Footprint footprint) {
  Type f32 = l.b.getF32Type(), i64 = l.b.getI64Type();
  int64_t count = countTaps(op, footprint);
  Amount inputSize = amount(l, input), outputSize = amount(l, output);
  bool crops = op.getCoordinates() == graph::ResizeCoordinates::tf_crop_and_resize;
  Sizes sizes{output, l.size(count)};
  // One generic over the result's positions writes a row of each table as single columns.
  SmallVector<Value> outs;
  for (int64_t i = 0; i < count; ++i)
    outs.push_back(l.empty({output}, i64));
  for (int64_t i = 0; i < count + crops; ++i)
    outs.push_back(l.empty({output}, f32));
  SmallVector<AffineMap> maps(outs.size(), l.dimMap(1, 0));
  ResultRange columns = l.generic(
      {}, outs, maps, utils::IteratorType::parallel,
      [&](const Scalars &s, ValueRange) -> SmallVector<Value> {
        Value x = s.fromIndex(linalg::IndexOp::create(s.b, s.loc, 0), f32);
        ResizeDim<Value> dims{inputSize.get(s), outputSize.get(s), dim.scale.get(s), {}, {}};
        if (crops) {
          dims.roiBegin = dim.roiBegin.get(s);
          dims.roiEnd = dim.roiEnd.get(s);
        }
        ResizeTaps<Value> taps = computeTaps(op, EmittedMath{s}, dims, x, footprint);
        SmallVector<Value> results;
        for (Value index : taps.indices)
          results.push_back(s.convert(index, f32, i64));
        llvm::append_range(results, taps.weights);
        if (crops)
          results.push_back(taps.outside);
        return results;
      });
  auto join = [&](int64_t first, Type type) -> Tensor {
    if (count == 1)
      return l.reshape({columns[first], {output}, type}, sizes);
    Value table = l.empty(sizes, type);
    for (int64_t i = 0; i < count; ++i) {
      Tensor column = l.reshape({columns[first + i], {output}, type}, {output, l.size(1)});
      table = l.insert(column, table, {l.size(0), l.size(i)});
    }
    return {table, sizes, type};
  };
  Tables tables{join(0, i64), join(count, f32), {}, count};
  if (crops)
    tables.outside = Tensor{columns[2 * count], {output}, f32};
  return tables;
}

// Antialiased taps whose number only the run knows: two tables of [output, taps].
static Tables antialiasedTables(Lowering &l, graph::ResizeOp op, OpFoldResult input,
                                OpFoldResult output, const Resized &dim) {
  Type f32 = l.b.getF32Type(), i64 = l.b.getI64Type();
  Amount inputSize = amount(l, input), outputSize = amount(l, output);
  bool crops = op.getCoordinates() == graph::ResizeCoordinates::tf_crop_and_resize;
  bool isCubic = op.getMode() == ResizeMode::cubic;
  Scalars top = l.scalars();
  Value narrow = top.min(dim.scale.get(top), top.constant(f32, 1));
  Value reach = top.divf(top.constant(f32, getReach(op)), narrow);
  Value fits = top.cmp(arith::CmpFPredicate::OLT, reach, top.constant(f32, maxTaps / 2 - 2));
  Value positive = top.cmp(arith::CmpFPredicate::OGT, narrow, top.constant(f32, 0));
  top.check(top.andI(fits, positive), LATHE_CODE_SIZE, "the scale of a resize is out of range");
  Value floor = math::FloorOp::create(top.b, top.loc, top.neg(reach));
  Value first = top.add(top.toIndex(top.convert(floor, f32, i64), i64), top.index(1));
  Value number = top.sub(top.index(2), top.add(first, first));
  Sizes sizes{output, l.markSize(top.max(number, top.index(1)))};
  auto dimOf = [&](const Scalars &s) {
    ResizeDim<Value> dims{inputSize.get(s), outputSize.get(s), dim.scale.get(s), {}, {}};
    if (crops) {
      dims.roiBegin = dim.roiBegin.get(s);
      dims.roiEnd = dim.roiEnd.get(s);
    }
    return dims;
  };
  auto tap = [&](const Scalars &s, ValueRange at) {
    ResizeDim<Value> dims = dimOf(s);
    ResizeFormulas<EmittedMath> formulas(EmittedMath{s}, op);
    Value offset = s.fromIndex(s.add(at[1], first), f32);
    auto [index, weight] = formulas.antialiasedTap(dims, s.fromIndex(at[0], f32), offset, isCubic);
    return formulas.hold(dims, index, weight);
  };
  Tensor indices = l.fromIndices(sizes, i64, [&](const Scalars &s, ValueRange at) {
    return s.convert(tap(s, at).first, f32, i64);
  });
  Tensor weights =
      l.fromIndices(sizes, f32, [&](const Scalars &s, ValueRange at) { return tap(s, at).second; });
  Tensor sums = l.reduce({weights}, {1}, l.number(f32, 0),
                         [](const Scalars &s, ValueRange x) { return s.add(x[1], x[0]); });
  weights = l.elementwise({weights, {sums, l.dimMap(2, 0)}}, sizes, f32,
                          [](const Scalars &s, ValueRange x) { return s.divf(x[0], x[1]); });
  Tables tables{indices, weights, {}, 0};
  if (crops)
    tables.outside = l.fromIndices({output}, f32, [&](const Scalars &s, ValueRange at) {
      ResizeDim<Value> dims = dimOf(s);
      ResizeFormulas<EmittedMath> formulas(EmittedMath{s}, op);
      return formulas.isOutside(dims, formulas.toInput(dims, s.fromIndex(at[0], f32)));
    });
  return tables;
}

static std::optional<Tables> makeTables(Lowering &l, graph::ResizeOp op, OpFoldResult input,
                                        OpFoldResult output, const Resized &dim) {
  bool widens = op.getAntialias() && op.getMode() != ResizeMode::nearest;
  if (widens && !dim.scale.known)
    return antialiasedTables(l, op, input, output, dim);
  Footprint footprint = widens ? getFootprint(op, dim) : Footprint{0, 0};
  if (footprint.count > maxTaps)
    return std::nullopt;
  std::optional<int64_t> from = getConstantIntValue(input), to = getConstantIntValue(output);
  bool crops = op.getCoordinates() == graph::ResizeCoordinates::tf_crop_and_resize;
  bool known = from && to && dim.scale.known && *to * countTaps(op, footprint) < (1 << 24) &&
               (!crops || (dim.roiBegin.known && dim.roiEnd.known));
  return known ? constantTables(l, op, *from, *to, dim, footprint)
               : runTimeTables(l, op, input, output, dim, footprint);
}

// ---- Reading -----------------------------------------------------------------------------------

/// Interpolated numbers as elements; integers are rounded to the nearest, halves to the even one,
/// as the reference implementation of ONNX does, and held in range.
static Value toElement(const Scalars &s, Value result, Type element) {
  if (!isa<FloatType>(element))
    result = math::RoundEvenOp::create(s.b, s.loc, result);
  return s.convert(result, result.getType(), element);
}

// All of `dims` at once: every combination of their taps. For few taps.
static Tensor readAtOnce(Lowering &l, graph::ResizeOp op, const Tensor &input,
                         ArrayRef<OpFoldResult> sizes, ArrayRef<Resized> dims,
                         ArrayRef<Tables> tables, Type element) {
  int64_t rank = input.rank();
  bool weighted = op.getMode() != ResizeMode::nearest;
  SmallVector<Operand> operands;
  // The columns of a table are operands of their own: [output size] each.
  auto addColumns = [&](const Tensor &table, const Resized &dim, int64_t taps) {
    for (int64_t i = 0; i < taps; ++i) {
      Tensor column = l.slice(table, {l.size(0), l.size(i)}, {table.sizes[0], l.size(1)});
      operands.emplace_back(l.reshape(column, table.sizes[0]), l.dimMap(rank, dim.axis));
    }
  };
  for (auto [dim, table] : llvm::zip(dims, tables)) {
    addColumns(table.indices, dim, table.taps);
    if (weighted)
      addColumns(table.weights, dim, table.taps);
    if (table.outside)
      operands.emplace_back(*table.outside, l.dimMap(rank, dim.axis));
  }
  Type f32 = l.b.getF32Type();
  Type compute = isa<FloatType>(input.element) ? getComputeType(input.element) : f32;
  bool moves = !weighted && !tables.front().outside; // moves elements as they are
  return l.elementwise(
      operands, sizes, element,
      [&](const Scalars &s, ValueRange x) -> Value {
        SmallVector<SmallVector<Value>> indices, weights;
        Value outside;
        unsigned next = 0;
        for (const Tables &table : tables) {
          indices.emplace_back();
          weights.emplace_back();
          for (int64_t i = 0; i < table.taps; ++i)
            indices.back().push_back(s.toIndex(x[next++], l.b.getI64Type()));
          for (int64_t i = 0; weighted && i < table.taps; ++i)
            weights.back().push_back(s.convert(x[next++], f32, compute));
          if (table.outside) {
            Value here = s.cmp(arith::CmpFPredicate::OGT, x[next++], s.constant(f32, 0));
            outside = outside ? s.orI(outside, here) : here;
          }
        }
        SmallVector<Value> position;
        for (int64_t i = 0; i < rank; ++i)
          position.push_back(linalg::IndexOp::create(s.b, s.loc, i));
        // Interpolates the dimensions from the last to the first.
        auto read = [&](auto &self, size_t dim) -> Value {
          if (dim == dims.size()) {
            Value read = s.extract(input.value, position);
            if (moves)
              return read;
            return s.convert(s.load(read, input.element), input.element, compute);
          }
          Value sum;
          for (size_t tap = 0; tap < indices[dim].size(); ++tap) {
            position[dims[dim].axis] = indices[dim][tap];
            Value part = self(self, dim + 1);
            if (weighted)
              part = s.mul(part, weights[dim][tap]);
            sum = sum ? s.add(sum, part) : part;
          }
          return sum;
        };
        Value result = read(read, 0);
        if (moves)
          return result;
        if (outside)
          result = s.select(outside, s.constant(compute, op.getExtrapolation().convertToDouble()),
                            result);
        return s.store(toElement(s, result, element), element);
      },
      /*raw=*/true);
}

/// Whether the last of `dims` is better resized before the others. It is where its elements lie
/// together: then it has to read them one by one, at places from its table, and does so for fewer
/// rows (at most for twice as many), while the others read whole rows. Sums are in the same order.
static bool isLastFirst(const Tensor &input, ArrayRef<OpFoldResult> sizes, ArrayRef<Resized> dims,
                        ArrayRef<Tables> tables) {
  auto shrinksLittle = [&](const Resized &dim) {
    std::optional<int64_t> from = getConstantIntValue(input.sizes[dim.axis]);
    std::optional<int64_t> to = getConstantIntValue(sizes[dim.axis]);
    return from && to ? *from <= 2 * *to : dim.scale.known && *dim.scale.known >= 0.5f;
  };
  return dims.size() > 1 && dims.back().axis == input.rank() - 1 && !tables.back().outside &&
         llvm::all_of(dims.drop_back(), shrinksLittle);
}

// Few taps: all dimensions in one pass, or the last one in a pass of its own.
static Tensor readFewTaps(Lowering &l, graph::ResizeOp op, Tensor input,
                          ArrayRef<OpFoldResult> sizes, ArrayRef<Resized> dims,
                          ArrayRef<Tables> tables) {
  Type element = input.element;
  if (op.getMode() != ResizeMode::nearest && isLastFirst(input, sizes, dims, tables)) {
    Sizes wide = input.sizes;
    wide.back() = sizes.back();
    Type compute = isa<FloatType>(element) ? getComputeType(element) : l.b.getF32Type();
    input = readAtOnce(l, op, input, wide, dims.take_back(), tables.take_back(), compute);
    dims = dims.drop_back();
    tables = tables.drop_back();
  }
  return readAtOnce(l, op, input, sizes, dims, tables, element);
}

// One dimension: a reduction over its taps.
static Tensor readDim(Lowering &l, graph::ResizeOp op, const Tensor &input, OpFoldResult size,
                      const Resized &dim, const Tables &tables, Type compute) {
  int64_t rank = input.rank();
  Sizes sizes = input.sizes;
  sizes[dim.axis] = size;
  SmallVector<utils::IteratorType> iterators(rank + 1, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  AffineMap table = l.dimMap(rank + 1, {dim.axis, rank});
  Tensor indices = tables.indices, weights = tables.weights;
  indices.splat = weights.splat = {}; // the taps' loop takes its size from them
  Value sum = l.generic({{indices, table}, {weights, table}}, l.filled(sizes, l.number(compute, 0)),
                        l.b.getMultiDimIdentityMap(rank + 1).dropResult(rank), iterators,
                        [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                          SmallVector<Value> position;
                          for (int64_t i = 0; i < rank; ++i)
                            position.push_back(linalg::IndexOp::create(s.b, s.loc, i));
                          position[dim.axis] = s.toIndex(x[0], l.b.getI64Type());
                          Value element = s.extract(input.value, position);
                          element =
                              s.convert(s.load(element, input.element), input.element, compute);
                          Value weight = s.convert(x[1], l.b.getF32Type(), compute);
                          return {s.add(x[2], s.mul(element, weight))};
                        })
                  .front();
  Tensor result{sum, sizes, compute};
  if (!tables.outside)
    return result;
  return l.elementwise(
      {{result, l.b.getMultiDimIdentityMap(rank)}, {*tables.outside, l.dimMap(rank, dim.axis)}},
      sizes, compute, [&](const Scalars &s, ValueRange x) {
        Value outside = s.cmp(arith::CmpFPredicate::OGT, x[1], s.constant(x[1].getType(), 0));
        return s.select(outside, s.constant(compute, op.getExtrapolation().convertToDouble()),
                        x[0]);
      });
}

// ---- The operation -----------------------------------------------------------------------------

// Element `i` of a float vector.
static Amount floatElement(Lowering &l, Value vector, int64_t i) {
  if (auto dense = dyn_cast_or_null<DenseFPElementsAttr>(l.getConstant(vector)))
    return {dense.getValues<APFloat>()[i].convertToFloat(), {}};
  Tensor tensor = l.get(vector);
  Scalars s = l.scalars();
  Value element = s.load(s.extract(tensor.value, l.value(l.size(i))), tensor.element);
  return {{}, s.convert(element, tensor.element, l.b.getF32Type())};
}

// A list that follows a run-time size may have any length.
static void requireLength(Lowering &l, Value list, int64_t length, StringRef message) {
  l.requireEqual(l.get(list).sizes[0], l.size(length), message);
}

// What the import could not know.
static void requirePositive(Lowering &l, const Amount &scale) {
  if (scale.known)
    return;
  Scalars s = l.scalars();
  Value zero = s.constant(l.b.getF32Type(), 0);
  s.check(s.cmp(arith::CmpFPredicate::OGT, scale.value, zero), LATHE_CODE_SIZE,
          "a scale of a resize is not positive");
}

// floor(size * part * scale), where `part` is how much of the dimension is resized (none: all of
// it)
static OpFoldResult scaledSize(Lowering &l, OpFoldResult size, const std::optional<Amount> &part,
                               const Amount &scale) {
  std::optional<int64_t> known = getConstantIntValue(size);
  if (known && scale.known && (!part || part->known)) {
    float product = float(*known) * (part ? *part->known : 1.0f) * *scale.known;
    return l.size(int64_t(std::floor(product)));
  }
  Scalars s = l.scalars();
  Value product = amount(l, size).get(s);
  if (part)
    product = s.mul(product, part->get(s));
  product = s.mul(product, scale.get(s));
  Value floor = math::FloorOp::create(s.b, s.loc, product);
  Type i64 = l.b.getI64Type();
  OpFoldResult result = s.toIndex(s.convert(floor, l.b.getF32Type(), i64), i64);
  l.requireNonNegative(result);
  return result;
}

// end - begin
static Amount extentOf(Lowering &l, const Amount &begin, const Amount &end) {
  if (begin.known && end.known)
    return {*end.known - *begin.known, {}};
  Scalars s = l.scalars();
  return {{}, s.sub(end.get(s), begin.get(s))};
}

// output / input, or under a policy the one scale of all dimensions.
static SmallVector<Amount> scalesFromSizes(Lowering &l, graph::ResizeOp op, const Tensor &input,
                                           ArrayRef<int64_t> axes, ArrayRef<OpFoldResult> wanted) {
  SmallVector<Amount> scales;
  for (auto [axis, size] : llvm::zip(axes, wanted)) {
    Amount from = amount(l, input.sizes[axis]), to = amount(l, size);
    if (from.known && to.known) {
      scales.push_back({*to.known / *from.known, {}});
      continue;
    }
    Scalars s = l.scalars();
    scales.push_back({{}, s.divf(to.get(s), from.get(s))});
  }
  if (op.getPolicy() == graph::ResizePolicy::stretch || scales.empty())
    return scales;
  bool smallest = op.getPolicy() == graph::ResizePolicy::not_larger;
  Amount common = scales.front();
  Scalars s = l.scalars();
  for (const Amount &scale : ArrayRef(scales).drop_front()) {
    if (common.known && scale.known)
      common.known =
          smallest ? std::min(*common.known, *scale.known) : std::max(*common.known, *scale.known);
    else
      common = {{},
                smallest ? s.min(common.get(s), scale.get(s)) : s.max(common.get(s), scale.get(s))};
  }
  llvm::fill(scales, common);
  return scales;
}

// round(size * scale), halves away from zero
static OpFoldResult roundedSize(Lowering &l, OpFoldResult size, const Amount &scale) {
  if (std::optional<int64_t> known = getConstantIntValue(size); known && scale.known)
    return l.size(std::llround(double(float(*known) * *scale.known)));
  Scalars s = l.scalars();
  Value product = s.mul(amount(l, size).get(s), scale.get(s));
  Type f32 = l.b.getF32Type(), i64 = l.b.getI64Type();
  Value rounded = math::RoundOp::create(s.b, s.loc, product);
  return s.toIndex(s.convert(rounded, f32, i64), i64);
}

static LogicalResult lowerResize(graph::ResizeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, input.rank()));
  if (op.getAxes())
    axes.assign(op.getAxes()->begin(), op.getAxes()->end());
  bool crops = op.getCoordinates() == graph::ResizeCoordinates::tf_crop_and_resize;
  if (crops && !op.getRoi())
    return l.unsupported(op) << "tf_crop_and_resize without roi";
  SmallVector<Resized> dims;
  for (int64_t axis : axes)
    dims.push_back({axis, {}, {}, {}});
  if (crops) {
    requireLength(l, op.getRoi(), 2 * axes.size(), "roi has %0 elements, it must have %1");
    for (auto [i, dim] : llvm::enumerate(dims)) {
      dim.roiBegin = floatElement(l, op.getRoi(), i);
      dim.roiEnd = floatElement(l, op.getRoi(), i + axes.size());
    }
  }
  SmallVector<Amount> scales;
  Sizes computed = input.sizes;
  if (op.getSizes()) {
    std::optional<Sizes> wanted = l.getElements(op.getSizes());
    if (!wanted || wanted->size() != axes.size())
      return l.unsupported(op) << "the number of sizes is not known when compiling";
    for (OpFoldResult size : *wanted)
      l.requireNonNegative(size);
    scales = scalesFromSizes(l, op, input, axes, *wanted);
    bool stretches = op.getPolicy() == graph::ResizePolicy::stretch;
    for (size_t i = 0; i < axes.size(); ++i)
      computed[axes[i]] =
          stretches ? (*wanted)[i] : roundedSize(l, input.sizes[axes[i]], scales[i]);
  } else {
    requireLength(l, op.getScales(), axes.size(), "scales has %0 elements, it must have %1");
    for (auto [i, dim] : llvm::enumerate(dims)) {
      scales.push_back(floatElement(l, op.getScales(), i));
      requirePositive(l, scales.back());
      // Only the part of the dimension that roi names is scaled.
      std::optional<Amount> part;
      if (crops)
        part = extentOf(l, dim.roiBegin, dim.roiEnd);
      computed[dim.axis] = scaledSize(l, input.sizes[dim.axis], part, scales.back());
    }
  }
  Sizes sizes = l.resultSizes(op.getResult(), computed);
  SmallVector<Resized> changing;
  SmallVector<Tables, 0> tables;
  for (auto [dim, scale] : llvm::zip(dims, scales)) {
    dim.scale = scale;
    bool isWhole = !crops || (dim.roiBegin.known == 0.0f && dim.roiEnd.known == 1.0f);
    if (sizes[dim.axis] == input.sizes[dim.axis] && scale.known == 1.0f && isWhole)
      continue;
    std::optional<Tables> table = makeTables(l, op, input.sizes[dim.axis], sizes[dim.axis], dim);
    if (!table)
      return l.unsupported(op) << "antialiasing with a scale of " << *dim.scale.known;
    changing.push_back(dim);
    tables.push_back(*table);
  }
  if (changing.empty()) {
    l.set(op.getResult(), input);
    return success();
  }
  bool fewTaps = op.getMode() == ResizeMode::nearest ||
                 (op.getMode() == ResizeMode::linear && !op.getAntialias() && changing.size() <= 3);
  if (fewTaps) {
    l.set(op.getResult(), readFewTaps(l, op, input, sizes, changing, tables));
    return success();
  }
  Type compute = isa<FloatType>(input.element) ? getComputeType(input.element) : l.b.getF32Type();
  Tensor result = input;
  for (auto [dim, table] : llvm::zip(changing, tables))
    result = readDim(l, op, result, sizes[dim.axis], dim, table, compute);
  l.set(op.getResult(),
        l.elementwise({result}, result.sizes, input.element, [&](const Scalars &s, ValueRange x) {
          return toElement(s, x[0], input.element);
        }));
  return success();
}

void lathe::g2l::addResize(LoweringTable &table) { table.add(lowerResize); }
