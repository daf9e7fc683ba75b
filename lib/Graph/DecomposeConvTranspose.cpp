// Transposed convolutions as convolutions.
//
// With stride s and kernel K, position s*j + p of the full result (before pads are cut off) is
//
//   y[s*j + p] = sum over t < ceil(K/s) of x[j - t] * w[t*s + p]
//
// so each phase p is an ordinary convolution of stride 1 with the reversed kernel w[. *s + p]. All
// phases are computed by one convolution with s times (in two dimensions s*s times) the filters;
// its channels [phases, filters] then move into space. For K a multiple of s no product is wasted;
// for K = s the convolution is a matrix product. Only weights are shuffled here, which constant
// folding evaluates.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/DecomposeConvTranspose.h"
#include "dialects/Graph/Constants.h"
#include "lib/Graph/ChannelLayout.h"

using namespace mlir;
using namespace lathe::graph;

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

/// ceil(kernel / stride)
static int64_t getPhaseKernel(ConvTransposeOp op, unsigned i) {
  return llvm::divideCeilSigned(getType(op.getWeight()).getDimSize(i + 2), op.getStrides()[i]);
}

/// How much longer all phases together are than the result and the pad before it: independent of
/// the size of the input.
static int64_t getSurplus(ConvTransposeOp op, unsigned i) {
  return getPhaseKernel(op, i) * op.getStrides()[i] - getType(op.getWeight()).getDimSize(i + 2) -
         op.getOutputPadding()[i] + op.getPads()[i + op.getStrides().size()];
}

bool lathe::graph::canDecompose(ConvTransposeOp op) {
  RankedTensorType input = getType(op.getInput()), weight = getType(op.getWeight()),
                   result = getType(op.getResult());
  int64_t spatial = op.getStrides().size();
  if (!input || !weight || !result || spatial < 1 || spatial > 2 || op.getGroup() != 1 ||
      op.getAutoPad() != AutoPad::none || op.getOutputShape() ||
      !getConstantValue(op.getWeight()) || (op.getBias() && !getConstantValue(op.getBias())) ||
      !isa<FloatType>(weight.getElementType()))
    return false;
  if (!weight.hasStaticShape() || llvm::is_contained(weight.getShape(), 0) ||
      input.getDimSize(1) != weight.getDimSize(0) || result.getDimSize(1) != weight.getDimSize(1))
    return false;
  for (int64_t i = 0; i < spatial; ++i)
    // Output padding may reach beyond what the phases cover.
    if (op.getDilations()[i] != 1 || op.getStrides()[i] > 16 || getSurplus(op, i) < 0 ||
        result.getDimSize(i + 2) == 0)
      return false;
  return true;
}

/// Weight [C, M, K...] as [ceil(K/s)..., C, s..., M] with the first dimensions reversed, flattened
/// to [ceil(K/s)..., C, s*...*M].
static Value arrangeWeight(OpBuilder &builder, ConvTransposeOp op) {
  Location loc = op.getLoc();
  RankedTensorType type = getType(op.getWeight());
  Type element = type.getElementType();
  int64_t spatial = op.getStrides().size(), c = type.getDimSize(0), m = type.getDimSize(1);
  SmallVector<int64_t> pads(2 * type.getRank(), 0), padded{c, m}, split{c, m};
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t covered = getPhaseKernel(op, i) * op.getStrides()[i];
    pads[type.getRank() + 2 + i] = covered - type.getDimSize(i + 2);
    padded.push_back(covered);
    split.append({getPhaseKernel(op, i), op.getStrides()[i]});
  }
  Value value = PadOp::create(builder, loc, RankedTensorType::get(padded, element), op.getWeight(),
                              makeIntegers(builder, loc, pads), /*value=*/Value(),
                              /*axes=*/Value(), PadMode::constant)
                    .getResult();
  value = makeReshape(builder, loc, value, RankedTensorType::get(split, element));
  SmallVector<int64_t> axes, perm, shape;
  int64_t filters = m;
  for (int64_t i = 0; i < spatial; ++i) {
    axes.push_back(2 + 2 * i);
    perm.push_back(2 + 2 * i);
    shape.push_back(getPhaseKernel(op, i));
    filters *= op.getStrides()[i];
  }
  SmallVector<int64_t> last(spatial, -1), before(spatial, INT64_MIN);
  value = SliceOp::create(builder, loc, value.getType(), value, makeIntegers(builder, loc, last),
                          makeIntegers(builder, loc, before), makeIntegers(builder, loc, axes),
                          makeIntegers(builder, loc, last))
              .getResult();
  perm.push_back(0);
  for (int64_t i = 0; i < spatial; ++i)
    perm.push_back(3 + 2 * i);
  perm.push_back(1);
  shape.append({c, filters});
  return makeReshape(builder, loc, makeTranspose(builder, loc, value, perm),
                     RankedTensorType::get(shape, element));
}

