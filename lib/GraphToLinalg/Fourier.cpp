// Lowering of Fourier transforms: a step for each factor of the size, as Stockham's algorithm has
// them, so that nothing needs to be put in order at the end.
//
// A step of radix R reads [outer, done, R, rest, inner] and writes [outer, R, done, rest, inner]:
// transforms of size R across the third dimension, each result but the first turned by the angle of
// its place. No product is contracted into a sum: a transform of single precision has the bits that
// NumPy's has. A builtin does the same for sizes that only the run knows, and for others.
// Apache-2.0 WITH LLVM-exception
#include "lathe/FourierSteps.h"
#include "lib/GraphToLinalg/Builtins.h"
#include "lib/GraphToLinalg/Lowering.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace {

/// Arithmetic that rounds each operation.
struct Emitter {
  using Number = Value;
  OpBuilder &b;
  Location loc;

  Value add(Value x, Value y) const { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  Value neg(Value x) const { return arith::NegFOp::create(b, loc, x); }
  Value mul(Value x, double factor) const {
    auto type = cast<FloatType>(x.getType());
    return mul(x, arith::ConstantOp::create(b, loc, b.getFloatAttr(type, factor)));
  }
  /// Exact to the last bit or nearly so.
  static fourier::Turn turn(int64_t step, int64_t size) {
    return fourier::turn(step, size, [](int64_t part, int64_t whole) -> fourier::Turn {
      long double angle = 1.57079632679489661923132169163975144L * part / whole;
      return {double(std::cos(angle)), double(std::sin(angle))};
    });
  }
};

using Complex = fourier::Complex<Value>;

/// A transform under way: real and imaginary parts of [outer, size, inner].
struct Transform {
  Lowering &l;
  Type element;
  OpFoldResult outer, inner;
  int64_t size;
  bool inverse;
  Tensor parts[2];

  void step(int64_t radix, int64_t done, bool isLast);
  Tensor turns(int64_t radix, int64_t done, int64_t result, bool sine);
};

} // namespace

/// The factors of one result of a step, [rest].
Tensor Transform::turns(int64_t radix, int64_t done, int64_t result, bool sine) {
  int64_t rest = size / (radix * done);
  SmallVector<APFloat> values;
  for (int64_t i = 0; i < rest; ++i) {
    fourier::Turn turn = Emitter::turn(result * done * i, size);
    APFloat value(!sine ? turn.cosine : inverse ? turn.sine : -turn.sine);
    bool inexact;
    value.convert(cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &inexact);
    values.push_back(value);
  }
  return l.constantTensor(DenseElementsAttr::get(RankedTensorType::get({rest}, element), values));
}

