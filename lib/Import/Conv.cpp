// Convolutions.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Activation.h"
#include "lib/Import/Operators.h"
#include "lib/Import/QuantizedLinear.h"
#include "lib/Import/Windows.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::AutoPad;
using graph::BinaryKind;

/// Larger than any real one, and small enough that sums of them don't overflow.
static constexpr int64_t kMaxWindow = int64_t(1) << 31;

std::optional<Ints> lathe::import::readSizes(Node &node, StringRef name, int64_t spatial,
                                             int64_t otherwise, bool zeroAllowed) {
  std::optional<Ints> sizes = node.intsAttribute(name);
  if (!sizes || (sizes->empty() && !node.hasFailed()))
    return Ints(spatial, otherwise);
  if (int64_t(sizes->size()) != spatial) {
    node.error() << "attribute '" << name << "' of " << node.opType() << " has " << sizes->size()
                 << " values, the input has " << spatial << " spatial dimensions";
    return std::nullopt;
  }
  for (int64_t size : *sizes)
    if (size < (zeroAllowed ? 0 : 1) || size > kMaxWindow) {
      node.error() << "attribute '" << name << "' of " << node.opType() << " holds " << size
                   << ", values from " << (zeroAllowed ? 0 : 1) << " to " << kMaxWindow
                   << " are allowed";
      return std::nullopt;
    }
  return sizes;
}

std::optional<Windows> lathe::import::readWindows(Node &node, int64_t spatial, bool hasAutoPad) {
  static constexpr AutoPad kinds[] = {AutoPad::none, AutoPad::same_upper, AutoPad::same_lower,
                                      AutoPad::valid};
  Windows windows;
  if (hasAutoPad)
    windows.autoPad =
        kinds[node.choice("auto_pad", {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}, 0)];
  auto strides = readSizes(node, "strides", spatial, 1);
  auto dilations = readSizes(node, "dilations", spatial, 1);
  std::optional<Ints> pads = readSizes(node, "pads", 2 * spatial, 0, /*zeroAllowed=*/true);
  if (!strides || !dilations || !pads || node.hasFailed())
    return std::nullopt;
  windows.strides = *strides;
  windows.dilations = *dilations;
  windows.pads = *pads;
  // With auto_pad the pads mean nothing, though exporters write them.
  if (windows.autoPad != AutoPad::none)
    windows.pads.assign(2 * spatial, 0);
  return windows;
}

/// The number of spatial dimensions, from whichever operand tells it.
static std::optional<int64_t> spatialRank(Node &node, Value input, Value weight) {
  std::optional<int64_t> rank = Node::rankOf(weight);
  if (!rank)
    rank = Node::rankOf(input);
  if (!rank)
    rank = node.requireRank(weight, "the weights");
  if (!rank)
    return std::nullopt;
  if (*rank < 3) {
    node.error() << "the weights of " << node.opType() << " have rank " << *rank
                 << ", they take 3 or more";
    return std::nullopt;
  }
  return *rank - 2;
}

Value lathe::import::withKernelShape(Node &node, Value weight, int64_t spatial) {
  std::optional<Ints> kernel = readSizes(node, "kernel_shape", spatial, -1);
  auto type = dyn_cast<RankedTensorType>(weight.getType());
  if (!kernel || !type)
    return kernel ? weight : Value();
  Ints shape(type.getRank() - spatial, -1);
  llvm::append_range(shape, *kernel);
  bool fits = llvm::all_of_zip(shape, type.getShape(), [](int64_t wanted, int64_t size) {
    return wanted == -1 || ShapedType::isDynamic(size) || wanted == size;
  });
  if (fits)
    return node.requireShape(weight, shape);
  node.error() << "attribute 'kernel_shape' of " << node.opType()
               << " differs from the shape of the weights, " << type;
  return {};
}

static Value convolve(Node &node, Value input, Value weight, Value bias) {
  if (!input || !weight)
    return {};
  std::optional<int64_t> spatial = spatialRank(node, input, weight);
  if (!spatial)
    return {};
  std::optional<Windows> windows = readWindows(node, *spatial);
  int64_t group = node.intAttribute("group", 1);
  weight = withKernelShape(node, weight, *spatial);
  if (!windows || !weight || node.hasFailed())
    return {};
  auto op =
      node.create<graph::ConvOp>(node.likeOf(input), input, weight, bias, windows->strides,
                                 windows->pads, windows->dilations, group, windows->autoPad, false);
  return op ? Value(op.getResult()) : Value();
}

static LogicalResult importConv(Node &node) {
  return node.result(convolve(node, node.input(0), node.input(1), node.input(2)));
}

/// com.microsoft's convolution with something added to it and an activation behind.
static LogicalResult importFusedConv(Node &node) {
  Value y = convolve(node, node.input(0), node.input(1), node.input(2));
  if (node.hasInput(3))
    y = node.binary(BinaryKind::add, y, node.input(3));
  const FunctionInfo *function = chooseFunction(
      node, {"Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid", "HardSwish"});
  // Functions without parameters may have some.
  SmallVector<double> values =
      node.floatsAttribute("activation_params").value_or(SmallVector<double>());
  if (!function || node.hasFailed())
    return node.result(y);
  if (function->parameters > 0 && values.size() != function->parameters)
    return node.error() << "attribute 'activation_params' of FusedConv has " << values.size()
                        << " values, " << function->name << " takes " << function->parameters;
  values.resize(2);
  return node.result(applyFunction(node, {function->name, values[0], values[1]}, y));
}

