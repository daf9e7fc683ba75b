// One model on its way into the graph dialect: scopes, functions, order of nodes.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_IMPORTER_H
#define LATHE_LIB_IMPORT_IMPORTER_H

#include "dialects/Graph/SymbolicShapes.h"
#include "lathe/Import.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Tensors.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace lathe::import {

using OpsetMap = llvm::StringMap<int64_t>;
using AttributeMap = llvm::StringMap<onnx::AttributeProto *>;
using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// Whether a dim_param names a dimension: "-1" and "?" stand for any size, as does an empty one.
bool isSymbol(llvm::StringRef dimParam);

/// What a dimension of `value` that has no name is called.
std::string unnamedDim(llvm::StringRef value, int64_t dim);

struct Scope;

/// Where a subgraph or function is imported in place.
struct CallSite {
  /// Its outputs are the results of the scope within.
  const onnx::NodeProto *node;
  /// That of the node.
  Scope *scope;
  mlir::Location location;
};

/// The names that nodes of one graph or function body see.
struct Scope {
  explicit Scope(const OpsetMap &opsets) : opsets(opsets) {}

  const OpsetMap &opsets;
  /// The graph around a subgraph; null for the main graph and for functions.
  Scope *outer = nullptr;
  /// What `ref_attr_name` refers to inside a function.
  const AttributeMap *bindings = nullptr;
  /// The node that called the function.
  std::optional<mlir::Location> caller;
  /// Whether the nodes are imported once only, so that their tensors may be taken over.
  bool once = true;
  llvm::StringMap<mlir::Value> values;
  llvm::StringMap<onnx::TensorProto *> initializers;
  llvm::StringMap<onnx::SparseTensorProto *> sparseInitializers;
  /// Of values whose types the graph declares; used where nothing else tells the rank.
  llvm::StringMap<int64_t> declaredRanks;

  /// Names that are read when all nodes are imported.
  llvm::SmallVector<llvm::StringRef> results;
  /// The nodes, their order, and how many of them are imported or being imported.
  NodeList *nodes = nullptr;
  llvm::ArrayRef<int> order;
  size_t next = 0;
  /// Null where the nodes are in a region of their own, and in the main graph.
  std::optional<CallSite> site;
  /// Whether what follows at the site has been imported already, in branches.
  bool left = false;
};

class GraphImporter {
public:
  GraphImporter(mlir::MLIRContext *context, onnx::ModelProto &model, llvm::StringRef fileName,
                std::string dataFolder, const ImportOptions &options);
  ~GraphImporter();

  /// Imports the whole model; null after errors were reported.
  mlir::OwningOpRef<mlir::ModuleOp> run();

  mlir::OpBuilder builder;
  TensorReader tensors;
  /// The sizes of all values so far.
  graph::SymbolicShapes shapes;

  /// Infers the result shapes of an operation just created.
  llvm::LogicalResult inferShapes(mlir::Operation *op);
  /// The elements of an integer tensor that is known when compiling.
  std::optional<Ints> evaluateInts(mlir::Value value);
  /// The elements of any tensor of numbers that is known when compiling.
  std::optional<llvm::SmallVector<double>> evaluateNumbers(mlir::Value value);
  /// The opset of a domain that the nodes at hand are of.
  int64_t opsetOf(llvm::StringRef domain) const {
    return scope->opsets.lookup(domain == "ai.onnx" ? llvm::StringRef() : domain);
  }
  /// The rank that the graph at hand declares for a value.
  std::optional<int64_t> declaredRank(llvm::StringRef name) const {
    auto it = scope->declaredRanks.find(name);
    return it == scope->declaredRanks.end() ? std::nullopt : std::optional(it->second);
  }
  /// Whether tensors of the nodes at hand may be taken over.
  bool mayConsume() const { return scope->once; }
  /// Imports the nodes of a subgraph in place, with values for its inputs; its outputs' values.
  /// With `repeated` it may be imported again. With a site they are null when all that follows
  /// there was imported in branches of an If within.
  llvm::FailureOr<llvm::SmallVector<mlir::Value>>
  inlineGraph(onnx::GraphProto &graph, llvm::ArrayRef<mlir::Value> arguments = {},
              bool repeated = false, std::optional<CallSite> site = std::nullopt);
  /// The site of a node of the graph at hand.
  CallSite siteOf(const onnx::NodeProto &node, mlir::Location location) const {
    return {&node, scope, location};
  }

  /// What the body of a loop yields.
  struct LoopYield {
    mlir::Value condition;
    llvm::SmallVector<mlir::Value> values; // carried ones, then parts of stacked results
  };
  /// Builds the body of a loop from its arguments.
  using LoopBody = llvm::function_ref<llvm::FailureOr<LoopYield>(mlir::ValueRange)>;

