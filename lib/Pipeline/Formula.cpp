// Size arithmetic of the host program, for people to read.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

namespace {

/// How tightly a text binds; what binds less than its place allows is put in parentheses.
enum Binding { Sum, Product, Atom };

struct Text {
  std::string text;
  Binding binding = Atom;
};

class Formula {
public:
  Formula(ArrayRef<artifact::TensorSpec> inputs) : inputs(inputs) {}

  std::string format(Value value) {
    count(value);
    std::string result = text(value).text;
    if (!definitions.empty())
      result += ", where " + llvm::join(definitions, ", ");
    return result;
  }

private:
  // Formulas of large models are cut: nobody reads a thousand terms.
  static constexpr size_t mostTerms = 4000, mostLevels = 1000;

  void count(Value root) {
    SmallVector<Value> open{root};
    while (!open.empty()) {
      Value value = open.pop_back_val();
      Operation *op = value.getDefiningOp();
      if (++uses[value] == 1 && op)
        llvm::append_range(open, llvm::make_filter_range(op->getOperands(), [](Value operand) {
                             return operand.getType().isIntOrIndex();
                           }));
    }
  }

  Text text(Value value) {
    auto known = named.find(value);
    if (known != named.end())
      return {known->second, Atom};
    ++depth;
    Text result = compute(value);
    --depth;
    if (uses.lookup(value) > 1 && result.binding != Atom) {
      std::string name = "t" + std::to_string(definitions.size() + 1);
      definitions.push_back(name + " = " + result.text);
      named[value] = name;
      return {name, Atom};
    }
    return result;
  }

  std::string within(Value value, Binding place) {
    Text part = text(value);
    return part.binding < place ? "(" + part.text + ")" : part.text;
  }

  Text infix(Operation *op, StringRef sign, Binding binding, Binding right) {
    std::string lhs = within(op->getOperand(0), binding), rhs = within(op->getOperand(1), right);
    if (sign == "*" && (lhs == "1" || rhs == "1"))
      return {lhs == "1" ? rhs : lhs, Atom};
    return {lhs + sign.str() + rhs, binding};
  }

  Text call(StringRef name, ValueRange arguments) {
    SmallVector<std::string> texts;
    for (Value argument : arguments) {
      // max(max(a, b), c) is max(a, b, c).
      std::string part = text(argument).text, prefix = name.str() + "(";
      if (StringRef(part).starts_with(prefix) && closesAtEnd(part, prefix.size()))
        part = part.substr(prefix.size(), part.size() - prefix.size() - 1);
      texts.push_back(part);
    }
    return {name.str() + "(" + llvm::join(texts, ", ") + ")", Atom};
  }

  /// Whether the parenthesis before `begin` is closed by the last character.
  static bool closesAtEnd(StringRef text, size_t begin) {
    int depth = 1;
    for (size_t i = begin; i < text.size(); ++i) {
      depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
      if (!depth)
        return i + 1 == text.size();
    }
    return false;
  }

  /// (x + 2^n - 1) & -2^n: "up64(x)".
  std::optional<Text> roundedUp(arith::AndIOp op) {
    APInt mask, added;
    auto sum = op.getLhs().getDefiningOp<arith::AddIOp>();
    if (!sum || !matchPattern(op.getRhs(), m_ConstantInt(&mask)) ||
        !matchPattern(sum.getRhs(), m_ConstantInt(&added)) || !(-mask).isPowerOf2() ||
        added != -mask - 1)
      return std::nullopt;
    return Text{"up" + llvm::toString(-mask, 10, /*Signed=*/false) + "(" + text(sum.getLhs()).text +
                    ")",
                Atom};
  }

  Text dim(rt::DimOp op) {
    if (op.getInput() >= inputs.size() || op.getDim() >= inputs[op.getInput()].dims.size())
      return {"...", Atom};
    const artifact::TensorSpec &spec = inputs[op.getInput()];
    if (int64_t size = spec.dims[op.getDim()].size; size != LATHE_DYNAMIC)
      return {std::to_string(size), Atom};
    const std::string &symbol = spec.dims[op.getDim()].symbol;
    return {symbol.empty() ? spec.name + "[" + std::to_string(op.getDim()) + "]" : symbol, Atom};
  }

  Text compute(Value value) {
    APInt constant;
    if (matchPattern(value, m_ConstantInt(&constant)))
      return {llvm::toString(constant, 10, /*Signed=*/true), constant.isNegative() ? Sum : Atom};
    Operation *op = value.getDefiningOp();
    if (!op || ++visited > mostTerms || depth > mostLevels)
      return {"...", Atom};
    return llvm::TypeSwitch<Operation *, Text>(op)
        .Case([&](rt::DimOp op) { return dim(op); })
        .Case([&](arith::AddIOp op) { return infix(op, " + ", Sum, Sum); })
        .Case([&](arith::SubIOp op) { return infix(op, " - ", Sum, Product); })
        .Case([&](arith::MulIOp op) { return infix(op, "*", Product, Product); })
        .Case<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(
            [&](Operation *op) { return infix(op, "/", Product, Atom); })
        .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
            [&](Operation *op) { return call("ceildiv", op->getOperands()); })
        .Case<arith::RemSIOp, arith::RemUIOp>(
            [&](Operation *op) { return infix(op, "%", Product, Atom); })
        .Case<arith::MaxSIOp, arith::MaxUIOp>(
            [&](Operation *op) { return call("max", op->getOperands()); })
        .Case<arith::MinSIOp, arith::MinUIOp>(
            [&](Operation *op) { return call("min", op->getOperands()); })
        .Case<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(
            [&](Operation *op) { return text(op->getOperand(0)); })
        .Case([&](arith::AndIOp op) {
          std::optional<Text> rounded = roundedUp(op);
          return rounded ? *rounded : infix(op, " & ", Sum, Atom);
        })
        .Case([&](arith::SelectOp op) {
          return Text{"if(" + text(op.getCondition()).text + ", " + text(op.getTrueValue()).text +
                          ", " + text(op.getFalseValue()).text + ")",
                      Atom};
        })
        .Case([&](arith::CmpIOp op) {
          StringRef sign =
              llvm::StringSwitch<StringRef>(arith::stringifyCmpIPredicate(op.getPredicate()))
                  .Case("eq", " = ")
                  .Case("ne", " != ")
                  .Cases({"slt", "ult"}, " < ")
                  .Cases({"sle", "ule"}, " <= ")
                  .Cases({"sgt", "ugt"}, " > ")
                  .Default(" >= ");
          return Text{text(op.getLhs()).text + sign.str() + text(op.getRhs()).text, Sum};
        })
        .Default([](Operation *op) {
          return Text{"(" + op->getName().stripDialect().str() + ")", Atom};
        });
  }

  ArrayRef<artifact::TensorSpec> inputs;
  llvm::DenseMap<Value, unsigned> uses;
  llvm::DenseMap<Value, std::string> named;
  SmallVector<std::string> definitions;
  size_t visited = 0, depth = 0;
};

} // namespace

std::string lathe::pipeline::formatFormula(Value value, ArrayRef<artifact::TensorSpec> inputs) {
  return Formula(inputs).format(value);
}
