// Subgraphs: imported in place, or as regions of graph.if and graph.loop.
//
// The types of a loop's carried values must hold in every iteration, and what handlers do depends
// on types. So a body is built with the sizes that the values start with; where it yields others,
// it is thrown away and built again without them. Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Sequence.h"
#include "lib/Import/Importer.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// In the set of varying dimensions: not even the rank stays, or the type of a sequence's items.
static constexpr unsigned kWholeType = ~0u;

GraphImporter::~GraphImporter() {
  for (Operation *op : llvm::reverse(discarded))
    op->destroy();
}

/// Takes an operation out of the function. It lives on, as facts refer to its values.
void GraphImporter::discard(Operation *op) {
  op->dropAllReferences();
  op->remove();
  discarded.push_back(op);
}

FailureOr<SmallVector<Value>> GraphImporter::inlineGraph(onnx::GraphProto &graph,
                                                         ArrayRef<Value> arguments, bool repeated) {
  Scope inner(scope->opsets);
  inner.outer = scope;
  inner.bindings = scope->bindings;
  inner.caller = scope->caller;
  inner.once = scope->once && !repeated;
  for (auto [info, value] : llvm::zip(graph.input(), arguments))
    if (!info.name().empty() && !inner.values.try_emplace(info.name(), value).second)
      return error() << "there are two inputs named '" << info.name() << "' of a subgraph";
  if (failed(readDeclarations(graph, inner)))
    return failure();
  for (const onnx::ValueInfoProto &info : graph.output())
    inner.results.push_back(info.name());
  Scope *outside = std::exchange(scope, &inner);
  LogicalResult outcome = importNodes(*graph.mutable_node());
  SmallVector<Value> values;
  for (const onnx::ValueInfoProto &info : graph.output()) {
    if (failed(outcome))
      break;
    Value value = lookup(info.name());
    if (!value) {
      if (!isDefined(info.name()))
        error() << "output '" << info.name() << "' of a subgraph is not defined";
      outcome = failure();
    }
    values.push_back(value);
  }
  scope = outside;
  if (failed(outcome))
    return failure();
  return values;
}

// ---- if

FailureOr<graph::IfOp>
GraphImporter::fillIf(Location loc, Value condition, unsigned results,
                      function_ref<FailureOr<SmallVector<Value>>(unsigned)> branch) {
  // The types are known when the branches are.
  SmallVector<Type> types(results, UnrankedTensorType::get(builder.getI1Type()));
  auto op = graph::IfOp::create(builder, loc, types, condition);
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&region);
    FailureOr<SmallVector<Value>> values = branch(i);
    if (failed(values))
      return failure();
    graph::YieldOp::create(builder, loc, *values);
  }
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    Type yes = op.getThenRegion().front().getTerminator()->getOperand(i).getType();
    Type no = op.getElseRegion().front().getTerminator()->getOperand(i).getType();
    if (!graph::isSameKind(yes, no))
      return emitError(loc) << "output " << i << " of If has type " << yes << " and " << no
                            << " in the two branches";
    result.setType(graph::joinTypes(yes, no));
  }
  return op;
}

FailureOr<SmallVector<Value>> GraphImporter::buildIf(Location loc, Value condition,
                                                     onnx::GraphProto &thenGraph,
                                                     onnx::GraphProto &elseGraph,
                                                     const onnx::NodeProto &node) {
  onnx::GraphProto *graphs[] = {&thenGraph, &elseGraph};
  if (thenGraph.output_size() != elseGraph.output_size())
    return emitError(loc) << "the branches of If have " << thenGraph.output_size() << " and "
                          << elseGraph.output_size() << " outputs";
  auto op = fillIf(loc, condition, thenGraph.output_size(),
                   [&](unsigned i) { return inlineGraph(*graphs[i], {}, /*repeated=*/true); });
  if (failed(op))
    return failure();
  bool ranksDiffer = false;
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    ranksDiffer |=
        isa<UnrankedTensorType>(result.getType()) &&
        llvm::all_of((*op)->getRegions(), [&](Region &region) {
          return isa<RankedTensorType>(region.front().getTerminator()->getOperand(i).getType());
        });
  if (!ranksDiffer)
    return failed(inferShapes(*op)) ? FailureOr<SmallVector<Value>>()
                                    : SmallVector<Value>((*op)->getResults());
  discard(*op);
  if (failed(splitAtIf(loc, condition, graphs, node)))
    return failure();
  return SmallVector<Value>(thenGraph.output_size());
}

