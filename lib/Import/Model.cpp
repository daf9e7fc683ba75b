// What is checked of a model before any node is imported: versions, functions, operators, order.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Importer.h"
#include "llvm/ADT/SetVector.h"
#include <map>
#include <set>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// The newest version of the file format that lib/Import/onnx.proto describes.
static constexpr int64_t kNewestIrVersion = 14;

static StringRef canonicalDomain(StringRef domain) {
  return domain == "ai.onnx" ? StringRef() : domain;
}

static std::string displayName(StringRef domain, StringRef op) {
  domain = canonicalDomain(domain);
  return domain.empty() ? op.str() : (domain + "::" + op).str();
}

static std::string functionKey(StringRef domain, StringRef name, StringRef overload) {
  return (canonicalDomain(domain) + "\n" + name + "\n" + overload).str();
}

LogicalResult GraphImporter::checkModel() {
  if (!model.has_graph() || !model.has_ir_version())
    return error() << "the file is no ONNX model: it has no "
                   << (model.has_graph() ? "IR version" : "graph");
  if (model.ir_version() > kNewestIrVersion || model.ir_version() < 1)
    return error() << "the file has IR version " << model.ir_version() << ", supported are 1 to "
                   << kNewestIrVersion;
  // Before IR version 3 files named no opset.
  if (model.ir_version() < 3 && model.opset_import().empty())
    opsets[""] = 1;
  return readOpsets(model.opset_import(), opsets);
}

LogicalResult GraphImporter::readOpsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &imports, OpsetMap &opsets) {
  for (const onnx::OperatorSetIdProto &import : imports) {
    StringRef domain = canonicalDomain(import.domain());
    StringRef shown = domain.empty() ? "ai.onnx" : domain;
    // Some exporters import a domain twice; the last one holds, as in other implementations.
    opsets[domain] = import.version();
    std::optional<int64_t> newest = newestOpset(domain);
    if (import.version() < 1 || (newest && import.version() > *newest))
      return error() << "opset " << import.version() << " of domain " << shown
                     << " is not supported, 1 to " << newest.value_or(1) << " are";
  }
  return success();
}

// ---- Functions

/// Calls `visit` for the nodes of a list and of their subgraphs, until it fails. The nesting of
/// subgraphs is bounded by the reader of the file.
static LogicalResult forEachNode(const NodeList &nodes,
                                 llvm::function_ref<LogicalResult(const onnx::NodeProto &)> visit) {
  for (const onnx::NodeProto &node : nodes) {
    if (failed(visit(node)))
      return failure();
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g() && failed(forEachNode(attribute.g().node(), visit)))
        return failure();
      for (const onnx::GraphProto &graph : attribute.graphs())
        if (failed(forEachNode(graph.node(), visit)))
          return failure();
    }
  }
  return success();
}

LogicalResult GraphImporter::readFunctions() {
  for (onnx::FunctionProto &proto : *model.mutable_functions()) {
    Function function;
    function.proto = &proto;
    if (failed(readOpsets(proto.opset_import(), function.opsets)))
      return failure();
    std::string key = functionKey(proto.domain(), proto.name(), proto.overload());
    if (!functions.try_emplace(key, std::move(function)).second)
      return error() << "there are two functions " << displayName(proto.domain(), proto.name());
  }
  for (auto &entry : functions)
    if (failed(countExpanded(entry.getValue(), 0)))
      return failure();
  uint64_t total = 0;
  (void)forEachNode(model.graph().node(), [&](const onnx::NodeProto &node) {
    if (Function *function = findFunction(node))
      total += std::min(function->expandedNodes, options.maxExpandedNodes + 1);
    return success();
  });
  if (total > options.maxExpandedNodes)
    return error() << "the model's functions expand to more than " << options.maxExpandedNodes
                   << " nodes";
  return success();
}

GraphImporter::Function *GraphImporter::findFunction(const onnx::NodeProto &node) {
  if (functions.empty())
    return nullptr;
  auto it = functions.find(functionKey(node.domain(), node.op_type(), node.overload()));
  return it == functions.end() ? nullptr : &it->getValue();
}