  /// Builds a graph.loop. The body may be built several times, until the types of the carried
  /// values hold in every iteration. `key` stands for the loop in the model.
  llvm::FailureOr<graph::LoopOp> buildLoop(mlir::Location loc, const void *key, mlir::Value trip,
                                           mlir::Value condition, llvm::ArrayRef<mlir::Value> inits,
                                           unsigned stacked, LoopBody body);
  /// Builds a graph.if of two subgraphs; the values for the node's outputs. Null ones, when ranks
  /// differ: then all that follows in the graph around was imported in both branches.
  llvm::FailureOr<llvm::SmallVector<mlir::Value>> buildIf(mlir::Location loc, mlir::Value condition,
                                                          onnx::GraphProto &thenGraph,
                                                          onnx::GraphProto &elseGraph,
                                                          const onnx::NodeProto &node);
  /// Makes a graph.if whose regions `branch` fills (0: then, 1: else); it gives their values. The
  /// sizes of the results are yet to be inferred.
  llvm::FailureOr<graph::IfOp>
  fillIf(mlir::Location loc, mlir::Value condition, unsigned results,
         llvm::function_ref<llvm::FailureOr<llvm::SmallVector<mlir::Value>>(unsigned)> branch);

private:
  struct Function {
    onnx::FunctionProto *proto = nullptr;
    OpsetMap opsets;
    /// Nodes after expansion, saturated; 0: not counted yet.
    uint64_t expandedNodes = 0;
    bool visiting = false;
  };

  mlir::InFlightDiagnostic error() { return mlir::emitError(fileLoc); }
  llvm::LogicalResult checkModel();
  llvm::LogicalResult
  readOpsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> &,
             OpsetMap &opsets);
  llvm::LogicalResult readFunctions();
  llvm::LogicalResult countExpanded(Function &function, unsigned depth);
  Function *findFunction(const onnx::NodeProto &node);
  llvm::LogicalResult checkOperators();

  llvm::LogicalResult readDeclarations(onnx::GraphProto &graph, Scope &scope);
  mlir::Type typeOf(const onnx::ValueInfoProto &info, bool isInput);
  mlir::ArrayAttr dimsOf(const onnx::ValueInfoProto &info);
  llvm::LogicalResult importMain(mlir::ModuleOp module);
  llvm::LogicalResult importNodes(NodeList &nodes);
  llvm::LogicalResult importNode(onnx::NodeProto &node, mlir::Location location);
  llvm::LogicalResult callFunction(Function &function, onnx::NodeProto &node,
                                   mlir::Location location, llvm::ArrayRef<mlir::Value> inputs);
  llvm::FailureOr<AttributeMap> bindAttributes(onnx::NodeProto &node, mlir::Location location);
  llvm::FailureOr<std::vector<int>> orderNodes(const NodeList &nodes);
  llvm::LogicalResult define(llvm::StringRef name, mlir::Value value, mlir::Location location);
  bool isDefined(llvm::StringRef name) const;
  /// The value of that name, null when nothing defines it or its initializer is bad (reported).
  mlir::Value lookup(llvm::StringRef name);
  mlir::Location locationOf(const onnx::NodeProto &node, int index);
  /// The operator of a node in the table; null for functions and what is not known.
  const Operator *operatorOf(const onnx::NodeProto &node) const;
  std::optional<int64_t> versionOf(const Operator &op, const onnx::NodeProto &node) const;
  /// "Conv-11, opset 13"
  std::string operatorText(const onnx::NodeProto &node, int64_t version) const;
  mlir::Attribute evaluate(mlir::Value value, unsigned depth = 0);
  llvm::LogicalResult buildLoopBody(graph::LoopOp loop, LoopBody body);
  bool adjustCarried(graph::LoopOp loop, const void *key);
  void discard(mlir::Operation *op);
  llvm::LogicalResult splitAtIf(mlir::Location loc, mlir::Value condition,
                                llvm::ArrayRef<onnx::GraphProto *> branches,
                                const onnx::NodeProto &node);
  llvm::FailureOr<llvm::SmallVector<mlir::Value>>
  importBranch(onnx::GraphProto &branch, CallSite site, Scope *last,
               llvm::ArrayRef<llvm::StringRef> names);
  llvm::LogicalResult importRest();

  onnx::ModelProto &model;
  const ImportOptions &options;
  mlir::Location fileLoc;
  std::string fileName;
  OpsetMap opsets;
  llvm::StringMap<Function> functions;
  Scope *scope = nullptr;
  /// The last one that is imported in the branch at hand.
  Scope *splitLast = nullptr;
  bool hasUnknownOperators = false;
  llvm::StringSet<> symbols;
  llvm::DenseMap<mlir::Value, mlir::Attribute> evaluated;
  /// Where constants go that several regions see.
  mlir::Block *mainBlock = nullptr;
  /// Nodes imported in regions, again and again where types were found to change.
  uint64_t nodesInRegions = 0;
  /// Loops whose bodies were built again. Facts refer to their values.
  llvm::SmallVector<mlir::Operation *> discarded;
};

/// "node 'Conv_12'", or "node #17 (Conv)" for one without a name.
std::string nodeLabel(const onnx::NodeProto &node, int index);

/// The names that a graph uses but does not define, those of its subgraphs included.
void collectFreeNames(const onnx::GraphProto &graph, llvm::SetVector<llvm::StringRef> &names);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_IMPORTER_H
