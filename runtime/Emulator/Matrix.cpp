// Where the elements of matrices lie in registers is written here from the vendors' documents, and
// not taken from the compiler, so that each checks the other: PTX ISA 9.0 on mma.m16n8k16,
// mma.m16n8k8 and mma.m16n8k32, the ISA documents of CDNA 2 and CDNA 3 (v_mfma_f32_16x16x16_f16,
// v_mfma_f32_16x16x8_xf32, v_mfma_i32_16x16x16_i8, v_mfma_i32_16x16x32_i8), RDNA 3 and RDNA 4
// (v_wmma_f32_16x16x16_f16, v_wmma_i32_16x16x16_iu8).
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Matrix.h"
#include "lathe/ArtifactFormat.h"

#include <cmath>
#include <cstring>

namespace lathe::emulator {

namespace {

constexpr uint32_t mostDepth = 32, rows = 16, mostColumns = 16;

float fromHalf(uint16_t bits) {
  _Float16 value;
  memcpy(&value, &bits, sizeof(value));
  return float(value);
}

float fromBF16(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

/// Of f32 the ten upper bits of the mantissa count.
float fromTF32(uint32_t bits) {
  bits &= 0xffffe000;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/// e4m3 has no infinities, and as NaN what is all ones; e5m2 is the upper half of an f16.
float fromE4M3(uint8_t bits) {
  uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
  float value = exponent == 15 && mantissa == 7 ? __builtin_nanf("")
                : exponent == 0                 ? ldexpf(float(mantissa), -9)
                                                : ldexpf(float(8 + mantissa), int(exponent) - 10);
  return bits & 128 ? -value : value;
}

float fromE5M2(uint8_t bits) { return fromHalf(uint16_t(uint32_t(bits) << 8)); }

using Place = void (*)(uint32_t lane, uint32_t i, uint32_t &x, uint32_t &y);

/// Registers of a lane, element by element, each at its place in the matrices.
struct Layout {
  uint32_t lanes, columns, depth, leftCount, rightCount, sumCount;
  Place left, right, sum; ///< row and k, k and column, row and column
};

// The accumulators of all mma.m16n8: groupID = lane >> 2, threadID_in_group = lane % 4.
void mmaSum(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
  row = (lane >> 2) + (i < 2 ? 0 : 8);
  column = (lane % 4) * 2 + (i & 1);
}

// Of all v_mfma of 16 x 16: four blocks of 16 lanes, each with four rows of the result.
void mfmaSum(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
  row = 4 * (lane >> 4) + i;
  column = lane & 15;
}

// Blocks of 16 lanes, each with so many values of k one after the other.
template <uint32_t count> void inBlocks(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
  row = lane & 15;
  k = count * (lane >> 4) + i;
}
template <uint32_t count>
void inBlocksRight(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
  inBlocks<count>(lane, i, column, k);
}

// RDNA 3: both halves of the wave hold the operands; results alternate between them.
void wmmaLeft(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
  row = lane & 15;
  k = i;
}
void wmmaRight(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
  wmmaLeft(lane, i, column, k);
}
void wmmaSum(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
  row = 2 * i + (lane >> 4);
  column = lane & 15;
}

// RDNA 4: each half of the wave holds half of k, and half of the rows.
void wmmaGfx12Sum(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
  row = 8 * (lane >> 4) + i;
  column = lane & 15;
}

// mma.m16n8k16 of f16 and bf16
void mma16Left(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
  bool isUpper = i < 2 || (4 <= i && i < 6);
  row = (lane >> 2) + (isUpper ? 0 : 8);
  k = (lane % 4) * 2 + (i & 1) + (i < 4 ? 0 : 8);
}
void mma16Right(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
  k = (lane % 4) * 2 + (i & 1) + (i < 2 ? 0 : 8);
  column = lane >> 2;
}

// mma.m16n8k8 of tf32: row is groupID for a0 and a2, column threadID_in_group for a0 and a1.
void mma32Left(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
  row = (lane >> 2) + (i == 0 || i == 2 ? 0 : 8);
  k = (lane % 4) + (i == 0 || i == 1 ? 0 : 4);
}
void mma32Right(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
  k = (lane % 4) + (i == 0 ? 0 : 4);
  column = lane >> 2;
}

// mma.m16n8k32 of s8, u8, e4m3 and e5m2
void mma8Left(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
  bool isUpper = i < 4 || (8 <= i && i < 12);
  row = (lane >> 2) + (isUpper ? 0 : 8);
  k = (lane % 4) * 4 + (i & 3) + (i < 8 ? 0 : 16);
}
void mma8Right(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
  k = (lane % 4) * 4 + (i & 3) + (i < 4 ? 0 : 16);
  column = lane >> 2;
}

/// Of a unit for operands of some kind; those of f16 and bf16 lie alike.
struct KnownLayout {
  uint32_t unit, kind;
  Layout layout;
};

const Layout *layoutOf(uint32_t unit) {
  constexpr uint32_t mma = LATHE_MATRIX_MMA_SYNC, mfma = LATHE_MATRIX_MFMA,
                     gfx942 = LATHE_MATRIX_MFMA_GFX942, wmma = LATHE_MATRIX_WMMA,
                     gfx12 = LATHE_MATRIX_WMMA_GFX12;
  constexpr uint32_t tf32 = LATHE_MATRIX_TF32, i8 = LATHE_MATRIX_INT8, f8 = LATHE_MATRIX_FP8;
  static constexpr KnownLayout layouts[] = {
      {mma, 0, {32, 8, 16, 8, 4, 4, mma16Left, mma16Right, mmaSum}},
      {mma, tf32, {32, 8, 8, 4, 2, 4, mma32Left, mma32Right, mmaSum}},
      {mma, i8, {32, 8, 32, 16, 8, 4, mma8Left, mma8Right, mmaSum}},
      {mma, f8, {32, 8, 32, 16, 8, 4, mma8Left, mma8Right, mmaSum}},
      {mfma, 0, {64, 16, 16, 4, 4, 4, inBlocks<4>, inBlocksRight<4>, mfmaSum}},
      {mfma, i8, {64, 16, 16, 4, 4, 4, inBlocks<4>, inBlocksRight<4>, mfmaSum}},
      {gfx942, tf32, {64, 16, 8, 2, 2, 4, inBlocks<2>, inBlocksRight<2>, mfmaSum}},
      {gfx942, i8, {64, 16, 32, 8, 8, 4, inBlocks<8>, inBlocksRight<8>, mfmaSum}},
      {wmma, 0, {32, 16, 16, 16, 16, 8, wmmaLeft, wmmaRight, wmmaSum}},
      {wmma, i8, {32, 16, 16, 16, 16, 8, wmmaLeft, wmmaRight, wmmaSum}},
      {gfx12, 0, {32, 16, 16, 8, 8, 8, inBlocks<8>, inBlocksRight<8>, wmmaGfx12Sum}},
      {gfx12, i8, {32, 16, 16, 8, 8, 8, inBlocks<8>, inBlocksRight<8>, wmmaGfx12Sum}},
  };
  uint32_t kind = unit & LATHE_MATRIX_KINDS;
  for (const KnownLayout &known : layouts)
    if (known.unit == (unit & LATHE_MATRIX_UNITS) &&
        known.kind == (kind == LATHE_MATRIX_BF16 ? 0 : kind))
      return &known.layout;
  return nullptr;
}

template <typename T> T elementOf(const void *registers, uint32_t i) {
  T value;
  memcpy(&value, static_cast<const char *>(registers) + i * sizeof(T), sizeof(T));
  return value;
}

float convertNumber(uint32_t kind, bool isOther, const void *registers, uint32_t i) {
  switch (kind) {
  case LATHE_MATRIX_TF32:
    return fromTF32(elementOf<uint32_t>(registers, i));
  case LATHE_MATRIX_FP8:
    return isOther ? fromE5M2(elementOf<uint8_t>(registers, i))
                   : fromE4M3(elementOf<uint8_t>(registers, i));
  case LATHE_MATRIX_BF16:
    return fromBF16(elementOf<uint16_t>(registers, i));
  default:
    return fromHalf(elementOf<uint16_t>(registers, i));
  }
}

/// An i8 or, where it is the other kind, a u8.
int32_t convertInteger(uint32_t, bool isOther, const void *registers, uint32_t i) {
  return isOther ? int32_t(elementOf<uint8_t>(registers, i))
                 : int32_t(elementOf<int8_t>(registers, i));
}

/// `Wrapping` is what sums are added up in: those of integers wrap around.
template <typename Number, typename Wrapping, typename Convert>
void multiplyAs(const Layout &layout, uint32_t unit, const MatrixOperands *lanes, Convert convert) {
  Number left[rows][mostDepth], right[mostDepth][mostColumns];
  uint32_t kind = unit & LATHE_MATRIX_KINDS, x, y;
  for (uint32_t lane = 0; lane < layout.lanes; ++lane) {
    for (uint32_t i = 0; i < layout.leftCount; ++i) {
      layout.left(lane, i, x, y);
      left[x][y] = convert(kind, unit & LATHE_MATRIX_LEFT_OTHER, lanes[lane].left, i);
    }
    for (uint32_t i = 0; i < layout.rightCount; ++i) {
      layout.right(lane, i, x, y);
      right[x][y] = convert(kind, unit & LATHE_MATRIX_RIGHT_OTHER, lanes[lane].right, i);
    }
  }
  for (uint32_t lane = 0; lane < layout.lanes; ++lane)
    for (uint32_t i = 0; i < layout.sumCount; ++i) {
      layout.sum(lane, i, x, y);
      auto sum = Wrapping(elementOf<Number>(lanes[lane].sums, i));
      for (uint32_t k = 0; k < layout.depth; ++k)
        sum += Wrapping(left[x][k] * right[k][y]);
      auto result = Number(sum);
      memcpy(static_cast<char *>(lanes[lane].result) + i * sizeof(result), &result, sizeof(result));
    }
}

} // namespace

// PTX ISA 9.0, "ldmatrix": each row is in four lanes.
MatrixPlace loadedPlace(uint32_t lane, uint32_t i, bool isTransposed) {
  uint32_t major = lane >> 2, minor = (lane & 3) * 2 + i;
  return isTransposed ? MatrixPlace{minor, major} : MatrixPlace{major, minor};
}

uint32_t matrixLanes(uint32_t unit) {
  const Layout *layout = layoutOf(unit);
  return layout ? layout->lanes : 0;
}

void multiplyMatrices(uint32_t unit, const MatrixOperands *lanes) {
  const Layout &layout = *layoutOf(unit);
  if ((unit & LATHE_MATRIX_KINDS) == LATHE_MATRIX_INT8)
    multiplyAs<int32_t, uint32_t>(layout, unit, lanes, convertInteger);
  else
    multiplyAs<float, float>(layout, unit, lanes, convertNumber);
}

} // namespace lathe::emulator
