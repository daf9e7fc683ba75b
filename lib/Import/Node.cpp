// Nodes: operands, attributes, results.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Node.h"
#include "dialects/Graph/Weights.h"
#include "lib/Import/Importer.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using onnx::AttributeProto;

Node::Node(GraphImporter &importer, onnx::NodeProto &proto, int64_t version, Location location,
           ArrayRef<Value> inputs, llvm::StringMap<AttributeProto *> attributes)
    : importer(importer), proto(proto), sinceVersion(version), loc(location), inputs(inputs),
      outputs(proto.output_size()), attributes(std::move(attributes)) {}

OpBuilder &Node::builder() { return importer.builder; }

InFlightDiagnostic Node::error() {
  failed = true;
  return emitError(loc);
}

InFlightDiagnostic Node::warning() { return emitWarning(loc); }

Value Node::require(unsigned i) {
  if (!hasInput(i) && !failed)
    error() << "input " << i << " of " << opType() << " is missing";
  return input(i);
}

std::optional<Ints> Node::constantInts(unsigned i) {
  Value value = require(i);
  if (!value)
    return std::nullopt;
  if (!elementOf(value).isSignlessInteger()) {
    error() << "input " << i << " of " << opType() << " has element type " << elementOf(value)
            << ", it takes int64";
    return std::nullopt;
  }
  std::optional<Ints> ints = importer.evaluateInts(value);
  if (!ints)
    error() << "input " << i << " of " << opType()
            << " must be a constant: make it an initializer, or fold the nodes before it";
  return ints;
}

std::optional<Ints> Node::knownInts(unsigned i) {
  return hasInput(i) ? importer.evaluateInts(input(i)) : std::nullopt;
}

std::optional<int64_t> Node::declaredRank(unsigned i) const {
  return importer.declaredRank(outputName(i));
}

std::optional<double> Node::constantScalar(unsigned i) {
  Value value = require(i);
  if (!value)
    return std::nullopt;
  std::optional<SmallVector<double>> values = importer.evaluateNumbers(value);
  if (!values)
    error() << "input " << i << " of " << opType()
            << " must be a constant: make it an initializer, or fold the nodes before it";
  else if (values->size() != 1)
    error() << "input " << i << " of " << opType() << " has " << values->size()
            << " elements, it takes one";
  else
    return values->front();
  return std::nullopt;
}

std::optional<double> Node::knownScalar(unsigned i) {
  std::optional<SmallVector<double>> values;
  if (hasInput(i))
    values = importer.evaluateNumbers(input(i));
  return values && values->size() == 1 ? std::optional(values->front()) : std::nullopt;
}

// ---- Attributes

AttributeProto *Node::findAttribute(StringRef name, int type, StringRef typeName) {
  auto it = attributes.find(name);
  if (it == attributes.end())
    return nullptr;
  used.insert(name);
  AttributeProto *attribute = it->second;
  // Files of IR version 1 need not say the type: the field that is there tells.
  int actual = attribute->type();
  if (actual == AttributeProto::UNDEFINED)
    actual = attribute->has_f()               ? AttributeProto::FLOAT
             : attribute->has_i()             ? AttributeProto::INT
             : attribute->has_s()             ? AttributeProto::STRING
             : attribute->has_t()             ? AttributeProto::TENSOR
             : attribute->has_g()             ? AttributeProto::GRAPH
             : attribute->floats_size()       ? AttributeProto::FLOATS
             : attribute->ints_size()         ? AttributeProto::INTS
             : attribute->strings_size()      ? AttributeProto::STRINGS
             : attribute->has_sparse_tensor() ? AttributeProto::SPARSE_TENSOR
                                              : type;
  if (actual == type)
    return attribute;
  error() << "attribute '" << name << "' of " << opType() << " must be " << typeName << ", it is "
          << llvm::StringRef(AttributeProto::AttributeType_Name(
                 static_cast<AttributeProto::AttributeType>(actual)));
  return nullptr;
}

