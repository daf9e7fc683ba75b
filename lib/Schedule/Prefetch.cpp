// Weights are fetched ahead: a run reads them once, so they come from memory, and the processor's
// own prefetching ends with every page. Apache-2.0 WITH LLVM-exception
#include "Tile.h"

using namespace mlir;
using namespace lathe::schedule;

void lathe::schedule::emitPrefetch(Kernel &kernel, Value buffer, Value region, int64_t bytes,
                                   Value first, int64_t lines) {
  constexpr int64_t lineBytes = 64;
  constexpr unsigned secondLevel = 2; // as LLVM counts localities: prefetcht1
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  int64_t lineElements = lineBytes * 8 / element.getIntOrFloatBitWidth();
  Value last = kernel.constant(std::max<int64_t>(bytes / lineBytes - lines, 0));
  first = arith::MinUIOp::create(kernel.builder, kernel.loc, first, last);
  Value start = kernel.add(region, kernel.mul(first, kernel.constant(lineElements)));
  for (int64_t i = 0; i < lines; ++i)
    memref::PrefetchOp::create(kernel.builder, kernel.loc, buffer,
                               kernel.add(start, kernel.constant(i * lineElements)),
                               /*isWrite=*/false, secondLevel, /*isDataCache=*/true);
}
