// The graph importer: inputs, initializers, nodes, outputs.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Importer.h"
#include "dialects/Graph/Locations.h"
#include "dialects/Graph/Sequence.h"
#include "lib/Import/ValueTypes.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// The evaluator of constants follows operands this far.
static constexpr unsigned kMaxEvaluationDepth = 256;

/// No list of axes or sizes is longer.
static constexpr size_t kMaxIntsBytes = 1 << 20;

GraphImporter::GraphImporter(MLIRContext *context, onnx::ModelProto &model, StringRef fileName,
                             std::string dataFolder, const ImportOptions &options)
    : builder(context), tensors(context, std::move(dataFolder)), shapes(context), model(model),
      options(options), fileLoc(FileLineColLoc::get(context, fileName, 0, 0)), fileName(fileName) {}

OwningOpRef<ModuleOp> GraphImporter::run() {
  // First of all: what follows takes time and memory for each of them.
  if (uint64_t(model.graph().node_size()) > options.maxExpandedNodes) {
    error() << "the graph has " << model.graph().node_size() << " nodes, at most "
            << options.maxExpandedNodes << " are allowed";
    return {};
  }
  if (failed(checkModel()) || failed(readFunctions()) || failed(checkOperators()))
    return {};
  OwningOpRef<ModuleOp> module = ModuleOp::create(fileLoc);
  (*module)->setAttr("graph.source", builder.getStringAttr(fileName));
  SmallVector<NamedAttribute> versions;
  for (auto &entry : opsets)
    versions.push_back(builder.getNamedAttr(entry.getKey().empty() ? "ai.onnx" : entry.getKey(),
                                            builder.getI64IntegerAttr(entry.getValue())));
  (*module)->setAttr("graph.opsets", builder.getDictionaryAttr(versions));
  if (failed(importMain(*module)) || hasUnknownOperators || failed(verify(*module)))
    return {};
  return module;
}

// ---- Values of the graph

Type GraphImporter::typeOf(const onnx::ValueInfoProto &info, bool isInput) {
  std::string what = std::string(isInput ? "input" : "output") + " '" + info.name() + "' ";
  return importType(builder.getContext(), info.type(), [&](const Twine &why) {
    error() << what << why;
    return Type();
  });
}

bool lathe::import::isSymbol(StringRef text) {
  return !text.empty() && (llvm::isAlpha(text[0]) || text[0] == '_' || (text[0] & 0x80)) &&
         text != "None";
}

std::string lathe::import::unnamedDim(StringRef value, int64_t dim) {
  return value.str() + "." + std::to_string(dim);
}

ArrayAttr GraphImporter::dimsOf(const onnx::ValueInfoProto &info) {
  if (!info.type().tensor_type().has_shape())
    return {};
  SmallVector<Attribute> names;
  for (auto [i, dim] : llvm::enumerate(info.type().tensor_type().shape().dim())) {
    std::string name;
    if (dim.has_dim_param() && isSymbol(dim.dim_param())) {
      name = dim.dim_param();
    } else if (!dim.has_dim_value() || dim.dim_value() < 0) {
      name = unnamedDim(info.name(), i);
      while (!symbols.insert(name).second)
        name += "'";
    }
    names.push_back(builder.getStringAttr(name));
  }
  return builder.getArrayAttr(names);
}

LogicalResult GraphImporter::readDeclarations(onnx::GraphProto &graph, Scope &into) {
  for (const auto *infos : {&graph.output(), &graph.value_info()})
    for (const onnx::ValueInfoProto &info : *infos)
      if (info.type().tensor_type().has_shape())
        into.declaredRanks[info.name()] = info.type().tensor_type().shape().dim_size();
  for (onnx::TensorProto &tensor : *graph.mutable_initializer()) {
    if (tensor.name().empty())
      return error() << "an initializer has no name";
    if (!into.initializers.try_emplace(tensor.name(), &tensor).second)
      return error() << "there are two initializers named '" << tensor.name() << "'";
  }
  for (onnx::SparseTensorProto &tensor : *graph.mutable_sparse_initializer()) {
    if (tensor.values().name().empty())
      return error() << "a sparse initializer has no name";
    if (into.initializers.contains(tensor.values().name()) ||
        !into.sparseInitializers.try_emplace(tensor.values().name(), &tensor).second)
      return error() << "there are two initializers named '" << tensor.values().name() << "'";
  }
  return success();
}