int64_t Node::intAttribute(StringRef name, int64_t otherwise) {
  auto *attribute = findAttribute(name, AttributeProto::INT, "INT");
  return attribute ? attribute->i() : otherwise;
}

bool Node::flag(StringRef name, bool otherwise) { return intAttribute(name, otherwise) != 0; }

double Node::floatAttribute(StringRef name, double otherwise) {
  auto *attribute = findAttribute(name, AttributeProto::FLOAT, "FLOAT");
  return attribute ? attribute->f() : otherwise;
}

std::string Node::stringAttribute(StringRef name, StringRef otherwise) {
  auto *attribute = findAttribute(name, AttributeProto::STRING, "STRING");
  return attribute ? attribute->s() : otherwise.str();
}

std::optional<Ints> Node::intsAttribute(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::INTS, "INTS");
  if (!attribute)
    return std::nullopt;
  return Ints(attribute->ints().begin(), attribute->ints().end());
}

std::optional<SmallVector<double>> Node::floatsAttribute(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::FLOATS, "FLOATS");
  if (!attribute)
    return std::nullopt;
  return SmallVector<double>(attribute->floats().begin(), attribute->floats().end());
}

std::optional<std::vector<std::string>> Node::stringsAttribute(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::STRINGS, "STRINGS");
  if (!attribute)
    return std::nullopt;
  return std::vector<std::string>(attribute->strings().begin(), attribute->strings().end());
}

TypedAttr Node::tensorAttribute(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::TENSOR, "TENSOR");
  if (!attribute)
    return {};
  auto value = importer.tensors.read(*attribute->mutable_t(), importer.mayConsume());
  if (value)
    return *value;
  error() << "attribute '" << name << "' of " << opType() << ": "
          << llvm::toString(value.takeError());
  return {};
}

TypedAttr Node::sparseAttribute(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::SPARSE_TENSOR, "SPARSE_TENSOR");
  if (!attribute)
    return {};
  auto value = importer.tensors.read(attribute->sparse_tensor());
  if (value)
    return *value;
  error() << "attribute '" << name << "' of " << opType() << ": "
          << llvm::toString(value.takeError());
  return {};
}

std::optional<SmallVector<double>> Node::numbersOf(TypedAttr value) {
  auto type = cast<ShapedType>(value.getType());
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(value, storage);
  SmallVector<double> numbers;
  auto read = [&](auto element) {
    for (size_t i = 0; i + sizeof(element) <= bytes.size(); i += sizeof(element)) {
      memcpy(&element, bytes.data() + i, sizeof(element));
      numbers.push_back(static_cast<double>(element));
    }
  };
  Type element = type.getElementType();
  if (element.isF32())
    read(float());
  else if (element.isF64())
    read(double());
  else if (element.isUnsignedInteger(8))
    read(uint8_t());
  else if (element.isF16())
    for (size_t i = 0; i + 2 <= bytes.size(); i += 2) {
      uint16_t bits;
      memcpy(&bits, bytes.data() + i, 2);
      APFloat half(APFloat::IEEEhalf(), APInt(16, bits));
      bool inexact;
      half.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
      numbers.push_back(half.convertToDouble());
    }
  else
    return std::nullopt;
  return numbers;
}

std::optional<std::vector<std::string>> Node::stringsOf(TypedAttr value) {
  auto strings = dyn_cast_or_null<DenseStringElementsAttr>(value);
  if (!strings)
    return std::nullopt;
  std::vector<std::string> values;
  for (StringRef each : strings.getValues<StringRef>())
    values.push_back(each.str());
  return values;
}

/// Names of opset 1 to 5, where Cast had its type as a string.
static Type typeByName(MLIRContext *context, StringRef name) {
  for (int32_t number = 0; number <= onnx::TensorProto::DataType_MAX; ++number)
    if (name.equals_insensitive(onnxTypeName(number)))
      return elementTypeOf(context, number);
  return {};
}

