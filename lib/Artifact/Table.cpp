// The exported table: constants that mirror ArtifactFormat.h, emitted as an object.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Artifact/Internal.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace llvm;

namespace lathe::artifact {
namespace {

/// Builds the constants of the table in a module of their own. Every struct's fields are written
/// in the order of ArtifactFormat.h; the static assertions hold both to one size.
class TableBuilder {
public:
  TableBuilder(Module &module) : module(module), context(module.getContext()) {}

  /// Only the artifact's table leaves it, or, for a model in a program, only the model.
  GlobalVariable *build(const Contents &contents, GlobalValue::LinkageTypes linkage) {
    Constant *variants =
        array(contents.variants, [&](const Variant &variant) { return build(variant); });
    Constant *sites = array(contents.sites, [&](const std::string &message) {
      static_assert(sizeof(lathe_site) == 8);
      return record({string(clip(message))});
    });
    Constant *devices =
        array(contents.devices, [&](const DeviceVariant &device) { return build(device); });
    static_assert(sizeof(lathe_artifact) == 64);
    Constant *table = record(
        {number(64, LATHE_MAGIC), number(32, LATHE_FORMAT_VERSION), number(32, LATHE_ABI_VERSION),
         number(32, sizeof(lathe_artifact)), number(32, contents.variants.size()), variants,
         number(64, contents.sites.size()), sites, number(64, contents.devices.size()), devices});
    auto *global = new GlobalVariable(module, table->getType(), /*isConstant=*/true, linkage, table,
                                      LATHE_TABLE_SYMBOL);
    if (linkage == GlobalValue::ExternalLinkage)
      global->setVisibility(GlobalValue::ProtectedVisibility);
    global->setDSOLocal(true);
    global->setAlignment(Align(8));
    return global;
  }

  /// The lathe_static_model called `name`, with its weights.
  void buildModel(const Contents &contents, StringRef name, StringRef weights) {
    static_assert(sizeof(lathe_static_model) == 56);
    GlobalVariable *table = build(contents, GlobalValue::InternalLinkage);
    GlobalVariable *bytes =
        constant(ConstantDataArray::getRaw(weights, weights.size(), Type::getInt8Ty(context)),
                 LATHE_ALIGNMENT);
    // Gigabytes of weights must not push code and small data out of each other's reach.
    if (module.getTargetTriple().getArch() == Triple::x86_64) {
      bytes->setSection(".lrodata");
      bytes->setCodeModel(CodeModel::Large);
    }
    Constant *model = record({number(32, sizeof(lathe_static_model)), number(32, 0), string(name),
                              table, bytes, number(64, weights.size()), string(contents.manifest),
                              number(64, contents.manifest.size())});
    auto *global = new GlobalVariable(module, model->getType(), /*isConstant=*/true,
                                      GlobalValue::ExternalLinkage, model, modelSymbol(name));
    global->setDSOLocal(true);
    global->setAlignment(Align(8));
  }

private:
  SmallVector<Constant *> fieldsOf(const Variant &variant) {
    static_assert(sizeof(lathe_variant) == 48);
    Constant *entries = array(variant.entries, [&](const Entry &entry) { return build(entry); });
    return {string(variant.name),
            number(64, variant.features),
            number(64, variant.weightsOffset),
            number(64, variant.weightsBytes),
            number(32, variant.entries.size()),
            number(32, variant.stateCount),
            entries};
  }
  Constant *build(const Variant &variant) { return record(fieldsOf(variant)); }

