// Subnormal weights beside larger ones become zero.
//
// Pruning leaves weights below 2^-126, and Intel processors take over a hundred cycles for a
// product with one: MCUNet, which has 112,000 of them, takes a third of the time without. The
// change is smaller than what rounding does to the filter's largest product: less than 2^-126 of an
// element of the input, where the largest weight has an ulp of at least 2^-124. Zero times infinity
// would be NaN, so the input must be known to be finite; elsewhere such weights become 2^-126.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"
#include "lathe/Graph.h"
#include "lib/Graph/ConstantData.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_DROPSUBNORMALSPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

/// The bits of 2^-126, and of 2^-101, whose ulp is larger than that.
constexpr uint32_t magnitude = 0x7fffffff, normal = 1 << 23, large = (127 - 101) << 23;

static bool isSubnormal(uint32_t bits) { return (bits & magnitude) - 1 < normal - 1; }

static bool isFiniteConstant(Value value) {
  Data data;
  if (!getConstantValue(value) || !load(value, data) || !data.type.getElementType().isF32())
    return false;
  for (size_t i = 0; i < data.bytes.size(); i += 4) {
    uint32_t bits;
    std::memcpy(&bits, data.bytes.data() + i, 4);
    if ((bits & magnitude) >= 0x7f800000)
      return false;
  }
  return true;
}

/// Whether no element is +infinity (`above`) or -infinity: sigmoids and what is clipped.
static bool isBounded(Value value, bool above) {
  Operation *op = value.getDefiningOp();
  if (auto unary = dyn_cast_or_null<UnaryOp>(op)) {
    if (unary.getKind() == UnaryKind::relu)
      return !above || isBounded(unary.getInput(), above);
    return unary.getKind() == UnaryKind::sigmoid || unary.getKind() == UnaryKind::tanh;
  }
  auto binary = dyn_cast_or_null<BinaryOp>(op);
  if (!binary || (binary.getKind() != BinaryKind::min && binary.getKind() != BinaryKind::max))
    return false;
  // The least of several is bounded above with any of them, and below with all.
  bool any = (binary.getKind() == BinaryKind::min) == above;
  auto isOne = [&](Value operand) {
    return isFiniteConstant(operand) || isBounded(operand, above);
  };
  return any ? isOne(binary.getLhs()) || isOne(binary.getRhs())
             : isOne(binary.getLhs()) && isOne(binary.getRhs());
}

/// Makes subnormal weights of each filter that has a large one `to`, with their sign. The filters
/// of a block of `depth` * `filters` elements lie side by side, element k of filter j at k *
/// filters + j.
static bool dropSubnormals(MutableArrayRef<uint32_t> weights, int64_t depth, int64_t filters,
                           uint32_t to) {
  bool dropped = false;
  std::vector<uint32_t> largest(filters);
  for (int64_t block = 0; block < int64_t(weights.size()); block += depth * filters) {
    std::fill(largest.begin(), largest.end(), 0);
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t j = 0; j < filters; ++j)
        largest[j] = std::max(largest[j], weights[block + k * filters + j] & magnitude);
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t j = 0; j < filters; ++j)
        if (uint32_t &weight = weights[block + k * filters + j];
            isSubnormal(weight) && largest[j] >= large) {
          weight = (weight & ~magnitude) | to;
          dropped = true;
        }
  }
  return dropped;
}

/// `weight` has its filters along the dimension `filterDim`, and before it only more of them.
static void dropSubnormals(OpOperand &operand, Value input, int64_t depthDim, int64_t filterDim) {
  Data data;
  if (!getConstantValue(operand.get()) || !load(operand.get(), data) ||
      !data.type.getElementType().isF32() || data.bytes.empty())
    return;
  std::vector<uint32_t> weights(data.bytes.size() / 4);
  std::memcpy(weights.data(), data.bytes.data(), data.bytes.size());
  if (llvm::none_of(weights, isSubnormal))
    return;
  ArrayRef<int64_t> shape = data.shape();
  int64_t filters = filterDim > depthDim ? shape[filterDim] : 1, depth = 1;
  for (int64_t size : shape.drop_front(depthDim))
    depth *= size;
  bool isFinite = isBounded(input, true) && isBounded(input, false);
  if (!dropSubnormals(weights, depth / filters, filters, isFinite ? 0 : normal))
    return;
  OpBuilder builder(operand.getOwner());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(weights.data()), data.bytes.size());
  operand.assign(ConstantOp::create(builder, operand.get().getLoc(), data.type,
                                    makeConstantAttr(data.type, bytes))
                     .getResult());
}

void lathe::dropSubnormalWeights(func::FuncOp function) {
  function.walk([](Operation *op) {
    if (auto conv = dyn_cast<ConvOp>(op); conv && !conv.getChannelsLast())
      dropSubnormals(conv.getWeightMutable(), conv.getInput(), 1, 0);
    else if (auto matmul = dyn_cast<MatMulOp>(op))
      if (auto type = dyn_cast<RankedTensorType>(matmul.getRhs().getType()))
        dropSubnormals(matmul.getRhsMutable(), matmul.getLhs(),
                       std::max<int64_t>(type.getRank() - 2, 0), type.getRank() - 1);
  });
}

namespace {
struct DropSubnormalsPass : graph::impl::DropSubnormalsPassBase<DropSubnormalsPass> {
  void runOnOperation() override { dropSubnormalWeights(getOperation()); }
};
} // namespace
