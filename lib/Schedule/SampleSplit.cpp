// Whether a model computes each sample of a batch from that sample alone.
//
// A network run layer by layer over a batch writes each layer's results of all samples before the
// next one reads them: they leave the caches. Sample after sample they stay, and threads that take
// samples of their own hand nothing to each other. AMD EPYC (Zen 4), batch 8, one and two threads:
// MobileNetV2 66.6 ms and 36.5 ms together, EfficientNet-B0 110 ms and 56 ms; docs/Performance.md
// has what they take apart.
// Apache-2.0 WITH LLVM-exception
#include "SamplePlaces.h"
#include "dialects/Rt/Rt.h"
#include "dialects/Sched/Sched.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// What one sample costs, in nanoseconds of an ordinary core. Only ratios matter.
struct Cost {
  double total = 0;
  /// Of it, what the samples of a batch would share: weights that are read again for each of them.
  double shared = 0;
  /// The inputs' dimensions that say how many rows a sample has for the weights that it meets.
  llvm::SetVector<StringAttr> rows;
  bool hasUnknownRows = false;
};
constexpr double productsPerNs = 30, bytesPerNs = 20;
/// What a dimension counts that only the run knows: the least size with which samples are apart.
constexpr int64_t unknownSize = leastOpenSize;

/// Walks over a function and keeps, for each of its values, whether and where it has the samples.
class SampleWalk {
public:
  SampleWalk(Cost &cost) : cost(cost) {}

  /// Whether `main` gives, for each sample, what it would give for that sample alone; if not, says
  /// why.
  bool run(func::FuncOp main, StringRef symbol, std::optional<SampleRefusal> &refusal) {
    auto refuse = [&](const Twine &why) {
      refusal = SampleRefusal{main.getLoc(), why.str()};
      return false;
    };
    for (BlockArgument argument : main.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      DictionaryAttr attrs = main.getArgAttrDict(argument.getArgNumber());
      if (!type || !hasWholeBytes(type, attrs))
        return refuse(describe("input", argument.getArgNumber(), attrs) +
                      " is no tensor of known rank and whole bytes");
      auto dims = attrs ? attrs.getAs<ArrayAttr>("graph.dims") : ArrayAttr();
      for (int64_t d = 0; d < type.getRank(); ++d) {
        auto name = dims && type.isDynamicDim(d) ? cast<StringAttr>(dims[d]) : StringAttr();
        if (!name || name.getValue().empty())
          continue;
        names[{argument, d}] = name;
        if (name.getValue() != symbol)
          continue;
        if (d != 0)
          return refuse(describe("input", argument.getArgNumber(), attrs) +
                        " has it as dimension " + Twine(d));
        samples[argument] = Place();
      }
    }
    for (unsigned i = 0; i < main.getNumResults(); ++i) {
      auto type = dyn_cast<RankedTensorType>(main.getResultTypes()[i]);
      if (!type || !hasWholeBytes(type, main.getResultAttrDict(i)))
        return refuse(describe("output", i, main.getResultAttrDict(i)) +
                      " is no tensor of known rank and whole bytes");
    }
    SmallVector<Value> results;
    if (!walk(main.front(), results)) {
      refusal = SampleRefusal{stop->getLoc(), "this is not known to keep them apart"};
      return false;
    }
    for (auto [i, result] : llvm::enumerate(results))
      if (auto found = samples.find(result); found == samples.end() || found->second.dim != 0)
        return refuse(describe("output", i, main.getResultAttrDict(i)) +
                      " does not have them in its first dimension");
    return !results.empty();
  }

private:
  static std::string describe(StringRef kind, unsigned number, DictionaryAttr attrs) {
    auto name = attrs ? attrs.getAs<StringAttr>("graph.name") : StringAttr();
    return (kind + " '" + (name ? name.getValue() : Twine(number).str()) + "'").str();
  }

  static bool hasWholeBytes(RankedTensorType type, DictionaryAttr attrs) {
    Type element = type.getElementType();
    return !(attrs && (attrs.contains("graph.type") || attrs.contains("graph.element_type"))) &&
           element.isIntOrFloat() &&
           (element.isInteger(1) || element.getIntOrFloatBitWidth() % 8 == 0);
  }

