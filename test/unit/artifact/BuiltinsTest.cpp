// The builtins against the C library: math in ULP, conversions and memory functions exactly.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/unit/artifact/Helpers.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace lathe;
using namespace lathe::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A function with what it is compared to, and where it is interesting.
struct Math {
  const char *name; ///< Of the f64 form; the f32 form has an "f" behind it.
  long double (*wide)(long double);
  double low, high;      ///< Tested densely; beyond, by random bit patterns.
  const char *intrinsic; ///< LLVM's name of it, or null.
  bool isInline = true;  ///< In f32, there is an inline form.
  bool isOfC = true;     ///< Else there is nothing but that.
};

long double logisticl(long double x) { return 1 / (1 + expl(-x)); }

const Math unary[] = {
    {"exp", expl, -750, 720, "exp"},
    {"exp2", exp2l, -1080, 1030, "exp2"},
    {"exp10", exp10l, -330, 310, "exp10", false},
    {"expm1", expm1l, -60, 720, nullptr},
    {"log", logl, 0, 4, "log"},
    {"log2", log2l, 0, 4, "log2"},
    {"log10", log10l, 0, 4, "log10"},
    {"log1p", log1pl, -1, 4, nullptr},
    {"sin", sinl, -100, 100, "sin"},
    {"cos", cosl, -100, 100, "cos"},
    {"tan", tanl, -100, 100, "tan"},
    {"asin", asinl, -1, 1, "asin"},
    {"acos", acosl, -1, 1, "acos"},
    {"atan", atanl, -10, 10, "atan"},
    {"sinh", sinhl, -30, 30, "sinh"},
    {"cosh", coshl, -30, 30, "cosh"},
    {"tanh", tanhl, -25, 25, "tanh"},
    {"asinh", asinhl, -100, 100, nullptr},
    {"acosh", acoshl, 1, 100, nullptr},
    {"atanh", atanhl, -1, 1, nullptr},
    {"erf", erfl, -7, 7, nullptr},
    {"logistic", logisticl, -110, 50, nullptr, true, false},
    {"erfc", erfcl, -7, 29, nullptr, false},
    {"cbrt", cbrtl, -1e6, 1e6, nullptr, false},
    {"sqrt", sqrtl, 0, 1e6, "sqrt", false},
};

/// Functions that round or cut: exact, so compared bit by bit.
struct Exact {
  const char *name;
  double (*f64)(double);
  float (*f32)(float);
};
const Exact exact[] = {
    {"floor", floor, floorf},
    {"ceil", ceil, ceilf},
    {"trunc", trunc, truncf},
    {"rint", rint, rintf},
    {"nearbyint", nearbyint, nearbyintf},
    {"round", round, roundf},
    {"fabs", fabs, fabsf},
    {"roundeven", roundeven, roundevenf},
};

struct Binary {
  const char *name;
  long double (*wide)(long double, long double);
  double low, high;
  bool anyZero = false; ///< C leaves open which of two zeros is the result.
};
const Binary binary[] = {
    {"pow", powl, 0, 40},           {"atan2", atan2l, -10, 10},
    {"fmod", fmodl, -1000, 1000},   {"remainder", remainderl, -1000, 1000},
    {"hypot", hypotl, -1e3, 1e3},   {"fmin", fminl, -10, 10, true},
    {"fmax", fmaxl, -10, 10, true}, {"copysign", copysignl, -10, 10},
    {"fdim", fdiml, -10, 10},
};

template <typename T> std::string formOf(const char *name) {
  return sizeof(T) == 4 ? std::string(name) + "f" : name;
}
template <typename T> const char *typeOf() { return sizeof(T) == 4 ? "float" : "double"; }

/// Units in the last place between a result and what it should be; 0 where both are the same kind
/// of special value.
template <typename T> double ulps(T got, long double wanted) {
  if (std::isnan(wanted) || std::isnan(got))
    return std::isnan(wanted) && std::isnan(got) ? 0 : infinity;
  T rounded = T(wanted);
  if (rounded == 0 && got == 0)
    return std::signbit(got) == std::signbit(rounded) ? 0 : infinity;
  if (std::isinf(rounded) && std::isinf(got))
    return std::signbit(got) == std::signbit(rounded) ? 0 : infinity;
  if (std::isinf(got) || std::isinf(rounded)) // at the edge of overflow either may be right
    return std::abs(std::isinf(got) ? rounded : got) == std::numeric_limits<T>::max() ? 1
                                                                                      : infinity;
  int exponent = 0;
  std::frexp(rounded, &exponent);
  int least = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits;
  long double unit = std::ldexp(1.0L, std::max(exponent - std::numeric_limits<T>::digits, least));
  return double(std::fabs((static_cast<long double>(got) - wanted) / unit));
}

