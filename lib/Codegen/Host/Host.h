// What the files of Codegen/Host share.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_LIB_CODEGEN_HOST_HOST_H
#define LATHE_LIB_CODEGEN_HOST_HOST_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"
#include "llvm/TargetParser/Triple.h"
#include <string>
#include <vector>

namespace llvm {
class Module;
}

namespace lathe::codegen {

/// The symbol by which a kernel that is compiled apart is linked, on it and on its declaration.
constexpr llvm::StringLiteral kernelSymbolAttr = "rt.symbol";

/// On a module of kernels for a device, whose first parameter is no call but a lathe_error.
constexpr llvm::StringLiteral deviceAttr = "rt.device";

/// On a dispatch whose kernel runs on a device: its number there.
constexpr llvm::StringLiteral launchAttr = "launch";

/// Registers LLVM's backends of the supported architectures, once.
void initializeTargets();

/// The names that the builtins (what a C library would give) of an architecture define.
llvm::Expected<const llvm::StringSet<> &> builtinNames(const llvm::Triple &triple);

/// Links the definitions of the builtins in `names`, and of all builtins that `module` declares,
/// into `module`. They stay external, so that linking again finds them, until they are made local.
llvm::Error linkBuiltins(llvm::Module &module, llvm::ArrayRef<std::string> names);

/// Links the definitions of the inline builtins (math in `lathe_...`) that `module` declares, as
/// local functions; what they call themselves stays declared.
llvm::Error linkInlineBuiltins(llvm::Module &module);

/// A declared function of this prefix, a name of C's math library (without "f"), and a suffix of
/// its own after a dot is that function on its argument type, scalar or vector:
/// "lathe.math.erf.v8f32".
constexpr llvm::StringLiteral mathPrefix = "lathe.math.";

/// Replaces math on f32, f16 and bf16, given as intrinsics or by `mathPrefix`, by inline builtins.
llvm::Error inlineMath(llvm::Module &module, bool hasAvx512);

/// Makes all linked builtins local. Calls that instruction selection makes by name still find them.
void internalizeBuiltins(llvm::Module &module);

/// The builtins that instruction selection may call for the operations in `module`.
std::vector<std::string> predictLibcalls(const llvm::Module &module);

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_HOST_HOST_H
