// Layouts of queries, keys and values in shared memory, and what brings them there.
// Apache-2.0 WITH LLVM-exception
#include "AttentionOperand.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

AttentionOperand::AttentionOperand(const AttentionShape &shape, AttentionRole role)
    : role(role), root(UnknownLoc::get(shape.query.element.getContext())) {
  bool isQuery = role == AttentionRole::query;
  const View &view = isQuery ? shape.query : role == AttentionRole::key ? shape.key : shape.value;
  // As many values are there as keys.
  const Size &length = isQuery ? view.sizes[2] : shape.key.sizes[2];
  Size group(isQuery ? shape.group : 1);
  auto stride = [&](unsigned dim) { return view.sizes[dim].is(1) ? Size(0) : view.strides[dim]; };
  root.extents = {view.sizes[0], view.sizes[1], group, length, view.sizes[3]};
  root.inputs.push_back({view, {stride(0), stride(1), stride(1), stride(2), stride(3)}});
  if (!group.is(1))
    rows.add(2, group);
  rows.add(3, length);
  columns.add(4, view.sizes[3]);
}

// What lies together is so long that threads that read together find different banks: the eight
// rows of a matrix an odd number of 16 bytes apart, 16 keys of threads an odd number of 4 or 8.
static int64_t findPitch(int64_t length, bool isOfUnit) {
  if (isOfUnit)
    return (length / 8 | 1) * 8;
  return length % 4 == 0 ? length + 2 : length;
}

BlockPart AttentionOperand::plan(const AttentionOperand *operand, AttentionRole role, int64_t rows,
                                 int64_t columns, const MatrixUnit *unit, Type stored) {
  bool isValue = role == AttentionRole::value;
  int64_t size = isValue ? columns : rows, depth = isValue ? rows : columns;
  // Only matrices can be loaded from either, and those of queries are few; threads read values that
  // lie side by side.
  bool isEither = unit && unit->loadsMatrices && role != AttentionRole::query;
  bool isAlongDepth = unit || !isValue;
  BlockPart part{size, depth, false, 0, 0, 0};
  if (operand) {
    part = planPart(operand->root, 0, operand->across(), operand->depth(), size, depth, unit);
    if (isEither)
      isAlongDepth = part.along == 1;
    else if ((part.along == 1) != isAlongDepth)
      part.chunk = 0;
    if (operand->view().element != stored)
      part.chunk = 0;
  } else if (isEither) {
    isAlongDepth = size * findPitch(depth, true) >= depth * findPitch(size, true);
  }
  part.across = isAlongDepth ? findPitch(depth, unit) : 1;
  part.along = isAlongDepth ? 1 : unit ? findPitch(size, true) : size;
  int64_t pitch = std::max(part.across, part.along), least = 32 / stored.getIntOrFloatBitWidth();
  while (part.chunk && pitch % part.chunk != 0)
    part.chunk = part.chunk > least ? part.chunk / 2 : 0;
  return part;
}

int64_t AttentionOperand::chunkOfRow() const {
  if (!hasAlignedBase(view()) || !view().strides[3].is(1))
    return 1;
  int64_t chunk = 16 * 8 / view().element.getIntOrFloatBitWidth();
  auto divides = [&](int64_t number) { return number % chunk == 0; };
  while (!divides(view().sizes[3].constant) || !divides(view().constantOffset) ||
         !llvm::all_of(ArrayRef(root.inputs[0].coefficients).drop_back(),
                       [&](const Size &stride) { return divides(stride.constant); }))
    chunk /= 2;
  return chunk;
}

Value lathe::schedule::convertFloats(Kernel &kernel, Value value, Type element) {
  auto vector = dyn_cast<VectorType>(value.getType());
  Type from = vector ? vector.getElementType() : value.getType();
  Type to = vector ? Type(vector.clone(element)) : element;
  if (from == element)
    return value;
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(kernel.builder, kernel.loc, to, value);
  return arith::TruncFOp::create(kernel.builder, kernel.loc, to, value);
}

