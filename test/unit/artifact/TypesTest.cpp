// Every operation on every type gives an object that needs nothing from outside.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "test/unit/artifact/Helpers.h"
#include "llvm/Object/ObjectFile.h"

using namespace lathe;
using namespace lathe::test;

namespace {

const std::vector<std::string> floats = {"half", "bfloat", "float", "double"};

/// Collects functions of one operation each.
class Operations {
public:
  /// `lanes` 0: numbers.
  explicit Operations(unsigned lanes) : lanes(lanes) {}

  void add(const std::string &operation, const std::string &result, unsigned arity,
           const std::string &operand) {
    std::string list;
    for (unsigned i = 0; i < arity; ++i)
      list += (i ? ", " : "") + type(operand) + " %x" + std::to_string(i);
    text += "define " + type(result) + " @f" + std::to_string(lanes) + "_" +
            std::to_string(count++) + "(" + list + ") {\n  %r = " + operation + "\n  ret " +
            type(result) + " %r\n}\n";
  }
  void binary(const std::string &operation, const std::string &element) {
    add(operation + " " + type(element) + " %x0, %x1", element, 2, element);
  }
  void convert(const std::string &operation, const std::string &from, const std::string &to) {
    add(operation + " " + type(from) + " %x0 to " + type(to), to, 1, from);
  }
  void intrinsic(const std::string &name, const std::string &element, unsigned arity) {
    static const char *const suffixes[] = {"f16", "bf16", "f32", "f64"};
    size_t index = std::find(floats.begin(), floats.end(), element) - floats.begin();
    std::string full =
        "@llvm." + name + "." + (lanes ? "v" + std::to_string(lanes) : "") + suffixes[index];
    std::string types, values;
    for (unsigned i = 0; i < arity; ++i) {
      types += (i ? ", " : "") + type(element);
      values += (i ? ", " : "") + type(element) + " %x" + std::to_string(i);
    }
    text = "declare " + type(element) + " " + full + "(" + types + ")\n" + text;
    add("call " + type(element) + " " + full + "(" + values + ")", element, arity, element);
  }

  std::string text;

private:
  std::string type(const std::string &element) const {
    return lanes ? "<" + std::to_string(lanes) + " x " + element + ">" : element;
  }
  unsigned lanes, count = 0;
};

std::string allOperations(unsigned lanes) {
  Operations operations(lanes);
  for (const std::string &element : floats) {
    for (const char *operation : {"fadd", "fmul", "fdiv", "frem"})
      operations.binary(operation, element);
    for (const char *name :
         {"sqrt", "floor", "ceil", "trunc", "rint",  "round", "roundeven", "nearbyint",
          "fabs", "sin",   "cos",  "tan",   "asin",  "acos",  "atan",      "sinh",
          "cosh", "tanh",  "exp",  "exp2",  "exp10", "log",   "log2",      "log10"})
      operations.intrinsic(name, element, 1);
    for (const char *name : {"pow", "atan2", "minnum", "maxnum", "minimum", "maximum", "minimumnum",
                             "maximumnum", "copysign"})
      operations.intrinsic(name, element, 2);
    operations.intrinsic("fma", element, 3);
    for (const char *integer : {"i1", "i4", "i8", "i16", "i32", "i64", "i128"}) {
      operations.convert("fptosi", element, integer);
      operations.convert("fptoui", element, integer);
      if (element == "bfloat" && std::string(integer) == "i128")
        continue; // LLVM has no code for it on AArch64
      operations.convert("sitofp", integer, element);
      operations.convert("uitofp", integer, element);
    }
  }
  for (auto [wide, narrow] :
       std::vector<std::pair<const char *, const char *>>{{"float", "half"},
                                                          {"float", "bfloat"},
                                                          {"double", "half"},
                                                          {"double", "bfloat"},
                                                          {"double", "float"}}) {
    operations.convert("fptrunc", wide, narrow);
    operations.convert("fpext", narrow, wide);
  }
  for (const char *integer : {"i8", "i32", "i64", "i128"})
    for (const char *operation : {"sdiv", "udiv", "srem", "urem", "mul"})
      operations.binary(operation, integer);
  return operations.text;
}

class Types : public testing::TestWithParam<const char *> {};

TEST_P(Types, NeedNothingFromOutside) {
  auto object = compile(allOperations(0) + allOperations(3) + allOperations(8), target(GetParam()));
  ASSERT_TRUE(bool(object)) << messageOf(object.takeError());
  auto file =
      llvm::cantFail(llvm::object::ObjectFile::createObjectFile((*object)->getMemBufferRef()));
  for (const llvm::object::SymbolRef &symbol : file->symbols())
    EXPECT_FALSE(llvm::cantFail(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined)
        << llvm::cantFail(symbol.getName()).str();
}

INSTANTIATE_TEST_SUITE_P(Levels, Types,
                         testing::Values("x86-64-v3", "x86-64-v4", "x86-64-v4-vnni-bf16",
                                         "aarch64"));

} // namespace
