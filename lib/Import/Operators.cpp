// The table of operators, put together from the families, and what is derived from it.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lathe/Compiler.h"
#include <map>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

namespace {

using Key = std::pair<StringRef, StringRef>; // domain, name

const std::map<Key, const Operator *> &table() {
  static const std::map<Key, const Operator *> operators = [] {
    std::map<Key, const Operator *> all;
    for (auto family : {elementwiseOperators,
                        activationOperators,
                        shapeOperators,
                        indexingOperators,
                        generatorOperators,
                        resizeOperators,
                        reductionOperators,
                        contractionOperators,
                        convOperators,
                        poolOperators,
                        normalizationOperators,
                        attentionOperators,
                        recurrentOperators,
                        quantizationOperators,
                        quantizedLinearOperators,
                        sortOperators,
                        signalOperators,
                        imageOperators,
                        detectionOperators,
                        randomOperators,
                        trainingOperators,
                        controlOperators,
                        scanOperators,
                        sequenceOperators,
                        treeOperators,
                        classifierOperators,
                        featureOperators,
                        rotaryOperators,
                        microsoftAttentionOperators,
                        matMulNBitsOperators,
                        textOperators})
      for (const Operator &op : family())
        all.emplace(Key(op.domain, op.name), &op);
    return all;
  }();
  return operators;
}

struct Domain {
  StringRef name;
  int64_t newest;
};

constexpr Domain domains[] = {{"", 28},
                              {"ai.onnx.ml", 5},
                              {"ai.onnx.preview", 1},
                              {"ai.onnx.preview.training", 1},
                              {"com.microsoft", 1}};

} // namespace

const Operator *lathe::import::findOperator(StringRef domain, StringRef name) {
  auto it = table().find({domain, name});
  return it == table().end() ? nullptr : it->second;
}

std::optional<int64_t> lathe::import::resolveVersion(const Operator &op, int64_t opset) {
  std::optional<int64_t> version;
  for (int64_t candidate : op.versions)
    if (candidate <= opset)
      version = candidate;
  return version;
}

std::optional<int64_t> lathe::import::newestOpset(StringRef domain) {
  for (const Domain &known : domains)
    if (known.name == domain)
      return known.newest;
  return std::nullopt;
}

std::vector<const Operator *> lathe::import::allOperators() {
  std::vector<const Operator *> operators;
  for (auto &entry : table())
    operators.push_back(entry.second);
  return operators;
}

namespace {
struct TestCount {
  StringRef domain, name;
  unsigned conformance, numeric;
};
} // namespace

// Written by utils/count-tests.
static constexpr TestCount testCounts[] = {
#include "lib/Import/TestCounts.inc"
};

std::vector<OperatorInfo> lathe::listOperators() {
  std::vector<OperatorInfo> infos;
  for (const Operator *op : allOperators()) {
    const TestCount *tests = llvm::find_if(testCounts, [&](const TestCount &entry) {
      return entry.domain == op->domain && entry.name == op->name;
    });
    bool isTested = tests != std::end(testCounts);
    infos.push_back({op->domain.str(),
                     op->name.str(),
                     {op->versions.begin(), op->versions.end()},
                     describeTypeSet(op->types),
                     op->limits.str(),
                     isTested ? tests->conformance : 0,
                     isTested ? tests->numeric : 0});
  }
  return infos;
}
