// Operators that move data without looking at it.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/RunTimeAxes.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// An operand that the specification wants as int64 tensor, or that older versions have as an
/// attribute. Null after an error, or when `optional` and absent.
static Value intsOperand(Node &node, unsigned i, StringRef attribute, bool inputSince,
                         bool optional = false) {
  if (inputSince) {
    Value value = optional ? node.input(i) : node.require(i);
    return node.cast(value, node.builder().getI64Type());
  }
  if (std::optional<Ints> values = node.intsAttribute(attribute))
    return node.constant(*values);
  if (!optional && !node.hasFailed())
    node.error() << node.opType() << " has no attribute '" << attribute << "'";
  return {};
}

/// The length of a list, where it is known.
static std::optional<int64_t> lengthOf(Value list) {
  auto type = list ? dyn_cast<RankedTensorType>(list.getType()) : nullptr;
  bool isKnown = type && type.getRank() == 1 && !type.isDynamicDim(0);
  return isKnown ? std::optional(type.getDimSize(0)) : std::nullopt;
}

static LogicalResult importReshape(Node &node) {
  if (node.version() == 1)
    node.ignore({"consumed_inputs"});
  Value data = node.input(0), shape = intsOperand(node, 1, "shape", node.version() >= 5);
  bool allowZero = node.flag("allowzero");
  shape = node.ofLength(shape, node.declaredRank(0));
  if (!shape)
    return failure();
  auto op = node.create<graph::ReshapeOp>(node.likeOf(data), data, shape, allowZero);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importFlatten(Node &node) {
  Value data = node.input(0);
  std::optional<int64_t> rank = Node::rankOf(data);
  int64_t axis = node.intAttribute("axis", 1);
  if (rank && axis != *rank) // the rank itself is allowed
    axis = *rank == 0 && axis == 0 ? 0 : node.axis(axis, rank);
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::FlattenOp>(node.likeOf(data), data, axis);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importSqueeze(Node &node) {
  Value data = node.input(0);
  bool isInput = node.version() >= 13;
  std::optional<Ints> axes = isInput ? node.knownInts(1) : node.intsAttribute("axes");
  if (axes)
    return node.result(node.squeeze(data, node.axes(*axes, Node::rankOf(data))));
  if (node.hasFailed())
    return failure();
  if (isInput && node.hasInput(1)) {
    std::optional<int64_t> rank = node.requireRank(data, "input 0");
    std::optional<int64_t> declared = node.declaredRank(0);
    if (!rank)
      return failure();
    Value given =
        node.ofLength(runTimeAxes(node, 1), declared ? std::optional(*rank - *declared) : declared);
    std::optional<int64_t> count = axisCount(node, given);
    if (!count)
      return failure();
    return node.result(squeezeMasked(node, data, axisMask(node, given, *rank), *count));
  }
  if (auto type = dyn_cast<RankedTensorType>(data.getType()))
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        node.warning() << "Squeeze without axes keeps dimension " << d
                       << " of its input, whose size is not known when compiling: a run where it "
                          "is 1 fails; give axes, or fix sizes with --dim NAME=N";
  auto op = node.create<graph::SqueezeOp>(node.likeOf(data), data, DenseI64ArrayAttr());
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importUnsqueeze(Node &node) {
  Value data = node.input(0);
  bool isInput = node.version() >= 13;
  if (!(isInput ? node.hasInput(1) : node.hasAttribute("axes")))
    return node.error() << "Unsqueeze has no " << (isInput ? "input" : "attribute") << " 'axes'";
  std::optional<Ints> axes = isInput ? node.knownInts(1) : node.intsAttribute("axes");
  std::optional<int64_t> rank = Node::rankOf(data);
  if (!axes && !node.hasFailed()) {
    std::optional<int64_t> declared = node.declaredRank(0);
    if (!node.requireRank(data, "input 0"))
      return failure();
    Value given =
        node.ofLength(runTimeAxes(node, 1), declared ? std::optional(*declared - *rank) : declared);
    std::optional<int64_t> count = axisCount(node, given);
    if (!count)
      return failure();
    *rank += *count;
    return node.result(unsqueezeMasked(node, data, axisMask(node, given, *rank), *rank));
  }
  if (node.hasFailed())
    return failure();
  if (rank)
    *rank += static_cast<int64_t>(axes->size());
  Ints normalised = node.axes(*axes, rank);
  return node.hasFailed() ? failure() : node.result(node.unsqueeze(data, normalised));
}

static LogicalResult importTranspose(Node &node) {
  Value data = node.input(0);
  std::optional<Ints> perm = node.intsAttribute("perm");
  std::optional<int64_t> rank = Node::rankOf(data);
  if (!perm) {
    if (!node.requireRank(data, "input 0"))
      return failure();
    perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, *rank)));
  }
  Ints sorted = *perm;
  llvm::sort(sorted);
  bool isPermutation = llvm::equal(sorted, llvm::seq<int64_t>(0, sorted.size()));
  if (!isPermutation || (rank && *rank != int64_t(perm->size())))
    return node.error() << "attribute 'perm' of Transpose is no permutation of the "
                        << (rank ? std::to_string(*rank) : std::to_string(perm->size()))
                        << " dimensions";
  return node.result(node.transpose(data, *perm));
}

