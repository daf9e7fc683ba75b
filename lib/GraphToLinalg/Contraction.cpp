// Lowering of matrix products.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using utils::IteratorType;

static constexpr auto sumFlags = arith::FastMathFlags::contract | arith::FastMathFlags::reassoc;

Value lathe::g2l::multiplyAccumulate(const Scalars &s, Value lhs, Value rhs, Value accumulator) {
  if (isa<FloatType>(accumulator.getType())) {
    Value product = arith::MulFOp::create(s.b, s.loc, lhs, rhs, sumFlags);
    return arith::AddFOp::create(s.b, s.loc, accumulator, product, sumFlags);
  }
  return s.add(accumulator, s.mul(lhs, rhs));
}

Tensor lathe::g2l::contract(Lowering &l, const Tensor &lhs, AffineMap lhsMap, const Tensor &rhs,
                            AffineMap rhsMap, ArrayRef<OpFoldResult> sizes, AffineMap resultMap,
                            ArrayRef<IteratorType> iterators, Type element) {
  Type accumulator = getAccumulatorType(element);
  // Half precision is widened once, not at every use, of which there are many.
  auto widened = [&](const Tensor &operand) {
    if (!operand.element.isF16() && !operand.element.isBF16())
      return operand;
    std::optional<Tensor> constant = l.widenConstant(operand);
    return constant ? *constant : l.convert(operand, l.b.getF32Type());
  };
  Tensor a = lhs, b = rhs;
  Type factor = element;
  if (isa<FloatType>(element) && element != accumulator) {
    a = widened(a);
    b = widened(b);
    factor = accumulator;
  }
  a.splat = b.splat = {}; // loops take their sizes from the operands
  Value zero = l.filled(sizes, l.number(accumulator, 0));
  Value result = l.generic({{a, lhsMap}, {b, rhsMap}}, zero, resultMap, iterators,
                           [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                             Value left = s.convert(s.load(x[0], a.element), a.element, factor);
                             Value right = s.convert(s.load(x[1], b.element), b.element, factor);
                             return {multiplyAccumulate(s, left, right, x[2])};
                           })
                     .front();
  // Half precision is rounded once, after the sum.
  Type sumElement = isa<FloatType>(element) ? accumulator : element;
  return l.convert({result, Sizes(sizes), sumElement}, element);
}

// Aligns batch dimensions to `sizes` by maps; copies an operand whose broadcasting only the run
// knows.
static Tensor alignBatch(Lowering &l, Tensor operand, ArrayRef<OpFoldResult> batch,
                         SmallVectorImpl<AffineExpr> &results) {
  int64_t count = operand.rank() - 2, offset = batch.size() - count;
  bool unknown = false;
  for (int64_t i = 0; i < count; ++i)
    unknown |= !getConstantIntValue(operand.sizes[i]) && operand.sizes[i] != batch[offset + i];
  if (unknown) {
    Sizes full(batch);
    full.append(operand.sizes.end() - 2, operand.sizes.end());
    operand = l.broadcast(operand, full);
    count = batch.size();
    offset = 0;
  }
  for (int64_t i = 0; i < count; ++i) {
    bool one = isConstantIntValue(operand.sizes[i], 1) && !isConstantIntValue(batch[offset + i], 1);
    results.push_back(one ? l.b.getAffineConstantExpr(0) : l.b.getAffineDimExpr(offset + i));
  }
  return operand;
}

