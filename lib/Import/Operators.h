// The table of operators: domain, name, versions -> handler.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_OPERATORS_H
#define LATHE_LIB_IMPORT_OPERATORS_H

#include "lib/Import/Node.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lathe::import {

/// One operator. The handler normalises all its versions; Node::version tells which one it has.
struct Operator {
  llvm::StringRef name;
  /// Versions that change the operator, ascending.
  llvm::SmallVector<int16_t, 8> versions;
  /// Fewest and most operands of any version; the first `minInputs` may not be omitted.
  unsigned minInputs, maxInputs;
  Handler handler;
  /// Element types of the first operand.
  uint32_t types = kNumbers;
  /// What is not supported, for the generated page; empty: nothing.
  llvm::StringRef limits = "";
  llvm::StringRef domain = "";
  /// Whether operands may be sequences and optionals.
  bool takesSequences = false;
};

inline constexpr unsigned kUnlimited = 1u << 20;

/// The operators of one family, in the file named after it.
llvm::ArrayRef<Operator> elementwiseOperators();
llvm::ArrayRef<Operator> activationOperators();
llvm::ArrayRef<Operator> shapeOperators();
llvm::ArrayRef<Operator> indexingOperators();
llvm::ArrayRef<Operator> generatorOperators();
llvm::ArrayRef<Operator> resizeOperators();
llvm::ArrayRef<Operator> reductionOperators();
llvm::ArrayRef<Operator> contractionOperators();
llvm::ArrayRef<Operator> convOperators();
llvm::ArrayRef<Operator> poolOperators();
llvm::ArrayRef<Operator> normalizationOperators();
llvm::ArrayRef<Operator> attentionOperators();
llvm::ArrayRef<Operator> recurrentOperators();
llvm::ArrayRef<Operator> quantizationOperators();
llvm::ArrayRef<Operator> quantizedLinearOperators();
llvm::ArrayRef<Operator> sortOperators();
llvm::ArrayRef<Operator> signalOperators();
llvm::ArrayRef<Operator> imageOperators();
llvm::ArrayRef<Operator> detectionOperators();
llvm::ArrayRef<Operator> randomOperators();
llvm::ArrayRef<Operator> trainingOperators();
llvm::ArrayRef<Operator> controlOperators();
llvm::ArrayRef<Operator> rotaryOperators();
llvm::ArrayRef<Operator> microsoftAttentionOperators();
llvm::ArrayRef<Operator> matMulNBitsOperators();
llvm::ArrayRef<Operator> textOperators();
llvm::ArrayRef<Operator> treeOperators();
llvm::ArrayRef<Operator> classifierOperators();
llvm::ArrayRef<Operator> featureOperators();
llvm::ArrayRef<Operator> scanOperators();
llvm::ArrayRef<Operator> sequenceOperators();

/// Lists the outputs that follow from random numbers in the module's `graph.random_outputs`, for
/// those who compare them with numbers of another generator.
void markRandomOutputs(mlir::func::FuncOp main);

/// The operator of that name, null when there is none. The domain of ai.onnx is "".
const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name);

/// The version that holds at `opset`; nullopt when the operator came later.
std::optional<int64_t> resolveVersion(const Operator &op, int64_t opset);

/// The newest opset of a domain whose operators are in the table; nullopt for domains that the
/// importer does not know.
std::optional<int64_t> newestOpset(llvm::StringRef domain);

/// Why an operator that is known is not in the table; "" for any other.
llvm::StringRef whyUnsupported(llvm::StringRef domain, llvm::StringRef name);

/// All operators, ordered by domain and name.
std::vector<const Operator *> allOperators();

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_OPERATORS_H