static LogicalResult importExpand(Node &node) {
  Value shape = intsOperand(node, 1, "shape", true);
  return node.result(node.expand(node.input(0), shape));
}

static LogicalResult importConcat(Node &node) {
  SmallVector<Value> inputs;
  for (unsigned i = 0; i < node.inputCount(); ++i)
    if (Value value = node.require(i))
      inputs.push_back(value);
  if (node.version() >= 4 && !node.hasAttribute("axis"))
    node.error() << "Concat has no attribute 'axis'";
  int64_t axis = node.axis(node.intAttribute("axis", 1), Node::rankOf(node.input(0)));
  if (node.hasFailed())
    return failure();
  return node.result(node.concat(inputs, axis));
}

static LogicalResult importSplit(Node &node) {
  Value data = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(data));
  bool isInput = node.version() == 1 ? node.hasInput(1) : node.version() >= 13;
  Value sizes = intsOperand(node, 1, "split", isInput, /*optional=*/true);
  int64_t count = node.intAttribute("num_outputs", node.outputCount());
  if (count != node.outputCount())
    node.error() << "Split has num_outputs " << count << " and " << node.outputCount()
                 << " outputs";
  if (node.hasFailed())
    return failure();
  SmallVector<Type> types(node.outputCount(), node.likeOf(data));
  auto op = node.create<graph::SplitOp>(types, data, sizes, axis);
  if (!op)
    return failure();
  for (auto [i, value] : llvm::enumerate(op.getResults()))
    node.setResult(i, value);
  return success();
}

