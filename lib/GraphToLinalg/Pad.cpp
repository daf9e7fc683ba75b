// Lowering of padding.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::PadMode;

static bool isNonNegativeConstant(OpFoldResult size) {
  return getConstantIntValue(size).value_or(-1) >= 0;
}

// Which input index the result's position `at` (counted from the first input element) shows.
static Value sourceIndex(const Scalars &s, PadMode mode, Value at, Value size) {
  Value zero = s.index(0), one = s.index(1);
  switch (mode) {
  case PadMode::edge:
  case PadMode::constant:
    break; // clamped below
  case PadMode::wrap:
    at = s.sub(at, s.mul(s.floorDiv(at, s.max(size, one)), size));
    break;
  case PadMode::reflect: {
    // Goes back and forth with period 2 * (size - 1).
    Value period = s.max(s.mul(s.sub(size, one), s.index(2)), one);
    Value rest = s.sub(at, s.mul(s.floorDiv(at, period), period));
    at = s.min(rest, s.sub(period, rest));
    break;
  }
  }
  return s.min(s.max(at, zero), s.max(s.sub(size, one), zero));
}

static LogicalResult lowerPad(graph::PadOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t rank = input.rank();
  std::optional<Sizes> pads = l.getElements(op.getPads());
  Sizes axes;
  for (int64_t i = 0; i < rank; ++i)
    axes.push_back(l.size(i));
  if (op.getAxes()) {
    std::optional<Sizes> given = l.getElements(op.getAxes());
    if (!given)
      return l.unsupported(op) << "the number of its axes is not known when compiling";
    axes = *given;
  }
  if (!pads || pads->size() != 2 * axes.size())
    return l.unsupported(op) << "the number of pads is not known when compiling";
  Sizes low(rank, l.size(0)), high = low, computed;
  for (size_t i = 0; i < axes.size(); ++i) {
    OpFoldResult before = (*pads)[i], after = (*pads)[i + axes.size()];
    if (std::optional<int64_t> axis = getConstantIntValue(axes[i])) {
      *axis += *axis < 0 ? rank : 0;
      if (*axis < 0 || *axis >= rank)
        return l.unsupported(op) << "axis " << *axis << " for a tensor of rank " << rank;
      low[*axis] = before;
      high[*axis] = after;
      continue;
    }
    requireAxis(l, axes[i], rank);
    for (int64_t dim = 0; dim < rank; ++dim) {
      Value isMine = isAxis(l, axes[i], dim, rank);
      low[dim] = l.scalars().select(isMine, l.value(before), l.value(low[dim]));
      high[dim] = l.scalars().select(isMine, l.value(after), l.value(high[dim]));
    }
  }
  for (int64_t i = 0; i < rank; ++i)
    computed.push_back(l.add(l.add(input.sizes[i], low[i]), high[i]));
  for (OpFoldResult size : computed)
    l.requireNonNegative(size);

  // Constant padding: crop what negative pads take, then surround.
  bool known = getConstantIntValues(low) && getConstantIntValues(high);
  std::optional<Tensor> value;
  if (op.getValue())
    value = l.get(op.getValue());
  bool constantValue = !value || value->splat;
  if (op.getMode() == PadMode::constant && known && constantValue) {
    TypedAttr fill = value ? value->splat : l.number(getStorageType(input.element), 0);
    Sizes offsets, sizes, before, after;
    for (int64_t i = 0; i < rank; ++i) {
      bool cutsLow = !isNonNegativeConstant(low[i]), cutsHigh = !isNonNegativeConstant(high[i]);
      OpFoldResult zero = l.size(0), size = input.sizes[i];
      OpFoldResult cutLow = cutsLow ? l.sub(zero, low[i]) : zero;
      OpFoldResult cutHigh = cutsHigh ? l.sub(zero, high[i]) : zero;
      before.push_back(cutsLow ? zero : low[i]);
      after.push_back(cutsHigh ? zero : high[i]);
      // A crop that takes more than there is takes the rest from the other side's pad.
      auto crop = [&](OpFoldResult &cut, OpFoldResult &pad) {
        if (isConstantIntValue(pad, 0)) // all there is at most, as the result has a size
          return;
        OpFoldResult taken = l.sub(size, l.max(l.sub(size, cut), zero));
        pad = l.sub(pad, l.sub(cut, taken));
        cut = taken;
      };
      if (cutsLow && !cutsHigh)
        crop(cutLow, after.back());
      if (cutsHigh && !cutsLow)
        crop(cutHigh, before.back());
      offsets.push_back(cutLow);
      sizes.push_back(l.sub(l.sub(size, cutLow), cutHigh));
    }
    Tensor cropped = l.slice(input, offsets, sizes);
    l.set(op.getResult(), l.pad(cropped, before, after, fill));
    return success();
  }

  bool isConstant = op.getMode() == PadMode::constant;
  // Negative pads crop first; the other modes repeat what is left.
  SmallVector<Value> lows, sizes, cuts;
  Sizes kept;
  for (int64_t i = 0; i < rank; ++i) {
    OpFoldResult zero = l.size(0), cut = l.max(l.sub(zero, low[i]), zero);
    kept.push_back(isConstant
                       ? input.sizes[i]
                       : l.sub(l.sub(input.sizes[i], cut), l.max(l.sub(zero, high[i]), zero)));
    cuts.push_back(l.value(isConstant ? zero : cut));
    lows.push_back(l.value(isConstant ? low[i] : l.max(low[i], zero)));
    sizes.push_back(l.value(kept[i]));
  }
  std::optional<Value> fill;
  SmallVector<Value> first(value ? value->rank() : 0, l.value(l.size(0)));
  // Scalars of more than 64 bits do not go into kernels; their tensor does.
  Type storage = getStorageType(input.element);
  bool readsInside = value && storage.getIntOrFloatBitWidth() > 64;
  if (isConstant && (!value || readsInside))
    fill = l.scalars().constant(storage, 0);
  else if (isConstant)
    fill = l.scalars().extract(value->value, first);
  // Nothing can be read from an empty input.
  bool mayBeEmpty = false;
  for (int64_t i = 0; i < rank; ++i) {
    bool padded = !isConstantIntValue(low[i], 0) || !isConstantIntValue(high[i], 0);
    mayBeEmpty |= !getConstantIntValue(input.sizes[i]).value_or(0);
    std::optional<int64_t> there = getConstantIntValue(kept[i]);
    if (!padded || fill || (there && *there > 0))
      continue;
    if (there && getConstantIntValue(low[i]) && getConstantIntValue(high[i]))
      return l.unsupported(op) << "an empty dimension has no element to pad with";
    Scalars s = l.scalars();
    Value zero = l.value(l.size(0)), most = l.value(l.max(low[i], high[i]));
    s.check(s.orI(s.cmp(arith::CmpIPredicate::sgt, sizes[i], zero),
                  s.cmp(arith::CmpIPredicate::sle, most, zero)),
            LATHE_CODE_SHAPE, "a dimension of size %0 has no element to pad with", {sizes[i]});
  }
  l.set(op.getResult(),
        l.fromIndices(computed, input.element, [&](const Scalars &s, ValueRange indices) -> Value {
          SmallVector<Value> position;
          Value inside = s.boolean(true);
          for (int64_t i = 0; i < rank; ++i) {
            if (isConstantIntValue(low[i], 0) && isConstantIntValue(high[i], 0)) {
              position.push_back(indices[i]);
              continue;
            }
            Value at = s.sub(indices[i], lows[i]);
            if (fill) {
              inside = s.andI(inside, s.cmp(arith::CmpIPredicate::sge, at, s.index(0)));
              inside = s.andI(inside, s.cmp(arith::CmpIPredicate::slt, at, sizes[i]));
            }
            position.push_back(s.add(cuts[i], sourceIndex(s, op.getMode(), at, sizes[i])));
          }
          if (!fill)
            return s.extract(input.value, position);
          Value outside = readsInside ? s.extract(value->value, first) : *fill;
          if (!mayBeEmpty)
            return s.select(inside, s.extract(input.value, position), outside);
          auto choice = scf::IfOp::create(
              s.b, s.loc, inside,
              [&](OpBuilder &b, Location loc) {
                scf::YieldOp::create(b, loc, Scalars{b, loc}.extract(input.value, position));
              },
              [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, outside); });
          return choice.getResult(0);
        }));
  return success();
}

void lathe::g2l::addPad(LoweringTable &table) { table.add(lowerPad); }
