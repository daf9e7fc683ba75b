// What prepares features for a model (ai.onnx.ml): scaling, filling gaps, categories.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lib/Import/Columns.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Scores.h"
#include <numeric>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

/// One value for all features, or one for each; an error where their number cannot be.
static bool fitsFeatures(Node &node, StringRef name, size_t count, Value x) {
  auto type = dyn_cast<RankedTensorType>(x.getType());
  int64_t features = type && type.getRank() > 0 ? type.getShape().back() : ShapedType::kDynamic;
  if (count == 1 || ShapedType::isDynamic(features) || int64_t(count) == features)
    return true;
  node.error() << "attribute '" << name << "' of " << node.opType() << " has " << count
               << " values, the input has " << features << " features";
  return false;
}

static LogicalResult importScaler(Node &node) {
  auto offsets = node.floatsAttribute("offset").value_or(SmallVector<double>{0});
  auto scales = node.floatsAttribute("scale").value_or(SmallVector<double>{1});
  Type f32 = node.builder().getF32Type();
  Value x = node.cast(node.input(0), f32);
  if (!x || !fitsFeatures(node, "offset", offsets.size(), x) ||
      !fitsFeatures(node, "scale", scales.size(), x))
    return failure();
  x = node.binary(BinaryKind::sub, x, floatConstant(node, {int64_t(offsets.size())}, offsets, f32));
  return node.result(
      node.binary(BinaryKind::mul, x, floatConstant(node, {int64_t(scales.size())}, scales, f32)));
}

static LogicalResult importNormalizer(Node &node) {
  static constexpr StringRef names[] = {"MAX", "L1", "L2"};
  static constexpr ReduceKind kinds[] = {ReduceKind::max, ReduceKind::l1, ReduceKind::l2};
  unsigned norm = node.choice("norm", names, 0);
  std::optional<int64_t> rank = node.requireRank(node.input(0), "the input");
  if (!rank || node.hasFailed())
    return failure();
  if (*rank < 1)
    return node.error() << "the input of Normalizer has rank 0, it takes 1 or more";
  Value x = node.cast(node.input(0), node.builder().getF32Type());
  Value size = node.reduce(kinds[norm], x, Ints{*rank - 1}, true);
  // Rows of zeros stay as they are.
  Value isZero = node.binary(BinaryKind::equal, size, 0.0);
  size = node.select(isZero, node.scalar(1, node.builder().getF32Type()), size);
  return node.result(node.binary(BinaryKind::div, x, size));
}

static LogicalResult importBinarizer(Node &node) {
  Value x = node.input(0);
  double threshold = node.floatAttribute("threshold", 0);
  Type element = Node::elementOf(x), f64 = node.builder().getF64Type();
  // Integers are compared with the threshold as it is, not as an integer.
  Value above = isa<FloatType>(element)
                    ? node.binary(BinaryKind::greater, x, threshold)
                    : node.binary(BinaryKind::greater, node.cast(x, f64), threshold);
  return node.result(node.cast(above, element));
}

static LogicalResult importImputer(Node &node) {
  Value x = node.input(0);
  bool isFloat = isa<FloatType>(Node::elementOf(x));
  auto floats = node.floatsAttribute("imputed_value_floats").value_or(SmallVector<double>());
  Ints ints = node.intsAttribute("imputed_value_int64s").value_or(Ints());
  double replacedFloat = node.floatAttribute("replaced_value_float", 0);
  int64_t replacedInt = node.intAttribute("replaced_value_int64", 0);
  size_t count = isFloat ? floats.size() : ints.size();
  StringRef name = isFloat ? "imputed_value_floats" : "imputed_value_int64s";
  if (count == 0)
    return node.error() << "Imputer has no attribute '" << name << "'";
  if (node.hasFailed() || !fitsFeatures(node, name, count, x))
    return failure();
  Type element = Node::elementOf(x);
  Value values, missing;
  if (isFloat) {
    values = node.cast(floatConstant(node, {int64_t(count)}, floats, node.builder().getF32Type()),
                       element);
    missing = std::isnan(replacedFloat) ? node.unary(UnaryKind::is_nan, x)
                                        : node.binary(BinaryKind::equal, x, replacedFloat);
  } else {
    values = node.cast(node.constant(ints), element);
    missing = node.binary(BinaryKind::equal, x, node.scalarInt(replacedInt, element));
  }
  return node.result(node.select(missing, values, x));
}

