// Which elements to keep, where the data decides how many there are.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_SELECT_H
#define LATHE_LIB_GRAPHTOLINALG_SELECT_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// The places in a vector of flags (i8) that are not 0, ascending: i64 [count], of which the count
/// is known when running only. Flags are counted by blocks; then every result looks for its block
/// in the sums of the blocks' counts, and for its place in the block: all steps are parallel.
Tensor selectPlaces(Lowering &l, const Tensor &flags);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_SELECT_H
