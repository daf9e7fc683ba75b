// Structured operations as stages with linear accesses, and which of them share a dispatch.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "Rows.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace lathe::schedule;

// Adds the linear form of `expr` times `stride`: coefficients per loop, and the rest to `shift`.
static LogicalResult addLinear(AffineExpr expr, int64_t scale, SmallVectorImpl<int64_t> &terms,
                               int64_t &shift) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    terms[dim.getPosition()] += scale;
    return success();
  }
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    shift += scale * constant.getValue();
    return success();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return failure();
  if (expr.getKind() == AffineExprKind::Add)
    return success(succeeded(addLinear(binary.getLHS(), scale, terms, shift)) &&
                   succeeded(addLinear(binary.getRHS(), scale, terms, shift)));
  auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (expr.getKind() != AffineExprKind::Mul || !factor)
    return failure();
  return addLinear(binary.getLHS(), scale * factor.getValue(), terms, shift);
}

LogicalResult HostProgram::linearize(linalg::GenericOp op, AffineMap map, const View &view,
                                     Access &access) {
  access.view = view;
  access.coefficients.assign(map.getNumDims(), Size(0));
  for (auto [result, stride] : llvm::zip_equal(map.getResults(), view.strides)) {
    SmallVector<int64_t> terms(map.getNumDims(), 0);
    int64_t shift = 0;
    if (failed(addLinear(result, 1, terms, shift)))
      return op.emitError("indexing map ") << AffineMapAttr::get(map) << " is not linear";
    for (auto [loop, term] : llvm::enumerate(terms)) {
      if (term == 0)
        continue;
      Size &coefficient = access.coefficients[loop];
      Size added = stride * Size(term);
      if (coefficient.isZero()) {
        coefficient = added;
      } else if (coefficient.isStatic() && added.isStatic()) {
        coefficient.constant += added.constant;
      } else {
        Value sum = arith::AddIOp::create(builder, op.getLoc(),
                                          sizes.materialize(builder, op.getLoc(), coefficient),
                                          sizes.materialize(builder, op.getLoc(), added));
        coefficient = sizes.get(sum);
      }
    }
    advance(op.getLoc(), access.view, stride * Size(shift));
  }
  return success();
}

