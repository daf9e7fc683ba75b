// Where each result position of a resize reads its dimension, and with which weights.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_RESIZETAPS_H
#define LATHE_LIB_GRAPHTOLINALG_RESIZETAPS_H

#include "lib/GraphToLinalg/Lowering.h"
#include "llvm/ADT/SmallVector.h"
#include <tuple>

namespace lathe::g2l {

/// One dimension of a resize. Sizes as floats of the target's arithmetic (f32, as ONNX Runtime).
template <typename Number> struct ResizeDim {
  Number input, output; // sizes
  Number scale;
  Number roiBegin, roiEnd; // tf_crop_and_resize only
};

/// Taps of one result position: indices (whole numbers, within the input), weights that add up to
/// one, and whether the position lies outside of the input (1 or 0; tf_crop_and_resize only).
template <typename Number> struct ResizeTaps {
  llvm::SmallVector<Number> indices, weights;
  Number outside;
};

/// The formulas of ONNX Resize, written once: `Math` computes either with numbers, when all sizes
/// are static, or by emitting arithmetic. It has number(double), add, sub, mul, div, min, max,
/// floor, ceil, abs, and less(a, b) ? c : d as selectLess(a, b, c, d).
template <typename Math> class ResizeFormulas {
public:
  using Number = typename Math::Number;
  ResizeFormulas(Math math, graph::ResizeOp op) : m(math), op(op) {}

  /// The position in the input that shows at `x`.
  Number toInput(const ResizeDim<Number> &d, Number x);
  ResizeTaps<Number> nearest(const ResizeDim<Number> &d, Number x);
  ResizeTaps<Number> linear(const ResizeDim<Number> &d, Number x);
  ResizeTaps<Number> cubic(const ResizeDim<Number> &d, Number x);
  /// One antialiased tap, `offset` from the base: its index, which may lie outside, and its weight
  /// before all are made to add up to one.
  std::pair<Number, Number> antialiasedTap(const ResizeDim<Number> &d, Number x, Number offset,
                                           bool isCubic);
  /// The weight where the index is in the input or outside ones count; and the index held inside.
  std::pair<Number, Number> hold(const ResizeDim<Number> &d, Number index, Number weight);
  Number isOutside(const ResizeDim<Number> &d, Number at);
  /// Antialiased taps; `footprint` is how many there are, `start` the first one's offset.
  ResizeTaps<Number> antialiased(const ResizeDim<Number> &d, Number x, int64_t start,
                                 int64_t footprint, bool isCubic);

private:
  Number n(double value) { return m.number(value); }
  /// The scale is a rounded quotient of sizes then, which give halves and whole numbers exactly.
  bool isGivenBySize() { return op.getSizes() && op.getPolicy() == graph::ResizePolicy::stretch; }
  Number half(Number x, const ResizeDim<Number> &d) {
    return m.sub(m.div(m.add(x, n(0.5)), d.scale), n(0.5));
  }
  Number clamp(Number index, const ResizeDim<Number> &d) {
    return m.max(m.min(index, m.sub(d.input, n(1))), n(0));
  }
  Number cubicWeight(Number distance);
  /// Weights of taps out of the input become 0 where that is asked for, and all add up to one.
  void finish(const ResizeDim<Number> &d, ResizeTaps<Number> &taps, bool normalise);

  Math m;
  graph::ResizeOp op;
};

template <typename Math>
auto ResizeFormulas<Math>::toInput(const ResizeDim<Number> &d, Number x) -> Number {
  using graph::ResizeCoordinates;
  Number last = m.sub(d.input, n(1));
  switch (op.getCoordinates()) {
  case ResizeCoordinates::half_pixel:
    return half(x, d);
  case ResizeCoordinates::half_pixel_symmetric: {
    Number adjustment = m.div(d.output, m.mul(d.scale, d.input));
    Number center = m.div(d.input, n(2));
    return m.add(m.mul(center, m.sub(n(1), adjustment)), half(x, d));
  }
  case ResizeCoordinates::pytorch_half_pixel:
    return m.selectLess(n(1), d.output, half(x, d), n(0));
  case ResizeCoordinates::align_corners: {
    // The scaled size, which need not be whole.
    Number size = isGivenBySize() ? d.output : m.mul(d.scale, d.input);
    Number steps = m.sub(size, n(1));
    Number safe = m.selectLess(m.abs(steps), n(1e-6), n(1), steps);
    return m.selectLess(m.abs(steps), n(1e-6), n(0), m.div(m.mul(x, last), safe));
  }
  case ResizeCoordinates::asymmetric:
    return isGivenBySize() ? m.div(m.mul(x, d.input), d.output) : m.div(x, d.scale);
  case ResizeCoordinates::tf_half_pixel_for_nn:
    return m.div(m.add(x, n(0.5)), d.scale);
  case ResizeCoordinates::tf_crop_and_resize: {
    Number range = m.mul(m.sub(d.roiEnd, d.roiBegin), last);
    Number steps = m.max(m.sub(d.output, n(1)), n(1));
    Number many = m.add(m.mul(d.roiBegin, last), m.div(m.mul(x, range), steps));
    Number single = m.mul(m.mul(n(0.5), m.add(d.roiBegin, d.roiEnd)), last);
    return m.selectLess(n(1), d.output, many, single);
  }
  }
  return x;
}

template <typename Math>
auto ResizeFormulas<Math>::isOutside(const ResizeDim<Number> &d, Number at) -> Number {
  if (op.getCoordinates() != graph::ResizeCoordinates::tf_crop_and_resize)
    return n(0);
  Number above = m.selectLess(m.sub(d.input, n(1)), at, n(1), n(0));
  return m.selectLess(at, n(0), n(1), above);
}

template <typename Math>
auto ResizeFormulas<Math>::nearest(const ResizeDim<Number> &d, Number x) -> ResizeTaps<Number> {
  using graph::ResizeNearest;
  Number at = toInput(d, x), index = at;
  switch (op.getNearest()) {
  case ResizeNearest::round_prefer_floor:
    index = m.ceil(m.sub(at, n(0.5)));
    break;
  case ResizeNearest::round_prefer_ceil:
    index = m.floor(m.add(at, n(0.5)));
    break;
  case ResizeNearest::floor:
    index = m.floor(at);
    break;
  case ResizeNearest::ceil:
    index = m.ceil(at);
    break;
  case ResizeNearest::ceil_if_smaller:
    index = m.selectLess(d.scale, n(1), m.ceil(at), m.floor(at));
    break;
  }
  return {{clamp(index, d)}, {n(1)}, isOutside(d, at)};
}

template <typename Math>
auto ResizeFormulas<Math>::linear(const ResizeDim<Number> &d, Number x) -> ResizeTaps<Number> {
  Number at = toInput(d, x), below = m.floor(at), rest = m.sub(at, below);
  return {
      {clamp(below, d), clamp(m.add(below, n(1)), d)}, {m.sub(n(1), rest), rest}, isOutside(d, at)};
}

// Keys' kernel with the operation's coefficient.
template <typename Math> auto ResizeFormulas<Math>::cubicWeight(Number t) -> Number {
  double a = op.getCubicCoefficient().convertToDouble();
  t = m.abs(t);
  Number t2 = m.mul(t, t), t3 = m.mul(t2, t);
  Number inner = m.add(m.sub(m.mul(n(a + 2), t3), m.mul(n(a + 3), t2)), n(1));
  Number outer =
      m.sub(m.add(m.sub(m.mul(n(a), t3), m.mul(n(5 * a), t2)), m.mul(n(8 * a), t)), n(4 * a));
  return m.selectLess(t, n(1), inner, m.selectLess(t, n(2), outer, n(0)));
}

template <typename Math>
auto ResizeFormulas<Math>::hold(const ResizeDim<Number> &d, Number index, Number weight)
    -> std::pair<Number, Number> {
  if (op.getExcludeOutside()) {
    weight = m.selectLess(index, n(0), n(0), weight);
    weight = m.selectLess(m.sub(d.input, n(1)), index, n(0), weight);
  }
  return {clamp(index, d), weight};
}

template <typename Math>
void ResizeFormulas<Math>::finish(const ResizeDim<Number> &d, ResizeTaps<Number> &taps,
                                  bool normalise) {
  normalise |= op.getExcludeOutside();
  for (auto [index, weight] : llvm::zip(taps.indices, taps.weights))
    std::tie(index, weight) = hold(d, index, weight);
  if (!normalise)
    return;
  Number sum = taps.weights.front();
  for (size_t i = 1; i < taps.weights.size(); ++i)
    sum = m.add(sum, taps.weights[i]);
  for (Number &weight : taps.weights)
    weight = m.div(weight, sum);
}

template <typename Math>
auto ResizeFormulas<Math>::cubic(const ResizeDim<Number> &d, Number x) -> ResizeTaps<Number> {
  Number at = toInput(d, x), below = m.floor(at), rest = m.sub(at, below);
  ResizeTaps<Number> taps{{}, {}, isOutside(d, at)};
  for (int64_t i = -1; i <= 2; ++i) {
    taps.indices.push_back(m.add(below, n(double(i))));
    taps.weights.push_back(cubicWeight(m.sub(n(double(i)), rest)));
  }
  finish(d, taps, false);
  return taps;
}

template <typename Math>
auto ResizeFormulas<Math>::antialiasedTap(const ResizeDim<Number> &d, Number x, Number offset,
                                          bool isCubic) -> std::pair<Number, Number> {
  Number at = toInput(d, x);
  // Of two equally near elements the left one is the base, so that the rest is in (0, 1].
  Number base = m.sub(m.ceil(at), n(1)), rest = m.sub(at, base);
  Number distance = m.mul(m.sub(offset, rest), m.min(d.scale, n(1)));
  Number weight = isCubic ? cubicWeight(distance) : m.max(m.sub(n(1), m.abs(distance)), n(0));
  return {m.add(base, offset), weight};
}

template <typename Math>
auto ResizeFormulas<Math>::antialiased(const ResizeDim<Number> &d, Number x, int64_t start,
                                       int64_t footprint, bool isCubic) -> ResizeTaps<Number> {
  ResizeTaps<Number> taps{{}, {}, isOutside(d, toInput(d, x))};
  for (int64_t i = start; i < start + footprint; ++i) {
    auto [index, weight] = antialiasedTap(d, x, n(double(i)), isCubic);
    taps.indices.push_back(index);
    taps.weights.push_back(weight);
  }
  finish(d, taps, true);
  return taps;
}

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_RESIZETAPS_H
