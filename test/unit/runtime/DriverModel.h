// A model for GPUs, made by hand. Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H
#define LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H

#include "lathe-c/Runtime.h"

namespace lathe::test {

/// What an element of the input becomes in the entry "run".
inline float expectedResult(float x) { return 2 * x + 1; }

/// The number of a kernel with more parameters than a device takes.
inline constexpr uint32_t tooManyParameters = 600;

/// Code for nvidia:sm_80, nvidia:sm_86, nvidia:sm_90a, amd:gfx90a and amd:gfx942, and none for the
/// host. Entries, all from f32[n] to f32[n]:
///   run   uses arena, weights and a temporary, and waits before its last kernel
///   many  launches more than any device takes
///   wide  launches a kernel with too many parameters
///   wild  has a kernel that writes where no memory is
extern const lathe_static_model driverModel;

/// Code for nvidia:sm_80 and amd:gfx942, whose host program looks at no memory:
///   run      as above
///   peeking  looks at its input even so
///   waiting  waits before its last kernel
extern const lathe_static_model unseenModel;

} // namespace lathe::test

#endif // LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H
