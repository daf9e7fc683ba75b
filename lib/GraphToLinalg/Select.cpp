// Lowering of operations whose result is as long as the data says.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Select.h"
#include "lib/GraphToLinalg/Builtins.h"
#include "lib/GraphToLinalg/ComplexParts.h"
#include "lib/GraphToLinalg/Loops.h"
#include "lib/GraphToLinalg/Order.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using I = arith::CmpIPredicate;

/// Flags that are counted, and searched, one after the other.
static constexpr int64_t blockSize = 64;

// The number of doublings from 1 to `size` or more.
static Value countDoublings(Lowering &l, OpFoldResult size) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return l.value(l.size(llvm::Log2_64_Ceil(std::max<int64_t>(*known, 1))));
  Scalars s = l.scalars();
  Type i64 = l.b.getI64Type();
  Value last = s.fromIndex(s.sub(l.value(size), s.index(1)), i64);
  Value zeros = math::CountLeadingZerosOp::create(s.b, s.loc, last);
  return s.toIndex(s.sub(s.constant(i64, 64), zeros), i64);
}

// Each element with all before it: sums over twice the distance in each step.
static Tensor prefixSums(Lowering &l, const Tensor &input, Value steps) {
  Type i64 = l.b.getI64Type();
  Value zero = l.value(l.size(0)), one = l.value(l.size(1));
  auto loop = scf::ForOp::create(l.b, l.loc, zero, steps, one, ValueRange{input.value, one});
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(loop.getBody());
  Value sums = loop.getRegionIterArg(0), distance = loop.getRegionIterArg(1);
  Tensor next = l.fromIndices(input.sizes, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value isFar = s.cmp(I::uge, at[0], distance);
    Value before = s.select(isFar, s.sub(at[0], distance), s.index(0));
    Value added = s.select(isFar, s.extract(sums, before), s.constant(i64, 0));
    return s.add(s.extract(sums, at[0]), added);
  });
  scf::YieldOp::create(l.b, l.loc, ValueRange{next.value, l.scalars().add(distance, distance)});
  return {loop.getResult(0), input.sizes, i64};
}

Tensor lathe::g2l::selectPlaces(Lowering &l, const Tensor &flags) {
  Type i64 = l.b.getI64Type();
  Value length = l.value(flags.sizes[0]);
  auto flagAt = [&](const Scalars &s, Value place) {
    Value inside = s.cmp(I::slt, place, length);
    Value flag = extractIf(s, inside, flags.value, place);
    return s.cmp(I::ne, flag, s.constant(flag.getType(), 0));
  };
  // At least one block, so that there is a last one.
  OpFoldResult blocks = l.max(l.ceilDiv(flags.sizes[0], l.size(blockSize)), l.size(1));
  Tensor counts = l.fromIndices({blocks}, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value start = s.mul(at[0], s.index(blockSize));
    return forLoop(s, s.index(blockSize), s.constant(i64, 0),
                   [&](const Scalars &in, Value i, ValueRange sum) -> SmallVector<Value> {
                     Value flag = flagAt(in, in.add(start, i));
                     return {in.add(sum[0], arith::ExtUIOp::create(in.b, in.loc, i64, flag))};
                   })
        .front();
  });
  Value steps = countDoublings(l, blocks), blockCount = l.value(blocks);
  Tensor sums = prefixSums(l, counts, steps);
  Scalars top = l.scalars();
  Value last = top.sub(blockCount, l.value(l.size(1)));
  OpFoldResult count = l.markSize(top.toIndex(top.extract(sums.value, last), i64));

  return l.fromIndices({count}, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value number = s.fromIndex(at[0], i64);
    // The first block whose sum is above the number.
    Value rounds = s.add(steps, s.index(1));
    Value block =
        forLoop(s, rounds, {s.index(0), last},
                [&](const Scalars &in, Value, ValueRange range) -> SmallVector<Value> {
                  Value middle =
                      arith::ShRUIOp::create(in.b, in.loc, in.add(range[0], range[1]), in.index(1));
                  Value above = in.cmp(I::sgt, in.extract(sums.value, middle), number);
                  Value next = in.min(in.add(middle, in.index(1)), range[1]);
                  return {in.select(above, range[0], next), in.select(above, middle, range[1])};
                })
            .front();
    Value before = s.sub(s.extract(sums.value, block), s.extract(counts.value, block));
    Value start = s.mul(block, s.index(blockSize));
    return forLoop(s, s.index(blockSize), {s.sub(number, before), s.constant(i64, 0)},
                   [&](const Scalars &in, Value i, ValueRange x) -> SmallVector<Value> {
                     Value place = in.add(start, i), flag = flagAt(in, place);
                     Value isMine = in.cmp(I::eq, x[0], in.constant(i64, 0));
                     Value found = in.select(in.andI(flag, isMine), in.fromIndex(place, i64), x[1]);
                     return {in.sub(x[0], arith::ExtUIOp::create(in.b, in.loc, i64, flag)), found};
                   })
        .back();
  });
}