  Constant *build(const DeviceVariant &device) {
    Constant *kernels = array(device.kernels, [&](const DeviceKernel &kernel) {
      static_assert(sizeof(lathe_device_kernel) == 40);
      Constant *maps =
          array(kernel.tensorMaps, [&](const lathe_tensor_map &map) { return build(map); });
      return record({string(kernel.name), number(32, kernel.argumentCount),
                     number(32, kernel.blockThreads), number(32, kernel.blockItems),
                     number(32, kernel.sharedBytes), number(32, kernel.tensorMaps.size()),
                     number(32, 0), maps});
    });
    Constant *images = array(device.images, [&](const DeviceImage &image) {
      static_assert(sizeof(lathe_image) == 24);
      auto made = [&](Constant *data, uint64_t bytes) {
        return record({number(32, image.kind), number(32, 0), data, number(64, bytes)});
      };
      if (image.kind == LATHE_IMAGE_EMULATOR)
        return made(function(image.symbol), device.kernels.size() * sizeof(lathe_emulated_kernel));
      StringRef code = image.code->getBuffer();
      return made(constant(ConstantDataArray::getString(context, code), LATHE_ALIGNMENT),
                  code.size() + 1); // terminated
    });
    static_assert(sizeof(lathe_device_variant) == 80);
    SmallVector<Constant *> fields = fieldsOf(device.host);
    fields.append({number(32, device.kernels.size()), number(32, device.images.size()), kernels,
                   images, number(32, device.flags), number(32, 0)});
    return record(fields);
  }

  Constant *build(const lathe_tensor_map &map) {
    static_assert(sizeof(lathe_tensor_map) == 288);
    SmallVector<Constant *> fields = {number(32, map.buffer), number(32, map.dtype),
                                      number(64, map.offset), number(32, map.rank),
                                      number(32, map.swizzle)};
    for (const auto *sizes : {&map.sizes, &map.strides})
      for (const lathe_launch_size &size : *sizes) {
        fields.push_back(number(64, size.constant));
        for (uint32_t factor : size.factors)
          fields.push_back(number(32, factor));
      }
    for (uint32_t size : map.box)
      fields.push_back(number(32, size));
    fields.push_back(number(32, 0));
    return record(fields);
  }

  Constant *build(const Entry &entry) {
    static_assert(sizeof(lathe_entry) == 48);
    auto tensor = [&](const TensorSpec &spec) { return build(spec); };
    Constant *inputs = array(entry.inputs, tensor);
    Constant *outputs = array(entry.outputs, tensor);
    return record({string(entry.name), function(entry.planSymbol), function(entry.runSymbol),
                   number(32, entry.inputs.size()), number(32, entry.outputs.size()), inputs,
                   outputs});
  }

  Constant *build(const TensorSpec &spec) {
    static_assert(sizeof(lathe_tensor_spec) == 40);
    Constant *dims = array(spec.dims, [&](const Dim &dim) {
      static_assert(sizeof(lathe_dim) == 32);
      return record({number(64, dim.size), dim.symbol.empty() ? null() : string(dim.symbol),
                     number(64, dim.min), number(64, dim.max)});
    });
    Constant *items = array(spec.items, [&](const TensorSpec &item) { return build(item); });
    return record({string(spec.name), number(32, spec.kind), number(32, spec.dtype),
                   number(32, spec.anyRank ? LATHE_ANY_RANK : spec.dims.size()),
                   number(32, spec.alias), number(32, spec.state), number(32, spec.layout),
                   spec.items.empty() ? dims : items});
  }

  Constant *number(unsigned bits, uint64_t value) {
    return ConstantInt::get(context, APInt(bits, value, /*isSigned=*/false,
                                           /*implicitTrunc=*/true));
  }
  Constant *null() { return ConstantPointerNull::get(PointerType::get(context, 0)); }
  Constant *record(ArrayRef<Constant *> fields) { return ConstantStruct::getAnon(context, fields); }

  GlobalVariable *constant(Constant *value, uint64_t align) {
    auto *global = new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                      GlobalValue::PrivateLinkage, value);
    global->setAlignment(Align(align));
    return global;
  }

  Constant *string(StringRef text) {
    Constant *&known = strings[text];
    if (!known)
      known = constant(ConstantDataArray::getString(context, text), 1);
    return known;
  }

  template <typename T, typename Make> Constant *array(const std::vector<T> &items, Make make) {
    if (items.empty())
      return null();
    SmallVector<Constant *> values = map_to_vector(items, make);
    auto *type = ArrayType::get(values.front()->getType(), values.size());
    return constant(ConstantArray::get(type, values), 8);
  }

  Constant *function(StringRef name) {
    FunctionCallee callee =
        module.getOrInsertFunction(name, FunctionType::get(Type::getVoidTy(context), false));
    auto *result = cast<Function>(callee.getCallee());
    result->setVisibility(GlobalValue::HiddenVisibility);
    result->setDSOLocal(true);
    return result;
  }

