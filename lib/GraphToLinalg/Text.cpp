// Lowering of strings, vocabularies and n-grams. Strings are worked on by builtins, whole tensors
// at a time; other operations only move them. Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/Builtins.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using utils::IteratorType;

static constexpr StringRef kNoMemory = "strings of this size cannot be made";

LogicalResult lathe::g2l::lowerStringBinary(graph::BinaryOp op, Lowering &l, const Tensor &lhs,
                                            const Tensor &rhs, ArrayRef<OpFoldResult> sizes) {
  bool equal = op.getKind() == graph::BinaryKind::equal;
  if (!equal && op.getKind() != graph::BinaryKind::add)
    return l.unsupported(op) << graph::stringifyBinaryKind(op.getKind()) << " of strings";
  Type element = equal ? Type(l.b.getI1Type()) : lhs.element;
  Tensor a = l.broadcast(lhs, sizes), b = l.broadcast(rhs, sizes);
  l.set(op.getResult(), callBuiltin(l, equal ? "lathe_text_equal" : "lathe_text_concat", {a, b}, {},
                                    {{Sizes(sizes), element}}, kNoMemory)
                            .front());
  return success();
}

LogicalResult lathe::g2l::lowerStringCast(graph::CastOp op, Lowering &l, const Tensor &input) {
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  bool fromString = isa<graph::StringType>(input.element);
  Type number = fromString ? element : input.element;
  bool isHalf = isa<FloatType>(number) && number.getIntOrFloatBitWidth() == 16;
  bool isKnown = number.isInteger(1) || isHalf || number.isF32() || number.isF64() ||
                 (isa<IntegerType>(number) && number.getIntOrFloatBitWidth() >= 8);
  std::optional<uint32_t> dtype = graph::getElementNumber(number);
  if (!isKnown || !dtype)
    return l.unsupported(op) << "a cast between strings and " << number;
  l.set(op.getResult(),
        callBuiltin(l, fromString ? "lathe_text_to_numbers" : "lathe_text_from_numbers", {input},
                    {int64_t(*dtype)}, {{input.sizes, element}},
                    fromString ? "a string is no number of this type" : kNoMemory)
            .front());
  return success();
}

static LogicalResult lowerStringMatch(graph::StringMatchOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  l.set(op.getResult(),
        callBuiltin(l, "lathe_text_match", {input, l.get(op.getTransitions())},
                    {int64_t(op.getAccepting())}, {{input.sizes, l.b.getI1Type()}}, kNoMemory)
            .front());
  return success();
}

static LogicalResult lowerStringNormalize(graph::StringNormalizeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  if (input.rank() == 2)
    l.requireEqual(input.sizes[0], l.size(1), "the first size is %0, it must be %1");
  Sizes sizes(input.rank(), l.size(1));
  sizes.back() = OpFoldResult();
  l.set(op.getResult(), callBuiltin(l, "lathe_text_normalize", {input, l.get(op.getStopWords())},
                                    {int64_t(op.getLetterCase()), op.getCaseSensitive()},
                                    {{sizes, input.element}}, kNoMemory)
                            .front());
  return success();
}

static LogicalResult lowerStringSplit(graph::StringSplitOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  auto type = RankedTensorType::get({}, input.element);
  Tensor delimiter = l.constantTensor(DenseStringElementsAttr::get(type, {op.getDelimiter()}));
  Sizes pieces = input.sizes;
  pieces.emplace_back();
  SmallVector<Tensor> made =
      callBuiltin(l, "lathe_text_split", {input, delimiter}, {int64_t(op.getMaxSplits())},
                  {{pieces, input.element}, {input.sizes, l.b.getI64Type()}}, kNoMemory);
  l.set(op.getPieces(), made[0]);
  l.set(op.getCounts(), made[1]);
  return success();
}

// ---- Find --------------------------------------------------------------------------------------

/// Whether `key` comes before `x` in the order of the keys: NaN is the last.
static Value comesBefore(const Scalars &s, Type element, Value key, Value x) {
  if (isa<FloatType>(x.getType())) {
    Value onlyX =
        s.andI(s.cmp(arith::CmpFPredicate::UNO, x, x), s.cmp(arith::CmpFPredicate::ORD, key, key));
    return s.orI(s.cmp(arith::CmpFPredicate::OLT, key, x), onlyX);
  }
  return s.cmp(element.isUnsignedInteger() ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt,
               key, x);
}

