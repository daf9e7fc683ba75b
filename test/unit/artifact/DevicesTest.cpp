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

// ---- After a fault in the data --------------------------------------------------------------

/// Kernels that add to what is there, and some that ask their data where to read or how often.
const char *const faultyKernels = R"(
func.func private @add(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xf32>
  %n = arith.constant 8 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> (f32) {
    %0 = memref.load %m[%i] : memref<?xf32>
    %big = arith.cmpf ogt, %0, %s : f32
    %1 = scf.if %big -> (f32) {
      %2 = arith.addf %0, %s : f32
      scf.yield %2 : f32
    } else {
      scf.yield %s : f32
    }
    scf.yield %1 : f32
  }
  memref.store %sum, %m[%begin] : memref<?xf32>
  return
}
func.func private @pick(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi64>
  %0 = memref.load %m[%begin] : memref<?xi64>
  %1 = arith.index_cast %0 : i64 to index
  %good = arith.cmpi ult, %1, %end : index
  rt.check %good, 2, "far" {}
  %2 = arith.select %good, %1, %begin : index
  %3 = memref.load %m[%2] : memref<?xi64>
  memref.store %3, %m[%begin] : memref<?xi64>
  return
}
func.func private @divide(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi64>
  %0 = memref.load %m[%begin] : memref<?xi64>
  %none = arith.constant 0 : i64
  %good = arith.cmpi ne, %0, %none : i64
  rt.check %good, 3, "zero" {}
  memref.store %0, %m[%begin] : memref<?xi64>
  return
}
func.func private @count(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = memref.load %m[%begin] : memref<?xi64>
  %1 = arith.index_cast %0 : i64 to index
  scf.for %i = %c0 to %1 step %c1 {
    memref.store %0, %m[%begin] : memref<?xi64>
  }
  return
}
func.func private @search(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index) {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi64>
  %c1 = arith.constant 1 : index
  %found = scf.while (%i = %begin) : (index) -> index {
    %0 = memref.load %m[%i] : memref<?xi64>
    %1 = arith.index_cast %0 : i64 to index
    %go = arith.cmpi ne, %1, %i : index
    scf.condition(%go) %i : index
  } do {
  ^bb0(%i: index):
    %next = arith.addi %i, %c1 : index
    scf.yield %next : index
  }
  return
}
func.func private @choose(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index)
    attributes {rt.block = 32 : i32} {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xi64>
  %none = arith.constant 0 : i64
  %0 = memref.load %m[%begin] : memref<?xi64>
  %big = arith.cmpi sgt, %0, %none : i64
  %i = scf.if %big -> (index) {
    scf.yield %begin : index
  } else {
    scf.yield %end : index
  }
  memref.store %none, %m[%i] : memref<?xi64>
  return
}
func.func private @meet(%faults: !llvm.ptr, %x: !llvm.ptr, %begin: index, %end: index)
    attributes {rt.block = 32 : i32} {
  %m = rt.view %x sizes() strides() : !llvm.ptr -> memref<?xindex>
  %0 = memref.load %m[%begin] : memref<?xindex>
  %good = arith.cmpi ult, %0, %end : index
  rt.check %good, 2, "far" {}
  rt.barrier
  memref.store %end, %m[%0] : memref<?xindex>
  return
}
)";

/// For each kernel by name what it does before its work: nothing, or "failed", with "barrier" where
/// the threads of a block agree on it.
std::string kernelsAfter(mlir::MLIRContext &context, std::initializer_list<const char *> launches,
                         const char *inLoop = nullptr) {
  auto launch = [](llvm::StringRef kernel) {
    bool isChecked = kernel == "pick" || kernel == "divide" || kernel == "meet";
    return ("rt.dispatch @" + kernel + "(%call) buffers(%x) sizes() count %c9 {grain = 1 : i64" +
            (isChecked ? ", checked" : "") + "} : !llvm.ptr, !llvm.ptr\n")
        .str();
  };
  std::string text = std::string(faultyKernels) + R"(
func.func @run(%call: !llvm.ptr) -> i32 {
  %0 = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
)";
  if (inLoop)
    text += "scf.for %i = %c0 to %c9 step %c1 {\n";
  for (const char *kernel : launches)
    text += launch(kernel);
  if (inLoop)
    text += launch(inLoop) + "}\n";
  auto module = parse(context, text + "return %0 : i32\n}");
  if (!module)
    return "the module is wrong";
  codegen::DeviceKernels taken = codegen::takeDeviceKernels(*module);
  // Nobody waits for a kernel because it may find a fault.
  EXPECT_EQ(outline(module->lookupSymbol<mlir::func::FuncOp>("run").getBody().front()).find("wait"),
            std::string::npos);
  std::string found;
  for (auto kernel : taken.module->getOps<mlir::func::FuncOp>()) {
    mlir::Block &entry = kernel.getBody().front();
    std::string first;
    for (mlir::Operation &op : entry)
      if (entry.getNumSuccessors() > 0 && llvm::isa<rt::FailedOp, rt::BarrierOp>(op))
        first += " " + op.getName().stripDialect().str();
    if (!first.empty())
      found += (found.empty() ? "" : ", ") + kernel.getName().str() + first;
  }
  return found;
}

