// Elementwise stages whose operands lie across one another, as in a transpose: squares of one
// vector by one vector are read along one loop, turned in registers and written along the other, so
// that every line of memory is moved once and whole. Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"

using namespace mlir;
using namespace lathe::schedule;

namespace {
/// The two loops of a square: `along` runs across the lanes of the output, `across` across those of
/// inputs that are to be turned.
struct Square {
  unsigned along = 0, across = 0;
};
} // namespace

static bool isUnit(const Access &access, unsigned loop) { return access.coefficients[loop].is(1); }

static std::optional<Square> chooseSquare(const Stage &stage, int64_t lanes) {
  if (stage.irregular || stage.hasReduction() || stage.outputs.size() != 1 ||
      stage.readsOutput[0] || !isVectorizable(*stage.body) ||
      stage.outputs[0].view.element.getIntOrFloatBitWidth() != 32)
    return std::nullopt;
  auto isLong = [&](unsigned loop) {
    return !stage.extents[loop].isStatic() || stage.extents[loop].constant * 2 >= lanes;
  };
  Square square;
  bool found = false;
  for (unsigned loop = 0; loop < stage.numLoops(); ++loop)
    if (isUnit(stage.outputs[0], loop) && isLong(loop)) {
      square.along = loop;
      found = true;
    }
  if (!found)
    return std::nullopt;
  found = false;
  for (const Access &input : stage.inputs) {
    if (input.coefficients.empty() || isUnit(input, square.along) ||
        input.coefficients[square.along].isZero())
      continue;
    for (unsigned loop = 0; loop < stage.numLoops(); ++loop)
      if (loop != square.along && isUnit(input, loop) && isLong(loop)) {
        square.across = loop;
        found = true;
      }
  }
  if (!found)
    return std::nullopt;
  // Every input must be read along one of the two, or not move along the lanes.
  for (const Access &input : stage.inputs)
    if (!input.coefficients.empty() &&
        (input.view.element.getIntOrFloatBitWidth() != 32 ||
         !(isUnit(input, square.along) || isUnit(input, square.across) ||
           input.coefficients[square.along].isZero())))
      return std::nullopt;
  return square;
}

// The transpose of a square of vectors: blocks of 1, 2, 4, ... lanes change places.
void lathe::schedule::transposeVectors(OpBuilder &builder, Location loc,
                                       MutableArrayRef<Value> rows) {
  int64_t lanes = rows.size();
  for (int64_t block = 1; block < lanes; block *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      bool second = lane & block;
      low.push_back(second ? lanes + lane - block : lane);
      high.push_back(second ? lanes + lane : lane + block);
    }
    for (int64_t row = 0; row < lanes; ++row) {
      if (row & block)
        continue;
      Value a = rows[row], b = rows[row + block];
      rows[row] = vector::ShuffleOp::create(builder, loc, a, b, low);
      rows[row + block] = vector::ShuffleOp::create(builder, loc, a, b, high);
    }
  }
}

namespace {
class SquareEmitter {
public:
  SquareEmitter(Kernel &kernel, const Stage &stage, Square square, int64_t lanes,
                AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), stage(stage), square(square), lanes(lanes),
        addressOf(addressOf), loc(stage.loc), indices(stage.numLoops()) {}

  /// One square from these starts; with `rest`, how many rows and lanes of it there are.
  void emit(Value acrossStart, Value alongStart, std::optional<std::pair<Value, Value>> rest);

  SmallVector<Value> &outerIndices() { return indices; }

private:
  Value createMask(Value count) {
    return vector::CreateMaskOp::create(builder, loc, VectorType::get({lanes}, builder.getI1Type()),
                                        count);
  }
  Value load(const Access &access, Value mask) {
    auto type = VectorType::get({lanes}, access.view.element);
    Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
    Value position = kernel.linear(access.coefficients, indices);
    if (!mask)
      return vector::LoadOp::create(builder, loc, type, buffer, position);
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
    return vector::MaskedLoadOp::create(builder, loc, type, buffer, position, mask, zero);
  }

  Kernel &kernel;
  OpBuilder &builder;
  const Stage &stage;
  Square square;
  int64_t lanes;
  AddressOf addressOf;
  Location loc;
  SmallVector<Value> indices;
};
} // namespace

