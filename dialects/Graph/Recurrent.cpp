// Recurrent layers: verifier and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

static int64_t countGates(RecurrentKind kind) {
  return kind == RecurrentKind::rnn ? 1 : kind == RecurrentKind::gru ? 3 : 4;
}

LogicalResult RecurrentOp::verify() {
  if (failed(verifySizes(*this, "hidden_size", int64_t(getHiddenSize()), true)))
    return failure();
  for (auto [name, value, rank] : {std::tuple("x", getX(), 3),
                                   {"w", getW(), 3},
                                   {"r", getR(), 3},
                                   {"bias", getBias(), 2},
                                   {"lengths", getLengths(), 1},
                                   {"initial h", getInitialH(), 3},
                                   {"initial c", getInitialC(), 3},
                                   {"peepholes", getPeepholes(), 2}})
    if (failed(verifyRank(*this, name, value, rank)))
      return failure();
  if (getKind() != RecurrentKind::lstm && (getInitialC() || getYC() || getPeepholes()))
    return emitOpError("only lstm has a cell state and peepholes");
  size_t directions = getDirection() == Direction::bidirectional ? 2 : 1;
  size_t functions = directions * (countGates(getKind()) == 1   ? 1
                                   : countGates(getKind()) == 3 ? 2
                                                                : 3);
  if (getActivations().size() != functions)
    return emitOpError("has ") << getActivations().size() << " activations, needs " << functions;
  return verifySameElementTypes(*this, {getX(), getW(), getR(), getBias(), getInitialH(),
                                        getInitialC(), getPeepholes(), getY(), getYH(), getYC()});
}

LogicalResult RecurrentOp::inferShapes(SymbolicShapes &shapes) {
  int64_t directionCount = getDirection() == Direction::bidirectional ? 2 : 1;
  AffineExpr directions = shapes.constant(directionCount);
  AffineExpr hidden = shapes.constant(getHiddenSize());
  AffineExpr gates = shapes.constant(countGates(getKind()) * int64_t(getHiddenSize()));
  SmallVector<AffineExpr> unknown(3);
  auto x = shapes.getDims(getX());
  ArrayRef<AffineExpr> input = x ? *x : ArrayRef<AffineExpr>(unknown);
  AffineExpr steps = input[getBatchFirst()], batch = input[!getBatchFirst()];

  auto check = [&](StringRef name, Value value, ArrayRef<AffineExpr> expected) {
    auto dims = value ? shapes.getDims(value) : std::nullopt;
    if (!dims)
      return success();
    for (auto [i, pair] : llvm::enumerate(llvm::zip(*dims, expected)))
      if (std::get<1>(pair) &&
          failed(shapes.checkEqual(*this, std::get<0>(pair), std::get<1>(pair),
                                   "the size found and expected in dimension " + Twine(i) + " of " +
                                       name)))
        return failure();
    return success();
  };
  SmallVector<AffineExpr> state{directions, batch, hidden};
  if (getBatchFirst())
    std::swap(state[0], state[1]);
  AffineExpr two = shapes.constant(2), three = shapes.constant(3);
  if (failed(check("w", getW(), {directions, gates, input[2]})) ||
      failed(check("r", getR(), {directions, gates, hidden})) ||
      failed(check("bias", getBias(), {directions, shapes.multiply(two, gates)})) ||
      failed(check("lengths", getLengths(), {batch})) ||
      failed(check("initial h", getInitialH(), state)) ||
      failed(check("initial c", getInitialC(), state)) ||
      failed(check("peepholes", getPeepholes(), {directions, shapes.multiply(three, hidden)})))
    return failure();

  SmallVector<AffineExpr> y{steps, directions, batch, hidden};
  if (getBatchFirst())
    y = {batch, steps, directions, hidden};
  if (getY() && failed(shapes.setDims(getY(), y)))
    return failure();
  for (Value last : {getYH(), getYC()})
    if (last && failed(shapes.setDims(last, state)))
      return failure();
  return success();
}

LogicalResult LinearAttentionOp::verify() {
  for (auto [name, value, rank] : {std::tuple("q", getQ(), 5),
                                   {"k", getK(), 4},
                                   {"v", getV(), 4},
                                   {"state", getState(), 4},
                                   {"decay", getDecay(), 4},
                                   {"beta", getBeta(), 3}})
    if (failed(verifyRank(*this, name, value, rank)))
      return failure();
  return verifySameElementTypes(
      *this, {getQ(), getK(), getV(), getState(), getDecay(), getBeta(), getY(), getLast()});
}

LogicalResult LinearAttentionOp::inferShapes(SymbolicShapes &shapes) {
  auto q = shapes.getDims(getQ()), v = shapes.getDims(getV()), state = shapes.getDims(getState());
  if (!q || !v || !state)
    return success();
  if (failed(shapes.setDims(getLast(), *state)))
    return failure();
  SmallVector<AffineExpr> dims(*q);
  dims.back() = v->back();
  return shapes.setDims(getY(), dims);
}