void Transform::step(int64_t radix, int64_t done, bool isLast) {
  int64_t rest = size / (radix * done);
  // Loops: outer, one that stands for the result's place, done, rest, inner.
  constexpr int64_t loops = 5;
  Sizes from{outer, l.size(done), l.size(radix), l.size(rest), inner};
  Sizes piece{outer, l.size(1), l.size(done), l.size(rest), inner};
  SmallVector<Operand> inputs;
  auto dim = [&](int64_t i) { return l.b.getAffineDimExpr(i); };
  for (Tensor &part : parts) {
    Tensor split = part.splat ? part : l.reshape(part, from);
    for (int64_t j = 0; j < radix; ++j)
      inputs.emplace_back(
          split,
          AffineMap::get(loops, 0, {dim(0), dim(2), l.b.getAffineConstantExpr(j), dim(3), dim(4)},
                         l.context));
  }
  if (rest > 1)
    for (bool sine : {false, true})
      for (int64_t j = 1; j < radix; ++j)
        inputs.emplace_back(turns(radix, done, j, sine), l.dimMap(loops, {3}));
  SmallVector<Value> outs(2 * radix, l.empty(piece, element));
  SmallVector<AffineMap> maps(outs.size(), l.b.getMultiDimIdentityMap(loops));
  SmallVector<utils::IteratorType> iterators(loops, utils::IteratorType::parallel);
  ResultRange results =
      l.generic(inputs, outs, maps, iterators, [&](const Scalars &s, ValueRange values) {
        fourier::Steps<Emitter> e({s.b, s.loc}, inverse);
        SmallVector<Complex> x, y(radix);
        for (int64_t j = 0; j < radix; ++j)
          x.push_back({values[j], values[radix + j]});
        e.transform(radix, x.data(), y.data());
        for (int64_t j = 1; j < radix && rest > 1; ++j)
          y[j] = e.mul(y[j], Complex{values[2 * radix + j - 1], values[3 * radix + j - 2]});
        SmallVector<Value> stored;
        for (bool imaginary : {false, true})
          for (Complex value : y) {
            Value part = imaginary ? value.imaginary : value.real;
            if (isLast && inverse) {
              // 1 / size in the type itself, as the factor that NumPy gives.
              bool isSingle = element.isF32();
              part = e.mul(part, isSingle ? double(1.0f / float(size)) : 1.0 / double(size));
            }
            stored.push_back(part);
          }
        return stored;
      });
  Sizes whole{outer, l.size(radix), l.size(done), l.size(rest), inner};
  Sizes flat{outer, l.size(size), inner};
  for (int64_t part = 0; part < 2; ++part) {
    Value into = l.empty(whole, element);
    for (int64_t j = 0; j < radix; ++j) {
      Tensor result{results[part * radix + j], piece, element};
      into = l.insert(result, into, {l.size(0), l.size(j), l.size(0), l.size(0), l.size(0)});
    }
    parts[part] = l.reshape({into, whole, element}, flat);
  }
}

/// Larger tables would be a burden to files, as would the code of larger radices.
static constexpr int64_t maxEmittedSize = 1 << 20;

static LogicalResult lowerFourier(graph::FourierOp op, Lowering &l) {
  Tensor real = l.get(op.getReal());
  Tensor imaginary = op.getImaginary() ? l.get(op.getImaginary()) : Tensor();
  Sizes sizes = real.sizes;
  int64_t axis = op.getAxis();
  int64_t size = getConstantIntValue(sizes[axis]).value_or(0);
  fourier::Radices radices = fourier::factorize(size);
  if (radices.rest != 1 || size > maxEmittedSize) {
    SmallVector<Tensor> inputs{real};
    if (op.getImaginary())
      inputs.push_back(imaginary);
    SmallVector<Tensor> made = callBuiltin(
        l, "lathe_fourier", inputs,
        {axis, op.getInverse(), !op.getImaginary(), real.element.isF64()},
        {{sizes, real.element}, {sizes, real.element}}, "a transform of this size has no memory");
    l.set(op.getRealResult(), made[0]);
    l.set(op.getImaginaryResult(), made[1]);
    return success();
  }
  if (!op.getImaginary())
    imaginary.splat = l.number(real.element, 0);
  Transform transform{l,
                      real.element,
                      l.product(ArrayRef(sizes).take_front(axis)),
                      l.product(ArrayRef(sizes).drop_front(axis + 1)),
                      size,
                      op.getInverse(),
                      {real, imaginary}};
  int64_t done = 1;
  for (int i = 0; i < radices.count; ++i) {
    transform.step(radices.sizes[i], done, i + 1 == radices.count);
    done *= radices.sizes[i];
  }
  // A single number is its own transform.
  if (radices.count == 0 && imaginary.splat)
    transform.parts[1] = {l.filled(sizes, imaginary.splat), sizes, real.element, imaginary.splat};
  l.set(op.getRealResult(), l.reshape(transform.parts[0], sizes));
  l.set(op.getImaginaryResult(), l.reshape(transform.parts[1], sizes));
  return success();
}

void lathe::g2l::addFourier(LoweringTable &table) { table.add(lowerFourier); }
