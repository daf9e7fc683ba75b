// What the files of Codegen/Device share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_CODEGEN_DEVICE_DEVICE_H
#define LATHE_LIB_CODEGEN_DEVICE_DEVICE_H

#include "lathe/Codegen.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lathe::codegen {

/// Threads of a block where each has one item: whole warps and waves, and many blocks on each
/// processor whatever the registers.
constexpr unsigned blockThreads = 128;

/// What kernels call that ask for the number of their thread, that wait for the others, and that
/// copy to shared memory: (to, from, bytes, of which are read), (), (groups still under way).
constexpr llvm::StringLiteral threadFunction = "lathe.thread";
constexpr llvm::StringLiteral barrierFunction = "lathe.barrier";
constexpr llvm::StringLiteral copyFunction = "lathe.copy";
constexpr llvm::StringLiteral commitFunction = "lathe.commit_copies";
constexpr llvm::StringLiteral waitFunction = "lathe.wait_copies";
/// (barrier in shared memory, parity)
constexpr llvm::StringLiteral waitPhaseFunction = "lathe.wait_phase";

/// Has kernels for NVIDIA that share more memory than code can hold take it from their launch.
void takeSharedFromLaunch(llvm::Module &module, llvm::ArrayRef<DeviceKernel> kernels);

/// Has the host program `run` copy from and to the device what it looks at and changes itself.
/// `looks` becomes true where it looks at what was computed, or computes something itself.
llvm::LogicalResult copyForHost(mlir::func::FuncOp run, bool &looks);

/// Has kernels of `kernels` that `run` launches after one that may find a fault in the data do
/// nothing once there is one, where wrong data could lead them astray.
void skipAfterFaults(mlir::func::FuncOp run, mlir::ModuleOp kernels);

/// Has the parameters of `kernel`, whose launch has them all but begin and end, followed by a
/// pointer for each tensor map that it makes, and returns these. What a launch cannot know is an
/// error.
mlir::FailureOr<std::vector<lathe_tensor_map>> takeTensorMaps(mlir::func::FuncOp kernel);

/// Makes loops of the waits for phases.
void expandPhaseWaits(llvm::Module &module);

/// The name of something in `module` that only devices have that copy tensors; empty: there is
/// none.
std::string findTensorCopies(const llvm::Module &module);

/// Makes functions that the emulator runs thread by thread out of `kernels`, entries of a module
/// that is otherwise ready for its GPU: they become host functions that check each access to
/// memory, listed in a hidden table `symbol`. What a GPU has and the emulator does not know is an
/// error.
llvm::Error retargetToHost(llvm::Module &module, llvm::MutableArrayRef<DeviceKernel> kernels,
                           llvm::StringRef symbol);

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_DEVICE_DEVICE_H