template <typename T> const std::vector<T> &edges() {
  using Limits = std::numeric_limits<T>;
  static const std::vector<T> values = [] {
    std::vector<T> result;
    for (T value : {T(0),
                    Limits::denorm_min(),
                    Limits::min(),
                    T(Limits::min() / 2),
                    Limits::epsilon(),
                    T(0.25),
                    T(0.5),
                    T(0.75),
                    T(1),
                    T(1.5),
                    T(2),
                    T(2.5),
                    T(3),
                    T(8),
                    T(10),
                    T(100),
                    T(1000),
                    T(1e6),
                    T(1e20),
                    T(1e37),
                    Limits::max(),
                    Limits::infinity(),
                    Limits::quiet_NaN(),
                    T(M_PI),
                    T(M_PI_2),
                    T(M_PI_4),
                    T(M_LN2),
                    T(M_E),
                    T(M_SQRT2),
                    T(708.39),
                    T(709.7827),
                    T(745.13),
                    T(88.7228),
                    T(103.97),
                    T(4503599627370497.5),
                    T(8388609.5),
                    T(9007199254740993.0)})
      for (T sign : {T(1), T(-1)}) {
        result.push_back(sign * value);
        result.push_back(std::nextafter(sign * value, T(0)));
        result.push_back(std::nextafter(sign * value, sign * Limits::infinity()));
      }
    return result;
  }();
  return values;
}

/// Edge cases, a dense range, and numbers of any magnitude.
template <typename T> std::vector<T> inputs(double low, double high, unsigned seed) {
  std::vector<T> result = edges<T>();
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> range(low, high);
  for (int i = 0; i < 20000; ++i)
    result.push_back(T(range(random)));
  for (int i = 0; i < 10000; ++i) {
    uint64_t bits = random();
    T value;
    memcpy(&value, &bits, sizeof(value));
    result.push_back(value);
  }
  return result;
}

/// Every builtin as an entry, by name and where there is one by intrinsic.
std::vector<Callee> allCallees() {
  std::vector<Callee> callees;
  for (const char *type : {"float", "double"}) {
    std::string suffix = type[0] == 'f' ? "f" : "";
    std::string dot = type[0] == 'f' ? ".f32" : ".f64";
    for (const Math &math : unary) {
      if (!math.isOfC) {
        if (suffix == "f")
          callees.push_back({std::string("lathe.math.") + math.name + dot, type});
        continue;
      }
      callees.push_back({math.name + suffix, type});
      if (math.intrinsic)
        callees.push_back({std::string("llvm.") + math.intrinsic + dot, type});
      if (math.isInline)
        callees.push_back({std::string("lathe.math.") + math.name + dot, type});
    }
    callees.push_back({"lathe.math.pow" + dot, type, 2});
    callees.push_back({"lathe.math.atan2" + dot, type, 2});
    for (const Exact &function : exact)
      callees.push_back({function.name + suffix, type});
    for (const Binary &function : binary)
      callees.push_back({function.name + suffix, type, 2});
    callees.push_back({"llvm.pow" + dot, type, 2});
  }
  return callees;
}

