// Winograd's minimal filtering F(4x4, 3x3): a convolution of 3x3 windows at stride 1 as 36 matrix
// products on transformed tiles of 6x6 pixels, a quarter of the multiplications. A work item
// transforms a block of tiles into scratch memory, multiplies there, and transforms back into the
// epilogue, so that nothing but the block ever lies in memory.
//
// The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity: the error is then less than twice that of a
// direct convolution, where the usual 0, 1, -1, 2, -2 lose a digit.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_WINOGRAD_H
#define LATHE_LIB_SCHEDULE_WINOGRAD_H

#include <cstdint>

namespace lathe::schedule::winograd {

constexpr int64_t tileOut = 4, tileIn = 6, planes = tileIn * tileIn, panelLanes = 32;
// The two points besides 0 and infinity that are positive, and their squares.
constexpr double p = 0.75, q = 1.5, pp = p * p, qq = q * q;

} // namespace lathe::schedule::winograd

#endif // LATHE_LIB_SCHEDULE_WINOGRAD_H
