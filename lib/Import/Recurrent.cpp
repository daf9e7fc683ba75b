// Recurrent layers.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Recurrent.h"
#include "lib/Import/Activation.h"
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::RecurrentKind;

bool lathe::import::readActivations(Node &node, ArrayRef<StringRef> defaults, unsigned directions,
                                    Activations &result) {
  std::vector<std::string> names;
  if (auto given = node.stringsAttribute("activations"); given && !given->empty())
    names = *given;
  else
    for (unsigned d = 0; d < directions; ++d)
      names.insert(names.end(), defaults.begin(), defaults.end());
  // RNN's default is written for two directions; the first name is for the one that there is.
  if (node.opType() == "RNN" && directions == 1 && names.size() == 2)
    names.pop_back();
  if (names.size() != defaults.size() * directions) {
    node.error() << "attribute 'activations' of " << node.opType() << " has " << names.size()
                 << " names, it takes " << defaults.size() * directions;
    return false;
  }
  auto alphas = node.floatsAttribute("activation_alpha");
  auto betas = node.floatsAttribute("activation_beta");
  // The lists hold values for those functions only that have such a parameter; ONNX Runtime takes
  // them so also where there are as many as functions, and leaves what is too much.
  size_t nextAlpha = 0, nextBeta = 0;
  for (const std::string &name : names) {
    auto known = llvm::find_if(listFunctions(), [&](const FunctionInfo &each) {
      return each.inRecurrentLayers && each.name.equals_insensitive(name);
    });
    if (known == listFunctions().end()) {
      node.error() << "attribute 'activations' of " << node.opType() << " names '" << name
                   << "', which is not supported";
      return false;
    }
    double alpha = known->alpha, beta = known->beta;
    if (known->parameters >= 1 && alphas && nextAlpha < alphas->size())
      alpha = (*alphas)[nextAlpha++];
    if (known->parameters >= 2 && betas && nextBeta < betas->size())
      beta = (*betas)[nextBeta++];
    OpBuilder &builder = node.builder();
    result.names.push_back(builder.getStringAttr(known->name));
    result.alphas.push_back(builder.getF32FloatAttr(alpha));
    result.betas.push_back(builder.getF32FloatAttr(beta));
  }
  return true;
}

/// The size of the hidden state, which the attribute or else the recurrence weights tell.
static std::optional<int64_t> hiddenSize(Node &node, Value recurrence) {
  auto type = dyn_cast<RankedTensorType>(recurrence.getType());
  bool known = type && type.getRank() == 3 && !type.isDynamicDim(2);
  int64_t size = node.intAttribute("hidden_size", known ? type.getDimSize(2) : 0);
  if (size >= 1 && size <= (int64_t(1) << 24))
    return size;
  node.error() << "attribute 'hidden_size' of " << node.opType() << " is " << size
               << ", it must be positive";
  return std::nullopt;
}

/// The last state where a sequence has no elements is 0, also after an initial one: the
/// specification is silent, ONNX Runtime does so.
static Value clearOfNone(Node &node, Value state, Value lengths, Value initial, bool batchFirst) {
  if (!state || !lengths || !initial)
    return state;
  Value isEmpty = node.binary(graph::BinaryKind::equal, lengths, 0.0);
  isEmpty = node.unsqueeze(isEmpty, batchFirst ? Ints{1, 2} : Ints{1});
  return node.select(isEmpty, node.scalar(0, Node::elementOf(state)), state);
}

template <RecurrentKind kind> static LogicalResult importRecurrent(Node &node) {
  static constexpr graph::Direction directions[] = {
      graph::Direction::forward, graph::Direction::reverse, graph::Direction::bidirectional};
  // "foward" is the specification's own default in opset 1.
  unsigned direction =
      node.choice("direction", {"forward", "reverse", "bidirectional", "foward"}, 0) % 3;
  SmallVector<StringRef> defaults = {"Tanh"};
  if (kind == RecurrentKind::gru)
    defaults = {"Sigmoid", "Tanh"};
  if (kind == RecurrentKind::lstm)
    defaults = {"Sigmoid", "Tanh", "Tanh"};
  Activations activations;
  if (!readActivations(node, defaults, direction == 2 ? 2 : 1, activations))
    return failure();
  node.ignore({"output_sequence"});
  std::optional<int64_t> hidden = hiddenSize(node, node.input(2));
  double clip = node.floatAttribute("clip", 0);
  bool batchFirst = node.version() >= 14 && node.flag("layout");
  bool linearBeforeReset = false, inputForget = false;
  if (kind == RecurrentKind::gru)
    linearBeforeReset = node.flag("linear_before_reset");
  if (kind == RecurrentKind::lstm)
    inputForget = node.flag("input_forget");
  if (!hidden || node.hasFailed())
    return failure();

  OpBuilder &builder = node.builder();
  Value x = node.input(0);
  Type type = node.likeOf(x);
  bool isLstm = kind == RecurrentKind::lstm;
  Value lengths = node.input(4);
  if (lengths)
    lengths = node.requireRange(lengths, "a sequence length", node.sizeOf(x, batchFirst ? 1 : 0));
  auto op = node.create<graph::RecurrentOp>(
      node.wantsOutput(0) ? type : Type(), node.wantsOutput(1) ? type : Type(),
      isLstm && node.wantsOutput(2) ? type : Type(),
      graph::RecurrentKindAttr::get(node.context(), kind), x, node.input(1), node.input(2),
      node.input(3), lengths, node.input(5), isLstm ? node.input(6) : Value(),
      isLstm ? node.input(7) : Value(), builder.getI64IntegerAttr(*hidden),
      graph::DirectionAttr::get(node.context(), directions[direction]),
      builder.getArrayAttr(activations.names), builder.getArrayAttr(activations.alphas),
      builder.getArrayAttr(activations.betas), builder.getF32FloatAttr(clip),
      builder.getBoolAttr(linearBeforeReset), builder.getBoolAttr(inputForget),
      builder.getBoolAttr(batchFirst));
  if (!op)
    return failure();
  node.setResult(0, op.getY());
  node.setResult(1, clearOfNone(node, op.getYH(), lengths, node.input(5), batchFirst));
  if (isLstm)
    node.setResult(2, clearOfNone(node, op.getYC(), lengths, node.input(6), batchFirst));
  return success();
}

