// An intermediate result that only one group uses, and whose last reader writes elements where it
// reads them, lies where that reader's result lies: half the memory to write and to keep in cache,
// as for the exponentials of a softmax.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

/// The last stage that reads `value`, where all its readers are stages of the group and take it as
/// an input.
static std::optional<size_t> findLastReader(const Group &group, Value value) {
  std::optional<size_t> last;
  for (OpOperand &use : value.getUses()) {
    auto generic = dyn_cast<linalg::GenericOp>(use.getOwner());
    auto reader = llvm::find_if(
        group.stages, [&](const Stage &stage) { return generic && stage.op == use.getOwner(); });
    if (reader == group.stages.end() || !generic.isDpsInput(&use))
      return std::nullopt;
    last = std::max<size_t>(last.value_or(0), reader - group.stages.begin());
  }
  return last;
}

/// The result of `reader` that has the element of `view` at each of its places.
static const View *findPlace(const Stage &reader, const View &view) {
  if (reader.hasReduction() || reader.irregular)
    return nullptr;
  for (auto [output, reads] : llvm::zip_equal(reader.outputs, reader.readsOutput)) {
    if (reads || output.view.element != view.element || output.view.sizes != view.sizes ||
        output.view.strides != view.strides)
      continue;
    bool elementByElement = llvm::all_of(reader.inputs, [&](const Access &input) {
      return !input.view.base || !sameMemory(input.view, view) ||
             input.coefficients == output.coefficients;
    });
    if (elementByElement)
      return &output.view;
  }
  return nullptr;
}

void lathe::schedule::reuseResults(Group &group) {
  for (Stage &producer : group.stages) {
    if (!isa_and_nonnull<linalg::GenericOp>(producer.op))
      continue;
    for (auto [index, result] : llvm::enumerate(producer.op->getResults())) {
      // What starts from the memory's content finds it where it was put.
      if (producer.readsOutput[index] && !producer.inits[index])
        continue;
      View from = producer.outputs[index].view;
      std::optional<size_t> last = findLastReader(group, result);
      if (!from.base.getDefiningOp<rt::AllocOp>() || !last)
        continue;
      const View *place = findPlace(group.stages[*last], from);
      if (!place || place->base == from.base)
        continue;
      // Nothing else may lie there until then.
      View to = *place;
      auto isFree = [&](const View &view) { return view.base != to.base || &view == place; };
      auto leavesFree = [&](const Stage &stage) {
        auto accessIsFree = [&](const Access &access) { return isFree(access.view); };
        return llvm::all_of(stage.inputs, accessIsFree) &&
               llvm::all_of(stage.outputs, accessIsFree) &&
               llvm::all_of(stage.captures,
                            [&](const auto &capture) { return isFree(capture.second); });
      };
      if (!llvm::all_of(ArrayRef(group.stages).take_front(*last + 1), leavesFree))
        continue;
      for (Stage &stage : group.stages) {
        for (Access &access : llvm::concat<Access>(stage.inputs, stage.outputs))
          if (sameMemory(access.view, from))
            access.view = to;
      }
    }
  }
}