/// What follows an If whose results have different ranks is imported once in each branch, where the
/// ranks are known; the outputs of the graph around it are then those of the two. A branch that
/// does not fit what follows ends the run.
LogicalResult GraphImporter::splitAtIf(Location loc, Value condition,
                                       ArrayRef<onnx::GraphProto *> branches,
                                       const onnx::NodeProto &node) {
  SmallVector<StringRef> names; // of results that are not there yet
  for (StringRef name : scope->results)
    if (!isDefined(name) && !llvm::is_contained(names, name))
      names.push_back(name);
  llvm::StringMap<Value> before = scope->values;
  size_t next = scope->next;
  scope->once = false; // its nodes are imported again
  auto goBack = [&] {
    llvm::StringMap<Value> after = std::exchange(scope->values, before);
    for (auto &entry : after) // initializers are read once
      if (scope->initializers.contains(entry.getKey()) ||
          scope->sparseInitializers.contains(entry.getKey()))
        scope->values.insert({entry.getKey(), entry.getValue()});
    scope->next = next;
  };
  auto importBranch = [&](unsigned i) -> FailureOr<SmallVector<Value>> {
    FailureOr<SmallVector<Value>> values = inlineGraph(*branches[i], {}, /*repeated=*/true);
    if (failed(values))
      return failure();
    for (auto [name, value] : llvm::zip(node.output(), *values))
      if (!name.empty() && failed(define(name, value, loc)))
        return failure();
    if (failed(importRest()))
      return failure();
    SmallVector<Value> results;
    for (StringRef name : names) {
      results.push_back(lookup(name));
      if (!results.back())
        return emitError(loc) << "output '" << name << "' is not defined by any node";
    }
    return results;
  };
  // First alone, to see whether it fits.
  std::vector<Diagnostic> diagnostics;
  SmallVector<std::string> errors;
  SmallVector<SmallVector<Type>> types(2);
  SmallVector<bool> fits;
  for (unsigned i = 0; i < 2; ++i) {
    std::string text;
    ScopedDiagnosticHandler handler(builder.getContext(), [&](Diagnostic &diagnostic) {
      if (text.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
        text = diagnostic.str();
      diagnostics.push_back(std::move(diagnostic));
      return success();
    });
    auto trial = graph::IfOp::create(builder, loc, TypeRange(), condition);
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&trial.getThenRegion());
    FailureOr<SmallVector<Value>> values = importBranch(i);
    fits.push_back(succeeded(values));
    if (succeeded(values))
      llvm::append_range(types[i], ValueRange(*values).getTypes());
    errors.push_back(std::move(text));
    goBack();
    discard(trial);
  }
  if (!fits[0] && !fits[1]) {
    for (Diagnostic &diagnostic : diagnostics)
      builder.getContext()->getDiagEngine().emit(std::move(diagnostic));
    return failure();
  }
  // Of two that fit, one that contradicts the ranks that the model declares does not.
  std::string contradictions[2];
  for (auto [types, text] : llvm::zip(types, contradictions))
    for (auto [name, type] : llvm::zip(names, types)) {
      std::optional<int64_t> declared = declaredRank(name);
      auto ranked = dyn_cast<RankedTensorType>(type);
      if (declared && ranked && *declared != ranked.getRank())
        text = llvm::formatv("output '{0}' would have rank {1}, the model declares {2}", name,
                             ranked.getRank(), *declared);
    }
  for (unsigned i = 0; i < 2; ++i)
    if (fits[i] && fits[1 - i] && !contradictions[i].empty() && contradictions[1 - i].empty()) {
      fits[i] = false;
      errors[i] = contradictions[i];
      break;
    }
  auto op = fillIf(loc, condition, names.size(), [&](unsigned i) -> FailureOr<SmallVector<Value>> {
    if (!fits[i]) {
      SmallVector<Value> values;
      for (Type type : types[1 - i]) {
        Value nothing = graph::OptionalConstructOp::create(
            builder, loc, graph::OptionalType::get(builder.getContext(), type), Value());
        auto get = graph::OptionalGetOp::create(builder, loc, type, nothing);
        get->setAttr("message",
                     builder.getStringAttr("this branch does not fit what follows: " + errors[i]));
        values.push_back(get.getResult());
      }
      return values;
    }
    FailureOr<SmallVector<Value>> values = importBranch(i);
    goBack();
    return values;
  });
  if (failed(op) || failed(inferShapes(*op)))
    return failure();
  for (auto [name, result] : llvm::zip_equal(names, op->getResults()))
    scope->values[name] = result;
  scope->next = scope->order.size() + 1; // nothing is left, not even this node's outputs
  return success();
}

// ---- loop

