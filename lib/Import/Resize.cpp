// Resize and its predecessor Upsample.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// An operand of which an empty tensor means the same as none.
static Value nonEmpty(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
  return type && type.getRank() == 1 && type.getDimSize(0) == 0 ? Value() : value;
}

static Value floatsConstant(Node &node, ArrayRef<double> numbers) {
  SmallVector<float> values(numbers.begin(), numbers.end());
  auto type = RankedTensorType::get({int64_t(values.size())}, node.builder().getF32Type());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * 4);
  return node.constant(graph::makeConstantAttr(type, bytes));
}

namespace {

struct ResizeForm {
  Value roi, scales, sizes;
  std::optional<Ints> axes;
  graph::ResizeMode mode = graph::ResizeMode::nearest;
  graph::ResizeCoordinates coordinates = graph::ResizeCoordinates::asymmetric;
  graph::ResizeNearest nearest = graph::ResizeNearest::floor;
  graph::ResizePolicy policy = graph::ResizePolicy::stretch;
  bool antialias = false, excludeOutside = false;
  double cubic = -0.75, extrapolation = 0;
};

} // namespace

static LogicalResult build(Node &node, const ResizeForm &form) {
  if (node.hasFailed())
    return failure();
  if (bool(form.scales) == bool(form.sizes))
    return node.error() << node.opType() << " has "
                        << (form.scales ? "both scales and sizes" : "neither scales nor sizes")
                        << ", it takes one of them";
  OpBuilder &builder = node.builder();
  Value data = node.input(0);
  bool moves = form.mode == graph::ResizeMode::nearest &&
               form.coordinates != graph::ResizeCoordinates::tf_crop_and_resize;
  Type element = Node::elementOf(data);
  if (!moves && (element.isInteger(1) || !element.isIntOrFloat()))
    return node.error() << node.opType() << " of element type " << element
                        << " can only move elements: mode 'nearest' without tf_crop_and_resize";
  auto op = node.create<graph::ResizeOp>(
      node.likeOf(data), data, form.roi, form.scales, form.sizes,
      form.axes ? builder.getDenseI64ArrayAttr(*form.axes) : DenseI64ArrayAttr(),
      graph::ResizeModeAttr::get(node.context(), form.mode),
      graph::ResizeCoordinatesAttr::get(node.context(), form.coordinates),
      graph::ResizeNearestAttr::get(node.context(), form.nearest),
      graph::ResizePolicyAttr::get(node.context(), form.policy),
      builder.getBoolAttr(form.antialias), builder.getBoolAttr(form.excludeOutside),
      builder.getF32FloatAttr(form.cubic), builder.getF32FloatAttr(form.extrapolation));
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importUpsample(Node &node) {
  ResizeForm form;
  // The middle name is the one that some exporters write.
  form.mode = node.choice("mode", {"nearest", "linear", "bilinear"}, 0) == 0
                  ? graph::ResizeMode::nearest
                  : graph::ResizeMode::linear;
  if (node.version() >= 9) {
    form.scales = node.require(1);
  } else if (node.version() >= 7) {
    if (auto scales = node.floatsAttribute("scales"))
      form.scales = floatsConstant(node, *scales);
  } else {
    form.scales = floatsConstant(node, {1, 1, node.floatAttribute("height_scale", 1),
                                        node.floatAttribute("width_scale", 1)});
  }
  return build(node, form);
}

static LogicalResult importResize(Node &node) {
  ResizeForm form;
  static constexpr graph::ResizeMode modes[] = {
      graph::ResizeMode::nearest, graph::ResizeMode::linear, graph::ResizeMode::cubic};
  form.mode = modes[node.choice("mode", {"nearest", "linear", "cubic"}, 0)];
  if (node.version() == 10) {
    form.scales = node.require(1);
    // The specification shows it in an example alone; ONNX Runtime does so.
    form.nearest = graph::ResizeNearest::ceil_if_smaller;
    return build(node, form);
  }
  form.roi = nonEmpty(node.input(1));
  form.scales = nonEmpty(node.input(2));
  form.sizes = node.cast(nonEmpty(node.input(3)), node.builder().getI64Type());
  if (form.scales && form.sizes) // sizes win: exporters leave scales there that are not meant
    form.scales = {};
  using graph::ResizeCoordinates;
  static constexpr ResizeCoordinates coordinates[] = {
      ResizeCoordinates::half_pixel,         ResizeCoordinates::half_pixel_symmetric,
      ResizeCoordinates::pytorch_half_pixel, ResizeCoordinates::align_corners,
      ResizeCoordinates::asymmetric,         ResizeCoordinates::tf_half_pixel_for_nn,
      ResizeCoordinates::tf_crop_and_resize};
  form.coordinates = coordinates[node.choice("coordinate_transformation_mode",
                                             {"half_pixel", "half_pixel_symmetric",
                                              "pytorch_half_pixel", "align_corners", "asymmetric",
                                              "tf_half_pixel_for_nn", "tf_crop_and_resize"},
                                             0)];
  // Only cropping looks at the region.
  if (form.coordinates != ResizeCoordinates::tf_crop_and_resize)
    form.roi = {};
  using graph::ResizeNearest;
  static constexpr ResizeNearest roundings[] = {ResizeNearest::round_prefer_floor,
                                                ResizeNearest::round_prefer_ceil,
                                                ResizeNearest::floor, ResizeNearest::ceil};
  form.nearest = roundings[node.choice(
      "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, 0)];
  using graph::ResizePolicy;
  static constexpr ResizePolicy policies[] = {ResizePolicy::stretch, ResizePolicy::not_larger,
                                              ResizePolicy::not_smaller};
  form.policy = policies[node.choice("keep_aspect_ratio_policy",
                                     {"stretch", "not_larger", "not_smaller"}, 0)];
  form.antialias = node.flag("antialias");
  form.excludeOutside = node.flag("exclude_outside");
  form.cubic = node.floatAttribute("cubic_coeff_a", -0.75);
  form.extrapolation = node.floatAttribute("extrapolation_value", 0);
  if ((form.axes = node.intsAttribute("axes"))) {
    // The order of axes is that of sizes and scales: it stays.
    std::optional<int64_t> rank = Node::rankOf(node.input(0));
    for (int64_t &axis : *form.axes)
      axis = node.axis(axis, rank);
  }
  return build(node, form);
}

ArrayRef<Operator> lathe::import::resizeOperators() {
  static const Operator operators[] = {
      {"Upsample",
       {1, 7, 9, 10},
       1,
       2,
       importUpsample,
       kNumbers | kBool | kComplex | kString,
       "bool, complex and strings are not interpolated"},
      {"Resize",
       {10, 11, 13, 18, 19},
       1,
       4,
       importResize,
       kNumbers | kBool | kComplex | kString,
       "bool, complex and strings are not interpolated"},
  };
  return operators;
}