class Builtins : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = new Folder;
    auto contents = elementwiseContents(allCallees(), target("x86-64-v3"));
    ASSERT_TRUE(bool(contents)) << messageOf(contents.takeError());
    llvm::Error error = artifact::write(*contents, *folder / "math.lathe");
    ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
    opened = new Opened(*folder / "math.lathe");
  }
  static void TearDownTestSuite() {
    delete opened;
    delete folder;
  }

  /// The form of each function that `nameOf` gives, within a bound in ULP.
  template <typename T>
  void checkUnary(double bound, llvm::function_ref<std::string(const Math &)> nameOf) {
    for (const Math &math : unary) {
      std::string name = nameOf(math);
      if (name.empty())
        continue;
      const lathe_entry *entry = opened->find(name);
      ASSERT_TRUE(entry) << name;
      std::vector<T> x = inputs<T>(math.low, math.high, 1), z = call(*entry, x);
      double worst = 0;
      T where = 0;
      for (size_t i = 0; i < x.size(); ++i)
        if (double error = ulps(z[i], math.wide(x[i])); !(error <= worst))
          worst = error, where = x[i];
      EXPECT_LE(worst, bound) << name << "(" << llvm::utohexstr(bitsOf(where)) << " = " << where
                              << ")";
      RecordProperty(name, std::to_string(worst));
    }
  }

  template <typename T> void checkExact() {
    for (const Exact &function : exact) {
      const lathe_entry *entry = opened->find(formOf<T>(function.name));
      ASSERT_TRUE(entry) << function.name;
      std::vector<T> x = inputs<T>(-100, 100, 2), z = call(*entry, x);
      for (size_t i = 0; i < x.size(); ++i) {
        T wanted;
        if constexpr (sizeof(T) == 4)
          wanted = function.f32(x[i]);
        else
          wanted = function.f64(x[i]);
        EXPECT_EQ(ulps(z[i], wanted), 0) << function.name << "(" << x[i] << ") = " << z[i];
      }
    }
  }

  template <typename T> void checkBinary(double bound) {
    std::string suffix = sizeof(T) == 4 ? ".f32" : ".f64";
    for (const Binary &function : binary)
      checkBinary<T>(function, formOf<T>(function.name), bound);
    checkBinary<T>(binary[0], "llvm.pow" + suffix, bound);
    checkBinary<T>(binary[0], "lathe.math.pow" + suffix, bound);
    checkBinary<T>(binary[1], "lathe.math.atan2" + suffix, bound);
  }

  template <typename T>
  void checkBinary(const Binary &function, const std::string &name, double bound) {
    const lathe_entry *entry = opened->find(name);
    ASSERT_TRUE(entry) << name;
    std::vector<T> x, y;
    for (T a : edges<T>())
      for (T b : edges<T>())
        x.push_back(a), y.push_back(b);
    std::vector<T> moreX = inputs<T>(function.low, function.high, 3);
    std::vector<T> moreY = inputs<T>(-20, 20, 4);
    x.insert(x.end(), moreX.begin(), moreX.end());
    y.insert(y.end(), moreY.begin(), moreY.end());
    std::vector<T> z = call(*entry, x, y);
    double worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      long double wanted = function.wide(x[i], y[i]);
      if (function.anyZero && wanted == 0 && z[i] == 0)
        continue;
      if (double error = ulps(z[i], wanted); !(error <= worst))
        worst = error, where = i;
    }
    EXPECT_LE(worst, bound) << name << "(" << x[where] << ", " << y[where] << ") = " << z[where]
                            << " instead of " << double(function.wide(x[where], y[where]));
    RecordProperty(name, std::to_string(worst));
  }

  template <typename T> static uint64_t bitsOf(T value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(value));
    return bits;
  }

  static Folder *folder;
  static Opened *opened;
};
Folder *Builtins::folder;
Opened *Builtins::opened;

TEST_F(Builtins, UnaryF32IsRoundedWell) {
  checkUnary<float>(0.51,
                    [](const Math &math) { return math.isOfC ? formOf<float>(math.name) : ""; });
}
TEST_F(Builtins, InlineF32WithinTwoAndAHalfUlp) {
  checkUnary<float>(2.5, [](const Math &math) {
    return math.isInline ? std::string("lathe.math.") + math.name + ".f32" : "";
  });
  checkUnary<float>(2.5, [](const Math &math) {
    return math.intrinsic ? std::string("llvm.") + math.intrinsic + ".f32" : "";
  });
}
TEST_F(Builtins, UnaryF64WithinOneAndAHalfUlp) {
  checkUnary<double>(1.5,
                     [](const Math &math) { return math.isOfC ? std::string(math.name) : ""; });
  checkUnary<double>(1.5, [](const Math &math) {
    return math.intrinsic ? std::string("llvm.") + math.intrinsic + ".f64" : "";
  });
}
TEST_F(Builtins, BinaryF32IsRoundedWell) { checkBinary<float>(0.51); }
TEST_F(Builtins, BinaryF64WithinOneUlp) { checkBinary<double>(1); }
TEST_F(Builtins, RoundingIsExact) {
  checkExact<float>();
  checkExact<double>();
}

