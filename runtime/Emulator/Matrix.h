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

/// Lanes that work together in a unit (lathe_matrix_unit); 0: there is no such unit.
uint32_t matrixLanes(uint32_t unit);

/// result = sums + left * right, of matrices that lie in the registers of as many lanes.
void multiplyMatrices(uint32_t unit, const MatrixOperands *lanes);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_MATRIX_H
