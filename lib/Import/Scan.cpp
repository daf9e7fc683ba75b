// Scan: a loop over the slices of its inputs, as many times as they have.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Importer.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

namespace {

struct Scan {
  onnx::GraphProto *body = nullptr;
  SmallVector<Value> states, inputs;
  Ints inputAxes, inputDirections, outputAxes, outputDirections;
  unsigned outputs = 0; // scan outputs
};

} // namespace

/// One flag or axis per input or output; empty on error.
static Ints readList(Node &node, StringRef name, size_t count, bool isFlags) {
  std::optional<Ints> list = node.intsAttribute(name);
  if (!list)
    return Ints(count, 0);
  if (list->size() != count) {
    node.error() << "attribute '" << name << "' of Scan has " << list->size()
                 << " values, expected are " << count;
    return Ints(count, 0);
  }
  for (int64_t value : *list)
    if (isFlags && value != 0 && value != 1)
      node.error() << "attribute '" << name << "' of Scan holds " << value << ", it takes 0 and 1";
  return *list;
}

static LogicalResult readScan(Node &node, unsigned firstInput, Scan &scan) {
  scan.body = node.subgraph("body");
  int64_t count = node.intAttribute("num_scan_inputs", 0);
  if (!scan.body || node.hasFailed())
    return failure();
  ArrayRef<Value> operands = node.allInputs().drop_front(std::min(node.inputCount(), firstInput));
  if (llvm::is_contained(operands, Value()))
    return node.error() << "an input of Scan is missing";
  if (count < 1 || count > int64_t(operands.size()))
    return node.error() << "attribute 'num_scan_inputs' of Scan is " << count << ", the node has "
                        << operands.size() << " inputs";
  scan.states.assign(operands.begin(), operands.end() - count);
  scan.inputs.assign(operands.end() - count, operands.end());
  int states = scan.states.size();
  if (scan.body->input_size() != int(operands.size()))
    return node.error() << "the body of Scan has " << scan.body->input_size()
                        << " inputs, expected are " << operands.size();
  if (scan.body->output_size() < states)
    return node.error() << "the body of Scan has " << scan.body->output_size()
                        << " outputs, expected are at least " << states;
  scan.outputs = scan.body->output_size() - states;
  if (node.outputCount() > states + scan.outputs)
    return node.error() << "Scan has " << node.outputCount() << " outputs, its body gives "
                        << states + scan.outputs;
  return success();
}

/// Loops over time with `scan.states` as they are before. With a `length` only so many iterations
/// change the states, and the outputs are 0 after them.
static FailureOr<graph::LoopOp> loopOverTime(Node &node, const Scan &scan, const void *key,
                                             Value length) {
  Value steps = node.sizeOf(scan.inputs[0], scan.inputAxes[0]);
  Value yes = node.scalarInt(1, node.builder().getI1Type());
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    Value time = arguments[0], back;
    SmallVector<Value> inputs(arguments.drop_front());
    for (auto [i, input] : llvm::enumerate(scan.inputs)) {
      if (scan.inputDirections[i] && !back)
        back = node.binary(BinaryKind::sub, node.binary(BinaryKind::sub, steps, 1), time);
      inputs.push_back(
          node.gather(input, scan.inputDirections[i] ? back : time, scan.inputAxes[i]));
    }
    if (llvm::is_contained(inputs, Value()))
      return failure();
    FailureOr<SmallVector<Value>> values = node.graphs().inlineGraph(*scan.body, inputs, true);
    if (failed(values))
      return failure();
    if (length) {
      Value isActive = node.binary(BinaryKind::less, time, length);
      for (auto [i, value] : llvm::enumerate(*values)) {
        Value rest = i < scan.states.size()
                         ? arguments[1 + i]
                         : node.full(node.shapeOf(value), 0, Node::elementOf(value));
        value = node.select(isActive, value, rest);
        if (!value)
          return failure();
      }
    }
    return GraphImporter::LoopYield{node.scalarInt(1, node.builder().getI1Type()), *values};
  };
  return node.graphs().buildLoop(node.location(), key, steps, yes, scan.states, scan.outputs,
                                 build);
}