/// A search by halves with a fixed number of steps.
static LogicalResult lowerFind(graph::FindOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), keys = l.get(op.getKeys());
  std::optional<int64_t> count = getConstantIntValue(keys.sizes[0]);
  if (!count)
    return l.unsupported(op) << "a number of keys that is not known when compiling";
  Type i64 = l.b.getI64Type();
  if (isa<graph::StringType>(input.element)) {
    l.set(op.getResult(),
          callBuiltin(l, "lathe_text_find", {input, keys}, {}, {{input.sizes, i64}}, kNoMemory)
              .front());
    return success();
  }
  l.set(op.getResult(),
        l.elementwise(
            {input}, input.sizes, i64,
            [&](const Scalars &s, ValueRange x) -> Value {
              if (*count == 0)
                return s.constant(i64, 0);
              auto keyAt = [&](Value at) {
                return s.load(s.extract(keys.value, at), input.element);
              };
              // The first key that is not before x lies in [low, low + 2^k].
              Value wanted = s.load(x[0], input.element), low = s.index(0);
              for (int64_t half = llvm::PowerOf2Ceil(*count + 1) / 2; half > 0; half /= 2) {
                Value next = s.add(low, s.index(half));
                Value inside = s.cmp(arith::CmpIPredicate::sle, next, s.index(*count));
                Value at = s.select(inside, s.sub(next, s.index(1)), s.index(0));
                Value before = comesBefore(s, input.element, keyAt(at), wanted);
                low = s.select(s.andI(inside, before), next, low);
              }
              Value there = s.cmp(arith::CmpIPredicate::slt, low, s.index(*count));
              Value key = keyAt(s.select(there, low, s.index(0)));
              Value equal = s.notI(s.orI(comesBefore(s, input.element, key, wanted),
                                         comesBefore(s, input.element, wanted, key)));
              return s.fromIndex(s.select(s.andI(there, equal), low, s.index(*count)), i64);
            },
            /*raw=*/true));
  return success();
}

// ---- N-grams -----------------------------------------------------------------------------------

/// Every gram looks at every place of its row, at every distance.
static LogicalResult lowerCountNGrams(graph::CountNGramsOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), grams = l.get(op.getGrams());
  Tensor lengths = l.get(op.getLengths());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  std::optional<int64_t> longest = getConstantIntValue(grams.sizes[1]);
  if (!longest || *longest == 0 || getConstantIntValue(grams.sizes[0]) == 0)
    return l.unsupported(op) << "grams of " << op.getGrams().getType();
  int64_t rank = input.rank();
  Sizes sizes(input.sizes.begin(), input.sizes.end() - 1);
  sizes.push_back(grams.sizes[0]);
  Value count = l.value(input.sizes.back());
  int64_t skips = op.getMaxSkip() + 1;
  // Loops: those of the result, the places of a row, the distances.
  SmallVector<AffineExpr> dims;
  for (int64_t i = 0; i < rank + 2; ++i)
    dims.push_back(l.b.getAffineDimExpr(i));
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(rank + 2, 0, results, l.context);
  };
  SmallVector<AffineExpr> inputDims(dims.begin(), dims.begin() + rank - 1);
  inputDims.push_back(dims[rank]);
  Tensor window{l.empty({l.size(skips)}, l.b.getI8Type()), {l.size(skips)}, l.b.getI8Type()};
  SmallVector<IteratorType> iterators(rank, IteratorType::parallel);
  iterators.append(2, IteratorType::reduction);
  Value init = l.filled(sizes, l.number(element, 0));
  Value result =
      l.generic({{input, map(inputDims)},
                 {lengths, map({dims[rank - 1]})},
                 {window, map({dims[rank + 1]})}},
                init, map(ArrayRef(dims).take_front(rank)), iterators,
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  auto index = [&](int64_t dim) -> Value {
                    return linalg::IndexOp::create(s.b, s.loc, dim);
                  };
                  SmallVector<Value> at;
                  for (int64_t i = 0; i + 1 < rank; ++i)
                    at.push_back(index(i));
                  at.emplace_back();
                  Value gram = index(rank - 1), start = index(rank), distance = index(rank + 1);
                  Value stride = s.add(distance, s.index(1));
                  Value length = s.toIndex(x[1], lengths.element);
                  // Single elements have no distance: they count once.
                  Value single = s.cmp(arith::CmpIPredicate::eq, length, s.index(1));
                  Value hit =
                      s.notI(s.andI(single, s.cmp(arith::CmpIPredicate::ne, distance, s.index(0))));
                  for (int64_t i = 0; i < *longest; ++i) {
                    Value place = s.add(start, s.mul(stride, s.index(i)));
                    Value inside = s.cmp(arith::CmpIPredicate::slt, place, count);
                    at.back() = s.select(inside, place, s.index(0));
                    Value same = s.cmp(arith::CmpIPredicate::eq, s.extract(input.value, at),
                                       s.extract(grams.value, {gram, s.index(i)}));
                    Value beyond = s.cmp(arith::CmpIPredicate::sle, length, s.index(i));
                    hit = s.andI(hit, s.orI(beyond, s.andI(inside, same)));
                  }
                  return {s.select(hit, s.add(x[3], s.constant(element, 1)), x[3])};
                })
          .front();
  l.set(op.getResult(), {result, sizes, element});
  return success();
}

void lathe::g2l::addText(LoweringTable &table) {
  table.add(lowerFind);
  table.add(lowerCountNGrams);
  table.add(lowerStringMatch);
  table.add(lowerStringNormalize);
  table.add(lowerStringSplit);
}
