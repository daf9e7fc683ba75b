// What the lowerings of rt operations share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_CODEGEN_HOST_RTLOWERING_H
#define LATHE_LIB_CODEGEN_HOST_RTLOWERING_H

#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <cstddef>

namespace lathe::codegen {

/// Replaces the operations of the rt dialect one by one.
class RtLowering {
public:
  RtLowering(mlir::ModuleOp module, WeightLayout &weights, SiteList &sites)
      : module(module), weights(weights), sites(sites), builder(module.getContext()),
        pointer(mlir::LLVM::LLVMPointerType::get(module.getContext())), i64(builder.getI64Type()),
        i32(builder.getI32Type()), isForDevice(module->hasAttr(deviceAttr)) {}

  mlir::LogicalResult run();

private:
  mlir::LogicalResult lower(mlir::Operation *op);
  void lower(rt::DispatchOp op);
  void lower(rt::CheckOp op);
  void lower(rt::InvokeOp op);
  void lower(rt::FetchOp op);
  void lower(rt::PutOp op);
  void checkMemory(mlir::Operation *op, mlir::Value memory, mlir::Value bytes);
  mlir::Value reserve(mlir::Location loc, llvm::StringRef builtin, mlir::Value call,
                      mlir::Value slot, mlir::Value bytes, mlir::Value keep);
  /// A slot in the frame of the host function, empty where that begins.
  mlir::Value makeSlot(mlir::Operation *user);
  /// Copies, and returns from the function where that fails.
  void copy(mlir::Location loc, mlir::Value call, mlir::Value to, mlir::Value from,
            mlir::Value bytes, uint32_t direction);
  mlir::Value stackArray(mlir::Operation *user, uint64_t bytes);
  mlir::Value addressOfStrings(mlir::Location loc, mlir::DenseStringElementsAttr strings);
  void lowerAllocation(mlir::Operation *op, mlir::Value memory, mlir::Value bytes = {});
  mlir::LLVM::LLVMFuncOp getBodyOf(mlir::func::FuncOp kernel);
  mlir::LLVM::LLVMFuncOp getFail();
  mlir::Value errorOf(mlir::Location loc, mlir::Value call);
  mlir::LLVM::LLVMFuncOp getAttend();
  void attend(rt::DispatchOp op, mlir::Value zero);
  mlir::Value nameOf(mlir::Location loc, llvm::StringRef kernel);
  mlir::LLVM::LLVMFuncOp getBuiltin(llvm::StringRef name, mlir::LLVM::LLVMFunctionType type);
  mlir::Value load(mlir::Location loc, mlir::Type type, mlir::Value base, uint64_t offset);
  void store(mlir::Location loc, mlir::Value value, mlir::Value base, uint64_t offset);
  mlir::Value at(mlir::Location loc, mlir::Value base, uint64_t offset);
  mlir::Value toI64(mlir::Location loc, mlir::Value index);
  mlir::Value constant(mlir::Location loc, int64_t value) {
    return mlir::arith::ConstantIntOp::create(builder, loc, value, 64);
  }
  /// Returns `code` from the function when `failed`; the builder goes on after that.
  void returnIf(mlir::Location loc, mlir::Value failed, mlir::Value code);
  void returnIfFailed(mlir::Location loc, mlir::Value code);
  /// Calls the service whose address lies `offset` bytes into the table, with the call itself and
  /// `arguments`.
  mlir::Value callService(mlir::Location loc, mlir::Type result, uint64_t offset, mlir::Value call,
                          llvm::ArrayRef<mlir::Value> arguments);
  mlir::Value argumentArray(mlir::func::FuncOp host, unsigned count);

  mlir::ModuleOp module;
  WeightLayout &weights;
  SiteList &sites;
  mlir::OpBuilder builder;
  mlir::Type pointer, i64, i32;
  bool isForDevice;
  mlir::LLVM::LLVMFuncOp fail, attendFunction;
  llvm::DenseMap<mlir::Attribute, std::string> stringTables; // constant -> global
  llvm::DenseMap<mlir::Operation *, mlir::LLVM::LLVMFuncOp> bodies;
  /// Host function -> array, its length.
  llvm::DenseMap<mlir::Operation *, std::pair<mlir::Value, unsigned>> arrays;
};

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_HOST_RTLOWERING_H
