// The builtins that are not math: memory, conversions, wide integers, parts of numbers.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/unit/artifact/Helpers.h"
#include <cmath>
#include <cstring>
#include <random>

using namespace lathe;
using namespace lathe::test;

namespace {

/// IR of functions with any signature; the tests cast an entry's `run` to it.
const char *const functionsIR = R"(
declare ptr @memcpy(ptr, ptr, i64)
declare ptr @memmove(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)
declare i32 @memcmp(ptr, ptr, i64)
declare half @__truncsfhf2(float)
declare half @__truncdfhf2(double)
declare float @__extendhfsf2(half)
declare bfloat @__truncdfbf2(double)
declare double @frexp(double, ptr)
declare double @modf(double, ptr)
declare double @ldexp(double, i32)
declare float @__powisf2(float, i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define ptr @copy(ptr %a, ptr %b, i64 %n) {
  %r = call ptr @memcpy(ptr %a, ptr %b, i64 %n)
  ret ptr %r
}
define void @copy_intrinsic(ptr %a, ptr %b, i64 %n) {
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  ret void
}
define ptr @move(ptr %a, ptr %b, i64 %n) {
  %r = call ptr @memmove(ptr %a, ptr %b, i64 %n)
  ret ptr %r
}
define ptr @set(ptr %a, i32 %v, i64 %n) {
  %r = call ptr @memset(ptr %a, i32 %v, i64 %n)
  ret ptr %r
}
define i32 @compare(ptr %a, ptr %b, i64 %n) {
  %r = call i32 @memcmp(ptr %a, ptr %b, i64 %n)
  ret i32 %r
}
define i16 @to_half(double %x) {
  %h = call half @__truncdfhf2(double %x)
  %r = bitcast half %h to i16
  ret i16 %r
}
define i16 @to_half_from_float(float %x) {
  %h = call half @__truncsfhf2(float %x)
  %r = bitcast half %h to i16
  ret i16 %r
}
define float @from_half(i16 %x) {
  %h = bitcast i16 %x to half
  %r = call float @__extendhfsf2(half %h)
  ret float %r
}
define i16 @to_bfloat(float %x) {
  %h = fptrunc float %x to bfloat
  %r = bitcast bfloat %h to i16
  ret i16 %r
}
define i16 @to_bfloat_from_double(double %x) {
  %h = call bfloat @__truncdfbf2(double %x)
  %r = bitcast bfloat %h to i16
  ret i16 %r
}
define void @divide(ptr %a, ptr %b, ptr %out) {
  %x = load i128, ptr %a
  %y = load i128, ptr %b
  %q = sdiv i128 %x, %y
  %r = srem i128 %x, %y
  %uq = udiv i128 %x, %y
  %ur = urem i128 %x, %y
  store i128 %q, ptr %out
  %p1 = getelementptr i8, ptr %out, i64 16
  store i128 %r, ptr %p1
  %p2 = getelementptr i8, ptr %out, i64 32
  store i128 %uq, ptr %p2
  %p3 = getelementptr i8, ptr %out, i64 48
  store i128 %ur, ptr %p3
  ret void
}
define void @to_wide(double %x, ptr %out) {
  %r = fptosi double %x to i128
  store i128 %r, ptr %out
  ret void
}
define double @from_wide(ptr %a) {
  %x = load i128, ptr %a
  %r = sitofp i128 %x to double
  ret double %r
}
define float @from_wide_unsigned(ptr %a) {
  %x = load i128, ptr %a
  %r = uitofp i128 %x to float
  ret float %r
}
define double @split(double %x, ptr %e) {
  %r = call double @frexp(double %x, ptr %e)
  ret double %r
}
define double @fraction(double %x, ptr %whole) {
  %r = call double @modf(double %x, ptr %whole)
  ret double %r
}
define double @scaled(double %x, i32 %n) {
  %r = call double @ldexp(double %x, i32 %n)
  ret double %r
}
define float @power(float %x, i32 %n) {
  %r = call float @__powisf2(float %x, i32 %n)
  ret float %r
}
)";

class Functions : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = new Folder;
    artifact::Contents contents;
    codegen::HostTarget host = target("x86-64-v3");
    contents.triple = host.triple;
    artifact::Variant variant;
    variant.name = host.name;
    auto object = compile(functionsIR, host);
    ASSERT_TRUE(bool(object)) << messageOf(object.takeError());
    variant.object = std::move(*object);
    // An entry names two functions; here any two. Their number is even.
    names = {"copy",
             "copy_intrinsic",
             "move",
             "set",
             "compare",
             "to_half",
             "to_half_from_float",
             "from_half",
             "to_bfloat",
             "to_bfloat_from_double",
             "divide",
             "to_wide",
             "from_wide",
             "from_wide_unsigned",
             "split",
             "fraction",
             "scaled",
             "power"};
    for (size_t i = 0; i < names.size(); i += 2) {
      artifact::Entry entry;
      entry.planSymbol = names[i];
      entry.runSymbol = names[i + 1];
      variant.entries.push_back(entry);
    }
    contents.variants.push_back(std::move(variant));
    llvm::Error error = artifact::write(contents, *folder / "functions.lathe");
    ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
    opened = new Opened(*folder / "functions.lathe");
  }
  static void TearDownTestSuite() {
    delete opened;
    delete folder;
    names.clear();
  }

  template <typename Signature> static Signature *function(const std::string &name) {
    size_t index = std::find(names.begin(), names.end(), name) - names.begin();
    const lathe_entry &entry = opened->table->variants[0].entries[index / 2];
    auto *address =
        index % 2 ? reinterpret_cast<void *>(entry.run) : reinterpret_cast<void *>(entry.plan);
    return reinterpret_cast<Signature *>(address);
  }

  static Folder *folder;
  static Opened *opened;
  static std::vector<std::string> names;
};
Folder *Functions::folder;
Opened *Functions::opened;
std::vector<std::string> Functions::names;