  bool walk(Block &block, SmallVectorImpl<Value> &results) {
    for (Operation &op : block) {
      if (auto end = dyn_cast<func::ReturnOp>(op)) {
        llvm::append_range(results, end.getOperands());
        return true;
      }
      stop = &op;
      if (!visitAny(&op))
        return false;
    }
    return false;
  }

  bool visitAny(Operation *op) {
    return llvm::TypeSwitch<Operation *, bool>(op)
        .Case<tensor::EmptyOp, tensor::DimOp, tensor::CastOp, tensor::ExpandShapeOp,
              tensor::CollapseShapeOp, tensor::ExtractSliceOp, tensor::InsertSliceOp, tensor::PadOp,
              tensor::FromElementsOp, func::CallOp>([&](auto typed) { return visit(typed); })
        .Case([&](linalg::LinalgOp typed) { return visit(typed); })
        .Case<rt::WeightOp, arith::ConstantOp>([](Operation *) { return true; })
        .Case([&](rt::CheckOp) { return !usesSamples(op); })
        .Default([&](Operation *other) { return visitScalar(other); });
  }

  bool usesSamples(Operation *op) const {
    return llvm::any_of(op->getOperands(), [&](Value operand) { return isOfSamples(operand); });
  }
  bool isOfSamples(Value value) const { return samples.contains(value) || counts.contains(value); }
  bool isCount(OpFoldResult size) const {
    auto value = dyn_cast<Value>(size);
    return value && counts.contains(value);
  }