/// Counts what a function expands to, without expanding it: it may be exponential.
LogicalResult GraphImporter::countExpanded(Function &function, unsigned depth) {
  std::string name = displayName(function.proto->domain(), function.proto->name());
  if (function.visiting)
    return error() << "function " << name << " calls itself";
  if (depth > options.maxCallDepth)
    return error() << "functions call each other more than " << options.maxCallDepth
                   << " deep, at function " << name;
  if (function.expandedNodes)
    return success();
  function.visiting = true;
  uint64_t total = 1;
  LogicalResult counted =
      forEachNode(function.proto->node(), [&](const onnx::NodeProto &node) -> LogicalResult {
        total += 1;
        Function *callee = findFunction(node);
        if (!callee)
          return success();
        if (failed(countExpanded(*callee, depth + 1)))
          return failure();
        total = std::min(total + callee->expandedNodes, options.maxExpandedNodes + 1);
        return success();
      });
  if (failed(counted))
    return failure();
  function.visiting = false;
  function.expandedNodes = total;
  return success();
}

// ---- Operators

namespace {

struct Missing {
  unsigned count = 0;
  std::string firstNode;
  StringRef reason;
};

} // namespace

/// Finds every operator that cannot be imported, and reports them all at once.
LogicalResult GraphImporter::checkOperators() {
  std::map<std::string, Missing> missing;
  LogicalResult outcome = success();
  // The nesting of subgraphs is bounded by the reader of the file.
  std::function<void(const NodeList &, const OpsetMap &)> scan = [&](const NodeList &nodes,
                                                                     const OpsetMap &opsets) {
    for (auto [index, node] : llvm::enumerate(nodes)) {
      for (const onnx::AttributeProto &attribute : node.attribute()) {
        if (attribute.has_g())
          scan(attribute.g().node(), opsets);
        for (const onnx::GraphProto &graph : attribute.graphs())
          scan(graph.node(), opsets);
      }
      if (findFunction(node))
        continue;
      StringRef domain = canonicalDomain(node.domain());
      const Operator *op = findOperator(domain, node.op_type());
      auto opset = opsets.find(domain);
      // Its operators have one version, and models are written that forget the import.
      bool hasOneVersion = domain == "com.microsoft";
      if (op && opset == opsets.end() && hasOneVersion)
        continue;
      if (op && opset == opsets.end()) {
        outcome = error() << nodeLabel(node, index) << ": the model imports no opset of domain '"
                          << (domain.empty() ? "ai.onnx" : domain) << "', which " << node.op_type()
                          << " belongs to";
        return;
      }
      if (op && resolveVersion(*op, opset->second))
        continue;
      std::string name = displayName(domain, node.op_type());
      if (opset != opsets.end())
        name += "-" + std::to_string(opset->second);
      Missing &entry = missing[name];
      if (entry.count++ == 0)
        entry.firstNode = nodeLabel(node, index);
      entry.reason = whyUnsupported(domain, node.op_type());
    }
  };
  scan(model.graph().node(), opsets);
  for (const onnx::FunctionProto &proto : model.functions())
    scan(proto.node(), functions.find(functionKey(proto.domain(), proto.name(), proto.overload()))
                           ->getValue()
                           .opsets);
  if (failed(outcome) || missing.empty())
    return outcome;
  std::string list;
  for (auto &[name, entry] : missing)
    list += llvm::formatv("{0}{1} ({2} node{3}, first {4}{5}{6})", list.empty() ? "" : ", ", name,
                          entry.count, entry.count == 1 ? "" : "s", entry.firstNode,
                          entry.reason.empty() ? "" : ": ", entry.reason)
                .str();
  // What else is wrong is found as well, in the nodes that do not depend on these.
  hasUnknownOperators = true;
  (void)(error() << "operators that are not supported: " << list
                 << "; `lathe ops` lists those that are");
  return success();
}

// ---- Order

