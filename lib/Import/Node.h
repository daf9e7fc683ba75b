// What the handler of an operator sees of a node, and the small steps it builds operations with.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_NODE_H
#define LATHE_LIB_IMPORT_NODE_H

#include "dialects/Graph/Graph.h"
#include "lib/Import/ElementTypes.h"
#include "lib/Import/onnx.pb.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace lathe::import {

class GraphImporter;

using Ints = llvm::SmallVector<int64_t>;

/// One node of the model while it is imported.
///
/// Errors are remembered: every function below reports what is wrong with the node by itself and
/// then returns a harmless value (null for a Value, the default for an attribute), and functions
/// that take values return null when one of them is null. So a handler may be written straight on;
/// only where it looks into a value it must check it first. Its node fails in the end.
class Node {
public:
  Node(GraphImporter &importer, onnx::NodeProto &proto, int64_t version, mlir::Location location,
       llvm::ArrayRef<mlir::Value> inputs, llvm::StringMap<onnx::AttributeProto *> attributes);

  /// The version of the operator's meaning: the latest not after the model's opset.
  int64_t version() const { return sinceVersion; }
  llvm::StringRef opType() const { return proto.op_type(); }
  const onnx::NodeProto &getProto() const { return proto; }
  mlir::Location location() const { return loc; }
  mlir::OpBuilder &builder();
  mlir::MLIRContext *context() const { return loc.getContext(); }
  /// The importer, for operators with subgraphs.
  GraphImporter &graphs() { return importer; }

  /// Reports an error of this node.
  mlir::InFlightDiagnostic error();
  /// Reports what a user should know of this node and may live with.
  mlir::InFlightDiagnostic warning();
  bool hasFailed() const { return failed; }
  /// For handlers: failure, where the error was reported at something inside the node.
  llvm::LogicalResult fail() {
    failed = true;
    return llvm::failure();
  }
  /// Forgets the errors of an attempt that was given up.
  void recover() { failed = false; }
  /// For handlers: success unless an error was reported.
  llvm::LogicalResult status() const { return llvm::success(!failed); }

  // ---- Operands

