// Lowering of random numbers.
//
// A counter-based generator: an element's bits are a hash of the seed and of its place, so that
// elements are independent of each other, of the number of threads, and of what ran before.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Loops.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

/// 2^64 divided by the golden ratio: multiples of it are spread evenly.
static constexpr uint64_t golden = 0x9e3779b97f4a7c15;

// Stafford's variant 13 of the finalizer of MurmurHash3, as in SplitMix64.
static Value mix(const Scalars &s, Value bits) {
  auto constant = [&](uint64_t value) { return s.constant(bits.getType(), APInt(64, value)); };
  auto fold = [&](Value x, unsigned by) -> Value {
    return arith::XOrIOp::create(s.b, s.loc, x,
                                 arith::ShRUIOp::create(s.b, s.loc, x, constant(by)).getResult());
  };
  bits = s.mul(fold(bits, 30), constant(0xbf58476d1ce4e5b9));
  bits = s.mul(fold(bits, 27), constant(0x94d049bb133111eb));
  return fold(bits, 31);
}

static uint64_t mix(uint64_t bits) {
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
  return bits ^ bits >> 31;
}

// As many leading bits as the type's mantissa holds, as a number in [0, 1).
static Value toUnit(const Scalars &s, Value bits, FloatType type) {
  unsigned kept = type.getFPMantissaWidth();
  Value shift = s.constant(bits.getType(), APInt(64, 64 - kept));
  Value number = arith::UIToFPOp::create(
      s.b, s.loc, type, arith::ShRUIOp::create(s.b, s.loc, bits, shift).getResult());
  return s.mul(number, s.constant(type, std::ldexp(1.0, -int(kept))));
}

static LogicalResult lowerRandom(graph::RandomOp op, Lowering &l) {
  std::optional<Sizes> shape = l.getElements(op.getShape());
  if (!shape)
    return l.unsupported(op) << "the length of its shape is not known when compiling";
  for (OpFoldResult size : *shape)
    l.requireNonNegative(size);
  Sizes sizes = l.resultSizes(op.getResult(), *shape);
  auto type = cast<FloatType>(cast<RankedTensorType>(op.getResult().getType()).getElementType());
  SmallVector<Value> dims = sizeValues(l, sizes);
  uint64_t key = mix(uint64_t(op.getSeed()) + golden);
  l.set(op.getResult(), l.fromIndices(sizes, type, [&](const Scalars &s, ValueRange at) -> Value {
    Type i64 = s.b.getI64Type();
    auto constant = [&](uint64_t value) { return s.constant(i64, APInt(64, value)); };
    Value place = s.fromIndex(linearize(s, at, dims), i64);
    Value bits = mix(s, s.add(s.mul(place, constant(golden)), constant(key)));
    Value unit = toUnit(s, bits, type);
    if (op.getKind() == graph::RandomKind::uniform)
      return unit;
    // Box and Muller's transform of two uniform numbers, the first of them in (0, 1].
    Value second = toUnit(s, mix(s, s.add(bits, constant(golden))), type);
    Value positive = s.sub(s.constant(type, 1), unit);
    Value radius = s.mul(s.constant(type, -2), math::LogOp::create(s.b, s.loc, positive));
    Value angle = s.mul(s.constant(type, 2 * llvm::numbers::pi), second);
    return s.mul(math::SqrtOp::create(s.b, s.loc, radius), math::CosOp::create(s.b, s.loc, angle));
  }));
  return success();
}

void lathe::g2l::addRandom(LoweringTable &table) { table.add(lowerRandom); }
