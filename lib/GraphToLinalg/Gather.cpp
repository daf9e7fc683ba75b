// Lowering of reads at indices in the data.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

// An index from the data: counted from the end when negative, checked, and safe to use either way.
static Value normaliseIndex(const Scalars &s, Value integer, Type element, Value size) {
  Value given = s.toIndex(integer, element), zero = s.index(0);
  Value negative = s.cmp(arith::CmpIPredicate::slt, given, zero);
  Value index = s.select(negative, s.add(given, size), given);
  Value valid = s.andI(s.cmp(arith::CmpIPredicate::sge, index, zero),
                       s.cmp(arith::CmpIPredicate::slt, index, size));
  s.check(valid, LATHE_CODE_INDEX, "index %0 is out of range for an axis of size %1",
          {given, size});
  return s.select(valid, index, zero);
}

// Reading needs an element to be there even where the check has failed.
static void requireElements(Lowering &l, const Tensor &data, ArrayRef<OpFoldResult> result) {
  for (OpFoldResult size : data.sizes) {
    std::optional<int64_t> known = getConstantIntValue(size);
    if (known && *known > 0)
      continue;
    if (llvm::is_contained(result, size))
      continue; // an empty result reads nothing
    Value number = l.value(size), count = l.value(l.product(result));
    Scalars s = l.scalars();
    Value zero = l.value(l.size(0));
    s.check(s.orI(s.cmp(arith::CmpIPredicate::sgt, number, zero),
                  s.cmp(arith::CmpIPredicate::eq, count, zero)),
            LATHE_CODE_INDEX, "there is no element to take from an axis of size %0", {number});
  }
}

static LogicalResult lowerRequireRange(graph::RequireRangeOp op, Lowering &l) {
  Tensor data = l.get(op.getData());
  Value most;
  if (op.getMost()) {
    std::optional<Sizes> given = l.getElements(op.getMost());
    if (!given || given->size() != 1)
      return l.unsupported(op) << "the number of its limits is not 1";
    most = l.value(given->front());
  }
  auto within = [&](const Scalars &s, ValueRange x) {
    Value number = s.toIndex(s.load(x[0], data.element), data.element);
    Value valid = s.cmp(arith::CmpIPredicate::sge, number, s.index(0));
    if (most)
      valid = s.andI(valid, s.cmp(arith::CmpIPredicate::sle, number, most));
    if (most)
      s.check(valid, LATHE_CODE_INDEX, (op.getWhat() + " is %0, it must be from 0 to %1").str(),
              {number, most});
    else
      s.check(valid, LATHE_CODE_INDEX, (op.getWhat() + " is %0, it must not be negative").str(),
              {number});
    return x[0];
  };
  l.set(op.getResult(), l.elementwise({data}, data.sizes, data.element, within, /*raw=*/true));
  return success();
}

static SmallVector<Value> loopIndices(const Scalars &s, int64_t begin, int64_t end) {
  SmallVector<Value> indices;
  for (int64_t i = begin; i < end; ++i)
    indices.push_back(linalg::IndexOp::create(s.b, s.loc, i));
  return indices;
}

// ---- Gather ------------------------------------------------------------------------------------

// One constant index is a slice.
static std::optional<Tensor> gatherSlice(Lowering &l, graph::GatherOp op, const Tensor &data,
                                         int64_t axis, ArrayRef<OpFoldResult> sizes) {
  std::optional<SmallVector<int64_t>> indices = l.getConstantElements(op.getIndices());
  std::optional<int64_t> dim = getConstantIntValue(data.sizes[axis]);
  if (!indices || indices->size() != 1 || !dim)
    return std::nullopt;
  int64_t index = indices->front() < 0 ? indices->front() + *dim : indices->front();
  if (index < 0 || index >= *dim)
    return std::nullopt;
  Sizes offsets(data.rank(), l.size(0)), cut = data.sizes;
  offsets[axis] = l.size(index);
  cut[axis] = l.size(1);
  return l.reshape(l.slice(data, offsets, cut), sizes);
}

// So is one index that counts iterations.
static std::optional<Tensor> gatherCounted(Lowering &l, graph::GatherOp op, const Tensor &data,
                                           int64_t axis, ArrayRef<OpFoldResult> sizes) {
  std::optional<Sizes> indices = l.getSymbolicElements(op.getIndices());
  if (!indices || indices->size() != 1 || getConstantIntValue(indices->front()) ||
      !l.isKnownNonNegative(indices->front()))
    return std::nullopt;
  Value index = l.value(indices->front()), size = l.value(data.sizes[axis]);
  Scalars s = l.scalars();
  // On the level of the host this ends the run.
  s.check(s.cmp(arith::CmpIPredicate::slt, index, size), LATHE_CODE_INDEX,
          "index %0 is out of range for an axis of size %1", {index, size});
  Sizes offsets(data.rank(), l.size(0)), cut = data.sizes;
  offsets[axis] = index;
  cut[axis] = l.size(1);
  return l.reshape(l.slice(data, offsets, cut), sizes);
}

static LogicalResult lowerGather(graph::GatherOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t rank = data.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  Sizes sizes(data.sizes.begin(), data.sizes.begin() + axis);
  llvm::append_range(sizes, indices.sizes);
  sizes.append(data.sizes.begin() + axis + 1, data.sizes.end());
  for (auto cut : {gatherSlice, gatherCounted})
    if (std::optional<Tensor> slice = cut(l, op, data, axis, sizes)) {
      l.set(op.getResult(), *slice);
      return success();
    }
  requireElements(l, data, sizes);
  Value size = l.value(data.sizes[axis]);
  int64_t loops = sizes.size(), indexRank = indices.rank();
  SmallVector<int64_t> indexLoops = llvm::to_vector(llvm::seq<int64_t>(axis, axis + indexRank));
  Tensor result = l.elementwise(
      {{indices, l.dimMap(loops, indexLoops)}}, sizes, data.element,
      [&](const Scalars &s, ValueRange x) {
        SmallVector<Value> position = loopIndices(s, 0, axis);
        position.push_back(normaliseIndex(s, x[0], indices.element, size));
        llvm::append_range(position, loopIndices(s, axis + indexRank, loops));
        return s.extract(data.value, position);
      },
      /*raw=*/true);
  l.set(op.getResult(), result);
  return success();
}