LogicalResult GraphImporter::importMain(ModuleOp module) {
  onnx::GraphProto &graph = *model.mutable_graph();
  Scope main(opsets);
  if (failed(readDeclarations(graph, main)))
    return failure();
  scope = &main;

  // Inputs with an initializer are constants: their default values are what is compiled.
  SmallVector<Type> inputTypes;
  SmallVector<Attribute> inputAttrs;
  SmallVector<StringRef> inputNames;
  llvm::StringSet<> seen;
  for (const onnx::ValueInfoProto &info : graph.input()) {
    if (info.name().empty())
      return error() << "a graph input has no name";
    if (!seen.insert(info.name()).second)
      return error() << "there are two graph inputs named '" << info.name() << "'";
    for (const auto &dim : info.type().tensor_type().shape().dim())
      if (dim.has_dim_param())
        symbols.insert(dim.dim_param());
  }
  for (const onnx::ValueInfoProto &info : graph.input()) {
    if (main.initializers.contains(info.name()) || main.sparseInitializers.contains(info.name()))
      continue;
    Type type = typeOf(info, true);
    if (!type)
      return failure();
    inputTypes.push_back(type);
    inputNames.push_back(info.name());
    NamedAttrList attrs;
    attrs.set("graph.name", builder.getStringAttr(info.name()));
    if (ArrayAttr dims = dimsOf(info))
      attrs.set("graph.dims", dims);
    inputAttrs.push_back(attrs.getDictionary(builder.getContext()));
  }

  builder.setInsertionPointToEnd(module.getBody());
  auto function =
      func::FuncOp::create(builder, fileLoc, "main", builder.getFunctionType(inputTypes, {}));
  function->setAttr("graph.entry", builder.getStringAttr("run"));
  Block *body = mainBlock = function.addEntryBlock();
  for (auto [i, name] : llvm::enumerate(inputNames)) {
    main.values[name] = body->getArgument(i);
  }
  // The function gets its type before the nodes: shape inference reads the argument attributes.
  function.setAllArgAttrs(inputAttrs);
  builder.setInsertionPointToEnd(body);
  for (const onnx::ValueInfoProto &info : graph.output())
    main.results.push_back(info.name());
  if (failed(importNodes(*graph.mutable_node())))
    return failure();

  if (graph.output().empty())
    return error() << "the graph has no outputs";
  SmallVector<Value> outputs;
  SmallVector<Attribute> outputAttrs;
  seen.clear();
  for (const onnx::ValueInfoProto &info : graph.output()) {
    Value value = info.name().empty() || !isDefined(info.name()) ? Value() : lookup(info.name());
    if (!value) {
      if (isDefined(info.name()))
        return failure();
      return error() << "output '" << info.name()
                     << "' is not defined by any node, input or initializer";
    }
    if (!seen.insert(info.name()).second)
      return error() << "there are two graph outputs named '" << info.name() << "'";
    NamedAttrList attrs;
    attrs.set("graph.name", builder.getStringAttr(info.name()));
    // Many exporters leave the type of an output out; a type that is there must be true.
    if (info.type().value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      Type type = typeOf(info, false);
      if (!type)
        return failure();
      auto declared = dyn_cast<TensorType>(type), actual = dyn_cast<TensorType>(value.getType());
      if (declared && actual && declared.getElementType() != actual.getElementType())
        return error() << "output '" << info.name() << "' is declared with element type "
                       << declared.getElementType() << ", its value has "
                       << actual.getElementType();
      if (!graph::isSameKind(type, value.getType()))
        return error() << "output '" << info.name() << "' is declared with type " << type
                       << ", its value has " << value.getType();
      if (ArrayAttr dims = dimsOf(info))
        attrs.set("graph.dims", dims);
    }
    outputs.push_back(value);
    outputAttrs.push_back(attrs.getDictionary(builder.getContext()));
  }
  func::ReturnOp::create(builder, fileLoc, outputs);
  function.setType(builder.getFunctionType(inputTypes, TypeRange(ValueRange(outputs))));
  function.setAllResultAttrs(outputAttrs);
  markRandomOutputs(function);

  // Initializers that nothing uses are read as well, so that a damaged file is not accepted.
  for (auto &entry : main.initializers)
    if (!main.values.contains(entry.getKey())) {
      auto value = tensors.read(*entry.getValue(), true);
      if (!value) {
        std::string message = llvm::toString(value.takeError());
        return error() << "initializer '" << entry.getKey() << "': " << message;
      }
    }
  return success();
}

// ---- Names

bool GraphImporter::isDefined(StringRef name) const {
  for (Scope *s = scope; s; s = s->outer)
    if (s->values.contains(name) || s->initializers.contains(name) ||
        s->sparseInitializers.contains(name))
      return true;
  return false;
}