FailureOr<Stage> HostProgram::makeStage(linalg::GenericOp op) {
  Stage stage(op.getLoc());
  stage.body = op.getBody();
  stage.op = op;
  for (utils::IteratorType type : op.getIteratorTypesArray())
    stage.reduction.push_back(type == utils::IteratorType::reduction);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();

  // Loop sizes: of the first operand dimension that is exactly this loop.
  stage.extents.assign(stage.reduction.size(), Size(0));
  SmallVector<bool> known(stage.extents.size(), false);
  for (auto [operand, map] : llvm::zip_equal(op->getOperands(), maps)) {
    if (!isa<ShapedType>(operand.getType()))
      continue;
    SmallVector<Size> operandSizes;
    for (auto [position, result] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(result);
      if (!dim)
        continue;
      if (operandSizes.empty())
        operandSizes = getSizes(operand);
      Size &extent = stage.extents[dim.getPosition()];
      if (!known[dim.getPosition()] || (operandSizes[position].isStatic() && !extent.isStatic()))
        extent = operandSizes[position];
      known[dim.getPosition()] = true;
    }
  }
  if (llvm::is_contained(known, false))
    return op.emitError("a loop's size does not follow from any operand");

  for (auto [index, operand] : llvm::enumerate(op.getDpsInputOperands())) {
    Access access;
    if (!isa<ShapedType>(operand->get().getType())) {
      stage.scalars.push_back({stage.body->getArgument(index), scalars.lookup(operand->get())});
    } else if (!stage.body->getArgument(index).use_empty()) {
      if (failed(linearize(op, maps[index], getView(operand->get()), access)))
        return failure();
    }
    stage.inputs.push_back(std::move(access));
  }

  for (auto [index, operand] : llvm::enumerate(op.getDpsInitsMutable())) {
    FailureOr<View> view = getOrCreate(op->getResult(index));
    if (failed(view))
      return failure();
    BlockArgument argument = stage.body->getArgument(op.getNumDpsInputs() + index);
    bool reads = !argument.use_empty();
    TypedAttr init;
    if (reads) {
      Attribute constant;
      auto fill = operand.get().getDefiningOp<linalg::FillOp>();
      if (fill && matchPattern(fill.getInputs()[0], m_Constant(&constant))) {
        init = cast<TypedAttr>(constant);
      } else if (View from = getView(operand.get()); !sameMemory(from, *view)) {
        dispatchCopy(op.getLoc(), from, *view);
      }
    }
    Access access;
    if (failed(linearize(op, maps[op.getNumDpsInputs() + index], *view, access)))
      return failure();
    stage.outputs.push_back(std::move(access));
    stage.inits.push_back(init);
    stage.readsOutput.push_back(reads);
    stage.storesOutput.push_back(true);
  }

  llvm::SetVector<Value> captured;
  op.getBody()->walk([&](Operation *inner) {
    stage.irregular |= isa<linalg::IndexOp, tensor::ExtractOp, tensor::DimOp, rt::CheckOp>(inner) ||
                       inner->getNumRegions() > 0;
    stage.checked |= isa<rt::CheckOp>(inner);
    for (Value operand : inner->getOperands())
      if (!op.getRegion().isAncestor(operand.getParentRegion()))
        captured.insert(operand);
  });
  for (Value value : captured) {
    if (isa<ShapedType>(value.getType()))
      stage.captures.push_back({value, getView(value)});
    else if (Attribute constant; !matchPattern(value, m_Constant(&constant)))
      stage.scalars.push_back({value, scalars.lookup(value)});
  }
  return stage;
}

/// How many leading loops `stage` can share with the group: both walk the same rows, and rows of
/// the group's results are read where they were written.
unsigned HostProgram::commonLoops(const Group &group, const Stage &stage) {
  unsigned common = std::min<unsigned>(group.sharedLoops, stage.numLoops());
  const Stage &first = group.stages.front();
  for (unsigned i = 0; i < common; ++i)
    if (stage.reduction[i] || stage.extents[i] != first.extents[i])
      common = i;
  // A loop must be left inside, or nothing could be vectorized.
  if (!options.target.itemPerThread) {
    for (const Stage &other : group.stages)
      common = std::min(common, std::max(1u, other.numLoops()) - 1);
    common = std::min(common, std::max(1u, stage.numLoops()) - 1);
  }
  bool keepsItems =
      common == group.sharedLoops && unsigned(llvm::count(stage.reduction, false)) == common;

  // Pairs of an access of the new stage and the group's write to the same memory.
  struct Pair {
    const Access *later, *earlier;
    const Stage *other;
  };
  SmallVector<Pair> pairs;
  auto collect = [&](const Access &later) {
    for (const Stage &other : group.stages)
      for (const Access &output : other.outputs)
        if (later.view.base && sameMemory(later.view, output.view))
          pairs.push_back({&later, &output, &other});
  };
  llvm::for_each(stage.inputs, collect);
  llvm::for_each(stage.outputs, collect);
  for (const Pair &pair : pairs)
    for (unsigned i = 0; i < common; ++i)
      if (pair.later->coefficients[i] != pair.earlier->coefficients[i])
        common = i;
  // Within a row, the later access must be a permutation of the earlier one.
  for (const Pair &pair : pairs) {
    SmallVector<bool> used(pair.other->numLoops(), false);
    for (unsigned i = common; i < stage.numLoops(); ++i) {
      if (pair.later->coefficients[i].isZero() || stage.extents[i].is(1))
        continue;
      bool found = false;
      for (unsigned j = common; j < pair.other->numLoops() && !found; ++j)
        if (!used[j] && pair.earlier->coefficients[j] == pair.later->coefficients[i] &&
            pair.other->extents[j] == stage.extents[i])
          found = used[j] = true;
      if (!found)
        return 0;
    }
  }
  if (!options.target.itemPerThread || common == 0)
    return common;
  // On a GPU nothing is worth having fewer items but rows, which have a block of threads each.
  auto isRow = [&](const Stage &other) {
    return unsigned(llvm::count(other.reduction, false)) > group.sharedLoops;
  };
  if (keepsItems && common == group.sharedLoops && llvm::none_of(group.stages, isRow))
    return common;
  SmallVector<const Stage *> stages(llvm::make_pointer_range(group.stages));
  stages.push_back(&stage);
  std::optional<Rows> rows = findRows(stages, common);
  return rows && rows->areWorthOneKernel() ? common : 0;
}

