// Fourier transforms of sizes that only the run knows, or that have large prime factors.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Tables.h"
#include "Text.h"
#include "lathe/FourierSteps.h"

using namespace lathe;
using namespace lathe::builtins;
using fourier::Turn;

LATHE_BUILTIN double sin(double);
LATHE_BUILTIN double cos(double);

namespace {

template <typename T> using Complex = fourier::Complex<T>;

template <typename T> Complex<T> *allocateNumbers(lathe_call *call, i64 count) {
  return static_cast<Complex<T> *>(allocate(call, u64(count), sizeof(Complex<T>)));
}

Turn exactTurn(i64 step, i64 size) {
  return fourier::turn(step, size, [](i64 part, i64 whole) -> Turn {
    Pair angle = divide(multiply(piHalf, {double(part), 0}), {double(whole), 0});
    double cosine = cos(angle.high), sine = sin(angle.high);
    return {fma(-sine, angle.low, cosine), fma(cosine, angle.low, sine)};
  });
}

/// Arithmetic that rounds each operation (builtins are compiled without contraction), and the turns
/// of one size.
template <typename T> struct Rounding {
  using Number = T;
  const Complex<T> *turns;
  i64 stride = 0;

  T add(T x, T y) const { return x + y; }
  T sub(T x, T y) const { return x - y; }
  T mul(T x, T y) const { return x * y; }
  T neg(T x) const { return -x; }
  Turn turn(i64 step, i64) const {
    Complex<T> there = turns[step * stride];
    return {there.real, there.imaginary};
  }
};

/// How numbers of one size are transformed, a step for each factor as Stockham's algorithm has
/// them.
template <typename T> struct Plan {
  i64 size;
  fourier::Radices radices;
  Complex<T> *turns;

  /// False where the memory is refused.
  bool prepare(lathe_call *call, i64 count) {
    size = count;
    radices = fourier::factorize(count);
    turns = allocateNumbers<T>(call, count);
    for (i64 i = 0; turns && i < count; ++i) {
      Turn exact = exactTurn(i, count);
      turns[i] = {T(exact.cosine), T(exact.sine)};
    }
    return turns;
  }

  /// Transforms `from`, with as much memory in `to`; the one that holds the result.
  Complex<T> *run(Complex<T> *from, Complex<T> *to, bool inverse) const {
    fourier::Steps<Rounding<T>> steps({turns}, inverse);
    i64 done = 1;
    for (int k = 0; k < radices.count; ++k) {
      i64 radix = radices.sizes[k], rest = size / (radix * done);
      steps.stride = size / radix;
      for (i64 d = 0; d < done; ++d)
        for (i64 i = 0; i < rest; ++i) {
          Complex<T> x[fourier::maxRadix], y[fourier::maxRadix];
          for (i64 j = 0; j < radix; ++j)
            x[j] = from[(d * radix + j) * rest + i];
          steps.transform(radix, x, y);
          for (i64 j = 0; j < radix; ++j) {
            Complex<T> turn = turns[j * done * i];
            if (!inverse)
              turn.imaginary = -turn.imaginary;
            to[(j * done + d) * rest + i] = j == 0 || rest == 1 ? y[j] : steps.mul(y[j], turn);
          }
        }
      done *= radix;
      Complex<T> *last = from;
      from = to;
      to = last;
    }
    // 1 / size in the type itself, as the factor that NumPy gives.
    for (i64 i = 0; inverse && i < size; ++i)
      from[i] = steps.mul(from[i], double(T(1) / T(size)));
    return from;
  }
};

/// Sizes whose primes are small.
template <typename T> struct ByRadices {
  Plan<T> plan;
  Complex<T> *scratch;
  bool inverse;

  bool prepare(lathe_call *call, i64 size, bool back) {
    inverse = back;
    scratch = allocateNumbers<T>(call, size);
    return scratch && plan.prepare(call, size);
  }
  const Complex<T> *run(Complex<T> *line) const { return plan.run(line, scratch, inverse); }
};

/// Bluestein's algorithm for the others: since 2 n k = n^2 + k^2 - (k - n)^2, a transform is a
/// convolution with a chirp, which is a product of transforms of any larger size.
template <typename T> struct ByChirp {
  using Number = Complex<double>;
  Plan<double> plan;
  i64 size;
  Number *chirp, *filter, *padded, *scratch;
  bool inverse;

  bool prepare(lathe_call *call, i64 count, bool back) {
    size = count;
    inverse = back;
    i64 room = 1;
    while (room < 2 * size - 1)
      room *= 2;
    chirp = allocateNumbers<double>(call, size);
    Number *period = allocateNumbers<double>(call, room);
    padded = allocateNumbers<double>(call, room);
    scratch = allocateNumbers<double>(call, room);
    if (!chirp || !period || !padded || !scratch || !plan.prepare(call, room))
      return false;
    for (i64 i = 0; i < room; ++i)
      period[i] = {0, 0};
    // k^2 modulo 2 size, so that angles stay exact.
    for (i64 k = 0, square = 0; k < size; ++k) {
      Turn angle = exactTurn(square, 2 * size);
      double sine = inverse ? angle.sine : -angle.sine;
      chirp[k] = {angle.cosine, sine};
      period[k] = period[k ? room - k : 0] = {angle.cosine, -sine};
      square = (square + 2 * k + 1) % (2 * size);
    }
    filter = plan.run(period, scratch, false);
    // The transform left its result in one of the two.
    if (filter == scratch)
      scratch = period;
    return true;
  }

  const Complex<T> *run(Complex<T> *line) const {
    fourier::Steps<Rounding<double>> steps({nullptr}, inverse);
    for (i64 k = 0; k < plan.size; ++k)
      padded[k] =
          k < size ? steps.mul(Number{line[k].real, line[k].imaginary}, chirp[k]) : Number{};
    Number *spectrum = plan.run(padded, scratch, false);
    for (i64 k = 0; k < plan.size; ++k)
      spectrum[k] = steps.mul(spectrum[k], filter[k]);
    Number *y = plan.run(spectrum, spectrum == padded ? scratch : padded, true);
    double factor = inverse ? 1 / double(size) : 1;
    for (i64 k = 0; k < size; ++k) {
      Number number = steps.mul(steps.mul(y[k], chirp[k]), factor);
      line[k] = {T(number.real), T(number.imaginary)};
    }
    return line;
  }
};

/// Every line of a tensor [outer, size, inner].
template <typename T, typename Lines>
int transformLines(lathe_call *call, const lathe_value *inputs, lathe_value *results, u32 axis,
                   bool inverse, bool isReal) {
  T *real = allocateLike<T>(call, inputs[0], results[0]);
  T *imaginary = allocateLike<T>(call, inputs[0], results[1]);
  if (!real || !imaginary)
    return LATHE_CODE_MEMORY;
  i64 count = countElements(inputs[0]);
  if (count == 0)
    return LATHE_CODE_OK;
  i64 size = inputs[0].dims[axis], inner = 1;
  for (u32 i = axis + 1; i < inputs[0].rank; ++i)
    inner *= inputs[0].dims[i];
  Lines lines;
  Complex<T> *line = allocateNumbers<T>(call, size);
  if (!line || !lines.prepare(call, size, inverse))
    return LATHE_CODE_MEMORY;
  auto *givenReal = static_cast<const T *>(inputs[0].data);
  auto *givenImaginary = isReal ? nullptr : static_cast<const T *>(inputs[1].data);
  for (i64 start = 0; start < count; start += size * inner)
    for (i64 first = start; first < start + inner; ++first) {
      for (i64 k = 0; k < size; ++k) {
        i64 at = first + k * inner;
        line[k] = {givenReal[at], isReal ? T(0) : givenImaginary[at]};
      }
      const Complex<T> *y = lines.run(line);
      for (i64 k = 0; k < size; ++k) {
        real[first + k * inner] = y[k].real;
        imaginary[first + k * inner] = y[k].imaginary;
      }
    }
  return LATHE_CODE_OK;
}

} // namespace

// Inputs: the real parts, and the imaginary ones unless they are 0. Parameters: the axis, whether
// it goes back, whether numbers are real, and whether they are f64 (else f32).
LATHE_TENSOR_BUILTIN(lathe_fourier) {
  u32 axis = u32(parameters[0]);
  bool inverse = parameters[1], isReal = parameters[2], isDouble = parameters[3];
  bool hasLargePrime = fourier::factorize(inputs[0].dims[axis]).rest > 1;
  auto transform = isDouble        ? hasLargePrime ? transformLines<double, ByChirp<double>>
                                                   : transformLines<double, ByRadices<double>>
                   : hasLargePrime ? transformLines<float, ByChirp<float>>
                                   : transformLines<float, ByRadices<float>>;
  return transform(call, inputs, results, axis, inverse, isReal);
}