Value GraphImporter::lookup(StringRef name) {
  for (Scope *s = scope; s; s = s->outer) {
    if (auto it = s->values.find(name); it != s->values.end())
      return it->second;
    auto dense = s->initializers.find(name);
    auto sparse = s->sparseInitializers.find(name);
    if (dense == s->initializers.end() && sparse == s->sparseInitializers.end())
      continue;
    auto value = dense != s->initializers.end() ? tensors.read(*dense->second, s->once)
                                                : tensors.read(*sparse->second);
    if (!value) {
      std::string message = llvm::toString(value.takeError());
      error() << "initializer '" << name << "': " << message;
      return {};
    }
    // What a region is the first to name, others may name after it.
    OpBuilder::InsertionGuard guard(builder);
    if (mainBlock && builder.getInsertionBlock() != mainBlock)
      builder.setInsertionPointToStart(mainBlock);
    // Names in locations are names of nodes.
    auto op = graph::ConstantOp::create(builder, fileLoc, value->getType(), *value);
    if (failed(inferShapes(op)))
      return {};
    return s->values[name] = op.getResult();
  }
  return {};
}

LogicalResult GraphImporter::define(StringRef name, Value value, Location location) {
  if (scope->values.contains(name) || scope->initializers.contains(name) ||
      scope->sparseInitializers.contains(name))
    return emitError(location) << "output '" << name << "' is already defined by another node, "
                               << "input or initializer";
  scope->values[name] = value;
  return success();
}

std::string lathe::import::nodeLabel(const onnx::NodeProto &node, int index) {
  if (!node.name().empty())
    return "node '" + node.name() + "'";
  return "node #" + std::to_string(index) + " (" + node.op_type() + ")";
}

const Operator *GraphImporter::operatorOf(const onnx::NodeProto &node) const {
  StringRef domain = node.domain() == "ai.onnx" ? StringRef() : StringRef(node.domain());
  return findOperator(domain, node.op_type());
}

std::optional<int64_t> GraphImporter::versionOf(const Operator &op,
                                                const onnx::NodeProto &node) const {
  return resolveVersion(op, std::max<int64_t>(opsetOf(node.domain()), 1));
}

std::string GraphImporter::operatorText(const onnx::NodeProto &node, int64_t version) const {
  return llvm::formatv("{0}-{1}, opset {2}", node.op_type(), version, opsetOf(node.domain()));
}

/// Says in a note which operator failed, and of which types; formatDiagnostic shows it.
static void addOperatorNote(Diagnostic &diagnostic, const std::string &text,
                            ArrayRef<Value> inputs) {
  for (Diagnostic &note : diagnostic.getNotes())
    if (StringRef(note.str()).starts_with("operator "))
      return;
  Diagnostic &note = diagnostic.attachNote();
  note << "operator " << text;
  StringRef separator = ", of ";
  for (Value input : inputs) {
    note << separator;
    if (input)
      note << input.getType();
    else
      note << "nothing";
    separator = ", ";
  }
}

Location GraphImporter::locationOf(const onnx::NodeProto &node, int index) {
  std::string name = node.name();
  if (name.empty())
    name = "#" + std::to_string(index) + " (" + node.op_type() + ")";
  Location place = FileLineColLoc::get(builder.getContext(), fileName, index + 1, 0);
  if (const Operator *op = operatorOf(node))
    if (std::optional<int64_t> version = versionOf(*op, node))
      place = graph::withOperator(place, operatorText(node, *version));
  Location location = NameLoc::get(builder.getStringAttr(name), place);
  if (scope->caller)
    location = CallSiteLoc::get(location, *scope->caller);
  return location;
}

// ---- Nodes

LogicalResult GraphImporter::importNodes(NodeList &nodes) {
  FailureOr<std::vector<int>> order = orderNodes(nodes);
  if (failed(order))
    return failure();
  scope->nodes = &nodes;
  scope->order = *order;
  scope->next = 0;
  return importRest();
}

/// Imports the nodes of the scope from `next` on.
LogicalResult GraphImporter::importRest() {
  constexpr unsigned mostFailures = 20;
  // The main graph goes on after a node that fails, with those that do not need it.
  bool goesOn = !scope->outer && !scope->caller && builder.getInsertionBlock() == mainBlock;
  unsigned failures = 0;
  llvm::StringSet<> missing;
  auto giveUp = [&](const onnx::NodeProto &node) {
    for (const std::string &name : node.output())
      missing.insert(name);
  };
  while (scope->next < scope->order.size()) {
    int index = scope->order[scope->next++];
    onnx::NodeProto &node = (*scope->nodes)[index];
    bool needsMissing =
        failures &&
        (llvm::any_of(node.input(), [&](StringRef name) { return missing.contains(name); }) ||
         llvm::any_of(node.attribute(), [](const auto &attribute) {
           return attribute.has_g() || attribute.graphs_size();
         }));
    if (needsMissing)
      giveUp(node);
    else if (failed(importNode(node, locationOf(node, index)))) {
      if (!goesOn || ++failures == mostFailures)
        return failure();
      giveUp(node);
    }
  }
  return success(failures == 0);
}