  // Arithmetic of sizes: what comes of the number of samples is known as such.
  bool visitScalar(Operation *op) {
    auto isScalar = [](Type type) { return type.isIntOrIndexOrFloat(); };
    if (!isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) ||
        !llvm::all_of(op->getOperandTypes(), isScalar) ||
        !llvm::all_of(op->getResultTypes(), isScalar))
      return false;
    if (!usesSamples(op))
      return true;
    // Whether there is anything at all is the same for a batch and for a sample.
    if (auto compare = dyn_cast<arith::CmpIOp>(op); compare &&
                                                    matchPattern(compare.getRhs(), m_Zero()) &&
                                                    areKnown(counts.find(compare.getLhs())->second))
      return true;
    Factors factors{OpFoldResult()};
    if (auto product = dyn_cast<arith::MulIOp>(op)) {
      Value lhs = product.getLhs(), rhs = product.getRhs();
      if (!counts.contains(lhs))
        std::swap(lhs, rhs);
      if (!counts.contains(rhs)) {
        factors = counts.lookup(lhs);
        factors.push_back(canonical(getAsOpFoldResult(rhs)));
      }
    }
    for (Value result : op->getResults())
      counts[result] = factors;
    return true;
  }

  /// Sizes of inputs by their names: the runtime has checked that those of one name are equal.
  OpFoldResult canonical(OpFoldResult size) const {
    auto value = dyn_cast<Value>(size);
    if (!value)
      return size;
    auto dim = value.getDefiningOp<tensor::DimOp>();
    std::optional<int64_t> index = dim ? dim.getConstantIndex() : std::nullopt;
    StringAttr name = index ? names.lookup({dim.getSource(), *index}) : StringAttr();
    return name ? OpFoldResult(name) : size;
  }

  /// The size of a dimension as what made the tensor says it; null where that does not tell.
  OpFoldResult sizeOf(Value tensor, int64_t dim) const {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (!type.isDynamicDim(dim))
      return Builder(tensor.getContext()).getIndexAttr(type.getDimSize(dim));
    if (StringAttr name = names.lookup({tensor, dim}))
      return name;
    Operation *op = tensor.getDefiningOp();
    if (auto empty = dyn_cast_or_null<tensor::EmptyOp>(op))
      return canonical(empty.getMixedSizes()[dim]);
    if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(op))
      return canonical(expand.getMixedOutputShape()[dim]);
    if (auto structured = dyn_cast_or_null<linalg::LinalgOp>(op))
      return sizeOf(structured.getTiedOpOperand(cast<OpResult>(tensor))->get(), dim);
    if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(op)) {
      ReassociationIndices group = collapse.getReassociationIndices()[dim];
      return group.size() == 1 ? sizeOf(collapse.getSrc(), group.front()) : OpFoldResult();
    }
    if (auto insert = dyn_cast_or_null<tensor::InsertSliceOp>(op))
      return sizeOf(insert.getDest(), dim);
    if (auto extract = dyn_cast_or_null<tensor::ExtractSliceOp>(op);
        extract && extract.getSourceType().getRank() == type.getRank())
      return canonical(extract.getMixedSizes()[dim]);
    if (auto cast = dyn_cast_or_null<tensor::CastOp>(op))
      return sizeOf(cast.getSource(), dim);
    if (auto pad = dyn_cast_or_null<tensor::PadOp>(op);
        pad && isConstantIntValue(pad.getMixedLowPad()[dim], 0) &&
        isConstantIntValue(pad.getMixedHighPad()[dim], 0))
      return sizeOf(pad.getSource(), dim);
    return nullptr;
  }

  bool visit(tensor::EmptyOp op) {
    for (auto [dim, size] : llvm::enumerate(op.getMixedSizes())) {
      if (!isCount(size))
        continue;
      const Factors &factors = counts.find(cast<Value>(size))->second;
      if (samples.contains(op.getResult()) || !areKnown(factors))
        return false;
      samples[op.getResult()] = {int64_t(dim), factors};
    }
    return true;
  }

  bool visit(tensor::FromElementsOp op) { return !usesSamples(op); }

  bool visit(tensor::DimOp op) {
    auto found = samples.find(op.getSource());
    if (found == samples.end())
      return true;
    std::optional<int64_t> dim = op.getConstantIndex();
    if (!dim)
      return false;
    if (*dim == found->second.dim)
      counts[op.getResult()] = found->second.factors;
    return true;
  }

  bool visit(tensor::CastOp op) {
    copyPlace(op.getSource(), op.getResult());
    return isa<RankedTensorType>(op.getType());
  }

  void copyPlace(Value from, Value to) {
    if (auto found = samples.find(from); found != samples.end()) {
      Place place = found->second;
      samples[to] = std::move(place);
    }
  }

  static bool isOne(RankedTensorType type, int64_t dim) { return type.getDimSize(dim) == 1; }

  // [1, samples * a, b] to [samples * a * b]
  bool visit(tensor::CollapseShapeOp op) {
    auto found = samples.find(op.getSrc());
    if (found == samples.end())
      return true;
    Place place = found->second;
    for (auto [index, group] : llvm::enumerate(op.getReassociationIndices())) {
      if (!llvm::is_contained(group, place.dim))
        continue;
      for (int64_t dim : group) {
        if (dim < place.dim && !isOne(op.getSrcType(), dim))
          return false;
        if (dim > place.dim)
          place.factors.push_back(sizeOf(op.getSrc(), dim));
      }
      samples[op.getResult()] = {int64_t(index), std::move(place.factors)};
      return true;
    }
    return false;
  }

  // [samples * a * b] to [1, samples * a, b], where b is known to be a factor of a sample's part.
  bool visit(tensor::ExpandShapeOp op) {
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    auto found = samples.find(op.getSrc());
    auto countSizes = llvm::count_if(sizes, [&](OpFoldResult size) { return isCount(size); });
    if (found == samples.end())
      return countSizes == 0;
    if (countSizes != 1 || op.getReassociationIndices().empty())
      return false;
    Place place{-1, found->second.factors};
    ReassociationIndices group = op.getReassociationIndices()[found->second.dim];
    for (int64_t dim : group) {
      if (place.dim >= 0) {
        if (!divide(place.factors, canonical(sizes[dim])))
          return false;
      } else if (isCount(sizes[dim])) {
        place.dim = dim;
      } else if (!isConstantIntValue(sizes[dim], 1)) {
        return false;
      }
    }
    if (place.dim < 0)
      return false;
    samples[op.getResult()] = std::move(place);
    return true;
  }

  /// Where a slice of `tensor` that keeps all of its samples has them; nothing where it does not,
  /// or is of a place or size that depends on their number.
  std::optional<Place> placeInSlice(OffsetSizeAndStrideOpInterface slice, Value tensor,
                                    const llvm::SmallBitVector &dropped) const {
    Place place = samples.find(tensor)->second;
    OpFoldResult all = sizeOf(tensor, place.dim);
    for (auto [dim, offset, size, stride] :
         llvm::enumerate(slice.getMixedOffsets(), slice.getMixedSizes(), slice.getMixedStrides())) {
      if (int64_t(dim) != place.dim) {
        if (isCount(offset) || isCount(size) || isCount(stride))
          return std::nullopt;
      } else if (!isConstantIntValue(offset, 0) || !isConstantIntValue(stride, 1) || !all ||
                 canonical(size) != all || dropped.test(dim)) {
        return std::nullopt;
      }
    }
    for (int64_t dim = place.dim - 1; dim >= 0; --dim)
      place.dim -= dropped.test(dim);
    return place;
  }

  bool visit(tensor::ExtractSliceOp op) {
    if (!samples.contains(op.getSource()))
      return !usesSamples(op);
    std::optional<Place> place = placeInSlice(op, op.getSource(), op.getDroppedDims());
    if (!place)
      return false;
    samples[op.getResult()] = std::move(*place);
    return true;
  }

  bool visit(tensor::InsertSliceOp op) {
    auto source = samples.find(op.getSource());
    if (!samples.contains(op.getDest()))
      return !usesSamples(op);
    if (source == samples.end())
      return false;
    std::optional<Place> place = placeInSlice(op, op.getDest(), op.getDroppedDims());
    if (!place || place->dim != source->second.dim)
      return false;
    copyPlace(op.getDest(), op.getResult());
    return true;
  }

  bool visit(tensor::PadOp op) {
    auto end = cast<tensor::YieldOp>(op.getBody()->getTerminator());
    // What is filled in must not depend on the place, nor be computed there.
    if (op.getRegion().isAncestor(end.getValue().getParentRegion()) &&
        !matchPattern(end.getValue(), m_Constant()))
      return false;
    if (isOfSamples(end.getValue()))
      return false;
    auto isFree = [&](OpFoldResult number) { return !isCount(number); };
    if (!llvm::all_of(op.getMixedLowPad(), isFree) || !llvm::all_of(op.getMixedHighPad(), isFree))
      return false;
    auto found = samples.find(op.getSource());
    if (found == samples.end())
      return true;
    if (!isConstantIntValue(op.getMixedLowPad()[found->second.dim], 0) ||
        !isConstantIntValue(op.getMixedHighPad()[found->second.dim], 0))
      return false;
    copyPlace(op.getSource(), op.getResult());
    return true;
  }

  bool visit(linalg::LinalgOp op) {
    // The loop over the samples: the same for all operands that have them.
    std::optional<unsigned> loop;
    Factors factors{OpFoldResult()};
    for (OpOperand &operand : op->getOpOperands()) {
      if (counts.contains(operand.get()))
        return false;
      auto found = samples.find(operand.get());
      if (found == samples.end())
        continue;
      AffineMap map = op.getMatchingIndexingMap(&operand);
      auto expr = dyn_cast<AffineDimExpr>(map.getResult(found->second.dim));
      if (!expr || (loop && *loop != expr.getPosition()))
        return false;
      loop = expr.getPosition();
      if (areKnown(found->second.factors))
        factors = found->second.factors;
    }
    if (loop && op.getIteratorTypesArray()[*loop] != utils::IteratorType::parallel)
      return false;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!loop || !isa<ShapedType>(operand.get().getType()))
        continue;
      auto found = samples.find(operand.get());
      if (op.isDpsInit(&operand) && found == samples.end())
        return false;
      for (auto [dim, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (expr.isFunctionOfDim(*loop) &&
            (found == samples.end() || int64_t(dim) != found->second.dim))
          return false;
    }
    if (!isBodyApart(op, loop, factors))
      return false;
    addCost(op, loop, factors);
    if (loop)
      for (auto [result, init] : llvm::zip_equal(op->getResults(), op.getDpsInits()))
        samples[result] = {samples.find(init)->second.dim, factors};
    return true;
  }

  // A body may read from whole tensors: from one with samples at its own, from others anywhere that
  // does not depend on which sample it is.
  bool isBodyApart(linalg::LinalgOp op, std::optional<unsigned> loop, const Factors &factors) {
    auto isSample = [&](Value value) {
      auto index = value.getDefiningOp<linalg::IndexOp>();
      return index && loop == index.getDim();
    };
    WalkResult result = op->walk([&](Operation *inner) {
      if (inner == op)
        return WalkResult::advance();
      OperandRange operands = inner->getOperands();
      if (auto extract = dyn_cast<tensor::ExtractOp>(inner)) {
        auto found = samples.find(extract.getTensor());
        if (found != samples.end()) {
          auto at = extract.getIndices().begin() + found->second.dim;
          if (!isSample(*at) || !isSameSize(found->second.factors, factors))
            return WalkResult::interrupt();
          for (auto index = extract.getIndices().begin(); index != extract.getIndices().end();
               ++index)
            if (index != at && (isSample(*index) || isOfSamples(*index)))
              return WalkResult::interrupt();
          return WalkResult::advance();
        }
      }
      bool isBound = llvm::any_of(
          operands, [&](Value operand) { return isOfSamples(operand) || isSample(operand); });
      return isBound ? WalkResult::interrupt() : WalkResult::advance();
    });
    return !result.wasInterrupted();
  }

  static double countOf(int64_t size) { return ShapedType::isDynamic(size) ? unknownSize : size; }

  void addCost(linalg::LinalgOp op, std::optional<unsigned> loop, const Factors &factors) {
    double steps = 1, weights = 0;
    for (auto [i, size] : llvm::enumerate(op.getStaticLoopRanges()))
      if (loop != i)
        steps *= countOf(size);
    if (loop)
      for (OpFoldResult factor : factors)
        steps *= countOf(getStaticSize(factor));
    if (op.getNumReductionLoops() > 0 && op.getNumDpsInputs() >= 2)
      for (OpOperand *input : op.getDpsInputOperands()) {
        auto type = dyn_cast<RankedTensorType>(input->get().getType());
        if (!type || samples.contains(input->get()) || !type.getElementType().isIntOrFloat())
          continue;
        double bytes = type.getElementTypeBitWidth() / 8.0;
        for (int64_t size : type.getShape())
          bytes *= countOf(size);
        weights += bytes;
        addRows(op, op.getMatchingIndexingMap(input));
      }
    double products = steps / productsPerNs, cost_ = std::max(products, weights / bytesPerNs);
    cost.total += cost_;
    // What has nothing of the samples is computed again for each of them.
    cost.shared += loop ? cost_ - products : cost_;
  }

  // Of the operands that have samples all dimensions that the weights have not.
  void addRows(linalg::LinalgOp op, AffineMap weights) {
    for (OpOperand &operand : op->getOpOperands()) {
      auto found = samples.find(operand.get());
      if (found == samples.end() || op.isDpsInit(&operand))
        continue;
      for (OpFoldResult factor : found->second.factors)
        addNames(factor);
      for (auto [dim, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
        bool isRow = true;
        for (unsigned i = 0; i < weights.getNumDims(); ++i)
          isRow &= !expr.isFunctionOfDim(i) || !weights.isFunctionOfDim(i) ||
                   op.getIteratorTypesArray()[i] == utils::IteratorType::reduction;
        bool isReduced = isa<AffineDimExpr>(expr) &&
                         weights.isFunctionOfDim(cast<AffineDimExpr>(expr).getPosition());
        if (isRow && !isReduced && int64_t(dim) != found->second.dim)
          addNames(sizeOf(operand.get(), dim));
      }
    }
  }

  void addNames(OpFoldResult size) {
    SmallVector<OpFoldResult> open{size};
    while (!open.empty()) {
      OpFoldResult part = open.pop_back_val();
      if (!part) {
        cost.hasUnknownRows = true;
      } else if (auto attribute = dyn_cast<Attribute>(part)) {
        if (auto name = dyn_cast<StringAttr>(attribute))
          cost.rows.insert(name);
      } else if (Operation *op = cast<Value>(part).getDefiningOp();
                 op && isa<arith::ArithDialect>(op->getDialect())) {
        for (Value operand : op->getOperands())
          open.push_back(canonical(operand));
      } else {
        cost.hasUnknownRows = true;
      }
    }
  }

  bool visit(func::CallOp op) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
    if (!callee || callee.isDeclaration() || !callee->hasAttr(sched::kindAttrName))
      return false;
    SampleWalk inner(cost);
    for (auto [argument, operand] : llvm::zip_equal(callee.getArguments(), op.getOperands())) {
      if (samples.contains(operand))
        inner.samples[argument] = samples.lookup(operand);
      if (counts.contains(operand))
        inner.counts[argument] = counts.lookup(operand);
    }
    SmallVector<Value> results;
    if (!inner.walk(callee.front(), results))
      return false;
    for (auto [result, value] : llvm::zip_equal(op.getResults(), results)) {
      if (!isa<RankedTensorType>(value.getType()) || inner.counts.contains(value))
        return false;
      // Its factors are values of the callee.
      if (auto found = inner.samples.find(value); found != inner.samples.end())
        samples[result] = {found->second.dim, {OpFoldResult()}};
    }
    return true;
  }

  Cost &cost;
  llvm::DenseMap<Value, Place> samples;
  /// Numbers that depend on how many samples there are, and of what else they are a product.
  llvm::DenseMap<Value, Factors> counts;
  llvm::DenseMap<std::pair<Value, int64_t>, StringAttr> names; ///< of the inputs' dimensions
  Operation *stop = nullptr;                                   ///< where the walk is
};

} // namespace

