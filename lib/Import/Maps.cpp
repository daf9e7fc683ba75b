// Maps (ai.onnx.ml): what classifiers give and dictionaries of features.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Map.h"
#include "dialects/Graph/Sequence.h"
#include "lib/Import/Columns.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Sequence.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

/// The one list of keys among two attributes.
static std::optional<Column> keysAttribute(Node &node, StringRef stringName, StringRef intName) {
  auto strings = node.stringsAttribute(stringName).value_or(std::vector<std::string>());
  Ints ints = node.intsAttribute(intName).value_or(Ints());
  if (node.hasFailed())
    return std::nullopt;
  if (strings.empty() == ints.empty()) {
    node.error() << node.opType() << " has " << (strings.empty() ? "neither" : "both") << " of '"
                 << stringName << "' and '" << intName << "', it takes one";
    return std::nullopt;
  }
  return strings.empty() ? intColumn(node, ints, node.builder().getI64Type())
                         : stringColumn(node, strings);
}

/// A map for each row: its keys are the names of the columns.
LogicalResult lathe::import::importZipMap(Node &node) {
  std::optional<Column> classes = keysAttribute(node, "classlabels_strings", "classlabels_int64s");
  Value scores = node.input(0);
  std::optional<int64_t> rank = node.requireRank(scores, "the input");
  if (!classes || !rank)
    return failure();
  if (*rank < 1 || *rank > 2)
    return node.error() << "the input of ZipMap has rank " << *rank << ", it takes 1 or 2";
  if (*rank == 1)
    scores = node.unsqueeze(scores, {0});
  int64_t columns = cast<RankedTensorType>(scores.getType()).getDimSize(1);
  if (!ShapedType::isDynamic(columns) && columns != classes->count)
    return node.error() << "ZipMap has " << classes->count << " classes, the input has " << columns
                        << " columns";
  if (int64_t(classes->sorted.places.size()) != classes->count)
    return node.error() << "a class of ZipMap is there twice";
  auto rows = node.create<graph::SplitToSequenceOp>(
      graph::SequenceType::get(node.context(), node.likeOf(scores)), scores, Value(), 0, false);
  if (!rows)
    return failure();
  Value sequence = graph::resolveSequence(node.builder(), rows);
  for (Operation *made = rows->getNextNode(); made; made = made->getNextNode())
    if (failed(node.graphs().inferShapes(made)))
      return node.fail();
  auto type = graph::makeMapType(Node::elementOf(classes->constant), Node::elementOf(scores));
  auto makeMap = [&](ArrayRef<Value> items) -> FailureOr<SmallVector<Value>> {
    auto map = node.create<graph::MapConstructOp>(type, classes->constant, items[0]);
    if (!map)
      return failure();
    return SmallVector<Value>{map.getResult()};
  };
  auto maps =
      mapSequences(node, {sequence ? sequence : rows.getResult()}, &node.getProto(), 1, makeMap);
  return failed(maps) ? node.fail() : node.result(maps->front());
}

/// The operand's keys and values.
static graph::MapEntriesOp entriesOf(Node &node) {
  auto type = dyn_cast<TupleType>(node.input(0).getType());
  if (!type) {
    node.error() << "input 0 of " << node.opType() << " has type " << node.input(0).getType()
                 << ", it takes a map";
    return {};
  }
  return node.create<graph::MapEntriesOp>(node.tensorOf(graph::getKeyType(type)),
                                          node.tensorOf(graph::getValueType(type)), node.input(0));
}

/// For each of `wanted` ([n]) the value of that key, or a zero, as [1, n].
static Value valuesOf(Node &node, Value wanted, Value keys, Value values) {
  if (!wanted || Node::elementOf(wanted) != Node::elementOf(keys)) {
    node.error() << "the map of " << node.opType() << " has keys of type " << Node::elementOf(keys)
                 << ", the node names others";
    return {};
  }
  Type element = Node::elementOf(values), i64 = node.builder().getI64Type();
  Value zero = isa<graph::StringType>(element) ? node.constantStrings({std::string()})
                                               : node.cast(node.constant(Ints{0}), element);
  // A column of hits at the end stands for what is not there.
  Value hits = node.cast(
      node.binary(BinaryKind::equal, node.unsqueeze(wanted, {1}), node.unsqueeze(keys, {0})), i64);
  Value one = node.expand(node.scalarInt(1, i64),
                          node.concat({node.shapeOf(wanted), node.constant(Ints{1})}, 0));
  auto place = node.create<graph::ArgReduceOp>(node.tensorOf(i64), node.concat({hits, one}, 1),
                                               /*smallest=*/false, /*axis=*/1, /*keep_dims=*/false,
                                               /*select_last=*/false);
  if (!place)
    return {};
  return node.unsqueeze(node.gather(node.concat({values, zero}, 0), place.getResult(), 0), {0});
}

LogicalResult lathe::import::importDictVectorizer(Node &node) {
  std::optional<Column> names = keysAttribute(node, "string_vocabulary", "int64_vocabulary");
  auto entries = names ? entriesOf(node) : graph::MapEntriesOp();
  if (!entries)
    return failure();
  return node.result(valuesOf(node, names->constant, entries.getKeys(), entries.getValues()));
}

LogicalResult lathe::import::importCastMap(Node &node) {
  static constexpr StringRef targets[] = {"TO_FLOAT", "TO_STRING", "TO_INT64"};
  static constexpr StringRef forms[] = {"DENSE", "SPARSE"};
  unsigned target = node.choice("cast_to", targets, 0), form = node.choice("map_form", forms, 0);
  int64_t size = node.intAttribute("max_map", 1);
  auto entries = node.hasFailed() ? graph::MapEntriesOp() : entriesOf(node);
  if (!entries)
    return failure();
  Value keys = entries.getKeys(), values = entries.getValues();
  Type i64 = node.builder().getI64Type();
  if (Node::elementOf(keys) != i64)
    return node.error() << "the map of CastMap has keys of type " << Node::elementOf(keys)
                        << ", it takes int64";
  if (form == 1 && size < 1)
    return node.error() << "attribute 'max_map' of CastMap is " << size
                        << ", a sparse map takes 1 or more";
  Type elements[] = {node.builder().getF32Type(), graph::StringType::get(node.context()), i64};
  values = node.cast(values, elements[target]);
  if (form == 1) {
    Value all =
        node.range(node.scalarInt(0, i64), node.scalarInt(size, i64), node.scalarInt(1, i64));
    return node.result(valuesOf(node, all, keys, values));
  }
  // In the order of the keys.
  auto sorted = node.create<graph::TopKOp>(node.likeOf(keys), node.tensorOf(i64), keys,
                                           node.shapeOf(keys), 0, false, true);
  if (!sorted)
    return failure();
  return node.result(node.unsqueeze(node.gather(values, sorted.getIndices(), 0), {0}));
}
