// Elementwise work on a GPU whose operands lie across its results, as in a transpose. A block has a
// square of elements, which it reads along the operands' neighbours into shared memory and goes
// through along the results': every line of memory is read and written whole.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Elements of a side of the square: a warp's threads, or half a wave's. Lines of it lie one
/// element further apart in shared memory, so that columns find different banks.
constexpr int64_t side = 32, pitch = side + 1;
/// Threads have side / rows elements each.
constexpr int64_t rows = 8;

class BlockTransposes {
public:
  BlockTransposes(Kernel &kernel, const Group &given, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(given),
        addressOf(addressOf) {}
  bool choose();
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  Value isIn(unsigned loop, Value index) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, index,
                                 kernel.size(extents()[loop]));
  }
  ArrayRef<Size> extents() { return group.stages.front().extents; }
  bool isLong(unsigned loop) {
    constexpr int64_t least = 16;
    return !extents()[loop].isStatic() || extents()[loop].constant >= least;
  }
  Value load(const Access &access, ArrayRef<Value> indices) {
    return memref::LoadOp::create(builder, loc,
                                  kernel.buffer(addressOf(access.view), access.view.element),
                                  kernel.linear(access.coefficients, indices));
  }
  bool chooseAlong();
  bool chooseAcross();
  /// The output of a stage before that an input reads; null: none.
  const Access *findResult(size_t stage, const Access &input);
  void forRows(unsigned slow, unsigned fast, llvm::function_ref<void(Value, ArrayRef<Value>)> body);
  void bring();
  void compute(Value row, ArrayRef<Value> indices);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  Group group;
  AddressOf addressOf;

  unsigned along = 0, across = 0; // loops: along the results' neighbours, and along the operands'
  SmallVector<const Access *> turned; // what lies across
  SmallVector<Value> squares;         // of each of these, in shared memory
  Value lane, firstRow;               // of the thread in a square
  SmallVector<Value> outer;           // an index for each loop; of the two the square's first
};

} // namespace

const Access *BlockTransposes::findResult(size_t stage, const Access &input) {
  for (size_t i = stage; i-- > 0;)
    for (const Access &output : group.stages[i].outputs)
      if (sameMemory(output.view, input.view))
        return &output;
  return nullptr;
}

// All results lie together along one loop.
bool BlockTransposes::chooseAlong() {
  std::optional<unsigned> found;
  for (const Stage &stage : group.stages)
    for (const Access &output : stage.outputs) {
      auto unit = llvm::find_if(output.coefficients, [](const Size &size) { return size.is(1); });
      if (unit == output.coefficients.end())
        return false;
      unsigned loop = unit - output.coefficients.begin();
      if (found && *found != loop)
        return false;
      found = loop;
    }
  along = found.value_or(0);
  return found && isLong(along);
}

// Operands that others do not have yet lie together along another.
bool BlockTransposes::chooseAcross() {
  constexpr size_t most = 4;
  for (auto [number, stage] : llvm::enumerate(group.stages))
    for (const Access &input : stage.inputs) {
      if (!input.view.base)
        continue;
      if (const Access *result = findResult(number, input)) {
        if (result->coefficients != input.coefficients)
          return false;
        continue;
      }
      const Size &stride = input.coefficients[along];
      auto unit = llvm::find_if(input.coefficients, [](const Size &size) { return size.is(1); });
      unsigned loop = unit - input.coefficients.begin();
      if (stride.isZero() || stride.is(1) || unit == input.coefficients.end() || !isLong(loop) ||
          input.view.element.getIntOrFloatBitWidth() % 8 != 0)
        continue;
      if (!turned.empty() && loop != across)
        return false;
      across = loop;
      turned.push_back(&input);
    }
  return !turned.empty() && turned.size() <= most;
}

bool BlockTransposes::choose() {
  const Stage &first = group.stages.front();
  if (group.sharedLoops != first.numLoops() || first.numLoops() < 2)
    return false;
  for (const Stage &stage : group.stages)
    if (stage.irregular || stage.hasReduction() || stage.extents != first.extents ||
        llvm::is_contained(stage.readsOutput, true))
      return false;
  keepInRegisters(group);
  return chooseAlong() && chooseAcross();
}

