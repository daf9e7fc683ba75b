// Kernels that are equal, or equal but for some constants, become one function.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_KERNELFAMILIES_H
#define LATHE_LIB_SCHEDULE_KERNELFAMILIES_H

#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

namespace lathe::schedule {

/// The form in which a scalar travels to a kernel: an index of 64 bits.
mlir::Value packScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);
/// The scalar of `type` that was packed so.
mlir::Value unpackScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value packed,
                         mlir::Type type);

/// The kernels of a module by what they compute. A quantized model has the same convolution many
/// times, each with scales and zero points of its own: such constants become arguments.
class KernelFamilies {
public:
  explicit KernelFamilies(mlir::ModuleOp module) : module(module) {}

  /// Takes in a finished kernel and returns what its dispatches may call it until `finish`. The
  /// function is erased where one like it is there.
  std::string add(mlir::func::FuncOp function, llvm::StringRef kind);

  /// Gives the kernels their names, "KIND_HASH" of what they do, and the dispatches of the module
  /// the arguments that tell the members of a family apart.
  void finish();

private:
  /// The kernels of one text.
  struct Family {
    std::string kind, text;
    mlir::func::FuncOp function;                             // the first
    std::vector<llvm::SmallVector<mlir::TypedAttr>> members; // their constants
    std::vector<std::string> names;                          // of the members, until `finish`
  };
  struct Final {
    std::string name;
    llvm::SmallVector<mlir::TypedAttr> arguments;
  };
  void finish(Family &family, llvm::StringMap<Final> &finals);

  mlir::ModuleOp module;
  std::vector<Family> families;
  llvm::StringMap<size_t> byText;
  unsigned count = 0;
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_KERNELFAMILIES_H