static LogicalResult lowerGatherElements(graph::GatherElementsOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t rank = data.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  for (int64_t i = 0; i < rank; ++i) {
    if (i == axis || indices.sizes[i] == data.sizes[i])
      continue;
    // Other dimensions of the indices may be shorter than the data's, never longer.
    std::optional<int64_t> have = getConstantIntValue(data.sizes[i]);
    std::optional<int64_t> want = getConstantIntValue(indices.sizes[i]);
    if (have && want && *want <= *have)
      continue;
    Value wanted = l.value(indices.sizes[i]), there = l.value(data.sizes[i]);
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::sle, wanted, there), LATHE_CODE_SHAPE,
            "indices of size %0 for data of size %1", {wanted, there});
  }
  requireElements(l, data, indices.sizes);
  Value size = l.value(data.sizes[axis]);
  l.set(op.getResult(),
        l.elementwise(
            {{indices, l.b.getMultiDimIdentityMap(rank)}}, indices.sizes, data.element,
            [&](const Scalars &s, ValueRange x) {
              SmallVector<Value> position = loopIndices(s, 0, rank);
              position[axis] = normaliseIndex(s, x[0], indices.element, size);
              return s.extract(data.value, position);
            },
            /*raw=*/true));
  return success();
}

static LogicalResult lowerGatherND(graph::GatherNDOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t batch = op.getBatchDims(), indexRank = indices.rank();
  std::optional<int64_t> tuple = getConstantIntValue(indices.sizes.back());
  if (!tuple || batch + *tuple > data.rank())
    return l.unsupported(op) << "the length of its index tuples is not known when compiling";
  for (int64_t i = 0; i < batch; ++i)
    l.requireEqual(indices.sizes[i], data.sizes[i], "batch dimensions are %0 and %1");
  Sizes sizes(indices.sizes.begin(), indices.sizes.end() - 1);
  sizes.append(data.sizes.begin() + batch + *tuple, data.sizes.end());
  requireElements(l, data, sizes);
  SmallVector<Value> dataSizes;
  for (OpFoldResult size : data.sizes)
    dataSizes.push_back(l.value(size));
  l.set(op.getResult(),
        l.fromIndices(sizes, data.element, [&](const Scalars &s, ValueRange indexOf) {
          SmallVector<Value> loops(indexOf);
          SmallVector<Value> position(loops.begin(), loops.begin() + batch);
          SmallVector<Value> at(loops.begin(), loops.begin() + indexRank - 1);
          at.emplace_back();
          for (int64_t i = 0; i < *tuple; ++i) {
            at.back() = s.index(i);
            Value index = s.extract(indices.value, at);
            position.push_back(normaliseIndex(s, index, indices.element, dataSizes[batch + i]));
          }
          position.append(loops.begin() + indexRank - 1, loops.end());
          return s.extract(data.value, position);
        }));
  return success();
}

// ---- One-hot -----------------------------------------------------------------------------------

// Indices out of [-depth, depth) give rows without an `on`.
static LogicalResult lowerOneHot(graph::OneHotOp op, Lowering &l) {
  Tensor indices = l.get(op.getIndices()), values = l.get(op.getValues());
  std::optional<Sizes> depths;
  if (isa<IntegerType>(cast<RankedTensorType>(op.getDepth().getType()).getElementType()))
    depths = l.getElements(op.getDepth());
  int64_t rank = indices.rank() + 1, axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  OpFoldResult depth;
  if (depths && depths->size() == 1) {
    depth = depths->front();
  } else {
    Tensor given = l.get(op.getDepth());
    Scalars s = l.scalars();
    Value number = s.extract(given.value, SmallVector<Value>(given.rank(), l.value(l.size(0))));
    Type i64 = l.b.getI64Type();
    depth = s.toIndex(s.convert(s.load(number, given.element), given.element, i64), i64);
  }
  l.requireNonNegative(depth);
  Sizes computed = indices.sizes;
  computed.insert(computed.begin() + axis, depth);
  Sizes sizes = l.resultSizes(op.getResult(), computed);
  Value count = l.value(depth);
  Type i64 = l.b.getI64Type();
  l.set(op.getResult(), l.elementwise(
                            {{indices, l.dropDims(rank, axis)}}, sizes, values.element,
                            [&](const Scalars &s, ValueRange x) {
                              Value given = s.load(x[0], indices.element);
                              given = s.toIndex(s.convert(given, indices.element, i64), i64);
                              Value negative = s.cmp(arith::CmpIPredicate::slt, given, s.index(0));
                              Value index = s.select(negative, s.add(given, count), given);
                              Value here = linalg::IndexOp::create(s.b, s.loc, axis);
                              Value isOn = s.cmp(arith::CmpIPredicate::eq, index, here);
                              return s.select(isOn, s.extract(values.value, s.index(1)),
                                              s.extract(values.value, s.index(0)));
                            },
                            /*raw=*/true));
  return success();
}

void lathe::g2l::addGather(LoweringTable &table) {
  table.add(lowerGather);
  table.add(lowerGatherElements);
  table.add(lowerGatherND);
  table.add(lowerOneHot);
  table.add(lowerRequireRange);
}
