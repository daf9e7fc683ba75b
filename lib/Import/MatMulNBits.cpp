// Weights of few bits in blocks with a scale each (com.microsoft).
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

/// Bytes [..., count] into the numbers of `bits` they hold, the lowest first:
/// [..., count * 8 / bits].
static Value unpackBits(Node &node, Value bytes, int64_t bits) {
  std::optional<int64_t> rank = Node::rankOf(bytes);
  if (bits == 8 || !rank)
    return bytes;
  Type u8 = Node::elementOf(bytes);
  SmallVector<Value> parts;
  for (int64_t shift = 0; shift < 8; shift += bits) {
    Value part =
        shift == 0 ? bytes : node.binary(BinaryKind::shift_right, bytes, node.scalarInt(shift, u8));
    if (shift + bits < 8)
      part = node.binary(BinaryKind::bitwise_and, part, node.scalarInt((1 << bits) - 1, u8));
    parts.push_back(node.unsqueeze(part, {*rank}));
  }
  Value count = node.binary(BinaryKind::mul, node.shapeOf(bytes, *rank - 1), 8 / bits);
  return node.reshape(node.concat(parts, *rank),
                      node.concat({node.shapeOf(bytes, 0, *rank - 1), count}, 0));
}

/// Operands: A [..., K], the weights B [N, blocks, bytes], a scale per block, zero points (packed
/// as B is, or numbers like A; by default the middle), the block of each row, and a bias [N].
static LogicalResult importMatMulNBits(Node &node) {
  Value a = node.input(0), b = node.input(1), scales = node.input(2), zeros = node.input(3);
  int64_t rows = node.intAttribute("K", 0), columns = node.intAttribute("N", 0);
  int64_t bits = node.intAttribute("bits", 4), block = node.intAttribute("block_size", 0);
  // How exactly to compute is left to the implementation; this one does it exactly.
  node.ignore({"accuracy_level", "weight_prepacked"});
  if (rows < 1 || columns < 1 || rows > INT32_MAX || columns > INT32_MAX)
    return node.error() << "attributes 'K' and 'N' of MatMulNBits are " << rows << " and "
                        << columns;
  if (bits != 2 && bits != 4 && bits != 8)
    return node.error() << "attribute 'bits' of MatMulNBits is " << bits
                        << ", supported are 2, 4 and 8";
  if (block < 16 || block > 65536 || (block & (block - 1)) != 0)
    return node.error() << "attribute 'block_size' of MatMulNBits is " << block
                        << ", it must be a power of two of at least 16";
  // Other kinds either do not run in ONNX Runtime, or not as it documents them.
  bool isPacked = zeros && Node::elementOf(zeros).isInteger();
  if (node.hasInput(4) && (bits != 4 || isPacked))
    return node.error() << "MatMulNBits with a block for each row (input 4) has weights of " << bits
                        << " bits and " << (isPacked ? "" : "no ")
                        << "packed zero points, supported are 4 bits without packed zero points";
  int64_t blocks = (rows + block - 1) / block;
  // Half precision is widened: a product of rounded weights would be too coarse.
  Type given = Node::elementOf(a);
  Type element = given.isF64() ? given : node.builder().getF32Type(),
       u8 = node.builder().getIntegerType(8, /*isSigned=*/false);
  if (Node::elementOf(b) != u8)
    return node.error() << "the weights of MatMulNBits have element type " << Node::elementOf(b)
                        << ", they must be uint8";
  Value weights = node.reshape(unpackBits(node, node.reshape(b, {columns, -1}), bits),
                               {columns, blocks, block});
  Value scale = node.reshape(scales, {columns, blocks}), zero;
  if (!zeros) {
    zero = node.scalar(double(1 << (bits - 1)), element);
  } else if (Node::elementOf(zeros) != u8) {
    zero = node.cast(node.reshape(zeros, {columns, blocks}), element);
  } else {
    Value numbers = unpackBits(node, node.reshape(zeros, {columns, -1}), bits);
    zero = node.cast(node.slice(numbers, 1, 0, blocks), element);
  }
  // [columns, blocks, block] as [columns, rows].
  auto byRow = [&](Value x) {
    x = node.reshape(x, {columns, blocks * block});
    return blocks * block == rows ? x : node.slice(x, 1, 0, rows);
  };
  Value order = node.input(4);
  // A row may name the block whose scale and zero point it has, [K] or [blocks * block].
  if (order) {
    if (std::optional<int64_t> rank = Node::rankOf(order); rank && *rank != 1)
      return node.error() << "input 4 of MatMulNBits has rank " << *rank << ", it must have rank 1";
    order = node.requireShape(node.slice(order, 0, 0, rows), {rows});
    weights = byRow(weights);
  }
  // What each block has, beside the weights.
  auto beside = [&](Value x) { return order ? node.gather(x, order, 1) : node.unsqueeze(x, {2}); };
  scale = beside(scale);
  zero = zeros ? beside(zero) : zero;
  weights = node.binary(BinaryKind::sub, node.cast(weights, element), zero);
  weights = node.binary(BinaryKind::mul, weights, node.cast(scale, element));
  if (!order)
    weights = byRow(weights);
  Value product = node.matmul(node.cast(a, element), node.transpose(weights, {1, 0}));
  if (node.hasInput(5))
    product = node.binary(BinaryKind::add, product, node.cast(node.input(5), element));
  return node.result(node.cast(product, given));
}

