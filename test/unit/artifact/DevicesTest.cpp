// Devices by name, and which part of a scheduled module becomes theirs.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/artifact/Helpers.h"
#include <gmock/gmock.h>

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::string devicesOf(llvm::StringRef list) {
  auto devices = codegen::resolveDevices(list);
  if (!devices)
    return "error: " + messageOf(devices.takeError());
  return llvm::join(llvm::map_range(*devices, [](const auto &d) { return d.name; }), " ");
}

TEST(Devices, AreFoundByName) {
  EXPECT_EQ(devicesOf(""), "");
  EXPECT_EQ(devicesOf("amd:gfx942, nvidia:sm_90a,amd:gfx942"), "amd:gfx942 nvidia:sm_90a");
  EXPECT_EQ(devicesOf("nvidia"), "nvidia:sm_80");
  EXPECT_EQ(devicesOf("amd"), "amd:gfx90a amd:gfx942 amd:gfx1100 amd:gfx1201");
  EXPECT_EQ(devicesOf("amd,nvidia:sm_80,nvidia"),
            "amd:gfx90a amd:gfx942 amd:gfx1100 amd:gfx1201 nvidia:sm_80");
  EXPECT_THAT(devicesOf("nvidia:sm_20"),
              HasSubstr("unknown device 'nvidia:sm_20'; known are nvidia:sm_80, "));
  EXPECT_TRUE(codegen::namesDevice("nvidia"));
  EXPECT_TRUE(codegen::namesDevice("amd:gfx000"));
  EXPECT_FALSE(codegen::namesDevice("nvidias"));
  EXPECT_FALSE(codegen::namesDevice("x86-64-v3"));
}

mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, llvm::StringRef text) {
  context
      .loadDialect<rt::RtDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                   mlir::arith::ArithDialect, mlir::scf::SCFDialect, mlir::memref::MemRefDialect>();
  return mlir::parseSourceString<mlir::ModuleOp>(text, &context);
}

/// The operations of `block` that matter here, in order; those of inner blocks in brackets.
std::string outline(mlir::Block &block) {
  std::string text;
  for (mlir::Operation &op : block) {
    llvm::StringRef name = op.getName().getStringRef();
    if (auto dispatch = llvm::dyn_cast<rt::DispatchOp>(op))
      text += dispatch->hasAttr("launch") ? "launch " : "dispatch ";
    else if (name == "rt.wait" || name == "llvm.load" || name == "llvm.store" ||
             name == "rt.invoke")
      text += name.str() + " ";
    for (mlir::Region &region : op.getRegions())
      for (mlir::Block &inner : region)
        text += "[ " + outline(inner) + "] ";
  }
  return text;
}

const char *const kernels = R"(
func.func private @add(%call: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %c1 = arith.constant 1 : index
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xf32>
  scf.for %i = %begin to %end step %c1 {
    %0 = memref.load %m[%i] : memref<?xf32>
    %1 = arith.addf %0, %0 : f32
    memref.store %1, %m[%i] : memref<?xf32>
  }
  return
}
func.func private @text(%call: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi128>
  %0 = memref.load %m[%begin] : memref<?xi128>
  memref.store %0, %m[%end] : memref<?xi128>
  return
}
)";

TEST(DeviceKernels, AreTakenAndTheHostWaitsWhereItLooks) {
  mlir::MLIRContext context;
  auto module = parse(context, std::string(kernels) + R"(
func.func @run(%call: !llvm.ptr) -> i32 {
  %0 = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  rt.dispatch @add(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
  rt.dispatch @add(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
  rt.dispatch @text(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
  %a = llvm.load %x : !llvm.ptr -> f32
  rt.dispatch @add(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
  llvm.store %a, %x : f32, !llvm.ptr
  llvm.store %a, %x : f32, !llvm.ptr
  scf.for %i = %c0 to %c9 step %c1 {
    %b = llvm.load %x : !llvm.ptr -> f32
    rt.dispatch @add(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
  }
  %d = llvm.load %x : !llvm.ptr -> f32
  return %0 : i32
}
)");
  ASSERT_TRUE(module);
  codegen::DeviceKernels taken = codegen::takeDeviceKernels(*module);
  ASSERT_EQ(taken.kernels.size(), 1u);
  EXPECT_EQ(taken.kernels[0].name, "add");
  EXPECT_EQ(taken.kernels[0].argumentCount, 3u); // the call, the buffer, the count
  EXPECT_FALSE(taken.module->lookupSymbol<mlir::func::FuncOp>("add").isDeclaration());
  EXPECT_TRUE(module->lookupSymbol<mlir::func::FuncOp>("add").isDeclaration());
  // Strings lie in memory of the host.
  EXPECT_FALSE(module->lookupSymbol<mlir::func::FuncOp>("text").isDeclaration());
  auto run = module->lookupSymbol<mlir::func::FuncOp>("run");
  // Nothing waits twice for the same, and a loop's body for what the one before it launched.
  EXPECT_EQ(outline(run.getBody().front()),
            "launch launch rt.wait dispatch llvm.load launch rt.wait llvm.store llvm.store "
            "[ rt.wait llvm.load launch ] rt.wait llvm.load ");
  // The kernel on strings may read weights.
  EXPECT_EQ(taken.hostFlags, LATHE_DEVICE_HOST_VALUES | LATHE_DEVICE_HOST_WEIGHTS);
}

TEST(DeviceKernels, LeaveTheHostWhatItSees) {
  mlir::MLIRContext context;
  auto flagsOf = [&](llvm::StringRef body) {
    auto module = parse(context, (llvm::Twine(kernels) + R"(
func.func @run(%call: !llvm.ptr) -> i32 {
  %0 = arith.constant 0 : i32
  %c9 = arith.constant 9 : index
  %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  rt.dispatch @add(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64} : !llvm.ptr, !llvm.ptr
)" + body + R"(
  return %0 : i32
})")
                                     .str());
    return module ? codegen::takeDeviceKernels(*module).hostFlags : ~0u;
  };
  EXPECT_EQ(flagsOf(""), 0u);
  EXPECT_EQ(flagsOf("%a = llvm.load %x : !llvm.ptr -> f32"), uint32_t(LATHE_DEVICE_HOST_VALUES));
  EXPECT_EQ(flagsOf("%p = llvm.getelementptr %x[4] : (!llvm.ptr) -> !llvm.ptr, i8\n"
                    "llvm.store %0, %p : i32, !llvm.ptr"),
            uint32_t(LATHE_DEVICE_HOST_VALUES));
  EXPECT_EQ(flagsOf("%p = rt.allocate %call, %c9 : !llvm.ptr -> !llvm.ptr"),
            uint32_t(LATHE_DEVICE_HOST_VALUES));
  // It may be anywhere.
  EXPECT_EQ(flagsOf("%a = llvm.load %call : !llvm.ptr -> f32"),
            uint32_t(LATHE_DEVICE_HOST_VALUES | LATHE_DEVICE_HOST_WEIGHTS));
}

} // namespace