// Strings are when they are not empty, complex numbers when one of their parts is.
static Tensor areNotZero(Lowering &l, const Tensor &input) {
  Type i1 = l.b.getI1Type();
  bool isString = isa<graph::StringType>(input.element);
  if (!isString && !isa<ComplexType>(input.element))
    return l.convert(input, i1);
  return l.elementwise({input}, input.sizes, i1, [&](const Scalars &s, ValueRange x) -> Value {
    Type type = x[0].getType();
    unsigned half = type.getIntOrFloatBitWidth() / 2;
    // The size of a string stands behind its address. The signs of two zeros do not count.
    APInt mask = isString ? APInt::getHighBitsSet(2 * half, half) : APInt::getAllOnes(2 * half);
    if (!isString) {
      mask.clearBit(half - 1);
      mask.clearBit(2 * half - 1);
    }
    return s.cmp(I::ne, s.andI(x[0], s.constant(type, mask)), s.constant(type, 0));
  });
}

static LogicalResult lowerNonZero(graph::NonZeroOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  Type i64 = l.b.getI64Type();
  Tensor flags = l.reshape(areNotZero(l, input), {l.product(input.sizes)});
  Tensor places = selectPlaces(l, flags);
  OpFoldResult count = places.sizes[0];
  Sizes sizes = l.resultSizes(op.getResult(), {l.size(input.rank()), count});
  SmallVector<Value> dims = sizeValues(l, input.sizes);
  // One coordinate per row; a scalar has none.
  l.set(op.getResult(), l.fromIndices(sizes, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value flat = s.toIndex(s.extract(places.value, at[1]), i64), result = s.index(0);
    for (auto [i, coordinate] : llvm::enumerate(delinearize(s, flat, dims))) {
      Value isMine = s.cmp(I::eq, at[0], s.index(i));
      result = s.select(isMine, coordinate, result);
    }
    return s.fromIndex(result, i64);
  }));
  return success();
}

// ---- Unique ------------------------------------------------------------------------------------

namespace {
/// Compares the rows of a matrix.
struct Rows {
  Tensor data;
  Value width;
  bool single;

  /// Less, equal, greater as -1, 0, 1 of two numbers, NaN being the largest one.
  Value compareNumbers(const Scalars &s, Value a, Value b) const {
    Value less, greater;
    if (isa<FloatType>(a.getType())) {
      using F = arith::CmpFPredicate;
      Value aNaN = s.cmp(F::UNO, a, a), bNaN = s.cmp(F::UNO, b, b);
      less = s.orI(s.cmp(F::OLT, a, b), s.andI(s.notI(aNaN), bNaN));
      greater = s.orI(s.cmp(F::OGT, a, b), s.andI(aNaN, s.notI(bNaN)));
    } else {
      bool isUnsigned = data.element.isUnsignedInteger() || data.element.isInteger(1);
      less = s.cmp(isUnsigned ? I::ult : I::slt, a, b);
      greater = s.cmp(isUnsigned ? I::ugt : I::sgt, a, b);
    }
    Type i8 = s.b.getI8Type();
    return s.select(less, s.constant(i8, -1),
                    s.select(greater, s.constant(i8, 1), s.constant(i8, 0)));
  }

  /// The same of two elements. Of complex ones the real part decides, then the imaginary one.
  Value compare(const Scalars &s, Value a, Value b) const {
    auto complex = dyn_cast<ComplexType>(data.element);
    if (!complex)
      return compareNumbers(s, a, b);
    auto [aReal, aImaginary] = splitComplex(s, a, complex);
    auto [bReal, bImaginary] = splitComplex(s, b, complex);
    Value real = compareNumbers(s, aReal, bReal);
    Value imaginary = compareNumbers(s, aImaginary, bImaginary);
    Value same = s.cmp(I::eq, real, s.constant(real.getType(), 0));
    return s.select(same, imaginary, real);
  }

  /// The same of two rows: their first difference decides.
  Value compareRows(const Scalars &s, Value a, Value b) const {
    auto at = [&](const Scalars &in, Value row, Value column) {
      return in.load(in.extract(data.value, {row, column}), data.element);
    };
    if (single)
      return compare(s, at(s, a, s.index(0)), at(s, b, s.index(0)));
    Value zero = s.constant(s.b.getI8Type(), 0);
    return forLoop(s, width, zero,
                   [&](const Scalars &in, Value column, ValueRange x) -> SmallVector<Value> {
                     Value here = compare(in, at(in, a, column), at(in, b, column));
                     Value same = in.cmp(I::eq, x[0], in.constant(in.b.getI8Type(), 0));
                     return {in.select(same, here, x[0])};
                   })
        .front();
  }
};
} // namespace