  /// A message that is too long for the format loses its end, at the beginning of a character.
  static StringRef clip(StringRef text) {
    if (text.size() < LATHE_MAX_STRING)
      return text;
    size_t end = LATHE_MAX_STRING - 1;
    while (end && (text[end] & 0xc0) == 0x80)
      --end;
    return text.take_front(end);
  }

  Module &module;
  LLVMContext &context;
  StringMap<Constant *> strings;
};

Error checkString(StringRef what, StringRef text) {
  if (text.size() >= LATHE_MAX_STRING)
    return createStringError(formatv("the {0} '{1}...' has {2} bytes, at most {3} are allowed",
                                     what, text.take_front(64), text.size(), LATHE_MAX_STRING - 1)
                                 .str());
  if (text.contains('\0'))
    return createStringError(
        formatv("the {0} '{1}' contains a zero byte", what, text.take_until([](char c) {
          return c == 0;
        })).str());
  return Error::success();
}

Error checkTensor(const TensorSpec &spec, unsigned depth = 0) {
  if (Error error = checkString("tensor name", spec.name))
    return error;
  if (spec.dims.size() > LATHE_MAX_RANK)
    return createStringError(formatv("tensor '{0}' has rank {1}, at most {2} is supported",
                                     spec.name, spec.dims.size(), LATHE_MAX_RANK)
                                 .str());
  for (const Dim &dim : spec.dims) {
    if (Error error = checkString("symbolic dimension", dim.symbol))
      return error;
    if ((dim.size < 0 && dim.size != LATHE_DYNAMIC) || dim.min > dim.max)
      return createStringError(formatv("tensor '{0}' has a dimension of size {1} within [{2}, {3}]",
                                       spec.name, dim.size, dim.min, dim.max)
                                   .str());
  }
  if (depth > LATHE_MAX_NESTING)
    return createStringError(
        formatv("'{0}' nests deeper than {1} levels", spec.name, LATHE_MAX_NESTING).str());
  for (const TensorSpec &item : spec.items)
    if (Error error = checkTensor(item, depth + 1))
      return error;
  return Error::success();
}

Error checkEntry(const Entry &entry, StringSet<> &symbols) {
  if (Error error = checkString("entry name", entry.name))
    return error;
  for (const std::string *symbol : {&entry.planSymbol, &entry.runSymbol})
    if (symbol->empty() || !symbols.insert(*symbol).second)
      return createStringError(formatv("entry '{0}' has the symbol '{1}', which is {2}", entry.name,
                                       *symbol, symbol->empty() ? "empty" : "used by another entry")
                                   .str());
  for (const std::vector<TensorSpec> *tensors : {&entry.inputs, &entry.outputs})
    for (const TensorSpec &spec : *tensors)
      if (Error error = checkTensor(spec))
        return error;
  for (const TensorSpec &spec : entry.outputs)
    if (spec.alias < -1 || spec.alias >= int64_t(entry.inputs.size()))
      return createStringError(formatv("output '{0}' is an alias of input {1} of {2}", spec.name,
                                       spec.alias, entry.inputs.size())
                                   .str());
  return Error::success();
}

/// Of processors and of devices.
SmallVector<const Variant *> allVariants(const Contents &contents) {
  SmallVector<const Variant *> all;
  for (const Variant &variant : contents.variants)
    all.push_back(&variant);
  for (const DeviceVariant &device : contents.devices)
    all.push_back(&device.host);
  return all;
}

/// The linker wants each symbol once, and the runtime what is inside the weights.
Error checkWeights(const Contents &contents, uint64_t bytes) {
  SmallVector<const WeightsChunk *> chunks;
  for (const WeightsChunk &chunk : contents.weights)
    chunks.push_back(&chunk);
  llvm::sort(chunks,
             [](const WeightsChunk *a, const WeightsChunk *b) { return a->offset < b->offset; });
  uint64_t end = 0;
  for (const WeightsChunk *chunk : chunks) {
    if (chunk->offset < end || chunk->bytes.size() > UINT64_MAX - chunk->offset)
      return createStringError(
          formatv("the weights at offset {0} overlap those before, which end at {1}", chunk->offset,
                  end)
              .str());
    end = chunk->offset + chunk->bytes.size();
  }
  for (const Variant *variant : allVariants(contents))
    if (variant->weightsOffset % LATHE_ALIGNMENT || variant->weightsOffset > bytes ||
        variant->weightsBytes > bytes - variant->weightsOffset)
      return createStringError(
          formatv("variant '{0}' has weights [{1}, +{2}) that are unaligned or outside the "
                  "section of {3} bytes",
                  variant->name, variant->weightsOffset, variant->weightsBytes, bytes)
              .str());
  return Error::success();
}

Expected<std::unique_ptr<TargetMachine>> machineFor(const Triple &triple) {
  static std::once_flag once;
  std::call_once(once, [] {
    InitializeAllTargetInfos();
    InitializeAllTargets();
    InitializeAllTargetMCs();
    InitializeAllAsmPrinters();
  });
  std::string message;
  const Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return createStringError(message);
  TargetOptions options;
  std::unique_ptr<TargetMachine> machine(
      target->createTargetMachine(triple, "", "", options, Reloc::PIC_));
  if (!machine)
    return createStringError(formatv("LLVM cannot make a machine for '{0}'", triple.str()).str());
  return machine;
}

} // namespace

