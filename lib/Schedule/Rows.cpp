// Which stages walk the same rows.
// Apache-2.0 WITH LLVM-exception
#include "Rows.h"
#include "KernelBuilder.h"
#include "dialects/Rt/DeviceCode.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

bool Rows::areWorthOneKernel() const {
  constexpr int64_t fewRows = 32, longRow = 1 << 16;
  bool areFew = count.isStatic() && count.constant < fewRows;
  bool areLong = length.isStatic() && length.constant > longRow;
  return liesTogether && !(areFew && areLong);
}

static bool runsOnDevice(const Stage &stage) {
  auto fits = [](Operation *op) {
    return rt::runsOnDevice(op) ? WalkResult::advance() : WalkResult::interrupt();
  };
  return llvm::none_of(stage.body->getArgumentTypes(), rt::isText) &&
         !stage.body->walk(fits).wasInterrupted();
}

namespace {
/// A stage, and what it walks of a row.
struct RowStage {
  const Stage &stage;
  unsigned sharedLoops;
  Rows::Part part = Rows::Single;
  SmallVector<unsigned> inner = {}; // loops of more than one iteration
  SmallVector<Size> extents = {};   // of these

  bool classify();
  SmallVector<Size> along(const Access &access) const {
    SmallVector<Size> steps;
    for (unsigned loop : inner)
      steps.push_back(access.coefficients[loop]);
    return steps;
  }
  bool moves(const Access &access) const {
    return llvm::any_of(along(access), [](const Size &step) { return !step.isZero(); });
  }
  bool liesTogether(const Access &access) const {
    return inner.empty() || access.coefficients[inner.back()].is(1);
  }
};
} // namespace

bool RowStage::classify() {
  if (stage.numLoops() < sharedLoops || !runsOnDevice(stage))
    return false;
  bool adds = false, isParallel = false;
  for (auto [loop, reduces] : llvm::enumerate(stage.reduction)) {
    bool isSingle = stage.extents[loop].is(1);
    if (loop < sharedLoops && reduces)
      return false;
    adds |= reduces;
    isParallel |= loop >= sharedLoops && !reduces && !isSingle;
    if (loop < sharedLoops || isSingle)
      continue;
    inner.push_back(loop);
    extents.push_back(stage.extents[loop]);
  }
  part = adds ? Rows::Sum : isParallel ? Rows::Elements : Rows::Single;
  if (!adds)
    return true;
  // Without a neutral element the initial value has to be one that may count several times.
  std::optional<Combiner> combiner = findCombiner(stage);
  return combiner && !isParallel && (combiner->neutral || stage.inits[0]);
}

/// Whether `access` of `later` finds in a thread's registers what `earlier` wrote there.
static bool fits(const RowStage &later, const Access &access, const RowStage &earlier,
                 const Access &output) {
  if (!sameMemory(access.view, output.view) || access.view.element != output.view.element)
    return false;
  for (unsigned i = 0; i < later.sharedLoops; ++i)
    if (!later.stage.extents[i].is(1) && access.coefficients[i] != output.coefficients[i])
      return false;
  if (earlier.part != Rows::Elements)
    return !later.moves(access);
  return later.part != Rows::Single && later.along(access) == earlier.along(output);
}

/// Whether what the stages have in common is read where it was written, and nothing is written that
/// another thread still reads.
static bool fitTogether(ArrayRef<RowStage> stages) {
  for (auto [number, later] : llvm::enumerate(stages)) {
    auto isFine = [&](const Access &access, bool isInput) {
      bool isKnown = false;
      for (const RowStage &earlier : stages.take_front(number))
        for (const Access &output : earlier.stage.outputs)
          if (output.view.base == access.view.base) {
            if (!fits(later, access, earlier, output))
              return false;
            isKnown = true;
          }
      if (isKnown || !isInput)
        return true;
      return llvm::all_of(later.stage.outputs, [&](const Access &output) {
        return output.view.base != access.view.base ||
               (later.part == Rows::Elements && fits(later, access, later, output));
      });
    };
    for (const Access &input : later.stage.inputs)
      if (input.view.base && !isFine(input, true))
        return false;
    for (auto [output, reads, init] :
         llvm::zip_equal(later.stage.outputs, later.stage.readsOutput, later.stage.inits))
      if (!isFine(output, false) || (later.part == Rows::Single && reads && !init))
        return false;
  }
  return true;
}

std::optional<Rows> lathe::schedule::findRows(ArrayRef<const Stage *> stages,
                                              unsigned sharedLoops) {
  Rows rows;
  SmallVector<RowStage> found;
  const RowStage *first = nullptr; // that walks a row
  found.reserve(stages.size());
  for (const Stage *stage : stages) {
    RowStage &row = found.emplace_back(RowStage{*stage, sharedLoops});
    if (!row.classify())
      return std::nullopt;
    rows.parts.push_back(row.part);
    if (row.part == Rows::Single)
      continue;
    if (!first)
      first = &row;
    if (row.extents != first->extents)
      return std::nullopt;
    auto liesTogether = [&](const Access &access) {
      return access.view.base && row.liesTogether(access);
    };
    rows.liesTogether &= row.part == Rows::Sum ? llvm::any_of(stage->inputs, liesTogether)
                                               : llvm::all_of(stage->outputs, liesTogether);
  }
  if (!llvm::is_contained(rows.parts, Rows::Sum) || !fitTogether(found))
    return std::nullopt;
  for (unsigned i = 0; i < sharedLoops; ++i)
    rows.count = rows.count * stages.front()->extents[i];
  for (const Size &extent : first->extents)
    rows.length = rows.length * extent;
  return rows;
}