static LogicalResult importSlice(Node &node) {
  bool isInput = node.version() >= 10;
  Value data = node.input(0);
  Value starts = intsOperand(node, 1, "starts", isInput);
  Value ends = intsOperand(node, 2, "ends", isInput);
  Value axes = intsOperand(node, 3, "axes", isInput, /*optional=*/true);
  Value steps = isInput ? intsOperand(node, 4, "steps", true, /*optional=*/true) : Value();
  // One list of known length tells that of the others.
  std::optional<int64_t> length;
  for (Value list : {starts, ends, axes, steps})
    length = length ? length : lengthOf(list);
  for (Value *list : {&starts, &ends, &axes, &steps})
    *list = node.ofLength(*list, length);
  if (!starts || !ends || node.hasFailed())
    return failure();
  auto op = node.create<graph::SliceOp>(node.likeOf(data), data, starts, ends, axes, steps);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importPad(Node &node) {
  Value data = node.input(0);
  unsigned mode = node.choice("mode", {"constant", "edge", "reflect", "wrap"}, 0);
  // The order is that of this dialect's enum.
  static constexpr graph::PadMode modes[] = {graph::PadMode::constant, graph::PadMode::edge,
                                             graph::PadMode::reflect, graph::PadMode::wrap};
  bool isInput = node.version() >= 11;
  Value pads = intsOperand(node, 1, node.version() == 1 ? "paddings" : "pads", isInput);
  Value fill, axes;
  if (isInput) {
    fill = node.input(2);
    axes = intsOperand(node, 3, "axes", true, /*optional=*/true);
  } else if (double value = node.floatAttribute("value", 0)) {
    fill = node.scalar(value, Node::elementOf(data));
  }
  if (std::optional<int64_t> length = lengthOf(pads))
    axes = node.ofLength(axes, *length / 2);
  else if ((length = lengthOf(axes)))
    pads = node.ofLength(pads, 2 * *length);
  if (!pads || node.hasFailed())
    return failure();
  if (modes[mode] != graph::PadMode::constant)
    fill = {};
  auto op = node.create<graph::PadOp>(node.likeOf(data), data, pads, fill, axes, modes[mode]);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importTile(Node &node) {
  Value data = node.input(0), repeats = intsOperand(node, 1, "repeats", true);
  if (node.version() == 1) {
    // One axis, tiled `tiles` times, both in the type of the data.
    std::optional<double> tiles = node.constantScalar(1), axis = node.constantScalar(2);
    std::optional<int64_t> rank = node.requireRank(data, "input 0");
    if (!tiles || !axis || !rank)
      return failure();
    if (!(*tiles >= 0 && *tiles < double(1 << 30)) || !(std::abs(*axis) < 100))
      return node.error() << "inputs 'tiles' and 'axis' of Tile are " << *tiles << " and " << *axis
                          << ", which is out of range";
    Ints all(*rank, 1);
    int64_t at = node.axis(int64_t(*axis), rank);
    if (node.hasFailed())
      return failure();
    all[at] = int64_t(*tiles);
    repeats = node.constant(all);
  }
  if (!repeats)
    return failure();
  auto op = node.create<graph::TileOp>(node.likeOf(data), data, repeats);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importShape(Node &node) {
  Value data = node.input(0);
  int64_t start = node.intAttribute("start", 0);
  std::optional<int64_t> end;
  if (node.hasAttribute("end"))
    end = node.intAttribute("end", 0);
  return node.result(node.shapeOf(data, start, end));
}

static LogicalResult importSize(Node &node) {
  auto op = node.create<graph::SizeOp>(node.tensorOf(node.builder().getI64Type()), node.input(0));
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importDepthToSpace(Node &node) {
  Value data = node.input(0);
  int64_t block = node.intAttribute("blocksize", 0);
  unsigned columnRow = node.choice("mode", {"DCR", "CRD"}, 0);
  auto op = node.create<graph::DepthToSpaceOp>(node.likeOf(data), data, block, columnRow == 1);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importSpaceToDepth(Node &node) {
  Value data = node.input(0);
  int64_t block = node.intAttribute("blocksize", 0);
  // Since opset 28 there is a mode; DCR is the order of all versions before.
  bool columnRow = node.choice("mode", {"DCR", "CRD"}, 0) == 1;
  auto op = node.create<graph::SpaceToDepthOp>(node.likeOf(data), data, block);
  if (!op || !columnRow)
    return op ? node.result(op.getResult()) : failure();
  // The places in a block come after the channels instead of before them.
  Value result = op.getResult(), shape = node.shapeOf(result);
  Value apart =
      node.reshape(result, node.concat({node.shapeOf(data, 0, 1), node.constant({block * block}),
                                        node.shapeOf(data, 1, 2), node.shapeOf(result, 2, 4)},
                                       0));
  return node.result(node.reshape(node.transpose(apart, {0, 2, 1, 3, 4}), shape));
}

/// Crop or pad at the centre to the given sizes: a pad whose amounts may be negative. Which side
/// gets the odd element is the specification's choice: the end.
static LogicalResult importCenterCropPad(Node &node) {
  using graph::BinaryKind;
  Value data = node.input(0);
  std::optional<int64_t> rank = node.requireRank(data, "input 0");
  Value target = intsOperand(node, 1, "shape", true);
  if (!rank || !target)
    return failure();
  Ints axes = node.intsAttribute("axes").value_or(llvm::to_vector(llvm::seq<int64_t>(0, *rank)));
  for (int64_t &axis : axes)
    axis = node.axis(axis, rank);
  if (node.hasFailed())
    return failure();
  Value sizes = node.gather(node.shapeOf(data), node.constant(axes), 0);
  Value delta = node.binary(BinaryKind::sub, target, sizes);
  // Division truncates, so that cropping removes the smaller half in front too.
  Value begin = node.binary(BinaryKind::div, delta, 2);
  Value end = node.binary(BinaryKind::sub, delta, begin);
  Value pads = node.concat({begin, end}, 0);
  if (!pads)
    return failure();
  auto op = node.create<graph::PadOp>(node.likeOf(data), data, pads, Value(), node.constant(axes),
                                      graph::PadMode::constant);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::shapeOperators() {
  static constexpr const char *axesLimit = "the number of axes must be known";
  static const Operator operators[] = {
      {"Reshape", {1, 5, 13, 14, 19, 21, 23, 24, 25}, 1, 2, importReshape, kAny},
      {"Flatten", {1, 9, 11, 13, 21, 23, 24, 25}, 1, 1, importFlatten, kAny},
      {"Squeeze", {1, 11, 13, 21, 23, 24, 25}, 1, 2, importSqueeze, kAny, axesLimit},
      {"Unsqueeze", {1, 11, 13, 21, 23, 24, 25}, 1, 2, importUnsqueeze, kAny, axesLimit},
      {"Transpose", {1, 13, 21, 23, 24, 25}, 1, 1, importTranspose, kAny},
      {"Expand", {8, 13}, 2, 2, importExpand, kAny},
      {"Concat", {1, 4, 11, 13}, 1, kUnlimited, importConcat, kAny},
      {"Split", {1, 2, 11, 13, 18}, 1, 2, importSplit, kAny},
      {"Slice", {1, 10, 11, 13}, 1, 5, importSlice, kAny},
      {"Pad", {1, 2, 11, 13, 18, 19, 21, 23, 24, 25}, 1, 4, importPad, kAny},
      {"Tile", {1, 6, 13}, 2, 3, importTile, kAny},
      {"Shape", {1, 13, 15, 19, 21, 23, 24, 25}, 1, 1, importShape, kAny},
      {"Size", {1, 13, 19, 21, 23, 24, 25}, 1, 1, importSize, kAny},
      {"DepthToSpace", {1, 11, 13, 28}, 1, 1, importDepthToSpace, kAny},
      {"SpaceToDepth", {1, 13, 28}, 1, 1, importSpaceToDepth, kAny},
      {"CenterCropPad", {18}, 2, 2, importCenterCropPad, kAny},
  };
  return operators;
}
