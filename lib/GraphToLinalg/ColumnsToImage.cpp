// Lowering of the sum of an image's blocks.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/ComplexParts.h"
#include "lib/GraphToLinalg/Loops.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using I = arith::CmpIPredicate;

// Every pixel looks, for each place in a block, for the block that has the pixel there.
static LogicalResult lowerColumnsToImage(graph::ColumnsToImageOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  std::optional<Sizes> image = l.getElements(op.getImage()), block = l.getElements(op.getBlock());
  int64_t spatial = op.getStrides().size();
  if (!image || !block || int64_t(image->size()) != spatial || int64_t(block->size()) != spatial)
    return l.unsupported(op) << "the number of spatial dimensions is not known when compiling";
  OpFoldResult one = l.size(1);
  Sizes blocks;
  for (int64_t i = 0; i < spatial; ++i) {
    OpFoldResult size = (*block)[i];
    l.requireNonNegative((*image)[i]);
    l.requireNonNegative(l.sub(size, one));
    OpFoldResult extent = l.add(l.mul(l.sub(size, one), l.size(op.getDilations()[i])), one);
    OpFoldResult padded = l.add((*image)[i], l.size(op.getPads()[i] + op.getPads()[spatial + i]));
    OpFoldResult places = l.floorDiv(l.sub(padded, extent), l.size(op.getStrides()[i]));
    blocks.push_back(l.max(l.add(places, one), l.size(0)));
  }
  OpFoldResult elements = l.product(*block);
  OpFoldResult channels = l.floorDiv(input.sizes[1], elements);
  l.requireEqual(input.sizes[1], l.mul(channels, elements), "%0 rows of columns for %1");
  l.requireEqual(input.sizes[2], l.product(blocks), "%0 columns for an image of %1 blocks");
  Sizes computed{input.sizes[0], channels};
  llvm::append_range(computed, *image);
  Sizes sizes = l.resultSizes(op.getResult(), computed);
  SmallVector<Value> blockDims = sizeValues(l, *block), counts = sizeValues(l, blocks);
  Value elementCount = l.value(elements);
  auto complex = dyn_cast<ComplexType>(input.element);
  Type compute = complex ? complex.getElementType() : getAccumulatorType(input.element);
  l.set(op.getResult(),
        l.fromIndices(sizes, input.element, [&](const Scalars &s, ValueRange at) -> Value {
          // Both parts of complex elements have a sum.
          SmallVector<Value> zeros(complex ? 2 : 1, s.constant(compute, 0));
          auto addPlace = [&](const Scalars &in, Value element,
                              ValueRange x) -> SmallVector<Value> {
            Value isThere = in.boolean(true);
            SmallVector<Value> places;
            for (auto [i, offset] : llvm::enumerate(delinearize(in, element, blockDims))) {
              Value start = in.add(at[2 + i], in.index(op.getPads()[i]));
              start = in.sub(start, in.mul(offset, in.index(op.getDilations()[i])));
              Value stride = in.index(op.getStrides()[i]);
              Value place = in.floorDiv(start, stride);
              isThere = in.andI(isThere, in.cmp(I::eq, in.mul(place, stride), start));
              isThere = in.andI(isThere, in.cmp(I::sge, place, in.index(0)));
              isThere = in.andI(isThere, in.cmp(I::slt, place, counts[i]));
              places.push_back(place);
            }
            Value row = in.add(in.mul(at[1], elementCount), element);
            Value column = linearize(in, places, counts);
            Value part = extractIf(in, isThere, input.value, {at[0], row, column});
            if (!complex)
              return {in.add(x[0], in.load(part, input.element))};
            auto [real, imaginary] = splitComplex(in, part, complex);
            return {in.add(x[0], real), in.add(x[1], imaginary)};
          };
          SmallVector<Value> sums = forLoop(s, elementCount, zeros, addPlace);
          return complex ? joinComplex(s, sums[0], sums[1]) : s.store(sums[0], input.element);
        }));
  return success();
}

void lathe::g2l::addColumnsToImage(LoweringTable &table) { table.add(lowerColumnsToImage); }