/// LinearAttention: heads lie side by side in the last dimension of its operands; the query heads
/// of one key head are a group of that head.
static LogicalResult importLinearAttention(Node &node) {
  Value q = node.input(0), k = node.input(1), v = node.input(2), state = node.input(3);
  int64_t heads = node.intAttribute("kv_num_heads", 0), all = node.intAttribute("q_num_heads", 0);
  unsigned rule = node.choice("update_rule", {"gated_delta", "linear", "gated", "delta"}, 0);
  double scale = node.floatAttribute("scale", 0);
  node.ignore({"chunk_size"}); // how it may be computed, not what
  bool gates = rule == 0 || rule == 2, corrects = rule == 0 || rule == 3;
  if (node.hasFailed())
    return failure();
  if (heads < 1 || all < 1 || all % heads != 0)
    return node.error() << "LinearAttention has " << all << " query heads for " << heads
                        << " key heads";
  if (node.hasInput(4) != gates || node.hasInput(5) != corrects)
    return node.error() << "the update_rule of LinearAttention takes " << (gates ? "a" : "no")
                        << " decay and " << (corrects ? "a" : "no") << " beta";
  for (Value value : {q, k, v})
    if (Node::rankOf(value) != 3)
      return node.error() << "the operands of LinearAttention have rank 3";
  Type given = Node::elementOf(q), kept = state ? Node::elementOf(state) : given;
  Type compute = given.isF64() ? given : Type(node.builder().getF32Type());
  q = node.reshape(node.cast(q, compute), {0, 0, heads, all / heads, -1});
  k = node.reshape(node.cast(k, compute), {0, 0, heads, -1});
  v = node.reshape(node.cast(v, compute), {0, 0, heads, -1});
  Value decay = node.hasInput(4)
                    ? node.reshape(node.cast(node.input(4), compute), {0, 0, heads, -1})
                    : Value();
  Value beta = node.cast(node.input(5), compute);
  Value width = node.shapeOf(k, 3, 4);
  if (state)
    state = node.cast(state, compute);
  else
    state = node.full(
        node.concat({node.shapeOf(k, 0, 1), node.constant({heads}), width, node.shapeOf(v, 3, 4)},
                    0),
        0, compute);
  if (!q || !k || !v || !state)
    return failure();
  auto op = node.create<graph::LinearAttentionOp>(TypeRange{node.likeOf(q), node.likeOf(q)}, q, k,
                                                  v, state, decay, beta);
  if (!op)
    return failure();
  Value y = op.getY();
  if (scale != 0)
    y = node.binary(graph::BinaryKind::mul, y, scale);
  else
    y = node.binary(graph::BinaryKind::div, y,
                    node.unary(graph::UnaryKind::sqrt, node.cast(width, compute)));
  if (node.wantsOutput(1))
    node.setResult(1, node.cast(op.getLast(), kept));
  return node.result(node.cast(node.reshape(y, {0, 0, -1}), given));
}

ArrayRef<Operator> lathe::import::recurrentOperators() {
  static const Operator operators[] = {
      {"RNN", {1, 7, 14, 22}, 3, 6, importRecurrent<RecurrentKind::rnn>, kFloats},
      {"GRU", {1, 3, 7, 14, 22}, 3, 6, importRecurrent<RecurrentKind::gru>, kFloats},
      {"LSTM", {1, 7, 14, 22}, 3, 8, importRecurrent<RecurrentKind::lstm>, kFloats},
      {"LinearAttention", {27}, 3, 6, importLinearAttention, kFloats},
      {"DynamicQuantizeLSTM", {1}, 3, 12, importQuantizedLstm, kF32, "", "com.microsoft"},
  };
  return operators;
}