Error check(const Contents &contents) {
  if (contents.variants.empty() && contents.devices.empty())
    return createStringError("an artifact needs code for at least one target");
  StringSet<> symbols;
  for (const Variant *variant : allVariants(contents)) {
    if (Error error = checkString("variant name", variant->name))
      return error;
    if (!variant->object || variant->entries.empty())
      return createStringError(
          formatv("variant '{0}' has no {1}", variant->name, variant->object ? "entries" : "code")
              .str());
    for (const Entry &entry : variant->entries)
      if (Error error = checkEntry(entry, symbols))
        return error;
  }
  for (const DeviceVariant &device : contents.devices)
    for (const DeviceImage &image : device.images)
      if (!image.code || image.symbol.empty() == (image.kind == LATHE_IMAGE_EMULATOR))
        return createStringError(
            formatv("an image of device '{0}' has no code or no table", device.host.name).str());
  for (const std::string &message : contents.sites)
    if (message.find('\0') != std::string::npos)
      return checkString("message", message);
  uint64_t bytes = contents.weightsBytes;
  for (const WeightsChunk &chunk : contents.weights)
    bytes = std::max(bytes, chunk.offset + chunk.bytes.size());
  return checkWeights(contents, bytes);
}

namespace {

/// An object with what `build` puts into a module.
Expected<std::unique_ptr<MemoryBuffer>> emit(const Contents &contents,
                                             function_ref<void(Module &)> build) {
  Triple triple(contents.triple);
  Expected<std::unique_ptr<TargetMachine>> machine = machineFor(triple);
  if (!machine)
    return machine.takeError();
  LLVMContext context;
  Module module("lathe-artifact-table", context);
  module.setTargetTriple(triple);
  module.setDataLayout((*machine)->createDataLayout());
  module.setPICLevel(PICLevel::BigPIC);
  build(module);

  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::ObjectFile))
    return createStringError(formatv("LLVM cannot emit objects for '{0}'", triple.str()).str());
  passes.run(module);
  return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes), "table",
                                                   /*RequiresNullTerminator=*/false);
}

} // namespace

Expected<std::unique_ptr<MemoryBuffer>> emitTable(const Contents &contents) {
  return emit(contents, [&](Module &module) {
    TableBuilder(module).build(contents, GlobalValue::ExternalLinkage);
  });
}

Expected<std::unique_ptr<MemoryBuffer>> emitModel(const Contents &contents, StringRef name) {
  uint64_t size = contents.weightsBytes;
  for (const WeightsChunk &chunk : contents.weights)
    size = std::max<uint64_t>(size, chunk.offset + chunk.bytes.size());
  std::string weights(std::max<uint64_t>(size, 1), '\0');
  for (const WeightsChunk &chunk : contents.weights)
    llvm::copy(chunk.bytes, weights.begin() + chunk.offset);
  return emit(contents,
              [&](Module &module) { TableBuilder(module).buildModel(contents, name, weights); });
}

} // namespace lathe::artifact