// The thread's elements of a square whose lines run along `fast`, as far as these are there: the
// number of the line, and indices.
void BlockTransposes::forRows(unsigned slow, unsigned fast,
                              llvm::function_ref<void(Value, ArrayRef<Value>)> body) {
  SmallVector<Value> indices(outer);
  indices[fast] = kernel.add(outer[fast], lane);
  for (int64_t i = 0; i < side; i += rows) {
    Value row = kernel.add(firstRow, constant(i));
    indices[slow] = kernel.add(outer[slow], row);
    Value isThere =
        arith::AndIOp::create(builder, loc, isIn(fast, indices[fast]), isIn(slow, indices[slow]));
    auto choice = scf::IfOp::create(builder, loc, isThere, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&choice.getThenRegion().front());
    body(row, indices);
  }
}

// What the threads of a warp read is a line along the operand.
void BlockTransposes::bring() {
  forRows(along, across, [&](Value row, ArrayRef<Value> indices) {
    Value place = kernel.add(kernel.mul(row, constant(pitch)), lane);
    for (auto [access, square] : llvm::zip_equal(turned, squares))
      memref::StoreOp::create(builder, loc, load(*access, indices), square, place);
  });
}

// One element of all stages. Results that a later stage wants are at hand.
void BlockTransposes::compute(Value row, ArrayRef<Value> indices) {
  Value place = kernel.add(kernel.mul(lane, constant(pitch)), row);
  llvm::SmallDenseMap<const Access *, Value> results;
  for (auto [number, stage] : llvm::enumerate(group.stages)) {
    SmallVector<Value> operands;
    for (const Access &input : stage.inputs) {
      const Access *result = input.view.base ? findResult(number, input) : nullptr;
      auto square = llvm::find(turned, &input);
      operands.push_back(
          !input.view.base ? Value()
          : result         ? results.lookup(result)
          : square != turned.end()
              ? memref::LoadOp::create(builder, loc, squares[square - turned.begin()], place)
                    .getResult()
              : load(input, indices));
    }
    operands.append(stage.outputs.size(), Value());
    SmallVector<Value> values = emitBody(kernel, stage, operands, indices, 0, addressOf);
    for (auto [output, stores, value] :
         llvm::zip_equal(stage.outputs, stage.storesOutput, values)) {
      results[&output] = value;
      if (stores)
        memref::StoreOp::create(builder, loc, value,
                                kernel.buffer(addressOf(output.view), output.view.element),
                                kernel.linear(output.coefficients, indices));
    }
  }
}

Work BlockTransposes::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(side * rows));
  Value thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  lane = arith::RemUIOp::create(builder, loc, thread, constant(side));
  firstRow = arith::DivUIOp::create(builder, loc, thread, constant(side));
  for (const Access *access : turned)
    squares.push_back(
        rt::SharedOp::create(builder, loc, MemRefType::get({side * pitch}, access->view.element)));

  // Blocks that follow each other have squares beside each other along the results.
  Work work;
  SmallVector<unsigned> others;
  SmallVector<Size> sizes;
  for (unsigned loop = 0; loop < extents().size(); ++loop)
    if (loop != along && loop != across) {
      others.push_back(loop);
      sizes.push_back(extents()[loop]);
      work.count = work.count * extents()[loop];
    }
  work.itemCost.add(Size(1));
  outer.assign(extents().size(), Value());
  Value rest = kernel.begin();
  for (unsigned loop : {along, across}) {
    work.ceilings.push_back({extents()[loop], side});
    Value squaresAlong =
        arith::CeilDivUIOp::create(builder, loc, kernel.size(extents()[loop]), constant(side));
    outer[loop] =
        kernel.mul(arith::RemUIOp::create(builder, loc, rest, squaresAlong), constant(side));
    rest = arith::DivUIOp::create(builder, loc, rest, squaresAlong);
  }
  for (auto [loop, index] : llvm::zip_equal(others, kernel.split(rest, sizes)))
    outer[loop] = index;

  bring();
  rt::BarrierOp::create(builder, loc);
  forRows(across, along, [&](Value row, ArrayRef<Value> indices) { compute(row, indices); });
  return work;
}

std::optional<Work> lathe::schedule::emitBlockTransposes(Kernel &kernel, const Group &group,
                                                         AddressOf addressOf) {
  BlockTransposes emitter(kernel, group, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
