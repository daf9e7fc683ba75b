// Control flow: what is decided when compiling is imported in place, the rest as regions.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Sequence.h"
#include "lib/Import/Importer.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// A tensor of one element without dimensions.
static Value asScalar(Node &node, Value x) {
  return Node::rankOf(x) == 0 ? x : node.reshape(x, ArrayRef<int64_t>());
}

/// Of a condition that is known only the branch that is taken is imported: exporters write
/// conditions on ranks and static sizes, and the other branch need not fit.
static LogicalResult importIf(Node &node) {
  onnx::GraphProto *thenGraph = node.subgraph("then_branch");
  onnx::GraphProto *elseGraph = node.subgraph("else_branch");
  if (node.hasFailed())
    return failure();
  SmallVector<Value> values;
  if (std::optional<double> condition = node.knownScalar(0)) {
    FailureOr<SmallVector<Value>> taken =
        node.graphs().inlineGraph(*condition != 0 ? *thenGraph : *elseGraph, {}, /*repeated=*/false,
                                  node.graphs().siteOf(node.getProto(), node.location()));
    if (failed(taken))
      return node.fail();
    values = *taken;
  } else {
    auto built = node.graphs().buildIf(node.location(), asScalar(node, node.input(0)), *thenGraph,
                                       *elseGraph, node.getProto());
    if (failed(built))
      return node.fail();
    values = *built;
  }
  if (values.size() != node.outputCount())
    return node.error() << "the branches of If have " << values.size() << " outputs, the node has "
                        << node.outputCount();
  for (auto [i, value] : llvm::enumerate(values))
    node.setResult(i, value);
  return success();
}

/// The value under the rank that a subgraph declares for its input: [1] for a scalar.
static Value withDeclaredRank(Node &node, Value scalar, const onnx::ValueInfoProto &info) {
  const auto &type = info.type().tensor_type();
  if (info.type().has_tensor_type() && type.has_shape() && type.shape().dim_size() == 1)
    return node.unsqueeze(scalar, {0});
  return scalar;
}

/// A tensor of signless integers of that width.
static bool isTensorOf(Value value, unsigned width) {
  auto type = dyn_cast<TensorType>(value.getType());
  return type && type.getElementType().isSignlessInteger(width);
}

static LogicalResult importLoop(Node &node) {
  onnx::GraphProto *body = node.subgraph("body");
  if (!body)
    return failure();
  SmallVector<Value> inits(node.allInputs().drop_front(std::min(node.inputCount(), 2u)));
  if (llvm::is_contained(inits, Value()))
    return node.error() << "an initial value of Loop is missing";
  int carried = inits.size();
  if (body->input_size() != 2 + carried)
    return node.error() << "the body of Loop has " << body->input_size() << " inputs, expected are "
                        << 2 + carried;
  if (body->output_size() < 1 + carried)
    return node.error() << "the body of Loop has " << body->output_size()
                        << " outputs, expected are at least " << 1 + carried;
  unsigned stacked = body->output_size() - 1 - carried;
  if (node.outputCount() > carried + stacked)
    return node.error() << "Loop has " << node.outputCount() << " outputs, its body gives "
                        << carried + stacked;
  Value trip = node.input(0), condition = node.input(1);
  if (trip && !isTensorOf(trip, 64))
    return node.error() << "the trip count of Loop has type " << trip.getType()
                        << ", it takes int64";
  if (condition && !isTensorOf(condition, 1))
    return node.error() << "the condition of Loop has type " << condition.getType()
                        << ", it takes bool";
  // Without a condition before the loop that of the body is ignored, as the specification says.
  bool isConditional = bool(condition);
  if (!trip)
    trip = node.scalarInt(INT64_MAX, node.builder().getI64Type());
  if (!condition)
    condition = node.scalarInt(1, node.builder().getI1Type());
  trip = asScalar(node, trip);
  condition = asScalar(node, condition);
  if (!trip || !condition)
    return failure();
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    Value yes = node.scalarInt(1, node.builder().getI1Type());
    // Wherever the body runs, the condition held.
    SmallVector<Value> inputs{withDeclaredRank(node, arguments[0], body->input(0)),
                              withDeclaredRank(node, yes, body->input(1))};
    llvm::append_range(inputs, arguments.drop_front());
    FailureOr<SmallVector<Value>> values = node.graphs().inlineGraph(*body, inputs, true);
    if (failed(values))
      return failure();
    if (values->empty() || !isTensorOf(values->front(), 1)) {
      emitError(node.location()) << "the first output of Loop's body must be a bool tensor";
      return failure();
    }
    GraphImporter::LoopYield yield{isConditional ? values->front() : yes, {}};
    yield.values.assign(values->begin() + 1, values->end());
    // An optional before the loop may be what it holds after an iteration.
    for (auto [argument, value] : llvm::zip(arguments.drop_front(), yield.values)) {
      if (!isa<graph::OptionalType>(argument.getType()) ||
          isa<graph::OptionalType>(value.getType()))
        continue;
      auto type = graph::OptionalType::get(node.context(), value.getType());
      auto made = node.create<graph::OptionalConstructOp>(type, value);
      if (!made)
        return failure();
      value = made.getResult();
    }
    return yield;
  };
  auto loop =
      node.graphs().buildLoop(node.location(), body, trip, condition, inits, stacked, build);
  if (failed(loop))
    return node.fail();
  for (auto [i, value] : llvm::enumerate(loop->getResults())) {
    auto optional = dyn_cast<graph::OptionalType>(value.getType());
    const onnx::TypeProto &declared = body->output(1 + i).type();
    if (!optional || !(declared.has_sequence_type() || declared.has_tensor_type())) {
      node.setResult(i, value);
      continue;
    }
    auto op = node.create<graph::OptionalGetOp>(optional.getElement(), value);
    if (!op)
      return failure();
    node.setResult(i, op.getResult());
  }
  return success();
}

ArrayRef<Operator> lathe::import::controlOperators() {
  static const Operator operators[] = {
      {"If", {1, 11, 13, 16, 19, 21, 23, 24, 25}, 1, 1, importIf, kBool},
      {"Loop",
       {1, 11, 13, 16, 19, 21, 23, 24, 25},
       0,
       kUnlimited,
       importLoop,
       kSigned,
       "",
       "",
       true},
  };
  return operators;
}