TEST(DeviceKernels, SayWhichTensorMapsTheyTake) {
  mlir::MLIRContext context;
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  auto take = [&](const std::string &stride) {
    auto module = parse(
        context,
        R"(
func.func private @k(%call: !llvm.ptr, %x: !llvm.ptr, %n: index, %m: index, %begin: index, %end: index) {
  %c3 = arith.constant 3 : index
  %c64 = arith.constant 64 : index
  %wide = arith.muli %m, %c64 : index
  %rows = arith.muli %n, %wide : index
  %odd = arith.addi %m, %c64 : index
  %map = rt.tensor_map %x sizes(%wide, %rows) strides()" +
            stride +
            R"() box [64, 8] of bf16 {offset = 8 : i64, swizzle = 128 : i64} : !llvm.ptr -> !llvm.ptr
  %same = rt.tensor_map %x sizes(%wide, %rows) strides(%wide) box [64, 8] of bf16 {offset = 8 : i64, swizzle = 128 : i64} : !llvm.ptr -> !llvm.ptr
  %v = arith.constant 1 : i64
  llvm.store %v, %map : i64, !llvm.ptr
  llvm.store %v, %same : i64, !llvm.ptr
  return
}
func.func @run(%call: !llvm.ptr) -> i32 {
  %0 = arith.constant 0 : i32
  return %0 : i32
}
)");
    EXPECT_TRUE(module);
    return module ? codegen::takeDeviceKernels(*module) : codegen::DeviceKernels();
  };
  codegen::DeviceKernels taken = take("%wide");
  ASSERT_TRUE(taken.module);
  ASSERT_EQ(taken.kernels.size(), 1u);
  EXPECT_EQ(taken.kernels[0].argumentCount, 5u); // the maps are no parameters of the launch
  ASSERT_EQ(taken.kernels[0].tensorMaps.size(), 1u);
  const lathe_tensor_map &map = taken.kernels[0].tensorMaps[0];
  EXPECT_EQ(map.buffer, 1u);
  EXPECT_EQ(map.dtype, uint32_t(LATHE_BF16));
  EXPECT_EQ(map.offset, 16u);
  EXPECT_EQ(map.rank, 2u);
  EXPECT_EQ(map.swizzle, 128u);
  EXPECT_EQ(map.box[1], 8u);
  EXPECT_EQ(map.sizes[0].constant, 64u);
  EXPECT_EQ(map.sizes[0].factors[0], 3u);
  EXPECT_EQ(map.sizes[1].constant, 64u);
  EXPECT_EQ(map.sizes[1].factors[0], 2u);
  EXPECT_EQ(map.sizes[1].factors[1], 3u);
  EXPECT_EQ(map.sizes[1].factors[2], 0u);
  EXPECT_EQ(map.strides[1].factors[0], 3u);
  auto kernel = taken.module->lookupSymbol<mlir::func::FuncOp>("k");
  EXPECT_EQ(kernel.getNumArguments(), 7u);
  EXPECT_EQ(kernel.walk([](rt::TensorMapOp) { return mlir::WalkResult::interrupt(); }),
            mlir::WalkResult::advance());
  // A sum is nothing that the runtime computes, and begin is no parameter.
  EXPECT_FALSE(take("%odd").module);
  EXPECT_FALSE(take("%begin").module);
}

TEST(DeviceKernels, DoNothingAfterAFaultWhereDataCouldLeadThemAstray) {
  mlir::MLIRContext context;
  EXPECT_EQ(kernelsAfter(context, {"add", "count", "search", "choose"}), "");
  // The one that finds it goes on by itself, and so do those that read and write the same places
  // whatever the data.
  EXPECT_EQ(kernelsAfter(context, {"count", "pick", "add", "divide"}), "");
  EXPECT_EQ(kernelsAfter(context, {"divide", "count", "add", "search", "choose", "pick"}),
            "pick failed, count failed, search failed, choose failed");
  // All threads of a block go on, or none, also where one of them may be the first to find a fault.
  EXPECT_EQ(kernelsAfter(context, {"pick", "meet", "choose"}),
            "choose failed, meet failed barrier");
  // The next turn of a loop comes after this one.
  EXPECT_EQ(kernelsAfter(context, {"count", "pick"}, "add"), "pick failed, count failed");
}

} // namespace
