// What the classifiers and regressors of ai.onnx.ml share: labels, scores and their transforms.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_SCORES_H
#define LATHE_LIB_IMPORT_SCORES_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// The function that a model names to be applied to the scores.
enum class PostTransform { none, softmax, logistic, softmax_zero, probit };

/// `post_transform`, one of the names above in capital letters.
PostTransform postTransformAttribute(Node &node);

/// The transform of scores [rows, classes] over the classes of a row.
mlir::Value applyTransform(Node &node, PostTransform transform, mlir::Value scores);

/// As above for results that are no classes: of a single target only PROBIT changes anything, as
/// other implementations have it.
mlir::Value transformTargets(Node &node, PostTransform transform, mlir::Value scores,
                             int64_t targets);

/// The scores of two classes from that of the second, [rows, 1]. The first has its opposite: the
/// negative one, or with `fraction` and for PROBIT what is missing to 1.
mlir::Value scoresOfTwo(Node &node, PostTransform transform, mlir::Value score, bool fraction);

/// The labels of a classifier: a constant of int64 or of strings, whichever the model gives.
struct ClassLabels {
  mlir::Value table; ///< [count]; null after an error
  int64_t count = 0;
};
ClassLabels classLabels(Node &node, llvm::StringRef ints, llvm::StringRef strings);

/// The labels of classes given by index.
mlir::Value lookUpLabels(Node &node, const ClassLabels &labels, mlir::Value classes);

/// The label of the second class where `score` [rows, 1] is greater than `least`, else the first.
mlir::Value labelOfTwo(Node &node, const ClassLabels &labels, mlir::Value score, double least);

/// The label of the greatest score in each row.
mlir::Value labelOfBest(Node &node, const ClassLabels &labels, mlir::Value scores);

/// The operand as a matrix of f32, or with `keepDouble` of f64 if it is that: a vector is one row.
mlir::Value asRows(Node &node, mlir::Value x, bool keepDouble = false);

/// A constant of f32 or f64.
mlir::Value floatConstant(Node &node, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<double> values,
                          mlir::Type element);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_SCORES_H