// Rows are sorted; copies then stand beside each other, the first in front.
static LogicalResult lowerUnique(graph::UniqueOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t rank = input.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  // Of strings their order is looked at.
  if (isa<graph::StringType>(input.element))
    input = callBuiltin(l, "lathe_text_rank", {input}, {}, {{input.sizes, l.b.getI64Type()}},
                        "strings of this size cannot be ordered")
                .front();
  SmallVector<int64_t> permutation{axis};
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      permutation.push_back(i);
  OpFoldResult length = input.sizes[axis];
  Tensor moved = l.transpose(input, permutation);
  OpFoldResult width = l.product(ArrayRef(moved.sizes).drop_front());
  Rows rows{l.reshape(moved, {length, width}), l.value(width), isConstantIntValue(width, 1)};
  Type i64 = l.b.getI64Type(), i8 = l.b.getI8Type();
  Value count = l.value(length);
  auto read = [&](const Scalars &s, const Tensor &places, Value number) {
    return s.toIndex(s.extract(places.value, number), i64);
  };
  auto makeFlags = [&](llvm::function_ref<Value(const Scalars &, Value)> flag) {
    return l.fromIndices({length}, i8, [&](const Scalars &s, ValueRange at) -> Value {
      return arith::ExtUIOp::create(s.b, s.loc, i8, flag(s, at[0]));
    });
  };

  Tensor order =
      sortLines(l, {length}, 0, length, [&](const Scalars &s, ArrayRef<Value>, Value a, Value b) {
        Value compared = rows.compareRows(s, a, b);
        Value isLess = s.cmp(I::slt, compared, s.constant(i8, 0));
        Value isCopy = s.cmp(I::eq, compared, s.constant(i8, 0));
        return s.orI(isLess, s.andI(isCopy, s.cmp(I::slt, a, b)));
      });
  // Where the groups of copies start in that order, and with which row.
  Tensor starts = selectPlaces(l, makeFlags([&](const Scalars &s, Value at) {
                                 return ifElse(
                                     s, s.cmp(I::ne, at, s.index(0)),
                                     [&](const Scalars &in) {
                                       Value before = read(in, order, in.sub(at, in.index(1)));
                                       Value compared =
                                           rows.compareRows(in, before, read(in, order, at));
                                       return in.cmp(I::ne, compared, in.constant(i8, 0));
                                     },
                                     s.boolean(true));
                               }));
  Value groups = l.value(starts.sizes[0]);
  Tensor first = l.fromIndices(starts.sizes, i64, [&](const Scalars &s, ValueRange at) {
    return s.extract(order.value, read(s, starts, at[0]));
  });
  Tensor counts = l.fromIndices(starts.sizes, i64, [&](const Scalars &s, ValueRange at) {
    Value next = s.add(at[0], s.index(1));
    Value end = ifElse(
        s, s.cmp(I::slt, next, groups),
        [&](const Scalars &in) { return in.extract(starts.value, next); }, s.fromIndex(count, i64));
    return s.sub(end, s.extract(starts.value, at[0]));
  });
  Tensor inverse = l.fromIndices({length}, i64, [&](const Scalars &s, ValueRange at) {
    Value group = searchFirst(s, groups, [&](const Scalars &in, Value number) {
      Value compared = rows.compareRows(in, read(in, first, number), at[0]);
      return in.cmp(I::sge, compared, in.constant(i8, 0));
    });
    return s.fromIndex(group, i64);
  });
  if (!op.getSorted()) {
    // The groups in the order of their first rows.
    Tensor group = inverse, sizes = counts, leader = first;
    Tensor places = selectPlaces(l, makeFlags([&](const Scalars &s, Value at) {
                                   return s.cmp(I::eq, read(s, leader, read(s, group, at)), at);
                                 }));
    Value placeCount = l.value(places.sizes[0]);
    counts = l.fromIndices(places.sizes, i64, [&](const Scalars &s, ValueRange at) {
      return s.extract(sizes.value, read(s, group, read(s, places, at[0])));
    });
    inverse = l.fromIndices({length}, i64, [&](const Scalars &s, ValueRange at) {
      Value mine = s.extract(leader.value, read(s, group, at[0]));
      Value number = searchFirst(s, placeCount, [&](const Scalars &in, Value number) {
        return in.cmp(I::sge, in.extract(places.value, number), mine);
      });
      return s.fromIndex(number, i64);
    });
    first = places;
  }
  l.set(op.getIndices(), first);
  l.set(op.getInverse(), inverse);
  l.set(op.getCounts(), counts);
  return success();
}

void lathe::g2l::addSelect(LoweringTable &table) {
  table.add(lowerNonZero);
  table.add(lowerUnique);
}