/// Whether entries of two artifacts give the same bits for random and edge inputs.
template <typename T>
void compareEntries(const lathe_entry &one, const lathe_entry &other, bool isBinary) {
  std::vector<T> x = inputs<T>(-30, 30, 5), y = inputs<T>(-30, 30, 6);
  std::vector<T> a = call(one, x, isBinary ? y : x), b = call(other, x, isBinary ? y : x);
  for (size_t i = 0; i < x.size(); ++i)
    if (!std::isnan(a[i]) || !std::isnan(b[i]))
      ASSERT_EQ(memcmp(&a[i], &b[i], sizeof(T)), 0) << one.name << "(" << x[i] << ")";
}

/// Vectors of any width, and narrower types, compute what one f32 does.
TEST_F(Builtins, VectorsComputeWhatNumbersDo) {
  const std::vector<unsigned> widths = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32};
  std::string ir;
  codegen::HostTarget level = target("x86-64-v3");
  artifact::Contents contents;
  contents.triple = level.triple;
  artifact::Variant variant;
  variant.name = level.name;
  for (const Math &math : unary)
    for (unsigned width : widths) {
      std::string type = "<" + std::to_string(width) + " x float>";
      std::string callee = std::string("@lathe.math.") + math.name + ".v" + std::to_string(width);
      std::string symbol = std::string(math.name) + "_" + std::to_string(width);
      if (std::string(math.name) == "exp10" || std::string(math.name) == "sqrt")
        continue;
      ir += "declare " + type + " " + callee + "(" + type + ")\n";
      ir += "define void @" + symbol + "_run(ptr %x, ptr %z) {\n  %v = load " + type +
            ", ptr %x, align 4\n  %r = call " + type + " " + callee + "(" + type +
            " %v)\n  store " + type + " %r, ptr %z, align 4\n  ret void\n}\n";
      ir += "define void @" + symbol + "_plan() { ret void }\n";
      artifact::Entry entry;
      entry.name = symbol;
      entry.runSymbol = symbol + "_run";
      entry.planSymbol = symbol + "_plan";
      variant.entries.push_back(entry);
    }
  auto object = compile(ir, level);
  ASSERT_TRUE(bool(object)) << messageOf(object.takeError());
  variant.object = std::move(*object);
  contents.variants.push_back(std::move(variant));
  llvm::Error error = artifact::write(contents, *folder / "vectors.lathe");
  ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
  Opened vectors(*folder / "vectors.lathe");
  for (const Math &math : unary) {
    const lathe_entry *one = opened->find(
        math.isInline ? std::string("lathe.math.") + math.name + ".f32" : formOf<float>(math.name));
    std::vector<float> x = inputs<float>(math.low, math.high, 8), wanted = call(*one, x);
    for (unsigned width : widths) {
      const lathe_entry *entry = vectors.find(std::string(math.name) + "_" + std::to_string(width));
      if (!entry)
        continue;
      auto *function =
          reinterpret_cast<void (*)(const float *, float *)>(reinterpret_cast<void *>(entry->run));
      for (size_t at = 0; at + width <= x.size(); at += width) {
        std::vector<float> z(width);
        function(&x[at], z.data());
        for (unsigned i = 0; i < width; ++i)
          if (!std::isnan(z[i]) || !std::isnan(wanted[at + i]))
            ASSERT_EQ(bitsOf(z[i]), bitsOf(wanted[at + i]))
                << math.name << "(" << x[at + i] << ") in a vector of " << width;
      }
    }
  }
}

TEST_F(Builtins, EveryLevelComputesTheSame) {
  auto targets = codegen::resolveTargets("host");
  ASSERT_TRUE(bool(targets)) << messageOf(targets.takeError());
  auto contents = elementwiseContents(allCallees(), targets->front());
  ASSERT_TRUE(bool(contents)) << messageOf(contents.takeError());
  llvm::Error error = artifact::write(*contents, *folder / "host.lathe");
  ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
  Opened host(*folder / "host.lathe");
  for (const Callee &callee : allCallees()) {
    const lathe_entry *one = opened->find(callee.name), *other = host.find(callee.name);
    ASSERT_TRUE(one && other) << callee.name;
    if (callee.type == "float")
      compareEntries<float>(*one, *other, callee.arity == 2);
    else
      compareEntries<double>(*one, *other, callee.arity == 2);
  }
}

} // namespace
