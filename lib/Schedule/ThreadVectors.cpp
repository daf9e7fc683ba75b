// Elementwise work on a GPU: a thread has 16 bytes of what lies together, which it reads and writes
// at once, and computes its elements one by one. Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "Rows.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe::schedule;

namespace {

/// What the widest loads and stores of a GPU move for each thread.
constexpr int64_t vectorBytes = 16;
/// With fewer elements than that, as many threads as can be hide what memory takes.
constexpr int64_t leastElements = 1 << 17;

class ThreadVectors {
public:
  ThreadVectors(Kernel &kernel, const Group &group, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        addressOf(addressOf) {}
  bool choose();
  Work emit();

private:
  bool addAccess(const Stage &stage, const Access &access);
  Value allAligned();
  void emitVectors(ArrayRef<Value> indices);
  void emitElements(ArrayRef<Value> indices);
  Value buffer(const Access &access) {
    return kernel.buffer(addressOf(access.view), access.view.element);
  }

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  Group group;
  AddressOf addressOf;

  unsigned loops = 0;    // of each stage; the last one runs along the vectors
  int64_t elements = 16; // of a vector
  SmallVector<const Access *> moving;
};

} // namespace

// What moves along the last loop lies together there, and begins at a whole vector wherever the
// other loops are.
bool ThreadVectors::addAccess(const Stage &stage, const Access &access) {
  if (!access.view.base || access.coefficients.back().isZero())
    return true;
  unsigned bits = access.view.element.getIntOrFloatBitWidth();
  if (!access.coefficients.back().is(1) || bits < 8 || !llvm::isPowerOf2_64(bits))
    return false;
  elements = std::min<int64_t>(elements, vectorBytes * 8 / bits);
  moving.push_back(&access);
  return true;
}

bool ThreadVectors::choose() {
  collapseRows(group);
  const Stage &first = group.stages.front();
  loops = first.numLoops();
  if (loops == 0 || group.sharedLoops != loops)
    return false;
  Size count(1);
  for (const Size &extent : first.extents)
    count = count * extent;
  if (count.isStatic() && count.constant < leastElements)
    return false;
  for (const Stage &stage : group.stages) {
    if (stage.irregular || stage.hasReduction() || stage.extents != first.extents)
      return false;
    for (auto [output, reads] : llvm::zip_equal(stage.outputs, stage.readsOutput))
      if (reads || output.coefficients.back().isZero() || !addAccess(stage, output))
        return false;
    for (const Access &input : stage.inputs)
      if (!addAccess(stage, input))
        return false;
  }
  auto isWhole = [&](const Size &size) { return size.constant % elements == 0; };
  return elements > 1 && isWhole(first.extents.back()) &&
         llvm::all_of(moving, [&](const Access *access) {
           return llvm::all_of(ArrayRef(access->coefficients).drop_back(), isWhole);
         });
}

// Whether every buffer begins at a whole vector: where in a larger piece of memory it lies, only
// the host program knows.
Value ThreadVectors::allAligned() {
  Type i64 = builder.getI64Type();
  auto number = [&](int64_t value) {
    return arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(value)).getResult();
  };
  Value bits = number(0);
  llvm::SmallPtrSet<Value, 4> seen;
  for (const Access *access : moving) {
    auto view = buffer(*access).getDefiningOp<lathe::rt::ViewOp>();
    if (!seen.insert(view.getBase()).second)
      continue;
    Value address = LLVM::PtrToIntOp::create(builder, loc, i64, view.getBase());
    int64_t bytes = elements * access->view.element.getIntOrFloatBitWidth() / 8;
    address = arith::AndIOp::create(builder, loc, address, number(bytes - 1));
    bits = arith::OrIOp::create(builder, loc, bits, address);
  }
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, bits, number(0));
}

void ThreadVectors::emitVectors(ArrayRef<Value> indices) {
  struct Held {
    const Access *access;
    Value vector;
  };
  SmallVector<Held> held; // what stages wrote, for those that follow
  auto typeOf = [&](const Access &access) {
    return VectorType::get({elements}, access.view.element);
  };
  auto alignmentOf = [&](const Access &access) {
    return llvm::MaybeAlign(elements * access.view.element.getIntOrFloatBitWidth() / 8);
  };
  auto read = [&](const Access &access) -> Value {
    if (!access.view.base)
      return {};
    for (const Held &known : llvm::reverse(held))
      if (sameMemory(known.access->view, access.view) &&
          known.access->coefficients == access.coefficients)
        return known.vector;
    Value place = kernel.linear(access.coefficients, indices);
    if (access.coefficients.back().isZero())
      return memref::LoadOp::create(builder, loc, buffer(access), place);
    return vector::LoadOp::create(builder, loc, typeOf(access), buffer(access), place, false,
                                  alignmentOf(access));
  };
  for (const Stage &stage : group.stages) {
    SmallVector<Value> inputs = llvm::map_to_vector(stage.inputs, read);
    SmallVector<SmallVector<Value>> results(stage.outputs.size());
    for (int64_t element = 0; element < elements; ++element) {
      SmallVector<Value> operands, at(indices);
      at.back() = kernel.add(at.back(), kernel.constant(element));
      for (Value input : inputs)
        operands.push_back(input && isa<VectorType>(input.getType())
                               ? vector::ExtractOp::create(builder, loc, input, element).getResult()
                               : input);
      operands.append(stage.outputs.size(), Value());
      for (auto [all, result] :
           llvm::zip_equal(results, emitBody(kernel, stage, operands, at, 0, addressOf)))
        all.push_back(result);
    }
    for (auto [output, all] : llvm::zip_equal(stage.outputs, results)) {
      Value vector = vector::FromElementsOp::create(builder, loc, typeOf(output), all);
      vector::StoreOp::create(builder, loc, vector, buffer(output),
                              kernel.linear(output.coefficients, indices), false,
                              alignmentOf(output));
      held.push_back({&output, vector});
    }
  }
}

void ThreadVectors::emitElements(ArrayRef<Value> indices) {
  auto loop = scf::ForOp::create(builder, loc, kernel.constant(0), kernel.constant(elements),
                                 kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> at(indices);
  at.back() = kernel.add(at.back(), loop.getInductionVar());
  for (const Stage &stage : group.stages)
    emitItem(kernel, stage, at, addressOf);
}

Work ThreadVectors::emit() {
  SmallVector<Size> extents = group.stages.front().extents;
  extents.back().constant /= elements;
  Work work;
  for (const Size &extent : extents)
    work.count = work.count * extent;
  work.itemCost.add(Size(elements));
  Value aligned = allAligned();
  auto loop = scf::ForOp::create(builder, loc, kernel.begin(), kernel.end(), kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> indices = kernel.split(loop.getInductionVar(), extents);
  indices.back() = kernel.mul(indices.back(), kernel.constant(elements));
  auto choice = scf::IfOp::create(builder, loc, aligned, /*withElseRegion=*/true);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  emitVectors(indices);
  builder.setInsertionPointToStart(&choice.getElseRegion().front());
  emitElements(indices);
  return work;
}

std::optional<Work> lathe::schedule::emitThreadVectors(Kernel &kernel, const Group &group,
                                                       AddressOf addressOf) {
  ThreadVectors emitter(kernel, group, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
