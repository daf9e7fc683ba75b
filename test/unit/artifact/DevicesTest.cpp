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
#include "llvm/Support/FormatVariadic.h"
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
    else if (name == "llvm.load" || name == "llvm.store" || name == "rt.invoke" ||
             name == "rt.fetch" || name == "rt.put")
      text += name.str() + " ";
    else if (name == "rt.allocate" || name == "rt.reserve")
      text += name.str() + (op.hasAttr("device") ? "-on-device " : " ");
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

TEST(DeviceKernels, AreTakenAndTheHostCopiesWhatItLooksAt) {
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
  EXPECT_EQ(outline(run.getBody().front()),
            "launch launch dispatch rt.fetch llvm.load launch llvm.store rt.put llvm.store rt.put "
            "[ rt.fetch llvm.load launch ] rt.fetch llvm.load ");
  EXPECT_TRUE(taken.hostLooks);
}

TEST(DeviceKernels, TellWhetherTheHostLooks) {
  mlir::MLIRContext context;
  auto looks = [&](llvm::StringRef body) {
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
    EXPECT_TRUE(module);
    return module && codegen::takeDeviceKernels(*module).hostLooks;
  };
  EXPECT_FALSE(looks(""));
  EXPECT_TRUE(looks("%a = llvm.load %x : !llvm.ptr -> f32"));
  EXPECT_FALSE(looks("%p = llvm.getelementptr %x[4] : (!llvm.ptr) -> !llvm.ptr, i8\n"
                     "llvm.store %0, %p : i32, !llvm.ptr"));
  EXPECT_FALSE(looks("%p = rt.allocate %call, %c9 : !llvm.ptr -> !llvm.ptr"));
  // Weights never change, and a slot is the host's.
  EXPECT_FALSE(looks("%w = rt.weight_address %call, dense<1.0> : tensor<4xf32> : !llvm.ptr -> "
                     "!llvm.ptr\n%a = llvm.load %w : !llvm.ptr -> f32"));
  EXPECT_FALSE(looks("%s = rt.slot : !llvm.ptr\n%a = llvm.load %s : !llvm.ptr -> !llvm.ptr"));
}

/// Strings, numbers that it reads, and two parts of one value, of which it writes the second.
const char *const mixed = R"(
func.func private @mixed(%call: !llvm.ptr, %text: !llvm.ptr, %read: !llvm.ptr, %from: !llvm.ptr,
                         %to: !llvm.ptr, %begin: index, %end: index) {
  %t = rt.view %text sizes() strides() : !llvm.ptr -> memref<?xi128>
  %r = rt.view %read sizes() strides() : !llvm.ptr -> memref<?xi8>
  %f = rt.view %from sizes() strides() : !llvm.ptr -> memref<?xi8>
  %o = rt.view %to sizes() strides() : !llvm.ptr -> memref<?xi8>
  %0 = memref.load %t[%begin] : memref<?xi128>
  %1 = memref.load %r[%begin] : memref<?xi8>
  %2 = memref.load %f[%begin] : memref<?xi8>
  %3 = arith.addi %1, %2 : i8
  memref.store %3, %o[%begin] : memref<?xi8>
  return
}
)";

std::string hostProgram(llvm::StringRef body) {
  return (llvm::Twine(mixed) + R"(
func.func @run(%call: !llvm.ptr) -> i32 {
  %0 = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %text = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %x = rt.input %call[1] : !llvm.ptr -> !llvm.ptr
  %y = rt.arena %call, %c0 : !llvm.ptr -> !llvm.ptr
  %p = llvm.getelementptr %y[16] : (!llvm.ptr) -> !llvm.ptr, i8
)" + body +
          R"(
  return %0 : i32
})")
      .str();
}

TEST(DeviceKernels, OfTheHostWorkOnCopies) {
  mlir::MLIRContext context;
  std::string dispatch = "rt.dispatch @mixed(%call) buffers(%text, %x, %y, %p) sizes() count %c9 ";
  auto module =
      parse(context, hostProgram(dispatch + "extents(%c9, %c9, %c9, %c9) {grain = 1 : i64} : "
                                            "!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, "
                                            "!llvm.ptr"));
  ASSERT_TRUE(module);
  codegen::DeviceKernels taken = codegen::takeDeviceKernels(*module);
  ASSERT_TRUE(taken.module);
  EXPECT_TRUE(taken.kernels.empty());
  auto run = module->lookupSymbol<mlir::func::FuncOp>("run");
  // Both parts of one value are in one copy, which goes back.
  EXPECT_EQ(outline(run.getBody().front()), "rt.fetch rt.fetch dispatch rt.put ");
  rt::DispatchOp made = *run.getOps<rt::DispatchOp>().begin();
  rt::PutOp put = *run.getOps<rt::PutOp>().begin();
  EXPECT_TRUE(made.getBuffers()[0].getDefiningOp<rt::InputOp>());
  EXPECT_EQ(made.getBuffers()[2], put.getFrom());
  auto part = made.getBuffers()[3].getDefiningOp<mlir::LLVM::GEPOp>();
  ASSERT_TRUE(part);
  EXPECT_EQ(part.getBase(), put.getFrom());
  EXPECT_TRUE(put.getTo().getDefiningOp<rt::ArenaOp>());
  // Where nobody says how large buffers are, that is an error.
  module = parse(context, hostProgram(dispatch + "{grain = 1 : i64} : !llvm.ptr, !llvm.ptr, "
                                                 "!llvm.ptr, !llvm.ptr, !llvm.ptr"));
  ASSERT_TRUE(module);
  std::string text;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    text += diagnostic.str();
    return mlir::success();
  });
  EXPECT_FALSE(codegen::takeDeviceKernels(*module).module);
  EXPECT_EQ(text,
            "the host runs kernel 'mixed', and does not know how many bytes its buffers have");
}

TEST(DeviceKernels, AndBuiltins) {
  mlir::MLIRContext context;
  auto invoke = [](const char *result) {
    return llvm::formatv(R"(
  %{0}:2, %{0}_size = rt.invoke "f"(%call) buffers(%x, %text) sizes(%c9, %c9, %c1) {{
    message = "failed", parameters = array<i64>, ranks = array<i64: 2, 1>,
    result_ranks = array<i64: 1, 0>, widths = array<i64: 4, 0>, result_widths = array<i64: 8, 0>}
    : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> (!llvm.ptr, !llvm.ptr) sizes(index)
  %{0}_first = llvm.load %{0}#0 : !llvm.ptr -> i64
)",
                         result)
        .str();
  };
  auto module = parse(
      context, hostProgram(invoke("a") + "scf.for %i = %c0 to %c9 step %c1 {" + invoke("b") + "}"));
  ASSERT_TRUE(module);
  ASSERT_TRUE(codegen::takeDeviceKernels(*module).module);
  auto run = module->lookupSymbol<mlir::func::FuncOp>("run");
  EXPECT_EQ(outline(run.getBody().front()),
            "rt.fetch rt.invoke rt.allocate-on-device rt.put rt.fetch llvm.load "
            "[ rt.fetch rt.invoke rt.reserve-on-device rt.put rt.fetch llvm.load ] ");
  rt::InvokeOp first = *run.getOps<rt::InvokeOp>().begin();
  EXPECT_TRUE(first.getBuffers()[0].getDefiningOp<rt::FetchOp>());
  EXPECT_TRUE(first.getBuffers()[1].getDefiningOp<rt::InputOp>());
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