FailureOr<AttributeMap> GraphImporter::bindAttributes(onnx::NodeProto &node, Location location) {
  AttributeMap bound;
  for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
    onnx::AttributeProto *actual = &attribute;
    if (!attribute.ref_attr_name().empty()) {
      if (!scope->bindings)
        return emitError(location) << "attribute '" << attribute.name()
                                   << "' refers to an attribute of a function, outside of any";
      auto it = scope->bindings->find(attribute.ref_attr_name());
      if (it == scope->bindings->end())
        continue; // The caller left it out: so does this node.
      actual = it->second;
    }
    if (!bound.try_emplace(attribute.name(), actual).second)
      return emitError(location) << "there are two attributes named '" << attribute.name() << "'";
  }
  return bound;
}

LogicalResult GraphImporter::importNode(onnx::NodeProto &node, Location location) {
  SmallVector<Value> inputs;
  for (const std::string &name : node.input()) {
    // A function's input that its caller omits has a name without a value.
    bool omitted = name.empty() || (scope->values.contains(name) && !scope->values.lookup(name));
    inputs.push_back(omitted ? Value() : lookup(name));
    if (!omitted && !inputs.back())
      return failure();
  }
  if (Function *function = findFunction(node))
    return callFunction(*function, node, location, inputs);

  if (builder.getInsertionBlock() != mainBlock && ++nodesInRegions > options.maxExpandedNodes)
    return emitError(location) << "the bodies of loops and branches expand to more than "
                               << options.maxExpandedNodes << " nodes";

  // checkOperators has found every operator and version before, or has reported it.
  const Operator *op = operatorOf(node);
  std::optional<int64_t> version = op ? versionOf(*op, node) : std::nullopt;
  if (!version)
    return failure(); // has been reported
  ScopedDiagnosticHandler handler(builder.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      addOperatorNote(diagnostic, operatorText(node, *version), inputs);
    return failure(); // for others to report
  });

  while (!inputs.empty() && !inputs.back())
    inputs.pop_back();
  if (inputs.size() < op->minInputs || inputs.size() > op->maxInputs)
    return emitError(location) << op->name << " has " << inputs.size() << " inputs, it takes "
                               << (inputs.size() < op->minInputs ? "at least " : "at most ")
                               << (inputs.size() < op->minInputs ? op->minInputs : op->maxInputs);
  for (unsigned i = 0; i < op->minInputs; ++i)
    if (!inputs[i])
      return emitError(location) << "input " << i << " of " << op->name << " is missing";
  for (auto [i, input] : llvm::enumerate(inputs))
    if (input && !isa<TensorType>(input.getType()) && !op->takesSequences)
      return emitError(location) << "input " << i << " of " << op->name << " has type "
                                 << input.getType() << ", it takes tensors";
  if (!inputs.empty() && inputs[0] && isa<TensorType>(inputs[0].getType()) &&
      !(typeSetOf(Node::elementOf(inputs[0])) & op->types))
    return emitError(location) << "input 0 of " << op->name << " has element type "
                               << Node::elementOf(inputs[0]) << ", supported are "
                               << describeTypeSet(op->types);

  FailureOr<AttributeMap> attributes = bindAttributes(node, location);
  if (failed(attributes))
    return failure();
  Node handled(*this, node, *version, location, inputs, std::move(*attributes));
  LogicalResult outcome = op->handler(handled);
  if (succeeded(outcome))
    handled.checkAttributesUsed();
  if (failed(outcome) && !handled.hasFailed())
    return emitError(location) << op->name << "-" << *version << " cannot be imported in this form";
  if (handled.hasFailed())
    return failure();
  for (auto [i, name] : llvm::enumerate(node.output())) {
    if (name.empty())
      continue;
    Value value = handled.results()[i];
    if (scope->next > scope->order.size())
      continue; // what follows has been imported in the branches of this node
    if (!value)
      return emitError(location) << "output " << i << " of " << op->name << "-" << *version
                                 << " is not supported";
    if (failed(define(name, value, location)))
      return failure();
  }
  return success();
}

