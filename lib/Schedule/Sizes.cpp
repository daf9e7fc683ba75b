// Sizes known when running, as products; views of memory.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"

using namespace mlir;
using namespace lathe::schedule;

Size Size::operator*(const Size &other) const {
  Size product;
  product.constant = constant * other.constant;
  if (product.constant == 0)
    return product;
  product.factors = factors;
  product.factors.append(other.factors.begin(), other.factors.end());
  llvm::sort(product.factors);
  return product;
}

Size SizeTable::get(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return Size(constant.getSExtValue());
  auto [it, inserted] = numbers.try_emplace(value, values.size());
  if (inserted)
    values.push_back(value);
  Size size;
  size.factors.push_back(it->second);
  return size;
}

Size SizeTable::getProduct(Value value) {
  // Greater ones could overflow when they are compared or added; no memory is that large.
  constexpr int64_t most = int64_t(1) << 48;
  if (auto product = value.getDefiningOp<arith::MulIOp>()) {
    Size left = getProduct(product.getLhs()), right = getProduct(product.getRhs());
    int64_t constant;
    if (!llvm::MulOverflow(left.constant, right.constant, constant) && constant > 0 &&
        constant < most)
      return left * right;
  }
  return get(value);
}

Value SizeTable::materialize(OpBuilder &builder, Location loc, const Size &size,
                             llvm::function_ref<Value(Value)> valueOf) const {
  if (size.isStatic())
    return arith::ConstantIndexOp::create(builder, loc, size.constant);
  Value product;
  for (unsigned factor : size.factors) {
    Value value = valueOf ? valueOf(values[factor]) : values[factor];
    product = product ? arith::MulIOp::create(builder, loc, product, value).getResult() : value;
  }
  if (size.constant == 1)
    return product;
  Value constant = arith::ConstantIndexOp::create(builder, loc, size.constant);
  return arith::MulIOp::create(builder, loc, product, constant);
}

SmallVector<Size> lathe::schedule::contiguousStrides(ArrayRef<Size> sizes) {
  SmallVector<Size> strides(sizes.size(), Size(1));
  for (int64_t i = int64_t(sizes.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * sizes[i + 1];
  return strides;
}

bool lathe::schedule::sameMemory(const View &a, const View &b) {
  return a.base == b.base && a.offset == b.offset && a.constantOffset == b.constantOffset;
}

bool View::isContiguous() const {
  SmallVector<Size> expected = contiguousStrides(sizes);
  for (size_t i = 0; i < sizes.size(); ++i)
    if (!sizes[i].is(1) && strides[i] != expected[i])
      return false;
  return true;
}
