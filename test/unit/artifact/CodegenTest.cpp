// Targets by name, and what compileHost promises of its objects.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/unit/artifact/Helpers.h"
#include <gmock/gmock.h>
#include <thread>

using namespace lathe;
using namespace lathe::test;
using testing::HasSubstr;
using testing::Not;

namespace {

std::string namesOf(llvm::StringRef list) {
  auto targets = codegen::resolveTargets(list);
  if (!targets)
    return "error: " + messageOf(targets.takeError());
  return llvm::join(llvm::map_range(*targets, [](const auto &t) { return t.name; }), " ");
}

TEST(Targets, AreFoundByName) {
  EXPECT_EQ(namesOf(""), "x86-64-v4 x86-64-v3");
  EXPECT_EQ(namesOf("x86-64-v3, x86-64-v4-vnni-bf16,x86-64-v3"), "x86-64-v4-vnni-bf16 x86-64-v3");
  EXPECT_EQ(namesOf("aarch64"), "aarch64");
  EXPECT_EQ(namesOf("x86-64-v4@znver5"), "x86-64-v4@znver5");
  EXPECT_THAT(namesOf("x86-64-v9"), HasSubstr("unknown target 'x86-64-v9'; known are host, "));
  EXPECT_THAT(namesOf("x86-64-v3,"), HasSubstr("unknown target ''"));
  EXPECT_THAT(namesOf("x86-64-v4@z80"), HasSubstr("tuned for processor 'z80'"));
  EXPECT_THAT(namesOf("x86-64-v3,aarch64"), HasSubstr("different architectures"));
}

TEST(Targets, HostIsAKnownLevel) {
  auto targets = codegen::resolveTargets("host");
  ASSERT_TRUE(bool(targets)) << messageOf(targets.takeError());
  ASSERT_EQ(targets->size(), 1u);
  llvm::StringRef level = llvm::StringRef(targets->front().name).split('@').first;
  EXPECT_TRUE(
      llvm::any_of(codegen::knownTargets(), [&](const auto &t) { return t.name == level; }));
  // What it resolved to can be named again, on any machine.
  EXPECT_EQ(namesOf(targets->front().name), targets->front().name);
}

std::string assembly(const std::string &ir, const char *level, codegen::HostOptions options = {}) {
  options.emitAssembly = true;
  auto text = compile(ir, target(level), options);
  return text ? (*text)->getBuffer().str() : "error: " + messageOf(text.takeError());
}

/// z[i] = x[i] * y[i] + z[i]; `flags` of the two operations.
std::string multiplyAdd(const std::string &flags) {
  return R"(
define void @f(ptr noalias %x, ptr noalias %y, ptr noalias %z) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %a = getelementptr float, ptr %x, i64 %i
  %b = getelementptr float, ptr %y, i64 %i
  %c = getelementptr float, ptr %z, i64 %i
  %u = load float, ptr %a
  %v = load float, ptr %b
  %w = load float, ptr %c
  %p = fmul )" +
         flags + R"( float %u, %v
  %s = fadd )" +
         flags + R"( float %p, %w
  store float %s, ptr %c
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, 4096
  br i1 %more, label %loop, label %end
end:
  ret void
})";
}

TEST(Compile, UsesTheLevelsVectors) {
  std::string v4 = assembly(multiplyAdd("contract"), "x86-64-v4");
  EXPECT_THAT(v4, HasSubstr("zmm"));
  std::string v3 = assembly(multiplyAdd("contract"), "x86-64-v3");
  EXPECT_THAT(v3, HasSubstr("ymm"));
  EXPECT_THAT(v3, Not(HasSubstr("zmm")));
  EXPECT_THAT(v3, HasSubstr("vfmadd"));
  EXPECT_THAT(assembly(multiplyAdd("contract"), "aarch64"), HasSubstr("fmla"));
}

TEST(Compile, ContractsOnlyWhatTheIRAllows) {
  EXPECT_THAT(assembly(multiplyAdd(""), "x86-64-v4"), Not(HasSubstr("vfmadd")));
  EXPECT_THAT(assembly(multiplyAdd(""), "aarch64"), Not(HasSubstr("fmla")));
}