void SquareEmitter::emit(Value acrossStart, Value alongStart,
                         std::optional<std::pair<Value, Value>> rest) {
  Value acrossMask, alongMask;
  if (rest) {
    acrossMask = createMask(rest->first);
    alongMask = createMask(rest->second);
  }
  // Rows past the end are the last one again.
  auto place = [&](Value start, int64_t i, Value count) -> Value {
    Value offset = kernel.constant(i);
    if (count) {
      Value last = arith::SubIOp::create(builder, loc, count, kernel.constant(1));
      offset = arith::MinUIOp::create(builder, loc, offset, last);
    }
    return kernel.add(start, offset);
  };
  Value acrossCount = rest ? rest->first : Value(), alongCount = rest ? rest->second : Value();
  SmallVector<SmallVector<Value>> operands(stage.inputs.size()); // [input][row]
  for (auto [input, rows] : llvm::zip_equal(stage.inputs, operands)) {
    if (input.coefficients.empty() || isUnit(input, square.along) ||
        input.coefficients[square.along].isZero())
      continue;
    indices[square.across] = acrossStart;
    for (int64_t i = 0; i < lanes; ++i) {
      indices[square.along] = place(alongStart, i, alongCount);
      rows.push_back(load(input, acrossMask));
    }
    transposeVectors(builder, loc, rows);
  }
  for (int64_t i = 0; i < lanes; ++i) {
    indices[square.along] = alongStart;
    indices[square.across] = place(acrossStart, i, acrossCount);
    SmallVector<Value> row;
    for (auto [input, rows] : llvm::zip_equal(stage.inputs, operands)) {
      if (input.coefficients.empty()) {
        row.push_back(Value());
      } else if (!rows.empty()) {
        row.push_back(rows[i]);
      } else if (isUnit(input, square.along)) {
        row.push_back(load(input, alongMask));
      } else {
        Value buffer = kernel.buffer(addressOf(input.view), input.view.element);
        Value scalar = memref::LoadOp::create(builder, loc, buffer,
                                              kernel.linear(input.coefficients, indices));
        row.push_back(vector::BroadcastOp::create(
            builder, loc, VectorType::get({lanes}, input.view.element), scalar));
      }
    }
    row.push_back(Value());
    Value value = emitBody(kernel, stage, row, {}, lanes, addressOf)[0];
    const Access &output = stage.outputs[0];
    Value buffer = kernel.buffer(addressOf(output.view), output.view.element);
    Value position = kernel.linear(output.coefficients, indices);
    if (!rest) {
      vector::StoreOp::create(builder, loc, value, buffer, position);
      continue;
    }
    Value inside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                         kernel.constant(i), acrossCount);
    Value count = arith::SelectOp::create(builder, loc, inside, alongCount, kernel.constant(0));
    vector::MaskedStoreOp::create(builder, loc, buffer, position, createMask(count), value);
  }
}

std::optional<Work> lathe::schedule::emitTransposed(Kernel &kernel, const Stage &original,
                                                    const TargetInfo &target, AddressOf addressOf) {
  Stage stage = original;
  collapseLoops(stage);
  int64_t lanes = target.vectorBits / 32;
  std::optional<Square> square = chooseSquare(stage, lanes);
  if (!square)
    return std::nullopt;
  OpBuilder &builder = kernel.builder;
  Location loc = stage.loc;
  const Size &along = stage.extents[square->along], &across = stage.extents[square->across];

  // An item is a band of squares: all of `along` for one vector of `across`.
  Work work;
  SmallVector<unsigned> outer;
  for (unsigned loop = 0; loop < stage.numLoops(); ++loop)
    if (loop != square->along && loop != square->across) {
      outer.push_back(loop);
      work.count = work.count * stage.extents[loop];
    }
  Value bands;
  if (across.isStatic()) {
    bands = kernel.constant(llvm::divideCeil(across.constant, lanes));
    work.count = work.count * Size(llvm::divideCeil(across.constant, lanes));
  } else {
    bands = arith::CeilDivUIOp::create(builder, loc, kernel.size(across), kernel.constant(lanes));
    work.ceilings.push_back({across, lanes});
  }
  work.pieceCost = 50000; // elements
  work.itemCost.add(along * Size(lanes));

  auto items = scf::ForOp::create(builder, loc, kernel.begin(), kernel.end(), kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(items.getBody());
  SquareEmitter emitter(kernel, stage, *square, lanes, addressOf);
  Value rest = items.getInductionVar();
  auto peel = [&](Value extent) -> Value {
    Value index = arith::RemUIOp::create(builder, loc, rest, extent);
    rest = arith::DivUIOp::create(builder, loc, rest, extent);
    return index;
  };
  Value start = kernel.mul(peel(bands), kernel.constant(lanes));
  for (unsigned loop : llvm::reverse(outer))
    emitter.outerIndices()[loop] = peel(kernel.size(stage.extents[loop]));

  Value width = kernel.constant(lanes);
  Value rows = arith::MinUIOp::create(
      builder, loc, width, arith::SubIOp::create(builder, loc, kernel.size(across), start));
  auto squares = scf::ForOp::create(builder, loc, kernel.constant(0), kernel.size(along), width);
  builder.setInsertionPointToStart(squares.getBody());
  Value column = squares.getInductionVar();
  Value columns = arith::MinUIOp::create(
      builder, loc, width, arith::SubIOp::create(builder, loc, kernel.size(along), column));
  auto isWidth = [&](const Size &extent, Value count) -> Value {
    if (extent.isStatic() && extent.constant % lanes == 0)
      return Value();
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, count, width);
  };
  Value full = isWidth(across, rows), fullColumns = isWidth(along, columns);
  if (full && fullColumns)
    full = arith::AndIOp::create(builder, loc, full, fullColumns);
  else if (fullColumns)
    full = fullColumns;
  if (!full) {
    emitter.emit(start, column, std::nullopt);
    return work;
  }
  auto branch = scf::IfOp::create(builder, loc, full, /*withElse=*/true);
  builder.setInsertionPointToStart(branch.thenBlock());
  emitter.emit(start, column, std::nullopt);
  builder.setInsertionPointToStart(branch.elseBlock());
  emitter.emit(start, column, std::pair(rows, columns));
  return work;
}
