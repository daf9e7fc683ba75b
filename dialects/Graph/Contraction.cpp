// Matrix products: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult MatMulOp::verify() {
  if (failed(verifyRankAtLeast(*this, "lhs", getLhs(), 1)) ||
      failed(verifyRankAtLeast(*this, "rhs", getRhs(), 1)))
    return failure();
  return verifyProduct(*this, getLhs(), getRhs(), getResult());
}

LogicalResult MatMulOp::inferShapes(SymbolicShapes &shapes) {
  auto left = shapes.getDims(getLhs()), right = shapes.getDims(getRhs());
  if (!left || !right)
    return success();
  // A vector on the left is a row, one on the right a column; the result lacks that dimension.
  SmallVector<AffineExpr> lhs(*left), rhs(*right);
  if (left->size() == 1)
    lhs.insert(lhs.begin(), shapes.constant(1));
  if (right->size() == 1)
    rhs.push_back(shapes.constant(1));
  if (failed(shapes.checkEqual(*this, lhs.back(), rhs[rhs.size() - 2],
                               "columns of the left and rows of the right operand")))
    return failure();
  FailureOr<SmallVector<AffineExpr>> dims =
      shapes.broadcast(*this, {ArrayRef(lhs).drop_back(2), ArrayRef(rhs).drop_back(2)});
  if (failed(dims))
    return failure();
  if (left->size() > 1)
    dims->push_back(lhs[lhs.size() - 2]);
  if (right->size() > 1)
    dims->push_back(rhs.back());
  return shapes.setDims(getResult(), *dims);
}

/// The subscripts of the inputs and of the result; nullopt when the equation is malformed.
static std::optional<std::pair<SmallVector<StringRef>, StringRef>> parseEquation(StringRef text) {
  auto [inputs, result] = text.split("->");
  if (!text.contains("->"))
    return std::nullopt;
  SmallVector<StringRef> terms;
  inputs.split(terms, ',');
  for (StringRef &term : terms)
    term = term.trim();
  result = result.trim();
  auto isPlain = [](StringRef term) { return llvm::all_of(term, llvm::isAlpha); };
  if (!llvm::all_of(terms, isPlain) || !isPlain(result))
    return std::nullopt;
  for (auto [i, c] : llvm::enumerate(result))
    if (result.find(c, i + 1) != StringRef::npos ||
        llvm::none_of(terms, [c = c](StringRef term) { return term.contains(c); }))
      return std::nullopt;
  return std::pair(terms, result);
}

LogicalResult EinsumOp::verify() {
  auto equation = parseEquation(getEquation());
  if (!equation)
    return emitOpError("equation '")
           << getEquation()
           << "' is malformed; it takes letters, commas and one '->', and every letter of the "
              "result once and from an input";
  if (equation->first.size() != getInputs().size())
    return emitOpError("equation '") << getEquation() << "' has " << equation->first.size()
                                     << " terms for " << getInputs().size() << " inputs";
  for (auto [input, term] : llvm::zip(getInputs(), equation->first))
    if (failed(verifyRank(*this, ("input '" + term + "'").str(), input, term.size())))
      return failure();
  SmallVector<Value> values(getInputs());
  values.push_back(getResult());
  return verifySameElementTypes(*this, values);
}

LogicalResult EinsumOp::inferShapes(SymbolicShapes &shapes) {
  auto [terms, result] = *parseEquation(getEquation());
  llvm::SmallDenseMap<char, AffineExpr> sizes;
  for (auto [input, term] : llvm::zip(getInputs(), terms)) {
    auto dims = shapes.getDims(input);
    if (!dims)
      continue;
    for (auto [letter, dim] : llvm::zip(term, *dims)) {
      auto [slot, isNew] = sizes.try_emplace(letter, dim);
      if (isNew)
        continue;
      FailureOr<AffineExpr> merged = shapes.broadcast(slot->second, dim);
      if (failed(merged))
        return emitOpError("letter '")
               << letter << "' stands for sizes " << shapes.toString(slot->second) << " and "
               << shapes.toString(dim);
      slot->second = *merged;
    }
  }
  SmallVector<AffineExpr> dims;
  for (char letter : result)
    dims.push_back(sizes.lookup(letter));
  return shapes.setDims(getResult(), dims);
}

LogicalResult DeterminantOp::verify() {
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 2)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult DeterminantOp::inferShapes(SymbolicShapes &shapes) {
  auto dims = shapes.getDims(getInput());
  if (!dims)
    return success();
  if (failed(shapes.checkEqual(*this, (*dims)[dims->size() - 2], dims->back(),
                               "the sizes of the last two dimensions")))
    return failure();
  return shapes.setDims(getResult(), dims->drop_back(2));
}