StringAttr lathe::schedule::findBatchName(func::FuncOp main, unsigned input) {
  auto type = dyn_cast<RankedTensorType>(main.getArgumentTypes()[input]);
  auto dims = main.getArgAttrOfType<ArrayAttr>(input, "graph.dims");
  if (!type || type.getRank() == 0 || !type.isDynamicDim(0) || !dims ||
      int64_t(dims.size()) != type.getRank())
    return nullptr;
  auto name = dyn_cast<StringAttr>(dims[0]);
  return name && !name.getValue().empty() ? name : nullptr;
}

std::optional<SampleSplit> lathe::schedule::findSampleSplit(func::FuncOp main,
                                                            std::optional<SampleRefusal> *refusal) {
  std::optional<SampleRefusal> ignored;
  if (main.isDeclaration() || !main.getBody().hasOneBlock())
    return std::nullopt;
  for (unsigned input = 0; input < main.getNumArguments(); ++input) {
    StringAttr name = findBatchName(main, input);
    if (!name)
      continue;
    Cost cost;
    if (!SampleWalk(cost).run(main, name.getValue(), refusal ? *refusal : ignored))
      return std::nullopt; // any other input has another name, and then this one is not of samples
    // To begin a sample takes some time, and the loops of small ones are short.
    constexpr double leastCost = 300'000, mostShared = 0.05;
    SampleSplit split{name.str(),
                      {},
                      !cost.hasUnknownRows && cost.total >= leastCost &&
                          cost.shared <= mostShared * cost.total};
    for (StringAttr row : cost.rows)
      split.rows.push_back(row.str());
    return split;
  }
  return std::nullopt;
}

std::optional<SampleSplit> lathe::schedule::markSamples(ModuleOp module, bool always) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  std::optional<SampleSplit> split = main ? findSampleSplit(main) : std::nullopt;
  if (!split || !(always || split->isWorthwhile))
    return std::nullopt;
  SmallVector<StringRef> names{split->symbol};
  if (!always)
    llvm::append_range(names, split->rows);
  main->setAttr(samplesAttrName, Builder(module.getContext()).getStrArrayAttr(names));
  return split;
}