void AttentionPartEmitter::bring(Value first, Value base) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  if (part.chunk) {
    Value outer[] = {batch, head, Value(), Value(), Value()}, none = kernel.constant(0);
    bool isValue = operand.role == AttentionRole::value;
    PartEmitter emitter{kernel,           operand.root,    addressOf, 0,
                        operand.across(), operand.depth(), part,      threads,
                        thread,           memory,          outer};
    emitter.bring(isValue ? none : first, isValue ? first : none, base);
    return;
  }
  int64_t count = part.size * part.depth / operand.chunkOfRow();
  int64_t whole = count / threads * threads;
  OpBuilder::InsertionGuard guard(builder);
  auto loop = scf::ForOp::create(builder, loc, kernel.constant(0), kernel.constant(whole),
                                 kernel.constant(threads));
  builder.setInsertionPointToStart(loop.getBody());
  fill(first, base, kernel.add(loop.getInductionVar(), thread));
  builder.setInsertionPointAfter(loop);
  if (whole == count)
    return;
  auto rest = scf::IfOp::create(builder, loc,
                                arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                                      thread, kernel.constant(count - whole)),
                                /*withElseRegion=*/false);
  builder.setInsertionPointToStart(&rest.getThenRegion().front());
  fill(first, base, kernel.add(thread, kernel.constant(whole)));
}

// Chunk number `number`, read at once and perhaps taken apart.
void AttentionPartEmitter::fill(Value first, Value base, Value number) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  auto constant = [&](int64_t value) { return kernel.constant(value); };
  auto less = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
  };
  auto least = [&](Value a, Value b) -> Value {
    return arith::MinSIOp::create(builder, loc, a, b);
  };
  auto zeros = [&](Type of) {
    return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(of));
  };
  const View &view = operand.view();
  Type stored = cast<MemRefType>(memory.getType()).getElementType();
  bool isValue = operand.role == AttentionRole::value;
  int64_t size = isValue ? part.depth : part.size, width = isValue ? part.size : part.depth;
  int64_t rowStride = isValue ? part.along : part.across;
  int64_t columnStride = isValue ? part.across : part.along;
  int64_t columns = view.sizes[3].constant, chunk = operand.chunkOfRow();
  // Threads that follow each other read what lies together, or, of chunks that are taken apart,
  // write it.
  bool rowsAreFastest =
      chunk > 1 ? columnStride != 1 : view.strides[2].is(1) && !view.strides[3].is(1);
  Value fastest = constant(rowsAreFastest ? size : width / chunk);
  Value low = arith::RemUIOp::create(builder, loc, number, fastest);
  Value high = arith::DivUIOp::create(builder, loc, number, fastest);
  Value row = rowsAreFastest ? low : high;
  Value column = kernel.mul(rowsAreFastest ? high : low, constant(chunk));
  Value to = kernel.add(base, kernel.add(kernel.mul(row, constant(rowStride)),
                                         kernel.mul(column, constant(columnStride))));
  Value limit = kernel.size(operand.rows.extent), from = kernel.add(first, row);
  Value isThere = less(from, limit);
  from = least(from, arith::SubIOp::create(builder, loc, limit, constant(1)));
  if (columns < width) {
    isThere = arith::AndIOp::create(builder, loc, isThere, less(column, constant(columns)));
    column = least(column, constant(columns - chunk));
  }
  SmallVector<Value> indices{batch, head, Value(), Value(), column};
  spread(kernel, operand.root, operand.rows, from, indices);
  Value place = kernel.linear(operand.root.inputs[0].coefficients, indices);
  Value buffer = kernel.buffer(addressOf(view), view.element);
  if (chunk == 1) {
    Value read = memref::LoadOp::create(builder, loc, buffer, place);
    read = arith::SelectOp::create(builder, loc, isThere, convertFloats(kernel, read, stored),
                                   zeros(stored));
    memref::StoreOp::create(builder, loc, read, memory, to);
    return;
  }
  auto alignment = [&](Type of) {
    return llvm::MaybeAlign(std::min<int64_t>(16, chunk * of.getIntOrFloatBitWidth() / 8));
  };
  auto type = VectorType::get({chunk}, view.element);
  Value read = vector::LoadOp::create(builder, loc, type, buffer, place, /*nontemporal=*/false,
                                      alignment(view.element));
  read = arith::SelectOp::create(builder, loc, isThere, convertFloats(kernel, read, stored),
                                 zeros(type.clone(stored)));
  if (columnStride == 1 && rowStride % chunk == 0) {
    vector::StoreOp::create(builder, loc, read, memory, to, /*nontemporal=*/false,
                            alignment(stored));
    return;
  }
  for (int64_t i = 0; i < chunk; ++i)
    memref::StoreOp::create(builder, loc, vector::ExtractOp::create(builder, loc, read, i), memory,
                            kernel.add(to, constant(i * columnStride)));
}
