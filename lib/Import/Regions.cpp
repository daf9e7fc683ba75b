// Subgraphs: imported in place, or as regions of graph.if and graph.loop.
//
// The types of a loop's carried values must hold in every iteration, and what handlers do depends
// on types. So a body is built with the sizes that the values start with; where it yields others,
// it is thrown away and built again without them. Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Sequence.h"
#include "lib/Import/Importer.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SaveAndRestore.h"

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
                                                         ArrayRef<Value> arguments, bool repeated,
                                                         std::optional<CallSite> site) {
  Scope inner(scope->opsets);
  inner.outer = scope;
  inner.site = site;
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
  if (inner.left) {
    scope = outside;
    return SmallVector<Value>(graph.output_size());
  }
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

/// Whether the branches of an If, or of those within it, give a value of several known ranks.
static bool ranksDiffer(Value value) {
  auto op = value.getDefiningOp<graph::IfOp>();
  if (!op || !isa<UnrankedTensorType>(value.getType()))
    return false;
  unsigned i = cast<OpResult>(value).getResultNumber();
  return llvm::all_of(op->getRegions(), [&](Region &region) {
    Value yielded = region.front().getTerminator()->getOperand(i);
    return isa<RankedTensorType>(yielded.getType()) || ranksDiffer(yielded);
  });
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
  if (!llvm::any_of(op->getResults(), ranksDiffer))
    return failed(inferShapes(*op)) ? FailureOr<SmallVector<Value>>()
                                    : SmallVector<Value>((*op)->getResults());
  discard(*op);
  if (failed(splitAtIf(loc, condition, graphs, node)))
    return failure();
  return SmallVector<Value>(thenGraph.output_size());
}

/// Imports a branch of an If and all that follows, up to the end of the nodes of `last`. The values
/// of `names` in it.
FailureOr<SmallVector<Value>> GraphImporter::importBranch(onnx::GraphProto &branch, CallSite site,
                                                          Scope *last, ArrayRef<StringRef> names) {
  llvm::SaveAndRestore saveScope(scope), saveLast(splitLast, last);
  FailureOr<SmallVector<Value>> values = inlineGraph(branch, {}, /*repeated=*/true, site);
  if (failed(values))
    return failure();
  while (true) {
    // What follows another such If is imported by it.
    bool isDone = scope->next > scope->order.size();
    for (auto [name, value] : llvm::zip(site.node->output(), *values))
      if (!isDone && !name.empty() && failed(define(name, value, site.location)))
        return failure();
    if (failed(importRest()))
      return failure();
    if (scope == last)
      break;
    site = *scope->site;
    values->assign(scope->results.size(), Value());
    for (auto [name, value] : llvm::zip(scope->results, *values)) {
      if (scope->left)
        continue;
      value = lookup(name);
      if (!value)
        return emitError(site.location) << "output '" << name << "' is not defined by any node";
    }
    scope = site.scope;
  }
  SmallVector<Value> results;
  for (StringRef name : names) {
    results.push_back(lookup(name));
    if (!results.back())
      return emitError(site.location) << "output '" << name << "' is not defined by any node";
  }
  return results;
}

/// What follows an If whose results have different ranks is imported once in each branch, where the
/// ranks are known; the outputs of the graph around it are then those of the two. If their ranks
/// differ too and the graph is imported in place, what follows it is imported as well. A branch
/// that does not fit what follows ends the run.
LogicalResult GraphImporter::splitAtIf(Location loc, Value condition,
                                       ArrayRef<onnx::GraphProto *> branches,
                                       const onnx::NodeProto &node) {
  /// A scope whose nodes are imported in both branches, as it is before them.
  struct Part {
    Scope *scope;
    llvm::StringMap<Value> values;
    size_t next;
  };
  SmallVector<Part> parts;
  CallSite site{&node, scope, loc};
  SmallVector<StringRef> names; // of results that are not there yet
  auto goFurther = [&](Scope *next) {
    parts.push_back({next, next->values, next->next});
    next->once = false; // its nodes are imported again
    names.clear();
    llvm::SaveAndRestore saveScope(scope, next);
    for (StringRef name : next->results)
      if (!isDefined(name) && !llvm::is_contained(names, name))
        names.push_back(name);
  };
  auto goBack = [&] {
    for (Part &part : parts) {
      llvm::StringMap<Value> after = std::exchange(part.scope->values, part.values);
      for (auto &entry : after) // initializers are read once
        if (part.scope->initializers.contains(entry.getKey()) ||
            part.scope->sparseInitializers.contains(entry.getKey()))
          part.scope->values.insert({entry.getKey(), entry.getValue()});
      part.scope->next = part.next;
      part.scope->left = false;
    }
  };
  // Each branch alone, to see whether it fits.
  struct Trial {
    graph::IfOp op;
    FailureOr<SmallVector<Value>> values;
    std::vector<Diagnostic> diagnostics;
    std::string error, contradiction;
  };
  Trial trials[2];
  goFurther(scope);
  while (true) {
    for (auto [branch, trial] : llvm::zip(branches, trials)) {
      trial = {};
      ScopedDiagnosticHandler handler(builder.getContext(), [&](Diagnostic &diagnostic) {
        if (trial.error.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
          trial.error = diagnostic.str();
        trial.diagnostics.push_back(std::move(diagnostic));
        return success();
      });
      trial.op = graph::IfOp::create(builder, loc, TypeRange(), condition);
      OpBuilder::InsertionGuard guard(builder);
      builder.createBlock(&trial.op.getThenRegion());
      trial.values = importBranch(*branch, site, parts.back().scope, names);
      goBack();
    }
    Scope *last = parts.back().scope;
    if (last == splitLast || !last->site || failed(trials[0].values) || failed(trials[1].values) ||
        llvm::none_of(llvm::zip(*trials[0].values, *trials[1].values), [](auto pair) {
          Type yes = std::get<0>(pair).getType(), no = std::get<1>(pair).getType();
          return isa<TensorType>(yes) && graph::isSameKind(yes, no) &&
                 isa<UnrankedTensorType>(graph::joinTypes(yes, no));
        }))
      break;
    for (Trial &trial : trials)
      discard(trial.op);
    goFurther(last->site->scope);
  }
  Scope *last = parts.back().scope;
  bool fits[] = {succeeded(trials[0].values), succeeded(trials[1].values)};
  if (!fits[0] && !fits[1]) {
    for (Trial &trial : trials) {
      discard(trial.op);
      for (Diagnostic &diagnostic : trial.diagnostics)
        builder.getContext()->getDiagEngine().emit(std::move(diagnostic));
    }
    return failure();
  }
  // Of two that fit, one that contradicts the ranks that the model declares does not.
  for (auto [trial, isFit] : llvm::zip(trials, fits))
    for (auto [i, name] : llvm::enumerate(names)) {
      auto declared = last->declaredRanks.find(name);
      auto ranked = isFit ? dyn_cast<RankedTensorType>((*trial.values)[i].getType()) : nullptr;
      if (ranked && declared != last->declaredRanks.end() && declared->second != ranked.getRank())
        trial.contradiction =
            llvm::formatv("output '{0}' would have rank {1}, the model declares {2}", name,
                          ranked.getRank(), declared->second);
    }
  for (unsigned i = 0; i < 2; ++i)
    if (fits[i] && fits[1 - i] && !trials[i].contradiction.empty() &&
        trials[1 - i].contradiction.empty()) {
      fits[i] = false;
      trials[i].error = trials[i].contradiction;
      break;
    }
  auto op = fillIf(loc, condition, names.size(), [&](unsigned i) -> FailureOr<SmallVector<Value>> {
    if (!fits[i]) {
      SmallVector<Value> values;
      for (Value other : *trials[1 - i].values) {
        Type type = other.getType();
        Value nothing = graph::OptionalConstructOp::create(
            builder, loc, graph::OptionalType::get(builder.getContext(), type), Value());
        auto get = graph::OptionalGetOp::create(builder, loc, type, nothing);
        get->setAttr("message", builder.getStringAttr("this branch does not fit what follows: " +
                                                      trials[i].error));
        values.push_back(get.getResult());
      }
      return values;
    }
    Block *block = builder.getInsertionBlock();
    block->getOperations().splice(block->end(),
                                  trials[i].op.getThenRegion().front().getOperations());
    for (Diagnostic &diagnostic : trials[i].diagnostics)
      builder.getContext()->getDiagEngine().emit(std::move(diagnostic));
    return *trials[i].values;
  });
  for (Trial &trial : trials)
    discard(trial.op);
  if (failed(op) || failed(inferShapes(*op)))
    return failure();
  for (Part &part : parts) {
    part.scope->next =
        part.scope->order.size() + 1; // nothing is left, not even this node's outputs
    part.scope->left = part.scope != last;
  }
  for (auto [name, result] : llvm::zip_equal(names, op->getResults()))
    last->values[name] = result;
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