/// 24 accumulators of 16 floats, which fit the registers of v4 and not those of v3.
TEST(Compile, AccumulatorsStayInRegisters) {
  constexpr int count = 24;
  std::string ir = "define void @f(ptr %x, ptr %z, i64 %n) {\nentry:\n  br label %loop\nloop:\n"
                   "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]\n";
  auto number = [](const char *name, int k) { return name + std::to_string(k); };
  for (int k = 0; k < count; ++k)
    ir += "  " + number("%a", k) + " = phi <16 x float> [ zeroinitializer, %entry ], [ " +
          number("%s", k) + ", %loop ]\n";
  ir += "  %v.at = getelementptr <16 x float>, ptr %x, i64 %i\n"
        "  %v = load <16 x float>, ptr %v.at\n";
  for (int k = 0; k < count; ++k)
    ir += "  " + number("%b.at", k) + " = getelementptr float, ptr %x, i64 " +
          std::to_string(100 + k) + "\n  " + number("%b", k) + " = load float, ptr " +
          number("%b.at", k) + "\n  " + number("%i", k) + " = insertelement <16 x float> poison, " +
          "float " + number("%b", k) + ", i32 0\n  " + number("%w", k) +
          " = shufflevector <16 x float> " + number("%i", k) +
          ", <16 x float> poison, <16 x i32> zeroinitializer\n  " + number("%p", k) +
          " = fmul contract <16 x float> %v, " + number("%w", k) + "\n  " + number("%s", k) +
          " = fadd contract <16 x float> " + number("%p", k) + ", " + number("%a", k) + "\n";
  ir += "  %next = add i64 %i, 1\n  %more = icmp ult i64 %next, %n\n"
        "  br i1 %more, label %loop, label %end\nend:\n";
  for (int k = 0; k < count; ++k)
    ir += "  " + number("%z.at", k) + " = getelementptr <16 x float>, ptr %z, i64 " +
          std::to_string(k) + "\n  store <16 x float> " + number("%s", k) + ", ptr " +
          number("%z.at", k) + "\n";
  ir += "  ret void\n}\n";
  EXPECT_THAT(assembly(ir, "x86-64-v4"), Not(HasSubstr("Spill")));
}

/// A store of the lanes of `mask` of 16 numbers, narrowed to `type`.
std::string storeNarrow(const std::string &type, const std::string &mask) {
  return "define void @f(ptr %p, <16 x i32> %v) {\n  %t = trunc <16 x i32> %v to <16 x " + type +
         ">\n  call void @llvm.masked.store(<16 x " + type + "> %t, ptr %p, <16 x i1> " + mask +
         ")\n  ret void\n}";
}

TEST(Compile, OneLaneIsStoredNarrow) {
  auto lanes = [](unsigned first, unsigned count) {
    std::string mask;
    for (unsigned i = 0; i < 16; ++i)
      mask += (i ? ", i1 " : "<i1 ") + std::to_string(i >= first && i < first + count);
    return mask + ">";
  };
  for (const char *level : {"x86-64-v3", "x86-64-v4"}) {
    std::string first = assembly(storeNarrow("i8", lanes(0, 1)), level);
    EXPECT_THAT(first, testing::ContainsRegex("(vpextrb\t\\$0, %xmm0, |movb\t%.l, )\\(%rdi\\)"));
    EXPECT_THAT(first, Not(HasSubstr("vmovss")));
    EXPECT_THAT(assembly(storeNarrow("i16", lanes(1, 1)), level),
                testing::ContainsRegex("(vpextrw\t\\$[0-9]+, %xmm0, |movw\t%.x, )2\\(%rdi\\)"));
  }
  // More lanes are one instruction.
  EXPECT_THAT(assembly(storeNarrow("i8", lanes(0, 2)), "x86-64-v4"),
              HasSubstr("vpmovdb\t%zmm0, (%rdi) {%k1}"));
}

