// Pixels between pixels: what grids and deformed windows read.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_SAMPLER_H
#define LATHE_LIB_IMPORT_SAMPLER_H

#include "lib/Import/Node.h"

namespace lathe::import {

enum class Padding { zeros, border, reflection };

/// Samples the flat image [N, C, S] at places that a grid gives.
struct Sampler {
  Node &node;
  mlir::Value image;
  llvm::SmallVector<mlir::Value> sizes; // of the image, i64 scalars
  mlir::Type element;
  Padding padding;
  bool alignCorners;

  mlir::Value add(mlir::Value a, mlir::Value b) {
    return node.binary(graph::BinaryKind::add, a, b);
  }
  mlir::Value sub(mlir::Value a, mlir::Value b) {
    return node.binary(graph::BinaryKind::sub, a, b);
  }
  mlir::Value mul(mlir::Value a, mlir::Value b) {
    return node.binary(graph::BinaryKind::mul, a, b);
  }
  mlir::Value clamp(mlir::Value x, mlir::Value low, mlir::Value high) {
    return node.binary(graph::BinaryKind::min, node.binary(graph::BinaryKind::max, x, low), high);
  }

  mlir::Value floatSize(unsigned d) { return node.cast(sizes[d], element); }
  mlir::Value reflect(mlir::Value x, unsigned d);
  mlir::Value denormalize(mlir::Value x, unsigned d);
  mlir::Value pad(mlir::Value x, unsigned d);
  mlir::Value pixel(llvm::ArrayRef<mlir::Value> coordinates);
};

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_SAMPLER_H