std::string noise(size_t size) {
  std::mt19937 random(7);
  std::string text(size, 0);
  for (char &c : text)
    c = char(random());
  return text;
}

TEST_F(Functions, CopyAndMoveEverySize) {
  auto *copy = function<void *(void *, const void *, uint64_t)>("copy");
  auto *intrinsic = function<void(void *, const void *, uint64_t)>("copy_intrinsic");
  auto *move = function<void *(void *, const void *, uint64_t)>("move");
  const std::string source = noise(1024);
  for (size_t size = 0; size <= 400; ++size) {
    std::string wanted(1024, 'x'), got = wanted, other = wanted;
    std::copy_n(source.begin() + size % 7, size, wanted.begin() + size % 5);
    EXPECT_EQ(copy(&got[size % 5], &source[size % 7], size), &got[size % 5]);
    intrinsic(&other[size % 5], &source[size % 7], size);
    EXPECT_EQ(got, wanted) << size;
    EXPECT_EQ(other, wanted) << size;
    for (int distance : {-130, -64, -33, -9, -1, 0, 1, 8, 31, 65, 200}) {
      std::string area = source, expected = source;
      memmove(&expected[300 + distance], &expected[300], size);
      EXPECT_EQ(move(&area[300 + distance], &area[300], size), &area[300 + distance]);
      EXPECT_EQ(area, expected) << size << " by " << distance;
    }
  }
}

TEST_F(Functions, SetAndCompareEverySize) {
  auto *set = function<void *(void *, int, uint64_t)>("set");
  auto *compare = function<int(const void *, const void *, uint64_t)>("compare");
  for (size_t size = 0; size <= 200; ++size) {
    std::string got = noise(256), wanted = got;
    memset(&wanted[size % 9], 0x1a7, size);
    EXPECT_EQ(set(&got[size % 9], 0x1a7, size), &got[size % 9]);
    EXPECT_EQ(got, wanted) << size;
    std::string other = got;
    EXPECT_EQ(compare(&got[3], &other[3], size), 0);
    for (size_t at = 0; at < size; at += 5) {
      other = got;
      other[3 + at] ^= 0x80;
      EXPECT_EQ(compare(&got[3], &other[3], size) < 0, memcmp(&got[3], &other[3], size) < 0);
      EXPECT_NE(compare(&got[3], &other[3], size), 0);
    }
  }
}

