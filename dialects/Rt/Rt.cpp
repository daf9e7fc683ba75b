// The rt dialect: registration and verifiers.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe::rt;

#include "dialects/Rt/RtDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Rt/RtTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Rt/RtOps.cpp.inc"

void RtDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Rt/RtTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Rt/RtOps.cpp.inc"
      >();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("kernel '") << getKernel() << "' is not a function of this module";
  size_t given = 1 + getBuffers().size() + getSizes().size() + 2;
  if (kernel.getNumArguments() != given)
    return emitOpError("kernel '") << getKernel() << "' takes " << kernel.getNumArguments()
                                   << " arguments, the dispatch passes " << given;
  if (!getWork().empty() && getWork().size() != 2)
    return emitOpError("work is operations and bytes, got ") << getWork().size() << " values";
  return success();
}

LogicalResult CopyAsyncOp::verify() {
  Type element = cast<MemRefType>(getSource().getType()).getElementType();
  if (element != cast<MemRefType>(getPart().getType()).getElementType())
    return emitOpError("copies ") << element << " to memory of another type, "
                                  << getPart().getType();
  unsigned bits = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
  int64_t bytes = bits % 8 == 0 ? getCount() * bits / 8 : 0; // no parts of bytes
  if (!llvm::is_contained({4, 8, 16}, bytes))
    return emitOpError("copies 4, 8 or 16 bytes, got ") << getCount() << " of " << element;
  return success();
}

LogicalResult LoadMatricesOp::verify() {
  auto type = cast<VectorType>(getResult().getType());
  Type element = type.getElementType();
  if (element != cast<MemRefType>(getPart().getType()).getElementType() ||
      !element.isIntOrFloat() || element.getIntOrFloatBitWidth() != 16)
    return emitOpError("loads numbers of 16 bits, got ") << type << " from " << getPart().getType();
  if (!llvm::is_contained({2, 4, 8}, type.getNumElements()))
    return emitOpError("gives each lane two numbers of 1, 2 or 4 matrices, got ") << type;
  return success();
}

std::string lathe::rt::describeNode(Location location) {
  if (auto name = dyn_cast<NameLoc>(location)) {
    StringRef text = name.getName();
    // Nodes without a name are located as "#17 (Conv)".
    if (text.starts_with("#") && text.ends_with(")"))
      return "node " + text.str();
    return "node '" + text.str() + "'";
  }
  if (auto call = dyn_cast<CallSiteLoc>(location)) {
    std::string caller = describeNode(call.getCaller());
    return caller.empty() ? describeNode(call.getCallee()) : caller;
  }
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (std::string text = describeNode(part); !text.empty())
        return text;
  return "";
}
