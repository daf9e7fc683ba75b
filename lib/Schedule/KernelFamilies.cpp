// Kernels that are equal, or equal but for some constants, become one function.
// Apache-2.0 WITH LLVM-exception
#include "KernelFamilies.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

Value lathe::schedule::packScalar(OpBuilder &builder, Location loc, Value value) {
  Type type = value.getType();
  if (type.isIndex())
    return value;
  unsigned bits = type.getIntOrFloatBitWidth();
  if (isa<FloatType>(type))
    value = arith::BitcastOp::create(builder, loc, builder.getIntegerType(bits), value);
  if (bits < 64)
    value = arith::ExtUIOp::create(builder, loc, builder.getI64Type(), value);
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
}

Value lathe::schedule::unpackScalar(OpBuilder &builder, Location loc, Value packed, Type type) {
  if (type.isIndex())
    return packed;
  Value value = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), packed);
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits < 64)
    value = arith::TruncIOp::create(builder, loc, builder.getIntegerType(bits), value);
  if (isa<FloatType>(type))
    value = arith::BitcastOp::create(builder, loc, type, value);
  return value;
}

/// Whether `value` makes an operation vanish or cheaper, so that code for it alone is worth having.
static bool isSpecial(TypedAttr value) {
  if (auto number = dyn_cast<IntegerAttr>(value))
    return number.getValue().isZero() || number.getValue().isOne() || number.getValue().isAllOnes();
  const APFloat number = cast<FloatAttr>(value).getValue();
  return !number.isFiniteNonZero() || number.getExactLog2Abs() != INT_MIN;
}

/// Whether code for `value` is as good when it is an argument: it goes, perhaps to all lanes, into
/// operations that gain nothing by knowing it.
static bool mayBeArgument(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<vector::BroadcastOp>(user))
      return mayBeArgument(user->getResult(0));
    return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::MaximumFOp,
               arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp, arith::AddIOp, arith::SubIOp,
               arith::MaxSIOp, arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp, arith::ExtSIOp,
               arith::ExtUIOp, arith::TruncIOp, arith::SIToFPOp, arith::UIToFPOp, arith::ExtFOp,
               arith::TruncFOp, arith::CmpFOp, arith::CmpIOp, arith::SelectOp, math::FmaOp,
               vector::FMAOp>(user);
  });
}

/// The constants of a kernel that another may have otherwise, in the order of its text.
static SmallVector<arith::ConstantOp> findVariables(func::FuncOp function) {
  SmallVector<arith::ConstantOp> found;
  function.walk([&](arith::ConstantOp op) {
    Type type = op.getType();
    bool isNumber = isa<FloatType>(type) || (isa<IntegerType>(type) && !type.isInteger(1));
    if (isNumber && type.getIntOrFloatBitWidth() <= 64 && !isSpecial(op.getValue()) &&
        mayBeArgument(op.getResult()))
      found.push_back(op);
  });
  return found;
}

static std::string print(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  function->print(stream, OpPrintingFlags().useLocalScope().assumeVerified());
  return text;
}

/// The text of `function` without the values of `variables`.
static std::string printFamily(func::FuncOp function, ArrayRef<arith::ConstantOp> variables) {
  SmallVector<TypedAttr> values;
  Builder builder(function.getContext());
  for (arith::ConstantOp variable : variables) {
    values.push_back(variable.getValue());
    variable.setValueAttr(cast<TypedAttr>(builder.getZeroAttr(variable.getType())));
    variable->setDiscardableAttr("variable", builder.getUnitAttr());
  }
  std::string text = print(function);
  for (auto [variable, value] : llvm::zip_equal(variables, values)) {
    arith::ConstantOp op = variable;
    op.setValueAttr(value);
    op->removeDiscardableAttr("variable");
  }
  return text;
}

std::string KernelFamilies::add(func::FuncOp function, StringRef kind) {
  SmallVector<arith::ConstantOp> variables = findVariables(function);
  SmallVector<TypedAttr> values;
  for (arith::ConstantOp variable : variables)
    values.push_back(variable.getValue());
  function.setSymName("kernel");
  std::string text = printFamily(function, variables);
  auto [entry, isNew] = byText.try_emplace(text, families.size());
  if (isNew)
    families.push_back({kind.str(), std::move(text), function, {}, {}});
  Family &family = families[entry->second];
  auto same = llvm::find(family.members, values);
  if (!isNew)
    function.erase();
  if (same != family.members.end())
    return family.names[same - family.members.begin()];
  family.members.push_back(std::move(values));
  // No name of a kernel starts so, and none is the same twice.
  family.names.push_back("new_" + std::to_string(count++));
  if (isNew)
    function.setSymName(family.names.front());
  return family.names.back();
}

void KernelFamilies::finish(Family &family, llvm::StringMap<Final> &finals) {
  // The constants that differ, each sequence of values over the members once.
  llvm::MapVector<ArrayAttr, SmallVector<unsigned>> columns;
  MLIRContext *context = module.getContext();
  for (unsigned place = 0; place < family.members.front().size(); ++place) {
    SmallVector<Attribute> column;
    for (const auto &member : family.members)
      column.push_back(member[place]);
    if (!llvm::all_equal(column))
      columns[ArrayAttr::get(context, column)].push_back(place);
  }
  SmallVector<arith::ConstantOp> variables = findVariables(family.function);
  OpBuilder builder(context);
  for (const auto &[column, places] : columns) {
    func::FuncOp function = family.function;
    Location loc = function.getLoc();
    unsigned end = function.getNumArguments() - 2; // before begin and end
    (void)function.insertArgument(end, builder.getIndexType(), {}, loc);
    builder.setInsertionPointToStart(&function.getBody().front());
    Value value =
        unpackScalar(builder, loc, function.getArgument(end), variables[places.front()].getType());
    for (unsigned place : places) {
      variables[place].getResult().replaceAllUsesWith(value);
      variables[place].erase();
    }
  }
  // The text has the values that are left, so that the name says what the kernel does.
  family.function.setSymName("kernel");
  std::string name = llvm::formatv("{0}_{1:x-16}", family.kind,
                                   llvm::xxh3_64bits(StringRef(print(family.function))));
  family.function.setSymName(name);
  for (auto [index, temporary] : llvm::enumerate(family.names)) {
    Final &final = finals[temporary];
    final.name = name;
    for (const auto &[column, places] : columns)
      final.arguments.push_back(cast<TypedAttr>(column[index]));
  }
}

void KernelFamilies::finish() {
  llvm::StringMap<Final> finals;
  for (Family &family : families)
    finish(family, finals);
  module.walk([&](rt::DispatchOp dispatch) {
    const Final &final = finals.find(dispatch.getKernel())->second;
    dispatch.setKernel(final.name);
    OpBuilder builder(dispatch);
    Location loc = dispatch.getLoc();
    for (TypedAttr value : final.arguments)
      dispatch.getSizesMutable().append(
          packScalar(builder, loc, arith::ConstantOp::create(builder, loc, value)));
  });
}
