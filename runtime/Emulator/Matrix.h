// The matrix units of GPUs, as the emulator does their work.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_MATRIX_H
#define LATHE_RUNTIME_EMULATOR_MATRIX_H

#include <cstdint>

namespace lathe::emulator {

/// What one lane brings, and where its results go.
struct MatrixOperands {
  const void *left, *right, *sums;
  void *result;
};

/// Lanes of a warp that loads matrices.
constexpr uint32_t warpLanes = 32;

/// An element of a matrix.
struct MatrixPlace {
  uint32_t row, column;
};

/// Which element of a matrix of 8 x 8 that its warp loads is number i, 0 or 1, of what a lane gets.
MatrixPlace loadedPlace(uint32_t lane, uint32_t i, bool isTransposed);

/// Lanes that work together in a unit (lathe_matrix_unit); 0: there is no such unit.
uint32_t matrixLanes(uint32_t unit);

/// result = sums + left * right, of matrices that lie in the registers of as many lanes.
void multiplyMatrices(uint32_t unit, const MatrixOperands *lanes);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_MATRIX_H
