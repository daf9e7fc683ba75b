// The rt dialect.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_RT_RT_H
#define LATHE_DIALECTS_RT_RT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Rt/RtDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Rt/RtTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/Rt/RtOps.h.inc"

namespace lathe::rt {

/// On a kernel: how many threads of a GPU compute an item together (i32); absent: one.
inline constexpr llvm::StringLiteral blockAttrName = "rt.block";

/// "node 'Conv_12'" for a location that carries a node's name, else "".
std::string describeNode(mlir::Location location);

} // namespace lathe::rt

#endif // LATHE_DIALECTS_RT_RT_H