static LogicalResult importFeatureVectorizer(Node &node) {
  Ints sizes = node.intsAttribute("inputdimensions").value_or(Ints());
  if (!sizes.empty() && sizes.size() != node.inputCount())
    return node.error() << "attribute 'inputdimensions' of FeatureVectorizer has " << sizes.size()
                        << " values, there are " << node.inputCount() << " inputs";
  Type f32 = node.builder().getF32Type();
  SmallVector<Value> parts;
  for (unsigned i = 0; i < node.inputCount(); ++i) {
    Value x = node.cast(node.require(i), f32);
    std::optional<int64_t> rank = node.requireRank(x, "an input");
    if (!rank)
      return failure();
    if (*rank < 1 || *rank > 2)
      return node.error() << "input " << i << " of FeatureVectorizer has rank " << *rank
                          << ", it takes 1 or 2";
    if (*rank == 1) // one row
      x = node.unsqueeze(x, {0});
    if (!x)
      return failure();
    int64_t have = cast<RankedTensorType>(x.getType()).getDimSize(1);
    int64_t want = sizes.empty() ? have : sizes[i];
    if (want < 0)
      return node.error() << "attribute 'inputdimensions' of FeatureVectorizer holds " << want;
    // What only the run knows counts as fewer than any number: it is cut and filled up.
    if (want < have || (ShapedType::isDynamic(have) && !sizes.empty()))
      x = node.slice(x, 1, 0, want);
    if (want > have)
      x = node.padEnd(
          x, 1, node.binary(BinaryKind::sub, node.constant(Ints{want}), node.shapeOf(x, 1, 2)));
    parts.push_back(x);
  }
  return node.result(node.concat(parts, 1));
}

static LogicalResult importArrayFeatureExtractor(Node &node) {
  Value x = node.input(0), indices = node.reshape(node.input(1), {-1});
  std::optional<int64_t> rank = node.requireRank(x, "the input");
  if (!rank || !indices)
    return failure();
  if (*rank == 0)
    return node.error() << "the input of ArrayFeatureExtractor has rank 0, it takes 1 or more";
  if (*rank == 1)
    x = node.unsqueeze(x, {0});
  return node.result(node.gather(x, indices, std::max<int64_t>(*rank, 2) - 1));
}

// ---- Categories --------------------------------------------------------------------------------

/// The order of `values` without repetitions; of equal ones the first stays. NaN comes last.
template <typename T> static Ints sortedPlaces(ArrayRef<T> values) {
  auto before = [](const T &a, const T &b) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(a) || std::isnan(b))
        return !std::isnan(a) && std::isnan(b);
    return a < b;
  };
  Ints places(values.size());
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(),
                   [&](int64_t a, int64_t b) { return before(values[a], values[b]); });
  auto same = [&](int64_t a, int64_t b) {
    return !before(values[a], values[b]) && !before(values[b], values[a]);
  };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  return places;
}

template <typename T, typename Make> static Column makeColumn(ArrayRef<T> values, Make make) {
  Column column;
  column.count = values.size();
  column.constant = make(values);
  column.sorted.places = sortedPlaces(values);
  SmallVector<T> sorted;
  for (int64_t place : column.sorted.places)
    sorted.push_back(values[place]);
  column.sorted.keys = make(ArrayRef<T>(sorted));
  return column;
}

Column lathe::import::stringColumn(Node &node, ArrayRef<std::string> values) {
  return makeColumn(values, [&](ArrayRef<std::string> list) { return node.constantStrings(list); });
}

Column lathe::import::intColumn(Node &node, ArrayRef<int64_t> values, Type element) {
  return makeColumn(
      values, [&](ArrayRef<int64_t> list) { return node.cast(node.constant(list), element); });
}

static Column floatColumn(Node &node, ArrayRef<double> values, Type element) {
  return makeColumn(values, [&](ArrayRef<double> list) {
    return floatConstant(node, {int64_t(list.size())}, list, element);
  });
}