void lathe::import::collectFreeNames(const onnx::GraphProto &graph,
                                     llvm::SetVector<StringRef> &names) {
  llvm::StringSet<> local;
  for (const onnx::ValueInfoProto &info : graph.input())
    local.insert(info.name());
  for (const onnx::TensorProto &tensor : graph.initializer())
    local.insert(tensor.name());
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    local.insert(tensor.values().name());
  for (const onnx::NodeProto &node : graph.node())
    for (const std::string &name : node.output())
      local.insert(name);
  auto use = [&](StringRef name) {
    if (!name.empty() && !local.contains(name))
      names.insert(name);
  };
  for (const onnx::NodeProto &node : graph.node()) {
    for (const std::string &name : node.input())
      use(name);
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      llvm::SetVector<StringRef> inner;
      if (attribute.has_g())
        collectFreeNames(attribute.g(), inner);
      for (const onnx::GraphProto &subgraph : attribute.graphs())
        collectFreeNames(subgraph, inner);
      llvm::for_each(inner, use);
    }
  }
  for (const onnx::ValueInfoProto &info : graph.output())
    use(info.name());
}

/// All names that a node reads, through its subgraphs as well.
static llvm::SetVector<StringRef> namesReadBy(const onnx::NodeProto &node) {
  llvm::SetVector<StringRef> names;
  for (const std::string &name : node.input())
    if (!name.empty())
      names.insert(name);
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      collectFreeNames(attribute.g(), names);
    for (const onnx::GraphProto &graph : attribute.graphs())
      collectFreeNames(graph, names);
  }
  return names;
}

/// The order in which the nodes can be imported: that of the file where it is a topological one, as
/// the specification demands, else the nearest to it.
FailureOr<std::vector<int>> GraphImporter::orderNodes(const NodeList &nodes) {
  llvm::StringMap<int> producer;
  llvm::StringSet<> nodeNames;
  llvm::DenseSet<int> replaced;
  for (auto [index, node] : llvm::enumerate(nodes)) {
    // Errors, traces and reports tell nodes by their names. Constants have no part in those, and
    // exporters give all of them one name.
    if (!node.name().empty() && node.op_type() != "Constant" &&
        !nodeNames.insert(node.name()).second)
      return emitError(locationOf(node, index)) << "there are two nodes of this name";
    for (const std::string &name : node.output()) {
      if (name.empty())
        continue;
      auto [it, isNew] = producer.try_emplace(name, index);
      // Exporters are known to write a constant again with another value. Other implementations
      // read constants like initializers, first of all: the last one holds for every node.
      const onnx::NodeProto &other = nodes[it->second];
      if (isNew || node.op_type() != "Constant" || other.op_type() != "Constant")
        continue;
      emitWarning(locationOf(node, index)) << "the constant '" << name << "' is defined before by "
                                           << nodeLabel(other, it->second) << "; this one holds";
      replaced.insert(it->second);
      it->second = index;
    }
  }

  std::vector<int> waiting(nodes.size(), 0);
  std::vector<std::vector<int>> users(nodes.size());
  for (auto [index, node] : llvm::enumerate(nodes)) {
    llvm::SetVector<int> before;
    for (StringRef name : namesReadBy(node)) {
      if (auto it = producer.find(name); it != producer.end()) {
        before.insert(it->second);
      } else if (!isDefined(name)) {
        return emitError(locationOf(node, index))
               << "input '" << name << "' of " << node.op_type()
               << " is not defined by any node, graph input or initializer";
      }
    }
    waiting[index] = before.size();
    for (int other : before)
      users[other].push_back(index);
  }

  // The ready node that comes first in the file is next: a file in order keeps its order.
  std::set<int> ready;
  for (int index = 0; index < nodes.size(); ++index)
    if (waiting[index] == 0)
      ready.insert(index);
  std::vector<int> order;
  while (!ready.empty()) {
    int index = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(index);
    for (int user : users[index])
      if (--waiting[user] == 0)
        ready.insert(user);
  }
  if (order.size() == size_t(nodes.size())) {
    llvm::erase_if(order, [&](int index) { return replaced.contains(index); });
    return order;
  }
  // Every node that still waits is in a cycle or behind one; walking back ends in the cycle.
  int at =
      std::find_if(waiting.begin(), waiting.end(), [](int n) { return n > 0; }) - waiting.begin();
  std::vector<bool> passed(nodes.size(), false);
  while (!passed[at]) {
    passed[at] = true;
    for (StringRef name : namesReadBy(nodes[at])) {
      auto it = producer.find(name);
      if (it != producer.end() && waiting[it->second] > 0) {
        at = it->second;
        break;
      }
    }
  }
  return emitError(locationOf(nodes[at], at))
         << nodes[at].op_type() << " is part of a cycle: its input depends on its "
         << "own output";
}