/// The value of a 16-bit floating-point number.
double valueOf(uint16_t bits, int exponentBits, int mantissaBits) {
  int exponent = (bits >> mantissaBits) & ((1 << exponentBits) - 1);
  int mantissa = bits & ((1 << mantissaBits) - 1);
  int bias = (1 << (exponentBits - 1)) - 1;
  double magnitude = exponent
                         ? ldexp(mantissa + (1 << mantissaBits), exponent - bias - mantissaBits)
                         : ldexp(mantissa, 1 - bias - mantissaBits);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// Every number of a 16-bit format converts to itself; between neighbours the nearest is chosen,
/// and of two equally near ones the even one.
template <typename T, typename Convert>
void checkNarrowing(Convert convert, int exponentBits, int mantissaBits) {
  uint16_t top = uint16_t(((1 << exponentBits) - 1) << mantissaBits);
  for (uint16_t bits = 0; bits < top; ++bits) {
    double value = valueOf(bits, exponentBits, mantissaBits);
    double next = bits + 1 == top ? ldexp(1, (1 << (exponentBits - 1)))
                                  : valueOf(bits + 1, exponentBits, mantissaBits);
    T middle = T((value + next) / 2);
    for (int sign : {1, -1}) {
      uint16_t signBit = sign < 0 ? 0x8000 : 0;
      ASSERT_EQ(convert(T(sign * value)), bits | signBit);
      if (sizeof(T) == 4 && mantissaBits < 10 && bits < 0x80)
        continue; // the middle of two bf16 below the normal numbers may be no float
      ASSERT_EQ(convert(sign * middle), (bits + (bits & 1)) | signBit) << value;
      ASSERT_EQ(convert(sign * std::nextafter(middle, T(0))), bits | signBit) << value;
      ASSERT_EQ(convert(sign * std::nextafter(middle, T(next) * 2)), (bits + 1) | signBit) << value;
    }
  }
  EXPECT_EQ(convert(T(INFINITY)), top);
  EXPECT_EQ(convert(T(1e300)), top);
  EXPECT_GT(convert(T(NAN)) & 0x7fff, top);
}

TEST_F(Functions, NarrowFloats) {
  checkNarrowing<double>(function<uint16_t(double)>("to_half"), 5, 10);
  checkNarrowing<float>(function<uint16_t(float)>("to_half_from_float"), 5, 10);
  checkNarrowing<float>(function<uint16_t(float)>("to_bfloat"), 8, 7);
  checkNarrowing<double>(function<uint16_t(double)>("to_bfloat_from_double"), 8, 7);
  auto *fromHalf = function<float(uint16_t)>("from_half");
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7fff) > 0x7c00)
      EXPECT_TRUE(std::isnan(fromHalf(uint16_t(bits))));
    else if ((bits & 0x7fff) == 0x7c00)
      EXPECT_EQ(fromHalf(uint16_t(bits)), bits & 0x8000 ? -INFINITY : INFINITY);
    else
      ASSERT_EQ(fromHalf(uint16_t(bits)), valueOf(uint16_t(bits), 5, 10));
  }
}

TEST_F(Functions, WideIntegers) {
  auto *divide = function<void(const __int128 *, const __int128 *, __int128 *)>("divide");
  auto *toWide = function<void(double, __int128 *)>("to_wide");
  auto *fromWide = function<double(const __int128 *)>("from_wide");
  auto *fromUnsigned = function<float(const __int128 *)>("from_wide_unsigned");
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    auto any = [&] {
      unsigned __int128 bits = (unsigned __int128)(random()) << 64 | random();
      return __int128(bits >> (random() % 128)) * (random() % 2 ? 1 : -1);
    };
    __int128 a = any(), b = any(), out[4];
    if (b == 0)
      b = 1;
    divide(&a, &b, out);
    EXPECT_TRUE(out[0] == a / b && out[1] == a % b);
    using Unsigned = unsigned __int128;
    EXPECT_TRUE(Unsigned(out[2]) == Unsigned(a) / Unsigned(b));
    EXPECT_TRUE(Unsigned(out[3]) == Unsigned(a) % Unsigned(b));
    EXPECT_EQ(fromWide(&a), double(a));
    EXPECT_EQ(fromUnsigned(&a), float(Unsigned(a)));
    __int128 back;
    toWide(double(a), &back);
    if (std::abs(double(a)) < 1.7e38)
      EXPECT_TRUE(back == __int128(double(a)));
  }
}

TEST_F(Functions, PartsOfNumbers) {
  auto *split = function<double(double, int *)>("split");
  auto *fraction = function<double(double, double *)>("fraction");
  auto *scaled = function<double(double, int)>("scaled");
  auto *power = function<float(float, int)>("power");
  for (double x : {0.0, -0.0, 1.0, -1.5, 3.75, 1e-310, 5e-324, -1e300, 1e17, 0.1}) {
    int exponent, wanted;
    EXPECT_EQ(split(x, &exponent), std::frexp(x, &wanted));
    EXPECT_EQ(exponent, wanted);
    double whole, wantedWhole;
    double part = fraction(x, &whole), wantedPart = std::modf(x, &wantedWhole);
    EXPECT_EQ(part, wantedPart);
    EXPECT_EQ(std::signbit(part), std::signbit(wantedPart));
    EXPECT_EQ(whole, wantedWhole);
    for (int n : {0, 1, -1, 52, -1022, -1074, 1023, 2000, -2000, 2098, INT32_MAX, INT32_MIN})
      EXPECT_EQ(scaled(x, n), std::ldexp(x, n)) << x << " * 2^" << n;
  }
  EXPECT_EQ(power(3, 4), 81);
  EXPECT_EQ(power(2, -3), 0.125f);
  EXPECT_EQ(power(5, 0), 1);
  double whole;
  EXPECT_EQ(fraction(INFINITY, &whole), 0);
  EXPECT_EQ(whole, INFINITY);
}

} // namespace
