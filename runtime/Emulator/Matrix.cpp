// Where the elements of matrices lie in registers is written here from the vendors' documents, and
// not taken from the compiler, so that each checks the other: PTX ISA 9.0 on mma.m16n8k16, the ISA
// documents of CDNA 3 (v_mfma_f32_16x16x16_f16), RDNA 3 and RDNA 4 (v_wmma_f32_16x16x16_f16).
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Matrix.h"
#include "lathe/ArtifactFormat.h"

#include <cstring>

namespace lathe::emulator {

namespace {

constexpr uint32_t depth = 16, rows = 16, mostColumns = 16;

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

/// Registers of a lane, element by element, each at its place in the matrices.
struct Layout {
  uint32_t lanes, columns, leftCount, rightCount, sumCount;
  void (*left)(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k);
  void (*right)(uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column);
  void (*sum)(uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column);
};

const Layout *layoutOf(uint32_t unit) {
  // groupID = lane >> 2, threadID_in_group = lane % 4
  static const Layout mmaSync = {32,
                                 8,
                                 8,
                                 4,
                                 4,
                                 [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
                                   bool isUpper = i < 2 || (4 <= i && i < 6);
                                   row = (lane >> 2) + (isUpper ? 0 : 8);
                                   k = (lane % 4) * 2 + (i & 1) + (i < 4 ? 0 : 8);
                                 },
                                 [](uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
                                   k = (lane % 4) * 2 + (i & 1) + (i < 2 ? 0 : 8);
                                   column = lane >> 2;
                                 },
                                 [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
                                   row = (lane >> 2) + (i < 2 ? 0 : 8);
                                   column = (lane % 4) * 2 + (i & 1);
                                 }};
  // Four blocks of 16 lanes, each with four values of k, or four rows of the result.
  static const Layout mfma = {64,
                              16,
                              4,
                              4,
                              4,
                              [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
                                row = lane & 15;
                                k = 4 * (lane >> 4) + i;
                              },
                              [](uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
                                column = lane & 15;
                                k = 4 * (lane >> 4) + i;
                              },
                              [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
                                row = 4 * (lane >> 4) + i;
                                column = lane & 15;
                              }};
  // RDNA 3: both halves of the wave hold the operands; results alternate between them.
  static const Layout wmma = {32,
                              16,
                              16,
                              16,
                              8,
                              [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
                                row = lane & 15;
                                k = i;
                              },
                              [](uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
                                column = lane & 15;
                                k = i;
                              },
                              [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
                                row = 2 * i + (lane >> 4);
                                column = lane & 15;
                              }};
  // RDNA 4: each half of the wave holds half of k, and half of the rows.
  static const Layout wmmaGfx12 = {32,
                                   16,
                                   8,
                                   8,
                                   8,
                                   [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &k) {
                                     row = lane & 15;
                                     k = 8 * (lane >> 4) + i;
                                   },
                                   [](uint32_t lane, uint32_t i, uint32_t &k, uint32_t &column) {
                                     column = lane & 15;
                                     k = 8 * (lane >> 4) + i;
                                   },
                                   [](uint32_t lane, uint32_t i, uint32_t &row, uint32_t &column) {
                                     row = 8 * (lane >> 4) + i;
                                     column = lane & 15;
                                   }};
  switch (unit & ~uint32_t(LATHE_MATRIX_BF16)) {
  case LATHE_MATRIX_MMA_SYNC:
    return &mmaSync;
  case LATHE_MATRIX_MFMA:
    return &mfma;
  case LATHE_MATRIX_WMMA:
    return &wmma;
  case LATHE_MATRIX_WMMA_GFX12:
    return &wmmaGfx12;
  default:
    return nullptr;
  }
}

template <typename T> T elementOf(const void *registers, uint32_t i) {
  T value;
  memcpy(&value, static_cast<const char *>(registers) + i * sizeof(T), sizeof(T));
  return value;
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
  auto convert = unit & LATHE_MATRIX_BF16 ? fromBF16 : fromHalf;
  float left[rows][depth], right[depth][mostColumns];
  uint32_t x, y;
  for (uint32_t lane = 0; lane < layout.lanes; ++lane) {
    for (uint32_t i = 0; i < layout.leftCount; ++i) {
      layout.left(lane, i, x, y);
      left[x][y] = convert(elementOf<uint16_t>(lanes[lane].left, i));
    }
    for (uint32_t i = 0; i < layout.rightCount; ++i) {
      layout.right(lane, i, x, y);
      right[x][y] = convert(elementOf<uint16_t>(lanes[lane].right, i));
    }
  }
  for (uint32_t lane = 0; lane < layout.lanes; ++lane)
    for (uint32_t i = 0; i < layout.sumCount; ++i) {
      layout.sum(lane, i, x, y);
      float sum = elementOf<float>(lanes[lane].sums, i);
      for (uint32_t k = 0; k < depth; ++k)
        sum += left[x][k] * right[k][y];
      memcpy(static_cast<char *>(lanes[lane].result) + i * sizeof(float), &sum, sizeof(sum));
    }
}

} // namespace lathe::emulator
