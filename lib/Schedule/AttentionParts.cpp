// Attention on a GPU with few queries and many keys, as in decoding: several blocks share the keys
// of some queries, each with a part of them, and another kernel puts together what they found.
// Heads that have the same keys share a block, so that these are read once. How many parts there
// are follows from sizes and the target alone, and so do results.
// Apache-2.0 WITH LLVM-exception
#include "AttentionTile.h"
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

/// Rows of a block, queries of all its heads, up to which it is a matter of keys alone.
static constexpr int64_t fewRows = 16;
/// Keys that are worth a block of their own.
static constexpr int64_t leastChunk = 128;
/// Blocks that a processor is to have: while one waits another computes.
static constexpr int64_t blocksOfProcessor = 2;
/// Of the keys of a block's rows, at most.
static constexpr int64_t mostParts = 128;

/// How many heads have the same keys, one after the other.
static int64_t countGroup(const AttentionShape &shape) {
  const Size &heads = shape.query.sizes[1], &keyHeads = shape.key.sizes[1];
  if (!heads.isStatic() || !keyHeads.isStatic() || keyHeads.isZero() ||
      heads.constant % keyHeads.constant != 0)
    return 1;
  return std::max<int64_t>(1, heads.constant / keyHeads.constant);
}

// Into how many parts the keys go, so that there are enough blocks; false: into one.
bool KernelBuilder::splitKeys(OpBuilder &builder, Location loc, AttentionShape &shape,
                              int64_t tiles, const AttentionTile &tile) {
  const Size &keys = shape.key.sizes[2];
  Size groups = shape.query.sizes[0] * shape.groups() * Size(tiles);
  int64_t wanted = blocksOfProcessor * options.target.processors;
  if ((keys.isStatic() && keys.constant < 2 * leastChunk) ||
      (groups.isStatic() && (groups.isZero() || groups.constant * 2 > wanted)))
    return false;
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto least = [&](Value a, Value b) { return builder.createOrFold<arith::MinUIOp>(loc, a, b); };
  auto atLeast = [&](Value a, int64_t b) {
    return builder.createOrFold<arith::MaxUIOp>(loc, a, number(b));
  };
  auto ceilDiv = [&](Value a, Value b) {
    return builder.createOrFold<arith::CeilDivUIOp>(loc, a, b);
  };
  Value blocks = atLeast(sizes.materialize(builder, loc, groups), 1);
  Value count = sizes.materialize(builder, loc, keys);
  Value parts = builder.createOrFold<arith::DivUIOp>(loc, number(wanted), blocks);
  parts = least(least(parts, number(mostParts)), ceilDiv(count, number(leastChunk)));
  Value chunk = ceilDiv(count, atLeast(parts, 1));
  chunk = builder.createOrFold<arith::MulIOp>(loc, ceilDiv(atLeast(chunk, 1), number(tile.keys)),
                                              number(tile.keys));
  parts = atLeast(ceilDiv(count, chunk), 1);
  auto sizeOf = [&](Value value) {
    APInt constant;
    return matchPattern(value, m_ConstantInt(&constant)) ? Size(constant.getSExtValue())
                                                         : sizes.get(value);
  };
  shape.parts = sizeOf(parts);
  shape.chunk = sizeOf(chunk);
  return !shape.parts.is(1);
}