static LogicalResult importConvTranspose(Node &node) {
  Value input = node.input(0), weight = node.input(1);
  std::optional<int64_t> spatial = spatialRank(node, input, weight);
  if (!spatial)
    return failure();
  std::optional<Windows> windows = readWindows(node, *spatial);
  int64_t group = node.intAttribute("group", 1);
  auto padding = readSizes(node, "output_padding", *spatial, 0, /*zeroAllowed=*/true);
  std::optional<Ints> shape = node.intsAttribute("output_shape");
  if (shape && shape->empty())
    shape = std::nullopt;
  // Some exporters write the batch and channel dimensions there as well.
  if (shape && int64_t(shape->size()) == *spatial + 2)
    shape->erase(shape->begin(), shape->begin() + 2);
  weight = withKernelShape(node, weight, *spatial);
  if (!windows || !padding || !weight || node.hasFailed())
    return failure();
  if (shape && int64_t(shape->size()) != *spatial)
    return node.error() << "attribute 'output_shape' of ConvTranspose has " << shape->size()
                        << " values, the input has " << *spatial << " spatial dimensions";
  OpBuilder &builder = node.builder();
  auto op = node.create<graph::ConvTransposeOp>(
      node.likeOf(input), input, weight, node.input(2),
      builder.getDenseI64ArrayAttr(windows->strides), builder.getDenseI64ArrayAttr(windows->pads),
      builder.getDenseI64ArrayAttr(windows->dilations), builder.getI64IntegerAttr(group),
      graph::AutoPadAttr::get(node.context(), windows->autoPad),
      builder.getDenseI64ArrayAttr(*padding),
      shape ? builder.getDenseI64ArrayAttr(*shape) : DenseI64ArrayAttr());
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importConvInteger(Node &node) {
  Value x = centred(node, node.input(0), node.scalarOf(node.input(2)), 0);
  Value w = centred(node, node.input(1), node.input(3), 0);
  return node.result(convolve(node, x, w, Value()));
}

/// Inputs: x, its scale and zero point, w, its scale and zero point, y's scale and zero point,
/// bias. com.microsoft's may have the channels of x and y last.
static LogicalResult importQLinearConv(Node &node) {
  for (unsigned i = 0; i < 8; ++i)
    if (!node.require(i))
      return failure();
  auto scalar = [&](unsigned i) { return node.scalarOf(node.input(i)); };
  Value x = centred(node, node.input(0), scalar(2), 0);
  bool channelsLast = node.version() == 1 && node.flag("channels_last");
  Ints perm; // of the result
  if (channelsLast) {
    std::optional<int64_t> rank = node.requireRank(x, "input 0");
    if (!rank)
      return failure();
    if (*rank < 3)
      return node.error() << "input 0 of QLinearConv has rank " << *rank << ", it takes 3 or more";
    Ints first{0, *rank - 1};
    llvm::append_range(first, llvm::seq<int64_t>(1, *rank - 1));
    x = node.transpose(x, first);
    perm.push_back(0);
    llvm::append_range(perm, llvm::seq<int64_t>(2, *rank));
    perm.push_back(1);
  }
  Value w = centred(node, node.input(3), node.input(5), 0);
  Value sums = convolve(node, x, w, node.input(8)), zero = scalar(7);
  // One scale per output channel stands beside [N, M, spatial...].
  Value scale = node.binary(BinaryKind::mul, scalar(1), besideAxis(node, node.input(4), sums, 1));
  scale = node.binary(BinaryKind::div, scale, scalar(6));
  // Scaled sums, then a quantization by one: it rounds, adds the zero point and saturates.
  Type f32 = node.builder().getF32Type();
  sums = node.cast(sums, f32);
  Value scaled = node.requireShapeOf(node.binary(BinaryKind::mul, sums, scale), sums);
  if (!scaled || !zero)
    return failure();
  auto op = node.create<graph::QuantizeOp>(node.likeOf(zero), scaled, node.scalar(1, f32), zero, 1);
  if (!op)
    return failure();
  return node.result(channelsLast ? node.transpose(op.getResult(), perm) : op.getResult());
}

ArrayRef<Operator> lathe::import::convOperators() {
  static const Operator operators[] = {
      {"Conv", {1, 11, 22}, 2, 3, importConv, kFloats},
      {"FusedConv", {1}, 2, 4, importFusedConv, kFloats, "", "com.microsoft"},
      {"ConvTranspose", {1, 11, 22}, 2, 3, importConvTranspose, kFloats},
      {"ConvInteger", {10}, 2, 4, importConvInteger, kSigned | kUnsigned},
      {"QLinearConv", {10}, 8, 9, importQLinearConv, kSigned | kUnsigned},
      {"QLinearConv", {1}, 8, 9, importQLinearConv, kSigned | kUnsigned, "", "com.microsoft"},
  };
  return operators;
}