Tensor lathe::g2l::matmul(Lowering &l, Tensor lhs, Tensor rhs, Type element) {
  ArrayRef<OpFoldResult> lhsBatch = ArrayRef(lhs.sizes).drop_back(2);
  ArrayRef<OpFoldResult> rhsBatch = ArrayRef(rhs.sizes).drop_back(2);
  Sizes batch = l.broadcastSizes({Sizes(lhsBatch), Sizes(rhsBatch)});
  SmallVector<AffineExpr> lhsResults, rhsResults;
  lhs = alignBatch(l, lhs, batch, lhsResults);
  rhs = alignBatch(l, rhs, batch, rhsResults);
  l.requireEqual(lhs.sizes.back(), rhs.sizes[rhs.rank() - 2],
                 "the inner dimensions of a matrix product are %0 and %1");

  int64_t rank = batch.size(), loops = rank + 3;
  AffineExpr m = l.b.getAffineDimExpr(rank), n = l.b.getAffineDimExpr(rank + 1),
             k = l.b.getAffineDimExpr(rank + 2);
  lhsResults.append({m, k});
  rhsResults.append({k, n});
  Sizes sizes = batch;
  sizes.push_back(lhs.sizes[lhs.rank() - 2]);
  sizes.push_back(rhs.sizes.back());
  SmallVector<IteratorType> iterators(loops, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  return contract(l, lhs, AffineMap::get(loops, 0, lhsResults, l.context), rhs,
                  AffineMap::get(loops, 0, rhsResults, l.context), sizes,
                  l.b.getMultiDimIdentityMap(loops).dropResult(loops - 1), iterators, element);
}

static LogicalResult lowerMatMul(graph::MatMulOp op, Lowering &l) {
  Tensor lhs = l.get(op.getLhs()), rhs = l.get(op.getRhs());
  if (lhs.rank() == 0 || rhs.rank() == 0)
    return l.unsupported(op) << "an operand is a scalar";
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  // Vectors become matrices with one row or column, which the result then loses.
  bool lhsVector = lhs.rank() == 1, rhsVector = rhs.rank() == 1;
  if (lhsVector)
    lhs = l.reshape(lhs, {l.size(1), lhs.sizes[0]});
  if (rhsVector)
    rhs = l.reshape(rhs, {rhs.sizes[0], l.size(1)});
  Tensor result = matmul(l, lhs, rhs, element);
  if (lhsVector || rhsVector) {
    Sizes sizes = result.sizes;
    if (rhsVector)
      sizes.pop_back();
    if (lhsVector)
      sizes.erase(sizes.end() - (rhsVector ? 1 : 2));
    result = l.reshape(result, sizes);
  }
  l.set(op.getResult(), result);
  return success();
}

// ---- Einsum ------------------------------------------------------------------------------------

namespace {
/// An operand with the letter of each of its dimensions.
struct Term {
  Tensor tensor;
  std::string letters;
};
} // namespace

// A letter that occurs twice in a term addresses its diagonal.
static Term takeDiagonals(Lowering &l, Term term) {
  std::string unique;
  for (char letter : term.letters)
    if (!StringRef(unique).contains(letter))
      unique += letter;
  if (unique.size() == term.letters.size())
    return term;
  Sizes sizes(unique.size());
  SmallVector<int64_t> dims;
  for (auto [i, letter] : llvm::enumerate(term.letters)) {
    size_t at = unique.find(letter);
    dims.push_back(at);
    if (!sizes[at])
      sizes[at] = term.tensor.sizes[i];
    else
      l.requireEqual(sizes[at], term.tensor.sizes[i],
                     "dimensions of one einsum letter are %0 and %1");
  }
  Tensor diagonal =
      l.fromIndices(sizes, term.tensor.element, [&](const Scalars &s, ValueRange indices) -> Value {
        SmallVector<Value> position;
        for (int64_t dim : dims)
          position.push_back(indices[dim]);
        return s.extract(term.tensor.value, position);
      });
  return {diagonal, unique};
}

// Broadcasting: a dimension of size 1 whose letter has another size elsewhere is left out.
static void dropBroadcast(Lowering &l, MutableArrayRef<Term> terms) {
  auto isOne = [](const Term &term, size_t i) {
    return isConstantIntValue(term.tensor.sizes[i], 1);
  };
  llvm::SmallDenseSet<char> larger;
  for (const Term &term : terms)
    for (auto [i, letter] : llvm::enumerate(term.letters))
      if (!isOne(term, i))
        larger.insert(letter);
  for (Term &term : terms) {
    Sizes sizes;
    std::string letters;
    for (auto [i, letter] : llvm::enumerate(term.letters))
      if (!isOne(term, i) || !larger.contains(letter)) {
        sizes.push_back(term.tensor.sizes[i]);
        letters += letter;
      }
    if (letters.size() != term.letters.size())
      term = {l.reshape(term.tensor, sizes), letters};
  }
}

static SmallVector<int64_t> positions(StringRef letters, StringRef in) {
  SmallVector<int64_t> result;
  for (char letter : letters)
    result.push_back(in.find(letter));
  return result;
}

// Sums over the letters that no one else needs.
static Term sumUnused(Lowering &l, Term term, StringRef needed) {
  SmallVector<int64_t> axes;
  std::string kept;
  for (auto [i, letter] : llvm::enumerate(term.letters)) {
    if (needed.contains(letter))
      kept += letter;
    else
      axes.push_back(i);
  }
  if (axes.empty())
    return term;
  Type element = term.tensor.element;
  Tensor sum = l.reduce({term.tensor}, axes, l.number(getAccumulatorType(element), 0), sumBody);
  if (!isa<FloatType>(element))
    sum.element = element;
  return {l.convert(sum, element), kept};
}

// Multiplies two terms and sums over the letters that neither the result nor a later term has.
// The loops that remain are in the order of `output`, so that the result needs no transposition.
static Term multiply(Lowering &l, const Term &lhs, const Term &rhs, StringRef needed,
                     StringRef output, Type element) {
  std::string loops, sums;
  for (char letter : lhs.letters + rhs.letters) {
    std::string &list = needed.contains(letter) ? loops : sums;
    if (!StringRef(list).contains(letter))
      list += letter;
  }
  llvm::stable_sort(loops, [&](char a, char b) { return output.find(a) < output.find(b); });
  std::string kept = loops;
  loops += sums;
  Sizes sizes(loops.size());
  for (const Term *term : {&lhs, &rhs})
    for (auto [i, letter] : llvm::enumerate(term->letters)) {
      OpFoldResult &size = sizes[loops.find(letter)];
      if (!size)
        size = term->tensor.sizes[i];
      else
        l.requireEqual(size, term->tensor.sizes[i],
                       "dimensions of one einsum letter are %0 and %1");
    }
  SmallVector<IteratorType> iterators(loops.size(), IteratorType::parallel);
  for (size_t i = kept.size(); i < loops.size(); ++i)
    iterators[i] = IteratorType::reduction;
  auto map = [&](StringRef letters) { return l.dimMap(loops.size(), positions(letters, loops)); };
  sizes.resize(kept.size());
  if (sums.empty())
    return {l.elementwise({{lhs.tensor, map(lhs.letters)}, {rhs.tensor, map(rhs.letters)}}, sizes,
                          element,
                          [](const Scalars &s, ValueRange x) { return s.mul(x[0], x[1]); }),
            kept};
  return {contract(l, lhs.tensor, map(lhs.letters), rhs.tensor, map(rhs.letters), sizes, map(kept),
                   iterators, element),
          kept};
}

static LogicalResult lowerEinsum(graph::EinsumOp op, Lowering &l) {
  auto [left, output] = op.getEquation().split("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  if (parts.size() != op.getInputs().size())
    return l.unsupported(op) << "the equation '" << op.getEquation() << "' has " << parts.size()
                             << " terms for " << op.getInputs().size() << " inputs";
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  SmallVector<Term> terms;
  for (auto [part, input] : llvm::zip(parts, op.getInputs())) {
    Term term{l.get(input), part.trim().str()};
    if (term.tensor.rank() != int64_t(term.letters.size()))
      return l.unsupported(op) << "term '" << part << "' for an input of rank "
                               << term.tensor.rank();
    terms.push_back(takeDiagonals(l, term));
  }
  dropBroadcast(l, terms);
  output = output.trim();
  auto needed = [&](size_t from) {
    std::string letters = output.str();
    for (size_t i = from; i < terms.size(); ++i)
      letters += terms[i].letters;
    return letters;
  };
  Term result = terms[0];
  result = sumUnused(l, result, needed(1));
  for (size_t i = 1; i < terms.size(); ++i) {
    Term next = sumUnused(l, terms[i], needed(i + 1) + result.letters);
    result = multiply(l, result, next, needed(i + 1), output, element);
  }
  SmallVector<int64_t> permutation = positions(output, result.letters);
  if (llvm::is_contained(permutation, -1))
    return l.unsupported(op) << "the result of '" << op.getEquation()
                             << "' has a letter that no input has";
  l.set(op.getResult(), l.transpose(result.tensor, permutation));
  return success();
}

void lathe::g2l::addContraction(LoweringTable &table) {
  table.add(lowerMatMul);
  table.add(lowerEinsum);
}