void KernelBuilder::dispatchBlocks(OpBuilder &builder, Value call, Draft &draft,
                                   AttentionShape shape, HostAddress addressOf,
                                   HostAllocation allocate) {
  Location loc = draft.nodes.front();
  const Size queries = shape.query.sizes[2], &keys = shape.key.sizes[2];
  auto dispatch = [&](const AttentionShape &shape, const AttentionTile &tile) {
    auto address = [&](const View &view) { return addressOf(loc, view); };
    emit(builder, call, draft,
         [&](Kernel &kernel) { return emitBlockAttention(kernel, shape, tile, address); });
    if (!shape.partSums)
      return;
    Draft sum{"attention", {loc}, {}};
    for (const View *view : {&*shape.partSums, &*shape.partTotals, &shape.result}) {
      Size bytes(view->element.getIntOrFloatBitWidth() / 8);
      for (const Size &size : view->sizes)
        bytes = bytes * size;
      sum.work.bytes.add(bytes);
      if (view == &*shape.partSums)
        sum.work.flops.add(bytes); // two operations, and shares of the others
    }
    emit(builder, call, sum,
         [&](Kernel &kernel) { return emitAttentionParts(kernel, shape, address); });
  };
  // Memory for what blocks find, of so many queries.
  auto allocateParts = [&](AttentionShape &shape, const Size &queries) {
    auto make = [&](int64_t columns) {
      SmallVector<Size> parts{shape.query.sizes[0], shape.groups(), queries * Size(shape.group),
                              shape.parts, Size(columns)};
      Size all(1);
      for (const Size &size : parts)
        all = all * size;
      View view = allocate(loc, builder.getF32Type(), all);
      view.sizes = parts;
      return view;
    };
    shape.partSums = make(shape.result.sizes[3].constant);
    shape.partTotals = make(2);
  };

  AttentionShape few = shape;
  bool mayBeFew = false;
  AttentionTile fewTile;
  int64_t mostQueries = 0;
  if (options.target.processors > 0) {
    few.group = countGroup(shape);
    mostQueries = std::max<int64_t>(1, fewRows / few.group);
    mayBeFew = !queries.isStatic() || queries.constant <= mostQueries;
  }
  if (mayBeFew) {
    int64_t rows =
        few.group * (queries.isStatic() ? std::max<int64_t>(1, queries.constant) : mostQueries);
    fewTile = chooseAttentionTile(few, options.target, rows);
    bool isSplit = splitKeys(builder, loc, few, llvm::divideCeil(rows, fewTile.rows), fewTile);
    if (queries.isStatic()) {
      if (isSplit)
        allocateParts(few, queries);
      return dispatch(few, fewTile);
    }
    mayBeFew = isSplit || few.group > 1;
    Value number = sizes.materialize(builder, loc, queries);
    Value most = arith::ConstantIndexOp::create(builder, loc, mostQueries);
    if (isSplit)
      allocateParts(few, sizes.get(arith::MinUIOp::create(builder, loc, number, most)));
    if (mayBeFew) {
      // What a decoder asks for at a time, beside what it begins with.
      Value isFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, number, most);
      auto choice = scf::IfOp::create(builder, loc, isFew, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(choice.thenBlock());
      dispatch(few, fewTile);
      builder.setInsertionPointToStart(choice.elseBlock());
      dispatch(shape, chooseAttentionTile(shape, options.target));
      return;
    }
  }
  AttentionTile tile = chooseAttentionTile(shape, options.target);
  Size groups = shape.query.sizes[0] * shape.groups();
  if (options.target.processors > 0 && queries.isStatic() && groups.isStatic() && keys.isStatic() &&
      splitKeys(builder, loc, shape, llvm::divideCeil(queries.constant, tile.rows), tile))
    allocateParts(shape, queries);
  dispatch(shape, tile);
}