/// The attribute `prefix` + one of _strings, _int64s, _floats, and from version 4 on _tensor.
static std::optional<Column> columnAttribute(Node &node, StringRef prefix) {
  auto named = [&](StringRef suffix) { return (prefix + suffix).str(); };
  std::optional<Column> column;
  auto add = [&](Column next) {
    if (column)
      node.error() << node.opType() << " has two attributes that begin with '" << prefix << "'";
    column = next;
  };
  if (auto strings = node.stringsAttribute(named("_strings")); strings && !strings->empty())
    add(stringColumn(node, *strings));
  if (auto ints = node.intsAttribute(named("_int64s")); ints && !ints->empty())
    add(intColumn(node, *ints, node.builder().getI64Type()));
  if (auto floats = node.floatsAttribute(named("_floats")); floats && !floats->empty())
    add(floatColumn(node, *floats, node.builder().getF32Type()));
  if (node.version() >= 4 && node.hasAttribute(named("_tensor")))
    if (TypedAttr value = node.tensorAttribute(named("_tensor"))) {
      Type element = cast<ShapedType>(value.getType()).getElementType();
      if (std::optional<std::vector<std::string>> strings = node.stringsOf(value))
        add(stringColumn(node, *strings));
      else if (std::optional<SmallVector<double>> floats =
                   isa<FloatType>(element) ? node.numbersOf(value) : std::nullopt;
               floats && (element.isF32() || element.isF64()))
        add(floatColumn(node, *floats, element));
      else if (std::optional<Ints> ints = graph::getIntegers(value, int64_t(1) << 24))
        add(intColumn(node, *ints, element));
      else
        node.error() << "attribute '" << named("_tensor") << "' of " << node.opType()
                     << " has element type " << element << ", which is not supported";
    }
  return node.hasFailed() ? std::nullopt : column;
}

/// `x` looked up in `keys`: the value at the same place of `values`, else `otherwise` ([1]).
static Value lookUp(Node &node, Value x, const SortedKeys &keys, Value values, Value otherwise) {
  if (!x || !keys.keys || !values || !otherwise)
    return {};
  if (Node::elementOf(x) != Node::elementOf(keys.keys)) {
    node.error() << "the input of " << node.opType() << " has element type " << Node::elementOf(x)
                 << ", its keys have " << Node::elementOf(keys.keys);
    return {};
  }
  auto found = node.create<graph::FindOp>(node.tensorOf(node.builder().getI64Type()), x, keys.keys);
  Value sorted = node.gather(values, node.constant(keys.places), 0);
  return found ? node.gather(node.concat({sorted, otherwise}, 0), found.getResult(), 0) : Value();
}