/// All scan inputs have the same size along their axes.
static void checkSteps(Node &node, const Scan &scan) {
  auto &shapes = node.graphs().shapes;
  auto first = shapes.getDims(scan.inputs[0]);
  for (auto [i, input] : llvm::enumerate(scan.inputs)) {
    auto dims = shapes.getDims(input);
    if (!first || !dims)
      return;
    std::optional<int64_t> steps = graph::getConstant((*first)[scan.inputAxes[0]]),
                           others = graph::getConstant((*dims)[scan.inputAxes[i]]);
    if (steps && others && *steps != *others)
      node.error() << "scan input " << i << " has " << *others
                   << " elements along its axis, the first has " << *steps;
  }
}

static LogicalResult importScan(Node &node) {
  Scan scan;
  if (failed(readScan(node, 0, scan)))
    return failure();
  scan.inputAxes = readList(node, "scan_input_axes", scan.inputs.size(), false);
  scan.inputDirections = readList(node, "scan_input_directions", scan.inputs.size(), true);
  scan.outputAxes = readList(node, "scan_output_axes", scan.outputs, false);
  scan.outputDirections = readList(node, "scan_output_directions", scan.outputs, true);
  for (auto [input, axis] : llvm::zip_equal(scan.inputs, scan.inputAxes)) {
    std::optional<int64_t> rank = node.requireRank(input, "scan input");
    if (rank)
      axis = node.axis(axis, rank);
  }
  if (!node.hasFailed())
    checkSteps(node, scan);
  if (node.hasFailed())
    return failure();
  auto loop = loopOverTime(node, scan, scan.body, Value());
  if (failed(loop))
    return node.fail();
  for (auto [i, value] : llvm::enumerate(loop->getResults())) {
    if (i < scan.states.size()) {
      node.setResult(i, value);
      continue;
    }
    unsigned output = i - scan.states.size();
    Value all = value;
    if (scan.outputDirections[output]) // prepended: the last part comes first
      all = node.reverse(all, 0);
    if (int64_t axis = scan.outputAxes[output]) {
      std::optional<int64_t> rank = node.requireRank(all, "scan output");
      if (!rank)
        return failure();
      Ints order = llvm::to_vector(llvm::seq<int64_t>(1, *rank));
      axis = node.axis(axis, rank);
      if (node.hasFailed())
        return failure();
      order.insert(order.begin() + axis, 0);
      all = node.transpose(all, order);
    }
    if (!all)
      return failure();
    node.setResult(i, all);
  }
  return success();
}

/// Version 8 has a batch: a loop around the loop, whose results are all stacked.
static LogicalResult importBatchedScan(Node &node) {
  Scan scan;
  if (failed(readScan(node, 1, scan)))
    return failure();
  scan.inputAxes.assign(scan.inputs.size(), 0); // after the batch axis is gone
  scan.inputDirections = readList(node, "directions", scan.inputs.size(), true);
  for (Value input : scan.inputs)
    node.requireRank(input, "scan input");
  for (Value state : scan.states)
    node.requireRank(state, "initial state");
  if (node.hasFailed())
    return failure();
  Value lengths = node.input(0);
  Value batch = node.sizeOf(scan.inputs[0], 0);
  Value yes = node.scalarInt(1, node.builder().getI1Type());
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    Value sample = arguments[0];
    Scan one = scan;
    for (Value &state : one.states)
      state = node.gather(state, sample, 0);
    for (Value &input : one.inputs)
      input = node.gather(input, sample, 0);
    Value length = lengths ? node.gather(lengths, sample, 0) : Value();
    if (node.hasFailed() || llvm::is_contained(one.states, Value()) ||
        llvm::is_contained(one.inputs, Value()))
      return failure();
    auto loop = loopOverTime(node, one, &scan.body->input(0), length);
    if (failed(loop))
      return failure();
    GraphImporter::LoopYield yield{node.scalarInt(1, node.builder().getI1Type()), {}};
    yield.values.assign(loop->result_begin(), loop->result_end());
    return yield;
  };
  auto loop = node.graphs().buildLoop(node.location(), scan.body, batch, yes, {},
                                      scan.states.size() + scan.outputs, build);
  if (failed(loop))
    return node.fail();
  for (auto [i, value] : llvm::enumerate(loop->getResults()))
    node.setResult(i, value);
  return success();
}

static LogicalResult importAnyScan(Node &node) {
  return node.version() == 8 ? importBatchedScan(node) : importScan(node);
}

ArrayRef<Operator> lathe::import::scanOperators() {
  static const Operator operators[] = {
      {"Scan", {8, 9, 11, 16, 19, 21, 23, 24, 25}, 0, kUnlimited, importAnyScan, kAny},
  };
  return operators;
}