TEST(Compile, LinksWhatInstructionSelectionCalls) {
  // No function is named here, but all are called.
  std::string text = assembly(R"(
define float @f(float %x, float %y, ptr %p, ptr %q, i64 %n) {
  call void @llvm.memcpy.p0.p0.i64(ptr %p, ptr %q, i64 %n, i1 false)
  %d = fpext float %x to double
  %e = call double @llvm.exp.f64(double %d)
  %r = frem double %e, 3.5
  %s = call double @llvm.sin.f64(double %r)
  %c = call double @llvm.cos.f64(double %r)
  %u = fadd double %s, %c
  %t = fptrunc double %u to float
  %b = fptrunc float %t to bfloat
  %w = fpext bfloat %b to float
  ret float %w
}
declare double @llvm.exp.f64(double)
declare double @llvm.sin.f64(double)
declare double @llvm.cos.f64(double)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1))",
                              "x86-64-v3");
  for (const char *name : {"\nmemcpy:", "\nexp:", "\nfmod:", "\n__truncsfbf2:", "\nsincos:"})
    EXPECT_THAT(text, HasSubstr(name));
  EXPECT_THAT(text, Not(HasSubstr(".globl\texp")));
}

TEST(Compile, MathOnVectorsIsInline) {
  std::string text = assembly(R"(
define <16 x float> @f(<16 x float> %x) {
  %r = call <16 x float> @llvm.exp.v16f32(<16 x float> %x)
  ret <16 x float> %r
}
define <8 x bfloat> @g(<8 x bfloat> %x) {
  %r = call <8 x bfloat> @llvm.tanh.v8bf16(<8 x bfloat> %x)
  ret <8 x bfloat> %r
}
declare <16 x float> @llvm.exp.v16f32(<16 x float>)
declare <8 x bfloat> @llvm.tanh.v8bf16(<8 x bfloat>))",
                              "x86-64-v4-vnni-bf16");
  EXPECT_THAT(text, HasSubstr("vfmadd213ps"));
  EXPECT_THAT(text, Not(HasSubstr("call")));
  EXPECT_THAT(text, Not(HasSubstr("rsp")));
}

TEST(Compile, NamesOfBuiltinsAreTaken) {
  EXPECT_THAT(assembly("define internal float @expf(float %x) { ret float 7.0 }", "x86-64-v3"),
              HasSubstr("the module defines 'expf', which is the name of a builtin"));
}

TEST(Compile, IsDeterministicAndThreadSafe) {
  std::string ir = elementwiseIR({{"expf", "float"}, {"llvm.pow.f64", "double", 2}});
  std::string wanted = (*compile(ir, target("x86-64-v4")))->getBuffer().str();
  std::vector<std::string> got(3);
  std::vector<std::thread> threads;
  for (std::string &bytes : got)
    threads.emplace_back([&] { bytes = (*compile(ir, target("x86-64-v4")))->getBuffer().str(); });
  for (std::thread &thread : threads)
    thread.join();
  for (const std::string &bytes : got)
    EXPECT_EQ(bytes, wanted);
}

TEST(Compile, EveryOptimizationLevel) {
  for (unsigned level = 0; level <= 3; ++level) {
    Folder folder;
    codegen::HostOptions options;
    options.optLevel = level;
    auto contents = elementwiseContents({{"sinf", "float"}}, target("x86-64-v3"), options);
    ASSERT_TRUE(bool(contents)) << messageOf(contents.takeError());
    llvm::Error error = artifact::write(*contents, folder / "a");
    ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
    Opened opened(folder / "a");
    EXPECT_EQ(call<float>(*opened.find("sinf"), {0, 1}), (std::vector<float>{0, 0.84147096f}));
  }
}

TEST(Compile, RejectsWhatIsNoIR) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseAssemblyString("define i32 @f() { ret i32 0 }", diagnostic, context);
  module->getFunction("f")->front().getTerminator()->eraseFromParent();
  auto object = codegen::compileHost(std::move(module), target("x86-64-v3"));
  ASSERT_FALSE(bool(object));
  EXPECT_THAT(messageOf(object.takeError()), HasSubstr("not valid LLVM IR"));
}

TEST(Compile, ReportsLargeFrames) {
  codegen::HostOptions options;
  std::string warnings;
  options.warn = [&](llvm::StringRef text) { warnings += text.str(); };
  auto object = compile("declare void @g(ptr)\n"
                        "define void @f() { %a = alloca [30000 x i8]\n"
                        "call void @g(ptr %a)\nret void }",
                        target("x86-64-v3"), options);
  ASSERT_TRUE(bool(object));
  EXPECT_THAT(warnings, HasSubstr("stack frame size"));
  EXPECT_THAT(warnings, HasSubstr("'f'"));
}

} // namespace