LogicalResult GraphImporter::callFunction(Function &function, onnx::NodeProto &node,
                                          Location location, ArrayRef<Value> inputs) {
  onnx::FunctionProto &proto = *function.proto;
  if (node.input_size() > proto.input_size() || node.output_size() > proto.output_size())
    return emitError(location) << "function " << proto.name() << " takes " << proto.input_size()
                               << " inputs and gives " << proto.output_size()
                               << " outputs, the node has " << node.input_size() << " and "
                               << node.output_size();
  FailureOr<AttributeMap> attributes = bindAttributes(node, location);
  if (failed(attributes))
    return failure();
  AttributeMap bindings;
  for (onnx::AttributeProto &attribute : *proto.mutable_attribute_proto())
    bindings[attribute.name()] = &attribute; // a default
  for (const std::string &name : proto.attribute())
    if (auto it = attributes->find(name); it != attributes->end())
      bindings[name] = it->second;
  for (auto &entry : *attributes) {
    if (!bindings.contains(entry.getKey()) &&
        !llvm::is_contained(proto.attribute(), entry.getKey().str()))
      return emitError(location) << "function " << proto.name() << " has no attribute '"
                                 << entry.getKey() << "'";
    bindings[entry.getKey()] = entry.getValue();
  }

  Scope body(function.opsets);
  body.bindings = &bindings;
  body.caller = location;
  body.once = false;
  body.site = siteOf(node, location);
  for (auto [i, name] : llvm::enumerate(proto.input()))
    if (i < inputs.size() && inputs[i])
      body.values[name] = inputs[i];
    else if (!name.empty())
      body.values[name] = Value();
  body.results.assign(proto.output().begin(), proto.output().end());
  Scope *outside = std::exchange(scope, &body);
  LogicalResult outcome = importNodes(*proto.mutable_node());
  scope = outside;
  if (failed(outcome))
    return failure();
  if (body.left)
    return success();
  for (auto [i, name] : llvm::enumerate(node.output())) {
    if (name.empty())
      continue;
    Value value = body.values.lookup(proto.output(i));
    if (!value)
      return emitError(location) << "output '" << proto.output(i) << "' of function "
                                 << proto.name() << " is not defined in it";
    if (failed(define(name, value, location)))
      return failure();
  }
  return success();
}

// ---- Constants

Attribute GraphImporter::evaluate(Value value, unsigned depth) {
  if (auto it = evaluated.find(value); it != evaluated.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  if (!op || depth > kMaxEvaluationDepth)
    return {};
  if (auto constant = dyn_cast<graph::ConstantOp>(op))
    return constant.getValue();
  if (TypedAttr known = shapes.getConstant(value))
    return known;
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands())
    operands.push_back(evaluate(operand, depth + 1));
  SmallVector<OpFoldResult> folded;
  Attribute result;
  if (succeeded(op->fold(operands, folded)) && !folded.empty()) {
    OpFoldResult mine = folded[cast<OpResult>(value).getResultNumber()];
    result = dyn_cast<Attribute>(mine);
    if (!result)
      result = evaluate(cast<Value>(mine), depth + 1);
  }
  return evaluated[value] = result;
}

std::optional<Ints> GraphImporter::evaluateInts(Value value) {
  if (!Node::elementOf(value).isSignlessInteger())
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (type && type.hasStaticShape() && type.getNumElements() == 0)
    return Ints();
  Attribute attr = evaluate(value);
  if (!attr)
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(attr, storage);
  if (bytes.size() > kMaxIntsBytes)
    return std::nullopt;
  unsigned size = std::max(1u, Node::elementOf(value).getIntOrFloatBitWidth() / 8);
  Ints ints;
  for (size_t at = 0; at + size <= bytes.size(); at += size) {
    int64_t element = 0;
    memcpy(&element, bytes.data() + at, size);
    ints.push_back(llvm::SignExtend64(element, size * 8));
  }
  return ints;
}

std::optional<SmallVector<double>> GraphImporter::evaluateNumbers(Value value) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(evaluate(value));
  Type element = Node::elementOf(value);
  if (!dense || !element.isIntOrFloat())
    return std::nullopt;
  SmallVector<double> numbers;
  if (isa<FloatType>(element))
    for (const APFloat &number : dense.getValues<APFloat>())
      numbers.push_back(number.convertToDouble());
  else
    for (const APInt &number : dense.getValues<APInt>())
      numbers.push_back(element.isUnsignedInteger() || element.isInteger(1)
                            ? number.getZExtValue()
                            : number.getSExtValue());
  return numbers;
}

LogicalResult GraphImporter::inferShapes(Operation *op) {
  return failed(verify(op, /*verifyRecursively=*/false)) ? failure() : shapes.inferOp(op);
}