/// Fills the empty body of a loop; sets the types of its results.
LogicalResult GraphImporter::buildLoopBody(graph::LoopOp loop, LoopBody body) {
  OpBuilder::InsertionGuard guard(builder);
  Block &block = loop.getBlock();
  builder.setInsertionPointToEnd(&block);
  FailureOr<LoopYield> yield = body(block.getArguments());
  if (failed(yield))
    return failure();
  SmallVector<Value> values{yield->condition};
  llvm::append_range(values, yield->values);
  if (values.size() != 1 + loop.getNumResults())
    return emitError(loop.getLoc()) << "the body has " << values.size() << " outputs, expected are "
                                    << 1 + loop.getNumResults();
  graph::YieldOp::create(builder, loop.getLoc(), values);
  for (auto [i, result] : llvm::enumerate(loop.getResults())) {
    Type type = yield->values[i].getType();
    if (i >= loop.getNumCarried()) {
      auto part = dyn_cast<RankedTensorType>(type);
      if (!isa<TensorType>(type))
        return emitError(loop.getLoc())
               << "scan output " << i - loop.getNumCarried() << " must be a tensor, got " << type;
      SmallVector<int64_t> shape{ShapedType::kDynamic};
      if (part)
        llvm::append_range(shape, part.getShape());
      Type element = cast<TensorType>(type).getElementType();
      result.setType(part ? Type(RankedTensorType::get(shape, element))
                          : UnrankedTensorType::get(element));
      continue;
    }
    Type init = loop.getInits()[i].getType();
    if (!graph::isSameKind(init, type))
      return emitError(loop.getLoc()) << "carried value " << i << " has type " << init
                                      << " before the loop and " << type << " after an iteration";
    result.setType(graph::joinTypes(init, type));
  }
  return success();
}

/// Compares what the body yields with what its arguments were taken to be, and notes what varies.
/// True when nothing new does.
bool GraphImporter::adjustCarried(graph::LoopOp loop, const void *key) {
  auto &varying = shapes.getVarying(key);
  bool holds = true;
  for (unsigned i = 0; i < loop.getNumCarried(); ++i) {
    Value argument = loop.getBlock().getArgument(1 + i), next = loop.getYielded()[1 + i];
    if (!isa<TensorType>(argument.getType())) {
      if (graph::joinTypes(argument.getType(), next.getType()) != argument.getType())
        holds &= !varying.insert({i, kWholeType}).second;
      continue;
    }
    auto assumed = shapes.getDims(argument), found = shapes.getDims(next);
    if (!assumed)
      continue;
    if (!found || found->size() != assumed->size()) {
      holds &= !varying.insert({i, kWholeType}).second;
      continue;
    }
    for (unsigned d = 0; d < assumed->size(); ++d)
      if ((*assumed)[d] != (*found)[d] && !varying.contains({i, d}))
        holds &= !varying.insert({i, d}).second;
  }
  return holds;
}

FailureOr<graph::LoopOp> GraphImporter::buildLoop(Location loc, const void *key, Value trip,
                                                  Value condition, ArrayRef<Value> inits,
                                                  unsigned stacked, LoopBody body) {
  auto &varying = shapes.getVarying(key);
  Type unknown = UnrankedTensorType::get(builder.getI1Type());
  SmallVector<Type> held; // of sequences and optionals
  for (Value init : inits)
    held.push_back(init.getType());
  // Whether errors may come from sizes that do not stay.
  bool mayAssume = !inits.empty() && !varying.contains({0, kWholeType - 1});
  while (true) {
    SmallVector<Type> types(inits.size() + stacked, unknown);
    auto loop = graph::LoopOp::create(builder, loc, types, trip, condition, inits);
    Block &block = loop.getBody().emplaceBlock();
    BlockArgument counter = block.addArgument(RankedTensorType::get({}, builder.getI64Type()), loc);
    shapes.setCounter(counter);
    bool assumes = false;
    for (auto [i, init] : llvm::enumerate(inits)) {
      BlockArgument argument = block.addArgument(held[i], loc);
      auto type = dyn_cast<TensorType>(init.getType());
      auto dims = shapes.getDims(init);
      if (type && (!dims || varying.contains({i, kWholeType}))) {
        argument.setType(UnrankedTensorType::get(type.getElementType()));
        shapes.setArgument(argument, std::nullopt);
      } else if (type) {
        SmallVector<AffineExpr> sizes(*dims);
        for (auto [d, size] : llvm::enumerate(sizes))
          if (varying.contains({i, d}) || varying.contains({0, kWholeType - 1}))
            size = {};
        assumes |= llvm::any_of(sizes, [](AffineExpr size) { return bool(size); });
        shapes.setArgument(argument, sizes);
      } else {
        shapes.setArgument(argument, std::nullopt);
      }
    }
    std::vector<Diagnostic> diagnostics;
    bool isBuilt;
    {
      ScopedDiagnosticHandler handler(builder.getContext(), [&](Diagnostic &diagnostic) {
        diagnostics.push_back(std::move(diagnostic));
        return success();
      });
      isBuilt = succeeded(buildLoopBody(loop, body));
    }
    bool holds = isBuilt && adjustCarried(loop, key);
    if (isBuilt ? holds : !(mayAssume && assumes)) {
      for (Diagnostic &diagnostic : diagnostics)
        builder.getContext()->getDiagEngine().emit(std::move(diagnostic));
      if (!isBuilt || failed(inferShapes(loop)))
        return failure();
      return loop;
    }
    if (isBuilt) {
      for (auto [i, type] : llvm::enumerate(held))
        if (!isa<TensorType>(type))
          type = graph::joinTypes(type, loop.getYielded()[1 + i].getType());
    } else {
      varying.insert({0, kWholeType - 1}); // nothing is assumed any more
      mayAssume = false;
    }
    discard(loop);
  }
}
