// A stage written out is `x.mlir` and `x.weights`, and can be read back.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Graph/Weights.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace lathe;

llvm::Error lathe::pipeline::writeStage(ModuleOp module, StringRef path) {
  graph::WeightStore &store =
      module.getContext()->getLoadedDialect<graph::GraphDialect>()->getWeights();
  OwningOpRef<ModuleOp> copy = module.clone();
  std::vector<graph::WeightAttr> weights;
  llvm::DenseMap<Attribute, Attribute> placed;
  uint64_t end = 0;
  SmallString<128> weightsPath(path);
  llvm::sys::path::replace_extension(weightsPath, ".weights");
  StringRef weightsName = llvm::sys::path::filename(weightsPath);
  if (path != "-") {
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](graph::WeightAttr weight) -> Attribute {
      Attribute &other = placed[weight];
      if (!other) {
        other = graph::WeightAttr::get(weight.getContext(), weightsName, end, weight.getLength(),
                                       weight.getHash(), weight.getType());
        weights.push_back(weight);
        end = llvm::alignTo(end + weight.getLength(), 64);
      }
      return other;
    });
    replacer.recursivelyReplaceElementsIn(*copy, /*replaceAttrs=*/true);
  }

  auto write = [](StringRef name, llvm::function_ref<void(llvm::raw_ostream &)> content) {
    return llvm::writeToOutput(name, [&](llvm::raw_ostream &stream) {
      content(stream);
      return llvm::Error::success();
    });
  };
  if (!weights.empty())
    if (llvm::Error error = write(weightsPath, [&](llvm::raw_ostream &stream) {
          uint64_t position = 0;
          for (graph::WeightAttr weight : weights) {
            stream.write_zeros(llvm::alignTo(position, 64) - position);
            position = llvm::alignTo(position, 64);
            ArrayRef<char> bytes = store.lookup(weight);
            stream.write(bytes.data(), bytes.size());
            position += bytes.size();
          }
        }))
      return error;
  return write(path, [&](llvm::raw_ostream &stream) {
    copy->print(stream, OpPrintingFlags().enableDebugInfo());
    stream << "\n";
  });
}

OwningOpRef<ModuleOp> lathe::pipeline::readStage(MLIRContext &context, StringRef path) {
  SmallString<128> weightsPath(path);
  llvm::sys::path::replace_extension(weightsPath, ".weights");
  if (auto buffer = llvm::MemoryBuffer::getFile(weightsPath, /*IsText=*/false,
                                                /*RequiresNullTerminator=*/false))
    context.getOrLoadDialect<graph::GraphDialect>()->getWeights().add(
        llvm::sys::path::filename(weightsPath), std::move(*buffer));
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(path, &context);
  if (!module)
    return {};
  // Weights that the file claims must be there, or constants would read past them.
  graph::WeightStore &store = context.getLoadedDialect<graph::GraphDialect>()->getWeights();
  bool complete = true;
  AttrTypeWalker walker;
  walker.addWalk([&](graph::WeightAttr weight) {
    std::optional<uint64_t> bytes = graph::getStorageBytes(cast<ShapedType>(weight.getType()));
    if (!bytes || *bytes != weight.getLength() || store.lookup(weight).size() != *bytes) {
      if (complete)
        emitError(module->getLoc())
            << "weights '" << weight.getFile() << "' at " << weight.getOffset() << " of "
            << weight.getLength() << " bytes are missing or do not match their type";
      complete = false;
    }
  });
  module->walk([&](Operation *op) { walker.walk(op->getAttrDictionary()); });
  if (!complete)
    return {};
  return module;
}
