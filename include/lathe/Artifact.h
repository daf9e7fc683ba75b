// Writes the artifact: objects, tables, weights and manifest become one closed ELF file.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_ARTIFACT_H
#define LATHE_ARTIFACT_H

#include "lathe/ArtifactFormat.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lathe::artifact {

/// One dimension of a tensor; mirrors lathe_dim.
struct Dim {
  int64_t size = LATHE_DYNAMIC;
  std::string symbol; ///< Empty: none.
  int64_t min = 0;
  int64_t max = INT64_MAX;
};

/// An input or output; mirrors lathe_tensor_spec. The rank is the number of dims.
struct TensorSpec {
  std::string name;
  uint32_t kind = LATHE_VALUE_TENSOR;
  uint32_t dtype = LATHE_F32;
  int32_t alias = -1; ///< Outputs: the input whose memory it may share.
  int32_t state = -1; ///< The state that it reads or writes.
  uint32_t layout = LATHE_LAYOUT_CONTIGUOUS;
  std::vector<Dim> dims;
  bool anyRank = false;          ///< Of an item: there are no dims.
  std::vector<TensorSpec> items; ///< What a sequence, an optional or a map holds.
};

/// An entry point; mirrors lathe_entry. The symbols name functions that the variant's object
/// defines with hidden visibility; different variants must use different symbols.
struct Entry {
  std::string name = "run";
  std::string planSymbol; ///< lathe_plan_fn
  std::string runSymbol;  ///< lathe_run_fn
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

/// Code for one processor level; mirrors lathe_variant.
struct Variant {
  std::string name;
  uint64_t features = 0;
  uint64_t weightsOffset = 0; ///< Within the weights section; a multiple of LATHE_ALIGNMENT.
  uint64_t weightsBytes = 0;
  uint32_t stateCount = 0; ///< States that the entries' tensors refer to.
  std::vector<Entry> entries;
  std::unique_ptr<llvm::MemoryBuffer> object; ///< As codegen::compileHost returns it.
  /// More of them, whose functions `object` calls: code for certain sizes.
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> sizeObjects;
};

/// A kernel on a device; mirrors lathe_device_kernel.
struct DeviceKernel {
  std::string name;
  uint32_t argumentCount = 0;
  uint32_t blockThreads = 0;
  uint32_t blockItems = 0;
  uint32_t sharedBytes = 0;
  std::vector<lathe_tensor_map> tensorMaps = {};
};

/// Device code in one form; mirrors lathe_image.
struct DeviceImage {
  uint32_t kind = 0; ///< lathe_image_kind
  /// PTX: its text. HSACO: as linkDeviceCode returns it. EMULATOR: an object for the host.
  std::unique_ptr<llvm::MemoryBuffer> code;
  std::string symbol; ///< EMULATOR: the hidden table of `code`, with as many kernels as there are.
};

/// Code for a device, with the host program that drives it; mirrors lathe_device_variant.
struct DeviceVariant {
  Variant host;
  std::vector<DeviceKernel> kernels;
  std::vector<DeviceImage> images;
  uint32_t flags = 0; ///< LATHE_DEVICE_...
};

/// Bytes at a place of the weights section. Chunks may come in any order and must not overlap;
/// what no chunk covers is zero. `owner` keeps the bytes alive (a mapped file, for instance).
struct WeightsChunk {
  uint64_t offset = 0;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
};

/// Everything that goes into an artifact.
struct Contents {
  std::string triple;            ///< codegen::HostTarget::triple; one for all variants.
  std::vector<Variant> variants; ///< Best first.
  std::vector<DeviceVariant> devices;
  /// More code of all variants, linked where it is called. Not for writeObject: functions of two
  /// models in one program must not meet.
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> kernels;
  std::vector<std::string> sites; ///< Messages of lathe_site, with %0 to %5.
  std::vector<WeightsChunk> weights;
  uint64_t weightsBytes = 0; ///< At least the end of the last chunk; more is zero-filled.
  std::string manifest;      ///< JSON.
};

/// Links and writes the artifact. The file appears at `path` at once and complete (or, on an
/// error, not at all: then a file that was there before is left as it was). The same contents give
/// the same bytes. Weights are streamed, never held in memory. Thread-safe; links one at a time.
llvm::Error write(const Contents &contents, llvm::StringRef path);

/// Links an object for an AMD GPU to what its driver loads, through a file beside `path`.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
linkDeviceCode(llvm::MemoryBufferRef object, llvm::StringRef device, llvm::StringRef path);

/// Writes what a program links in place of loading a file: one relocatable object with the code of
/// all variants, table, weights and manifest, which exports the lathe_static_model that is called
/// modelSymbol(model). `model` is a C identifier. Needs memory for the weights a few times over.
llvm::Error writeObject(const Contents &contents, llvm::StringRef model, llvm::StringRef path);

/// Writes the C header that declares it, with the numbers of its inputs and outputs by name.
llvm::Error writeHeader(const Contents &contents, llvm::StringRef model, llvm::StringRef path);

/// "lathe_model_NAME"
std::string modelSymbol(llvm::StringRef model);

/// `text` with what no C identifier holds replaced; never empty.
std::string makeIdentifier(llvm::StringRef text);

} // namespace lathe::artifact

#endif // LATHE_ARTIFACT_H