Operation *lathe::graph::decomposeConvTranspose(OpBuilder &builder, ConvTransposeOp op,
                                                Value input) {
  Location loc = op.getLoc();
  RankedTensorType inputType = getType(input), resultType = getType(op.getResult());
  Type element = resultType.getElementType();
  int64_t spatial = op.getStrides().size(), n = inputType.getDimSize(0),
          m = resultType.getDimSize(1);
  Value weight = arrangeWeight(builder, op);
  int64_t filters = getType(weight).getShape().back();

  Value bias;
  if (op.getBias()) { // repeated for each phase
    auto spread = RankedTensorType::get({filters / m, m}, element);
    bias = makeReshape(builder, loc,
                       ExpandOp::create(builder, loc, spread, op.getBias(),
                                        makeIntegers(builder, loc, spread.getShape()))
                           .getResult(),
                       RankedTensorType::get({filters}, element));
  }

  auto scale = [](int64_t size, int64_t factor, int64_t term) {
    return ShapedType::isDynamic(size) ? size : size * factor + term;
  };
  SmallVector<int64_t> ones(spatial, 1), pads(2 * spatial), counts, shape{n};
  for (int64_t i = 0; i < spatial; ++i) {
    pads[i] = pads[i + spatial] = getPhaseKernel(op, i) - 1;
    counts.push_back(scale(inputType.getDimSize(i + 1), 1, getPhaseKernel(op, i) - 1));
  }
  llvm::append_range(shape, counts);
  shape.push_back(filters);
  Value phases = ConvOp::create(builder, loc, RankedTensorType::get(shape, element), input, weight,
                                bias, ones, pads, ones, /*group=*/1, AutoPad::none,
                                /*channels_last=*/true)
                     .getResult();

  // [N, J..., s..., M] to [N, J0, s0, J1, s1, M]; in one dimension that is no move at all.
  SmallVector<int64_t> split{n}, splitTarget(1 + spatial, 0), perm{0}, full{n}, factors{1};
  llvm::append_range(split, counts);
  llvm::append_range(split, op.getStrides());
  llvm::append_range(splitTarget, op.getStrides());
  split.push_back(m);
  splitTarget.push_back(m);
  for (int64_t i = 0; i < spatial; ++i) {
    perm.append({1 + i, 1 + spatial + i});
    full.push_back(scale(counts[i], op.getStrides()[i], 0));
    factors.push_back(op.getStrides()[i]);
  }
  perm.push_back(1 + 2 * spatial);
  full.push_back(m);
  Value value = ReshapeOp::create(builder, loc, RankedTensorType::get(split, element), phases,
                                  makeIntegers(builder, loc, splitTarget))
                    .getResult();
  if (spatial > 1)
    value = makeTranspose(builder, loc, value, perm);
  auto fullType = RankedTensorType::get(full, element);
  if (isReshapeTarget(fullType)) {
    value = makeReshape(builder, loc, value, fullType);
  } else {
    auto vector = [&](int64_t size) { return RankedTensorType::get({size}, builder.getI64Type()); };
    Value sizes = ShapeOp::create(builder, loc, vector(1 + spatial), phases, /*start=*/0,
                                  builder.getI64IntegerAttr(1 + spatial))
                      .getResult();
    sizes = BinaryOp::create(builder, loc, sizes.getType(), BinaryKind::mul, sizes,
                             makeIntegers(builder, loc, factors))
                .getResult();
    sizes = ConcatOp::create(builder, loc, vector(2 + spatial),
                             ValueRange{sizes, makeIntegers(builder, loc, {m})}, /*axis=*/0)
                .getResult();
    value = ReshapeOp::create(builder, loc, fullType, value, sizes).getResult();
  }

  // Cut the pads off.
  SmallVector<int64_t> starts, ends, axes, sizes{n};
  bool cuts = false;
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t surplus = getSurplus(op, i);
    starts.push_back(op.getPads()[i]);
    ends.push_back(surplus ? -surplus : INT64_MAX);
    axes.push_back(i + 1);
    sizes.push_back(resultType.getDimSize(i + 2));
    cuts |= op.getPads()[i] || surplus;
  }
  sizes.push_back(m);
  auto lastType = RankedTensorType::get(sizes, element);
  if (!cuts && value.getType() == lastType)
    return value.getDefiningOp();
  return SliceOp::create(builder, loc, lastType, value, makeIntegers(builder, loc, starts),
                         makeIntegers(builder, loc, ends), makeIntegers(builder, loc, axes),
                         makeIntegers(builder, loc, ones));
}