static LogicalResult importLabelEncoder(Node &node) {
  Value x = node.input(0);
  std::string unknownString = node.stringAttribute("default_string", "_Unused");
  int64_t unknownInt = node.intAttribute("default_int64", -1);
  double unknownFloat = node.version() >= 2 ? node.floatAttribute("default_float", -0.0) : 0;
  if (node.version() == 1) {
    auto classes = node.stringsAttribute("classes_strings").value_or(std::vector<std::string>());
    if (node.hasFailed())
      return failure();
    Column names = stringColumn(node, classes);
    Ints numbers(classes.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    Column places = intColumn(node, numbers, node.builder().getI64Type());
    bool fromString = isa<graph::StringType>(Node::elementOf(x));
    return node.result(
        fromString ? lookUp(node, x, names.sorted, places.constant, node.constant({unknownInt}))
                   : lookUp(node, x, places.sorted, names.constant,
                            node.constantStrings({unknownString})));
  }
  std::optional<Column> keys = columnAttribute(node, "keys");
  std::optional<Column> values = columnAttribute(node, "values");
  if (node.hasFailed())
    return failure();
  if (!keys || !values)
    return node.error() << "LabelEncoder has no attribute that begins with '"
                        << (keys ? "values" : "keys") << "_'";
  if (keys->count != values->count || !values->constant)
    return node.error() << "LabelEncoder has " << keys->count << " keys and " << values->count
                        << " values";
  Type element = Node::elementOf(values->constant);
  Value otherwise;
  if (node.version() >= 4 && node.hasAttribute("default_tensor")) {
    otherwise = node.constant(node.tensorAttribute("default_tensor"));
    otherwise = otherwise ? node.reshape(otherwise, {1}) : Value();
  } else if (isa<graph::StringType>(element)) {
    otherwise = node.constantStrings({unknownString});
  } else if (isa<FloatType>(element)) {
    otherwise = floatConstant(node, {1}, {unknownFloat}, element);
  } else {
    otherwise = node.cast(node.constant({unknownInt}), element);
  }
  return node.result(lookUp(node, x, keys->sorted, values->constant, otherwise));
}

static LogicalResult importCategoryMapper(Node &node) {
  Value x = node.input(0);
  auto names = node.stringsAttribute("cats_strings").value_or(std::vector<std::string>());
  Ints numbers = node.intsAttribute("cats_int64s").value_or(Ints());
  std::string unknownString = node.stringAttribute("default_string", "_Unused");
  int64_t unknownInt = node.intAttribute("default_int64", -1);
  if (node.hasFailed())
    return failure();
  if (names.size() != numbers.size())
    return node.error() << "CategoryMapper has " << names.size() << " names and " << numbers.size()
                        << " numbers";
  Column strings = stringColumn(node, names);
  Column ints = intColumn(node, numbers, node.builder().getI64Type());
  bool fromString = isa<graph::StringType>(Node::elementOf(x));
  return node.result(
      fromString
          ? lookUp(node, x, strings.sorted, ints.constant, node.constant({unknownInt}))
          : lookUp(node, x, ints.sorted, strings.constant, node.constantStrings({unknownString})));
}

static LogicalResult importOneHotEncoder(Node &node) {
  Value x = node.input(0);
  auto names = node.stringsAttribute("cats_strings").value_or(std::vector<std::string>());
  Ints numbers = node.intsAttribute("cats_int64s").value_or(Ints());
  bool zeros = node.flag("zeros", true);
  std::optional<int64_t> rank = node.requireRank(x, "the input");
  if (node.hasFailed() || !rank)
    return failure();
  if (names.empty() == numbers.empty())
    return node.error() << "OneHotEncoder has " << (names.empty() ? "neither" : "both")
                        << " of 'cats_int64s' and 'cats_strings', it takes one";
  Type f32 = node.builder().getF32Type(), i64 = node.builder().getI64Type();
  Column categories = names.empty() ? intColumn(node, numbers, i64) : stringColumn(node, names);
  if (names.empty())
    x = node.cast(x, i64);
  if (!x || Node::elementOf(x) != Node::elementOf(categories.constant))
    return node.error() << "the input of OneHotEncoder has element type "
                        << Node::elementOf(node.input(0)) << ", its categories are "
                        << (names.empty() ? "numbers" : "strings");
  auto found = node.create<graph::FindOp>(node.tensorOf(i64), x, categories.sorted.keys);
  if (!found)
    return failure();
  // An unknown category is a row of zeros, or without `zeros` fails the run.
  Ints places = categories.sorted.places;
  if (zeros)
    places.push_back(categories.count);
  Value index = node.gather(node.constant(places), found.getResult(), 0);
  auto result =
      node.create<graph::OneHotOp>(node.tensorOf(f32), index, node.scalarInt(categories.count, i64),
                                   floatConstant(node, {2}, {0, 1}, f32), *rank);
  return result ? node.result(result.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::featureOperators() {
  static constexpr StringRef domain = "ai.onnx.ml";
  static constexpr uint32_t kTypes = kFloats | kIntegers;
  static constexpr uint32_t kKeys = kTypes | kString;
  static const Operator operators[] = {
      {"ArrayFeatureExtractor", {1}, 2, 2, importArrayFeatureExtractor, kKeys, "", domain},
      {"Binarizer", {1}, 1, 1, importBinarizer, kTypes, "", domain},
      {"CategoryMapper", {1}, 1, 1, importCategoryMapper, kSigned | kString, "", domain},
      {"FeatureVectorizer", {1}, 1, kUnlimited, importFeatureVectorizer, kTypes, "", domain},
      {"Imputer", {1}, 1, 1, importImputer, kFloats | kSigned, "", domain},
      {"LabelEncoder", {1, 2, 4}, 1, 1, importLabelEncoder, kKeys, "", domain},
      {"Normalizer", {1}, 1, 1, importNormalizer, kTypes, "", domain},
      {"OneHotEncoder", {1}, 1, 1, importOneHotEncoder, kKeys, "", domain},
      {"Scaler", {1}, 1, 1, importScaler, kTypes, "", domain},
  };
  return operators;
}
