// Steps that the attention operators of ai.onnx and com.microsoft share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_ATTENTIONPARTS_H
#define LATHE_LIB_IMPORT_ATTENTIONPARTS_H

#include "lib/Import/Node.h"
#include <limits>

namespace lathe::import {

inline constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// The size of a dimension (counted from the end when negative), or ShapedType::kDynamic.
int64_t staticDim(mlir::Value value, int64_t dim);

/// Whether dimension `dim` of both is known to have the same size in every run.
bool haveSameSize(Node &node, mlir::Value a, mlir::Value b, int64_t dim);

/// [B, S, H * D] to [B, H, S, D], and back.
mlir::Value splitHeads(Node &node, mlir::Value x, int64_t heads);
mlir::Value joinHeads(Node &node, mlir::Value x);

/// 0 where allowed, `otherwise` elsewhere.
mlir::Value asBias(Node &node, mlir::Value allowed, mlir::Type element,
                   double otherwise = kMinusInfinity);

/// `a` + `b`, of which either may be null.
mlir::Value addBiases(Node &node, mlir::Value a, mlir::Value b);

/// 1 / sqrt(head size). Where only the run knows the size of [B, H, S, D], the queries are scaled
/// here, in f32, and 1 is what is left to multiply scores with.
double defaultScale(Node &node, mlir::Value &query);

/// Keys or values [B, Hk, T, D] repeated for the heads of `query` that share them.
mlir::Value repeatHeads(Node &node, mlir::Value x, mlir::Value query);

/// graph.attention of [B, H, S, D] operands.
mlir::Value attend(Node &node, mlir::Value query, mlir::Value key, mlir::Value value,
                   mlir::Value bias, double scale, bool causal);

/// How rotary embeddings are to be applied.
struct Rotation {
  bool interleaved = false;
  int64_t heads = 0;   ///< of operands of rank 3; 0: not known
  int64_t rotated = 0; ///< leading elements of a head; 0: all
};

/// Rotates pairs of elements of the last dimension of `x`, [B, S, H * D] or [B, H, S, D], by angles
/// whose cosines and sines are given as [B, S, R / 2], or as a table that `positions` [B, S] looks
/// up.
mlir::Value rotate(Node &node, mlir::Value x, mlir::Value cosines, mlir::Value sines,
                   mlir::Value positions, Rotation rotation);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_ATTENTIONPARTS_H
