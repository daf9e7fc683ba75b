// The two numbers of a complex element, which lie side by side in memory and are moved as one.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_COMPLEXPARTS_H
#define LATHE_LIB_GRAPHTOLINALG_COMPLEXPARTS_H

#include "lib/GraphToLinalg/Scalars.h"

namespace lathe::g2l {

/// The real and the imaginary part.
inline std::pair<mlir::Value, mlir::Value> splitComplex(const Scalars &s, mlir::Value stored,
                                                        mlir::ComplexType type) {
  using namespace mlir;
  unsigned width = stored.getType().getIntOrFloatBitWidth() / 2;
  Value shift = s.constant(stored.getType(), width);
  auto part = [&](Value bits) -> Value {
    Value half = arith::TruncIOp::create(s.b, s.loc, s.b.getIntegerType(width), bits);
    return arith::BitcastOp::create(s.b, s.loc, type.getElementType(), half);
  };
  Value real = part(stored);
  return {real, part(arith::ShRUIOp::create(s.b, s.loc, stored, shift))};
}

inline mlir::Value joinComplex(const Scalars &s, mlir::Value real, mlir::Value imaginary) {
  using namespace mlir;
  unsigned width = real.getType().getIntOrFloatBitWidth();
  Type whole = s.b.getIntegerType(2 * width);
  auto bits = [&](Value part) -> Value {
    Value narrow = arith::BitcastOp::create(s.b, s.loc, s.b.getIntegerType(width), part);
    return arith::ExtUIOp::create(s.b, s.loc, whole, narrow);
  };
  Value high = bits(imaginary);
  high = arith::ShLIOp::create(s.b, s.loc, high, s.constant(whole, width));
  return arith::OrIOp::create(s.b, s.loc, bits(real), high);
}

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_COMPLEXPARTS_H