Type Node::typeAttribute(StringRef name, Type otherwise) {
  auto it = attributes.find(name);
  if (it == attributes.end())
    return otherwise;
  Type type;
  std::string given;
  if (it->second->type() == AttributeProto::STRING) {
    given = stringAttribute(name, "");
    type = typeByName(context(), given);
  } else {
    int64_t number = intAttribute(name, 0);
    number = std::clamp<int64_t>(number, -1, INT32_MAX);
    given = onnxTypeName(number);
    type = elementTypeOf(context(), number);
  }
  if (!type && !failed)
    error() << "attribute '" << name << "' of " << opType() << " is " << given
            << ", which is not supported";
  return type ? type : otherwise;
}

unsigned Node::choice(StringRef name, ArrayRef<StringRef> names, unsigned otherwise) {
  if (!hasAttribute(name))
    return otherwise;
  std::string given = stringAttribute(name, names[otherwise]);
  for (auto [i, candidate] : llvm::enumerate(names))
    if (candidate == given)
      return i;
  error() << "attribute '" << name << "' of " << opType() << " is '" << given
          << "', it must be one of " << llvm::join(names, ", ");
  return otherwise;
}

onnx::GraphProto *Node::subgraph(StringRef name) {
  auto *attribute = findAttribute(name, AttributeProto::GRAPH, "GRAPH");
  if (!attribute && !failed)
    error() << opType() << " has no attribute '" << name << "'";
  return attribute ? attribute->mutable_g() : nullptr;
}

FailureOr<SmallVector<Value>> Node::inlineGraph(onnx::GraphProto &graph, ArrayRef<Value> arguments,
                                                bool repeated) {
  FailureOr<SmallVector<Value>> values = importer.inlineGraph(graph, arguments, repeated);
  failed |= mlir::failed(values);
  return values;
}

void Node::ignore(std::initializer_list<StringRef> names) {
  for (StringRef name : names)
    used.insert(name);
}

void Node::checkAttributesUsed() {
  SmallVector<StringRef> unknown;
  for (auto &entry : attributes)
    if (!used.contains(entry.getKey()))
      unknown.push_back(entry.getKey());
  llvm::sort(unknown);
  if (!unknown.empty() && !failed)
    error() << opType() << "-" << sinceVersion << " has no attribute '" << unknown.front() << "'";
}

// ---- Results and types

void Node::setResult(unsigned i, Value value) {
  if (i < outputs.size())
    outputs[i] = value;
}

LogicalResult Node::result(Value value) {
  setResult(0, value);
  return success(value && !failed);
}

std::optional<int64_t> Node::requireRank(Value value, StringRef what) {
  if (!value)
    return std::nullopt;
  std::optional<int64_t> rank = rankOf(value);
  if (!rank)
    error() << "the rank of " << what << " of " << opType()
            << " is not known when compiling; declare a shape for the graph's inputs";
  return rank;
}

int64_t Node::axis(int64_t axis, std::optional<int64_t> rank) {
  if (!rank)
    return axis;
  if (axis < -*rank || axis >= *rank) {
    error() << "axis " << axis << " of " << opType() << " is out of range [" << -*rank << ", "
            << *rank << ")";
    return 0;
  }
  return axis < 0 ? axis + *rank : axis;
}

Ints Node::axes(Ints axes, std::optional<int64_t> rank) {
  for (int64_t &each : axes)
    each = axis(each, rank);
  if (rank || llvm::all_of(axes, [](int64_t each) { return each >= 0; }))
    llvm::sort(axes);
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end() && !failed)
    error() << "the axes of " << opType() << " name one dimension twice";
  return axes;
}

bool Node::infer(Operation *op) {
  if (succeeded(importer.inferShapes(op)))
    return true;
  failed = true;
  return false;
}
