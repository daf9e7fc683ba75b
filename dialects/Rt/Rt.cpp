// The rt dialect: registration and verifiers.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
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

static bool isHalf(Type type) { return type.isF16() || type.isBF16(); }

LogicalResult DescribeMatrixOp::verify() {
  if (!isHalf(cast<MemRefType>(getPart().getType()).getElementType()))
    return emitOpError("describes matrices of f16 or bf16, got ") << getPart().getType();
  if (!llvm::is_contained({0, 32, 64, 128}, getSwizzle()))
    return emitOpError("a swizzle is of 0, 32, 64 or 128 bytes, got ") << getSwizzle();
  constexpr uint64_t end = 1 << 18;
  for (uint64_t bytes : {getLeading(), getStride()})
    if (bytes % 16 != 0 || bytes >= end)
      return emitOpError("strides are multiples of 16 bytes below ") << end << ", got " << bytes;
  return success();
}

LogicalResult MultiplySharedOp::verify() {
  auto sums = cast<VectorType>(getSums().getType());
  constexpr int64_t most = 128; // of 256 columns, in each thread
  if (sums.getRank() != 1 || !sums.getElementType().isF32() || sums.getNumElements() % 4 != 0 ||
      sums.getNumElements() > most)
    return emitOpError("has sums of 8 to 256 columns, which are 4 to 128 f32 in steps of 4, got ")
           << sums;
  if (!isHalf(getElement()))
    return emitOpError("multiplies f16 or bf16, got ") << getElement();
  auto left = dyn_cast<VectorType>(getLeft().getType());
  if (left && (left.getShape() != ArrayRef<int64_t>{8} || left.getElementType() != getElement() ||
               getLeftTransposed()))
    return emitOpError("takes 8 numbers of ") << getElement() << " from registers, got " << left;
  return success();
}

LogicalResult WaitProductsOp::verify() {
  if (getSums().getTypes() != getResultTypes())
    return emitOpError("gives sums of other types than it takes");
  for (Type type : getSums().getTypes())
    if (!cast<VectorType>(type).getElementType().isF32())
      return emitOpError("waits for sums of f32, got ") << type;
  return success();
}

LogicalResult TensorMapOp::verify() {
  size_t rank = getSizes().size();
  ArrayRef<int64_t> box = getBox();
  if (rank < 1 || rank > LATHE_MAP_RANK || getStrides().size() != rank - 1 || box.size() != rank)
    return emitOpError("has 1 to ")
           << LATHE_MAP_RANK << " sizes, as many numbers of the box, and a "
           << "stride less, got " << rank << ", " << box.size() << " and " << getStrides().size();
  Type element = getElement();
  unsigned bits = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
  if (!llvm::is_contained({8u, 16u, 32u, 64u}, bits))
    return emitOpError("is of elements of 1, 2, 4 or 8 bytes, got ") << element;
  if (llvm::any_of(box, [](int64_t size) { return size < 1 || size > 256; }))
    return emitOpError("has boxes of 1 to 256 elements in each dimension, got ") << box;
  if (!llvm::is_contained({0, 32, 64, 128}, int64_t(getSwizzle())))
    return emitOpError("has a swizzle of 0, 32, 64 or 128 bytes, got ") << getSwizzle();
  int64_t row = box[0] * bits / 8;
  if (row % 16 || (getSwizzle() && row != int64_t(getSwizzle())))
    return emitOpError("has rows of a multiple of 16 bytes, and of its swizzle, got ") << row;
  if (int64_t(getOffset()) < 0)
    return emitOpError("begins at element ") << int64_t(getOffset());
  return success();
}

/// Barriers are numbers of 64 bits.
static LogicalResult verifyBarriers(Operation *op, Value barriers) {
  auto type = cast<MemRefType>(barriers.getType());
  if (!type.getElementType().isInteger(64))
    return op->emitOpError("needs a barrier of 64 bits, got one of ") << type;
  return success();
}

LogicalResult InitPhasesOp::verify() {
  if (getCount() < 1 || getCount() >= 1 << 20)
    return emitOpError("takes 1 to 1048575 arrivals, got ") << getCount();
  return verifyBarriers(*this, getBarriers());
}

LogicalResult ArriveOp::verify() {
  if (int32_t(getBytes()) < 0 || getBytes() >= 1 << 20)
    return emitOpError("expects up to 1048575 bytes, got ") << int32_t(getBytes());
  return verifyBarriers(*this, getBarriers());
}

LogicalResult WaitPhaseOp::verify() { return verifyBarriers(*this, getBarriers()); }

LogicalResult CopyTensorOp::verify() {
  if (getCoordinates().empty() || getCoordinates().size() > LATHE_MAP_RANK)
    return emitOpError("has 1 to ")
           << LATHE_MAP_RANK << " coordinates, got " << getCoordinates().size();
  return verifyBarriers(*this, getBarriers());
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