  unsigned inputCount() const { return inputs.size(); }
  llvm::ArrayRef<mlir::Value> allInputs() const { return inputs; }
  bool hasInput(unsigned i) const { return i < inputs.size() && inputs[i]; }
  /// The operand, null when the model omits it.
  mlir::Value input(unsigned i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  /// The operand; an error when the model omits it.
  mlir::Value require(unsigned i);
  /// The operand's integers; an error when omitted or not known when compiling.
  std::optional<Ints> constantInts(unsigned i);
  /// The operand's integers when they are known when compiling; no error otherwise.
  std::optional<Ints> knownInts(unsigned i);
  /// The single value of the operand; an error when omitted or not known when compiling.
  std::optional<double> constantScalar(unsigned i);
  /// The same when it is known when compiling; no error otherwise.
  std::optional<double> knownScalar(unsigned i);

  unsigned outputCount() const { return proto.output_size(); }
  /// The name of output `i` in the model, empty for none.
  llvm::StringRef outputName(unsigned i) const {
    return int(i) < proto.output_size() ? llvm::StringRef(proto.output(i)) : llvm::StringRef();
  }
  /// Whether anything may use output `i`.
  bool wantsOutput(unsigned i) const {
    return int(i) < proto.output_size() && !proto.output(i).empty();
  }

  /// The rank that the model declares for output `i`.
  std::optional<int64_t> declaredRank(unsigned i) const;

  // ---- Attributes. Each names its default. Attributes that no one asked for are an error.

  bool hasAttribute(llvm::StringRef name) const { return attributes.contains(name); }
  int64_t intAttribute(llvm::StringRef name, int64_t otherwise);
  bool flag(llvm::StringRef name, bool otherwise = false);
  double floatAttribute(llvm::StringRef name, double otherwise);
  std::string stringAttribute(llvm::StringRef name, llvm::StringRef otherwise);
  std::optional<Ints> intsAttribute(llvm::StringRef name);
  std::optional<llvm::SmallVector<double>> floatsAttribute(llvm::StringRef name);
  std::optional<std::vector<std::string>> stringsAttribute(llvm::StringRef name);
  /// A constant from an attribute of type TENSOR; null when absent.
  mlir::TypedAttr tensorAttribute(llvm::StringRef name);
  /// A constant from an attribute of type SPARSE_TENSOR; null when absent.
  mlir::TypedAttr sparseAttribute(llvm::StringRef name);
  /// The elements of a constant of strings; nullopt for another.
  static std::optional<std::vector<std::string>> stringsOf(mlir::TypedAttr value);
  /// The elements of a constant of f16, f32, f64 or ui8; nullopt for another.
  static std::optional<llvm::SmallVector<double>> numbersOf(mlir::TypedAttr value);
  /// An element type from an attribute of type INT that holds a TensorProto.DataType.
  mlir::Type typeAttribute(llvm::StringRef name, mlir::Type otherwise);
  /// One of several names: the index in `names`.
  unsigned choice(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> names, unsigned otherwise);
  /// The subgraph of an attribute of type GRAPH; an error when absent.
  onnx::GraphProto *subgraph(llvm::StringRef name);
  /// Imports a subgraph in place, with values for its inputs; the values of its outputs. With
  /// `repeated` it may be imported again.
  llvm::FailureOr<llvm::SmallVector<mlir::Value>>
  inlineGraph(onnx::GraphProto &graph, llvm::ArrayRef<mlir::Value> arguments = {},
              bool repeated = false);
  /// Attributes that change nothing here.
  void ignore(std::initializer_list<llvm::StringRef> names);
  /// Reports attributes that no one asked for.
  void checkAttributesUsed();

  // ---- Results

  /// Sets output `i`.
  void setResult(unsigned i, mlir::Value value);
  /// Sets output 0 and ends the handler.
  llvm::LogicalResult result(mlir::Value value);
  llvm::ArrayRef<mlir::Value> results() const { return outputs; }

  // ---- Types

  /// The element type of a tensor.
  static mlir::Type elementOf(mlir::Value value) {
    return mlir::cast<mlir::TensorType>(value.getType()).getElementType();
  }
  static std::optional<int64_t> rankOf(mlir::Value value) {
    auto type = value ? mlir::dyn_cast<mlir::RankedTensorType>(value.getType()) : nullptr;
    return type ? std::optional(type.getRank()) : std::nullopt;
  }
  /// The rank; an error when it is not known.
  std::optional<int64_t> requireRank(mlir::Value value, llvm::StringRef what);
  /// `axis` counted from the front where `rank` is known (else as it is), checked to be in range.
  int64_t axis(int64_t axis, std::optional<int64_t> rank);
  /// As above for several, sorted where all could be normalised, checked to be different.
  Ints axes(Ints axes, std::optional<int64_t> rank);
  /// A tensor type of a rank yet to be inferred.
  mlir::Type tensorOf(mlir::Type element) { return mlir::UnrankedTensorType::get(element); }
  mlir::Type likeOf(mlir::Value value) { return tensorOf(elementOf(value)); }

  // ---- Operations

  /// Creates an operation and infers the shapes of its results. Null when a shape is impossible.
  template <typename Op, typename... Args> Op create(Args &&...args) {
    Op op = Op::create(builder(), loc, std::forward<Args>(args)...);
    return infer(op) ? op : nullptr;
  }

  mlir::Value constant(mlir::TypedAttr value);
  mlir::Value constant(llvm::ArrayRef<int64_t> values);            ///< 1-D i64
  mlir::Value constantStrings(llvm::ArrayRef<std::string> values); ///< 1-D
  mlir::Value scalar(double value, mlir::Type element);            ///< rank 0
  mlir::Value scalarInt(int64_t value, mlir::Type element);
  mlir::Value unary(graph::UnaryKind kind, mlir::Value x);
  mlir::Value binary(graph::BinaryKind kind, mlir::Value a, mlir::Value b);
  mlir::Value binary(graph::BinaryKind kind, mlir::Value a, double b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value cast(mlir::Value x, mlir::Type element, bool saturate = true);
  mlir::Value matmul(mlir::Value a, mlir::Value b);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm);
  mlir::Value swapLastTwo(mlir::Value x);
  /// With `allowZero`, 0 in `shape` is a size; else it keeps that of x.
  mlir::Value reshape(mlir::Value x, mlir::Value shape, bool allowZero = false);
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  /// x, whose sizes must be those of `shape` (-1: any); what only the run knows is checked there.
  mlir::Value requireShape(mlir::Value x, mlir::Value shape);
  mlir::Value requireShape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  /// x, which must have the shape of `like`: what x was made of may broadcast, but not `like`.
  mlir::Value requireShapeOf(mlir::Value x, mlir::Value like);
  /// The integers, which the run requires not to be negative, nor above `most` (i64, one element)
  /// where that is given. The error begins with `what`.
  mlir::Value requireRange(mlir::Value integers, llvm::StringRef what, mlir::Value most = {});
  /// A list whose length is not known, which must be `length`, as one that follows from a declared
  /// rank; others as they are.
  mlir::Value ofLength(mlir::Value list, std::optional<int64_t> length);
  /// A tensor of one element as a scalar.
  mlir::Value scalarOf(mlir::Value x);
  mlir::Value squeeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  mlir::Value reduce(graph::ReduceKind kind, mlir::Value x, std::optional<Ints> axes,
                     bool keepDims);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis);
  mlir::Value gather(mlir::Value data, mlir::Value indices, int64_t axis);
  mlir::Value slice(mlir::Value x, int64_t axis, int64_t start, int64_t end);
  /// x[start:end] along one dimension, of bounds [1] that may be known only to the run.
  mlir::Value slice(mlir::Value x, int64_t axis, mlir::Value start, mlir::Value end);
  /// x with `count` ([1]) elements of `fill` (a scalar; null: zero) behind a dimension's own.
  mlir::Value padEnd(mlir::Value x, int64_t axis, mlir::Value count, mlir::Value fill = {});
  mlir::Value reverse(mlir::Value x, int64_t axis);
  mlir::Value shapeOf(mlir::Value x, int64_t start = 0, std::optional<int64_t> end = {});
  /// One of them, as a scalar.
  mlir::Value sizeOf(mlir::Value x, int64_t dim);
  mlir::Value expand(mlir::Value x, mlir::Value shape);
  mlir::Value full(mlir::Value shape, double value, mlir::Type element);
  mlir::Value range(mlir::Value start, mlir::Value limit, mlir::Value delta);
  /// 0, 1, ... size(x, axis) - 1 as i64.
  mlir::Value iota(mlir::Value x, int64_t axis);
  mlir::Value softmax(mlir::Value x, int64_t axis, bool log = false);

private:
  onnx::AttributeProto *findAttribute(llvm::StringRef name, int type, llvm::StringRef typeName);
  bool infer(mlir::Operation *op);

  GraphImporter &importer;
  onnx::NodeProto &proto;
  int64_t sinceVersion;
  mlir::Location loc;
  llvm::SmallVector<mlir::Value> inputs;
  llvm::SmallVector<mlir::Value> outputs;
  llvm::StringMap<onnx::AttributeProto *> attributes;
  llvm::StringSet<> used;
  bool failed = false;
};

using Handler = llvm::LogicalResult (*)(Node &);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_NODE_H
