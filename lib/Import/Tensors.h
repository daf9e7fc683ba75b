// Constant data of a model: TensorProto to attributes, external files mapped.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_TENSORS_H
#define LATHE_LIB_IMPORT_TENSORS_H

#include "dialects/Graph/Weights.h"
#include "lib/Import/onnx.pb.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace lathe::import {

/// Reads the tensors of one model. Everything that a tensor claims is checked against what it
/// holds before memory is taken for it.
class TensorReader {
public:
  /// `dataFolder`: where external data is; empty: it is refused.
  TensorReader(mlir::MLIRContext *context, std::string dataFolder);

  /// The constant for `tensor`. With `consume` the tensor's raw bytes are taken over instead of
  /// copied, and `tensor` may not be read again. The error names the field, not the tensor.
  llvm::Expected<mlir::TypedAttr> read(onnx::TensorProto &tensor, bool consume);

  /// The constant for a sparse tensor, made dense.
  llvm::Expected<mlir::TypedAttr> read(const onnx::SparseTensorProto &tensor);

  /// The type that a tensor claims, its dimensions checked.
  llvm::Expected<mlir::RankedTensorType> readType(const onnx::TensorProto &tensor);

private:
  llvm::Expected<mlir::TypedAttr> readExternal(const onnx::TensorProto &tensor,
                                               mlir::RankedTensorType type, uint64_t bytes);
  llvm::Expected<llvm::StringRef> mapFile(llvm::StringRef location);

  mlir::MLIRContext *context;
  graph::WeightStore &store;
  std::string dataFolder;
  struct MappedFile {
    std::string entry; // its name in the weight store
    llvm::StringRef bytes;
  };
  llvm::StringMap<MappedFile> files;
};

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_TENSORS_H