/// Operands: data, indices, scales and zero points of blocks along an axis. Bytes hold numbers
/// along the last dimension; so do those of zero points.
static LogicalResult importGatherBlockQuantized(Node &node) {
  Value data = node.input(0), indices = node.input(1), scales = node.input(2);
  Value zeros = node.input(3);
  int64_t bits = node.intAttribute("bits", 4), block = node.intAttribute("block_size", 128);
  std::optional<int64_t> rank = node.requireRank(data, "input 0"),
                         indexRank = node.requireRank(indices, "input 1");
  if (!rank || !indexRank)
    return failure();
  int64_t axis = node.axis(node.intAttribute("gather_axis", 0), rank);
  int64_t blockAxis = node.axis(node.intAttribute("quantize_axis", 1), rank);
  if (node.hasFailed())
    return failure();
  Type element = Node::elementOf(data);
  bool isPacked = element.isUnsignedInteger(8);
  if (!isPacked && element.getIntOrFloatBitWidth() != 4)
    return node.error() << "input 0 of GatherBlockQuantized has element type " << element
                        << ", supported are uint8, uint4 and int4";
  if (isPacked ? bits != 2 && bits != 4 && bits != 8 : bits != 4)
    return node.error() << "attribute 'bits' of GatherBlockQuantized is " << bits << ", "
                        << (isPacked ? "uint8 holds 2, 4 or 8" : "it must be 4");
  if (block < 16 || (block & (block - 1)) != 0)
    return node.error() << "attribute 'block_size' of GatherBlockQuantized is " << block
                        << ", it must be a power of two of at least 16";
  if (axis == blockAxis || (isPacked && (axis != 0 || blockAxis != *rank - 1)))
    return node.error() << "GatherBlockQuantized gathers along dimension " << axis
                        << " with blocks along " << blockAxis << " of " << *rank
                        << (isPacked ? ", uint8 takes the first and the last"
                                     : ", they must differ");
  for (Value each : {scales, zeros})
    if (each && Node::rankOf(each) != rank)
      return node.error() << "scales or zero points of GatherBlockQuantized have type "
                          << each.getType() << ", they must have rank " << *rank << " as the data";
  if (zeros && Node::elementOf(zeros) != element)
    return node.error() << "the zero points of GatherBlockQuantized have element type "
                        << Node::elementOf(zeros) << ", its data has " << element;
  // Gathered as it is stored, the table stays small.
  data = node.gather(data, indices, axis);
  scales = node.gather(scales, indices, axis);
  zeros = zeros ? node.gather(zeros, indices, axis) : zeros;
  blockAxis += blockAxis > axis ? *indexRank - 1 : 0;
  if (isPacked) {
    data = unpackBits(node, data, bits);
    Value count = node.shapeOf(scales, blockAxis, blockAxis + 1);
    if (zeros)
      zeros = node.slice(unpackBits(node, zeros, bits), blockAxis, node.constant(Ints{0}), count);
    else
      zeros = node.full(node.shapeOf(scales), 1 << (bits - 1), element);
  }
  if (!data || !scales)
    return failure();
  auto op =
      node.create<graph::DequantizeOp>(node.likeOf(scales), data, scales, zeros, blockAxis, block);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::matMulNBitsOperators() {
  static const Operator operators[] = {
      {"MatMulNBits",
       {1},
       3,
       6,
       importMatMulNBits,
       kFloats,
       "2, 4 and 8 bits, a block for each row (`g_idx`) of 4 without packed zero points",
       "com.microsoft"},
      {"GatherBlockQuantized",
       {1},
       3,
       4,
       importGatherBlockQuantized,
       kUnsigned | kNarrow,
       "data of uint8, uint4 and int4",
       "com.microsoft"},
  };
  return operators;
}
