// Optimizers of ai.onnx.preview.training: one step for any number of tensors.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

namespace {

/// The operands are: learning rate, step count, then all tensors, all their gradients, and one or
/// two kinds of state for all of them. Results are the new tensors and the new states.
struct Step {
  Node &node;
  unsigned count;
  /// What is computed in: the widest type of the rate and the tensors.
  Type element;

  Step(Node &node, unsigned kinds) : node(node), count((node.inputCount() - 2) / kinds) {
    if (count == 0 || node.inputCount() != 2 + count * kinds ||
        node.outputCount() != count * (kinds - 1))
      node.error() << node.opType() << " has " << node.inputCount() << " inputs and "
                   << node.outputCount() << " outputs, it takes 2 and " << kinds
                   << " for each tensor, and gives " << kinds - 1;
    element = Node::elementOf(node.input(0));
    for (Value input : node.allInputs().drop_front(std::min(node.inputCount(), 2u)))
      if (input && isa<FloatType>(Node::elementOf(input)) &&
          Node::elementOf(input).getIntOrFloatBitWidth() > element.getIntOrFloatBitWidth())
        element = Node::elementOf(input);
  }
  Value rate() { return node.cast(node.input(0), element); }
  Value steps() { return node.input(1); }
  Value operand(unsigned kind, unsigned i) {
    Value value = node.require(2 + kind * count + i);
    return value && isa<FloatType>(Node::elementOf(value)) ? node.cast(value, element) : value;
  }
  /// Results are the first kind of tensor and the states, each of the type that it had.
  void set(unsigned kind, unsigned i, Value value) {
    Value before = node.require(2 + (kind ? kind + 1 : 0) * count + i);
    if (value && before)
      value = node.cast(value, Node::elementOf(before));
    node.setResult(kind * count + i, value);
  }

  Value add(Value a, Value b) { return node.binary(BinaryKind::add, a, b); }
  Value sub(Value a, Value b) { return node.binary(BinaryKind::sub, a, b); }
  Value mul(Value a, Value b) { return node.binary(BinaryKind::mul, a, b); }
  Value div(Value a, Value b) { return node.binary(BinaryKind::div, a, b); }
  Value scale(Value a, double b) { return b == 1 ? a : node.binary(BinaryKind::mul, a, b); }
  Value root(Value a) { return node.unary(graph::UnaryKind::sqrt, a); }
  Value square(Value a) { return mul(a, a); }
  /// The gradient with the derivative of the penalty on large weights.
  Value gradient(unsigned i, double penalty) {
    Value plain = operand(1, i);
    return penalty == 0 ? plain : add(scale(operand(0, i), penalty), plain);
  }
  Value isFirst() {
    Value zero = node.scalarInt(0, Node::elementOf(steps()));
    return node.binary(BinaryKind::equal, steps(), zero);
  }
};

} // namespace

static LogicalResult importAdagrad(Node &node) {
  Step step(node, 3);
  double decay = node.floatAttribute("decay_factor", 0),
         epsilon = node.floatAttribute("epsilon", 1e-6f);
  double penalty = node.floatAttribute("norm_coefficient", 0);
  if (node.hasFailed())
    return failure();
  Value slowdown = step.scale(node.cast(step.steps(), step.element), decay);
  Value rate = step.div(step.rate(), node.binary(BinaryKind::add, slowdown, 1));
  for (unsigned i = 0; i < step.count; ++i) {
    Value gradient = step.gradient(i, penalty);
    Value squares = step.add(step.operand(2, i), step.square(gradient));
    Value size = node.binary(BinaryKind::add, step.root(squares), epsilon);
    step.set(0, i, step.sub(step.operand(0, i), step.div(step.mul(rate, gradient), size)));
    step.set(1, i, squares);
  }
  return node.status();
}

static LogicalResult importAdam(Node &node) {
  Step step(node, 4);
  double alpha = node.floatAttribute("alpha", 0.9f), beta = node.floatAttribute("beta", 0.999f);
  double epsilon = node.floatAttribute("epsilon", 1e-6f);
  double penalty = node.floatAttribute("norm_coefficient", 0);
  double shrink = node.floatAttribute("norm_coefficient_post", 0);
  if (node.hasFailed())
    return failure();
  Type element = step.element;
  Value steps = node.cast(step.steps(), element), one = node.scalar(1, element);
  auto bias = [&](double factor) {
    return step.sub(one, node.binary(BinaryKind::pow, node.scalar(factor, element), steps));
  };
  Value corrected = step.div(step.mul(step.rate(), step.root(bias(beta))), bias(alpha));
  Value rate = node.select(step.isFirst(), step.rate(), corrected);
  for (unsigned i = 0; i < step.count; ++i) {
    Value gradient = step.gradient(i, penalty);
    Value mean = step.add(step.scale(step.operand(2, i), alpha), step.scale(gradient, 1 - alpha));
    Value squares =
        step.add(step.scale(step.operand(3, i), beta), step.scale(step.square(gradient), 1 - beta));
    Value size = node.binary(BinaryKind::add, step.root(squares), epsilon);
    Value moved = step.sub(step.operand(0, i), step.div(step.mul(rate, mean), size));
    step.set(0, i, step.scale(moved, 1 - shrink));
    step.set(1, i, mean);
    step.set(2, i, squares);
  }
  return node.status();
}

static LogicalResult importMomentum(Node &node) {
  Step step(node, 3);
  double alpha = node.floatAttribute("alpha", 0), beta = node.floatAttribute("beta", 0);
  double penalty = node.floatAttribute("norm_coefficient", 0);
  bool nesterov = node.choice("mode", {"standard", "nesterov"}, 0) == 1;
  if (node.hasFailed())
    return failure();
  Type element = step.element;
  Value weight = node.select(step.isFirst(), node.scalar(1, element), node.scalar(beta, element));
  for (unsigned i = 0; i < step.count; ++i) {
    Value gradient = step.gradient(i, penalty);
    Value speed = step.add(step.scale(step.operand(2, i), alpha), step.mul(weight, gradient));
    Value move = nesterov ? step.add(gradient, step.scale(speed, alpha)) : speed;
    step.set(0, i, step.sub(step.operand(0, i), step.mul(step.rate(), move)));
    step.set(1, i, speed);
  }
  return node.status();
}

ArrayRef<Operator> lathe::import::trainingOperators() {
  static constexpr StringRef training = "ai.onnx.preview.training";
  static const Operator operators[] = {
      {"Adagrad", {1}, 5, kUnlimited, importAdagrad, kFloats, "", training},
      {"Adam", {1}, 6, kUnlimited, importAdam, kFloats, "", training},
      {"Momentum", {1}, 5, kUnlimited, importMomentum, kFloats, "", training},
  };
  return operators;
}
