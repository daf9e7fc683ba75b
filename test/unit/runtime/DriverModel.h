// A model for GPUs, made by hand. Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H
#define LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H

#include "lathe-c/Runtime.h"

namespace lathe::test {

/// What an element of the input becomes in the entry "run".
inline float expectedResult(float x) { return 2 * x + 1; }

/// The number of a kernel with more parameters than a device takes.
inline constexpr uint32_t tooManyParameters = 600;

/// The site of the fault that the host finds in "refusing"; those of the kernels come before it.
inline constexpr uint32_t hostSite = 3;

/// Code for nvidia:sm_80, nvidia:sm_86, nvidia:sm_90a, amd:gfx90a and amd:gfx942, and none for the
/// host. Entries, all from f32[n] to f32[n]:
///   run   uses arena, weights and a temporary, which it copies to the host and back before its
///   last
///         kernel
///   many  launches more than any device takes
///   wide  launches a kernel with too many parameters
///   wild  has a kernel that writes where no memory is
///   looking   looks at what the first kernel of `checked` wrote, in between, number by number
///   astray    begins with a copy that is refused where the first number is 1 to 6, with
///             large ones where it is 8
///   checked, refusing  as below
extern const lathe_static_model driverModel;

/// Code for nvidia:sm_80 and amd:gfx942, whose host program looks at no memory:
///   run      as above
///   peeking  looks at its input even so
///   waiting  looks at a number before its last kernel
///   checked  has three kernels more, of which the first takes the number 100 for a fault, the
///            second 101, and the third 102
///   allocating  asks for memory of the device
///   beside   as `run`, of the second of two inputs: the first is a sequence
///   refusing  launches the first of these, then ends with a fault that the host found
extern const lathe_static_model unseenModel;

/// Code for nvidia:sm_80 and amd:gfx942 with a tensor map, whose host program looks at no memory:
///   run  one kernel
///   odd  the same from an address that no tensor map can have
extern const lathe_static_model mappedModel;

} // namespace lathe::test

#endif // LATHE_TEST_UNIT_RUNTIME_DRIVERMODEL_H