/// Instructions that `block` becomes, roughly: a function of the math dialect takes some 20.
static unsigned codeSize(Block &block) {
  unsigned size = 0;
  block.walk([&](Operation *op) { size += isa<math::MathDialect>(op->getDialect()) ? 20 : 1; });
  return size;
}

bool HostProgram::joins(const Group &group, const Stage &stage) {
  if (group.stages.empty() || options.optLevel == 0)
    return false;
  // LLVM's time grows faster than a function: a chain of 3,300 tanh as one kernel took 24 s. What
  // another dispatch costs is little beside a thousand instructions a value.
  constexpr unsigned mostCode = 1024;
  if (group.codeSize + codeSize(*stage.body) > mostCode)
    return false;
  // Memory of the group may only be read as it was written.
  auto touches = [&](const View &view) {
    return llvm::any_of(group.stages, [&](const Stage &other) {
      return llvm::any_of(other.outputs,
                          [&](const Access &output) { return output.view.base == view.base; });
    });
  };
  auto matches = [&](const View &view) {
    return llvm::any_of(group.stages, [&](const Stage &other) {
      return llvm::any_of(other.outputs, [&](const Access &output) {
        return sameMemory(output.view, view) && output.view.strides == view.strides &&
               output.view.sizes == view.sizes;
      });
    });
  };
  for (const auto &[value, view] : stage.captures)
    if (touches(view))
      return false;
  bool related = false;
  for (const Access &input : stage.inputs) {
    if (!input.view.base || !touches(input.view))
      continue;
    if (!matches(input.view))
      return false;
    related = true;
  }
  if (!related)
    return false;
  // What the stage writes must not be what the group still reads.
  for (const Access &output : stage.outputs)
    for (const Stage &other : group.stages) {
      for (const Access &input : other.inputs)
        if (input.view.base && input.view.base == output.view.base && !touches(input.view))
          return false;
      for (const auto &[value, view] : other.captures)
        if (view.base == output.view.base)
          return false;
    }
  return true;
}

static void append(Group &group, Stage stage) {
  group.codeSize += codeSize(*stage.body);
  group.stages.push_back(std::move(stage));
}

void HostProgram::push(Stage stage) {
  // All results of a sum down the columns are items then.
  if (options.optLevel > 0 && options.target.itemPerThread)
    sortLoops(stage);
  if (joins(group, stage)) {
    if (group.tiled) {
      if (fitsEpilogue(group, stage, options.target)) {
        append(group, std::move(stage));
        return;
      }
    } else if (unsigned common = commonLoops(group, stage);
               common > 0 && !(stage.hasReduction() && chooseTile(stage, options.target))) {
      group.sharedLoops = common;
      append(group, std::move(stage));
      return;
    }
  }
  flush();
  group.tiled = options.optLevel > 0 && chooseTile(stage, options.target).has_value();
  group.sharedLoops = stage.countLeadingParallel();
  append(group, std::move(stage));
}