// A block for each row: what its parts found counts by how their largest scores compare.
Work lathe::schedule::emitAttentionParts(Kernel &kernel, const AttentionShape &shape,
                                         AddressOf addressOf) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  constexpr int64_t together = 8; // reads of a thread that are under way
  const View &result = shape.result;
  Type f32 = builder.getF32Type();
  int64_t columns = result.sizes[3].constant;
  int64_t threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(columns), 64, 256);
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(threads));
  auto constant = [&](int64_t value) { return kernel.constant(value); };
  auto number = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(value)));
  };
  auto load = [&](Value buffer, Value at) -> Value {
    return memref::LoadOp::create(builder, loc, buffer, at);
  };
  auto store = [&](Value value, Value buffer, Value at) {
    memref::StoreOp::create(builder, loc, value, buffer, at);
  };
  auto select = [&](Value choice, Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, choice, a, b);
  };
  auto share = [&] {
    return rt::SharedOp::create(builder, loc, MemRefType::get({mostParts}, f32)).getResult();
  };
  auto open = [&](const View &view) { return kernel.buffer(addressOf(view), view.element); };
  auto loop = [&](Value from, Value to, int64_t step, ArrayRef<Value> initial,
                  llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    auto made = scf::ForOp::create(builder, loc, from, to, constant(step), initial);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(made.getBody());
    SmallVector<Value> next = body(made.getInductionVar(), made.getRegionIterArgs());
    if (!initial.empty())
      scf::YieldOp::create(builder, loc, next);
    return SmallVector<Value>(made.getResults());
  };

  Value thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  Value count = kernel.size(shape.parts);
  Value first = kernel.mul(kernel.begin(), count);
  Value scores = share(), totals = share();
  Value found = open(*shape.partTotals);
  loop(thread, count, threads, {}, [&](Value part, ValueRange) {
    Value at = kernel.mul(kernel.add(first, part), constant(2));
    store(load(found, at), scores, part);
    store(load(found, kernel.add(at, constant(1))), totals, part);
    return SmallVector<Value>();
  });
  rt::BarrierOp::create(builder, loc);
  Value lowest = number(-std::numeric_limits<double>::infinity());
  Value best = loop(constant(0), count, 1, {lowest}, [&](Value part, ValueRange carried) {
                 Value score = load(scores, part);
                 Value isLarger = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT,
                                                        carried[0], score);
                 return SmallVector<Value>{select(isLarger, carried[0], score)};
               }).front();
  // Where every score is -inf, nothing is subtracted: their exponentials are 0.
  Value none = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, best, lowest);
  Value base = select(none, number(0), best);
  rt::BarrierOp::create(builder, loc);
  // What a part counts, in place of its largest score; 0 up to a multiple of what is read at once.
  Value padded = kernel.mul(arith::CeilDivUIOp::create(builder, loc, count, constant(together)),
                            constant(together));
  auto isPart = [&](Value part) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, part, count);
  };
  Value last = arith::SubIOp::create(builder, loc, count, constant(1));
  auto bounded = [&](Value part) -> Value {
    return arith::MinUIOp::create(builder, loc, part, last);
  };
  loop(thread, padded, threads, {}, [&](Value part, ValueRange) {
    auto choice = scf::IfOp::create(builder, loc, TypeRange{f32, f32}, isPart(part),
                                    /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(choice.thenBlock());
      Value weight = math::ExpOp::create(
          builder, loc, arith::SubFOp::create(builder, loc, load(scores, part), base));
      Value share = arith::MulFOp::create(builder, loc, weight, load(totals, part));
      scf::YieldOp::create(builder, loc, ValueRange{weight, share});
      builder.setInsertionPointToStart(choice.elseBlock());
      scf::YieldOp::create(builder, loc, ValueRange{number(0), number(0)});
    }
    store(choice.getResult(0), scores, part);
    store(choice.getResult(1), totals, part);
    return SmallVector<Value>();
  });
  rt::BarrierOp::create(builder, loc);

  SmallVector<Value> at =
      kernel.split(kernel.begin(), {shape.query.sizes[0], shape.groups(), shape.rows()});
  Value head = at[1], query = at[2];
  if (shape.group > 1) {
    Value queries = kernel.size(shape.query.sizes[2]);
    head = kernel.add(kernel.mul(head, constant(shape.group)),
                      arith::DivUIOp::create(builder, loc, query, queries));
    query = arith::RemUIOp::create(builder, loc, query, queries);
  }
  Value to = kernel.linear(ArrayRef(result.strides).take_front(3), {at[0], head, query});
  Value sums = open(*shape.partSums), out = open(result);
  loop(thread, constant(columns), threads, {}, [&](Value column, ValueRange) {
    SmallVector<Value> made = loop(
        constant(0), padded, together, {number(0), number(0)}, [&](Value part, ValueRange carried) {
          SmallVector<Value> next(carried), read;
          for (int64_t i = 0; i < together; ++i) {
            Value row = kernel.add(first, bounded(kernel.add(part, constant(i))));
            read.push_back(load(sums, kernel.add(kernel.mul(row, constant(columns)), column)));
          }
          for (int64_t i = 0; i < together; ++i) {
            Value each = kernel.add(part, constant(i));
            Value value = select(isPart(each), read[i], number(0));
            next[0] = math::FmaOp::create(builder, loc, load(scores, each), value, next[0]);
            next[1] = arith::AddFOp::create(builder, loc, next[1], load(totals, each));
          }
          return next;
        });
    Value quotient = arith::DivFOp::create(builder, loc, made[0], made[1]);
    if (!result.element.isF32())
      quotient = arith::TruncFOp::create(builder, loc, result.element, quotient);
    store(quotient, out, kernel.add(to, kernel.mul(column, kernel.size(result.strides[3]))));
    return SmallVector<Value>();
  });

  Work work;
  work.count = shape.query.sizes[0] * shape.groups() * shape.rows();
  work.itemCost.add(Size(1));
  return work;
}
