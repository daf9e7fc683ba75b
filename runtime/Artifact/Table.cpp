// The checks of an artifact's table.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/Table.h"

#include "runtime/Core/TensorMap.h"
#include "runtime/Core/Value.h"

#include <algorithm>
#include <cstring>
#include <iterator>

using namespace lathe::runtime;

namespace {

constexpr uint32_t maxKernels = 1 << 20, maxImages = 64, maxBlockThreads = 1024,
                   maxKernelArgs = 1 << 12, maxSharedBytes = 1 << 20, maxTensorMaps = 32;
constexpr uint32_t maxVariants = 64, maxEntries = 1024, maxTensors = 1 << 16, maxStates = 1024;

// Walks the table. Every check returns what is wrong, null where all is well.
class TableChecker {
public:
  // A table without overlaps is checked in time linear in its size; the budget keeps it so where a
  // hostile one refers to the same bytes again and again. Strings may be shared a little.
  TableChecker(const Image &image, uint64_t weightsBytes, uint64_t loadedBytes)
      : image(image), weightsBytes(weightsBytes), budget(64 * loadedBytes + (1 << 20)) {}

  const char *check(const lathe_artifact &table);

private:
  template <typename T> bool isArray(const T *pointer, uint64_t count) {
    uint64_t room = image.readable(pointer);
    return count == 0 || (reinterpret_cast<uint64_t>(pointer) % alignof(T) == 0 &&
                          count <= room / sizeof(T) && spend(count * sizeof(T)));
  }
  bool isString(const char *text) {
    uint64_t room = std::min<uint64_t>(image.readable(text), LATHE_MAX_STRING);
    const void *end = room ? memchr(text, 0, room) : nullptr;
    return end && spend(static_cast<const char *>(end) - text);
  }
  template <typename Function> bool isFunction(Function function) {
    return image.isCode(reinterpret_cast<const void *>(function));
  }
  bool spend(uint64_t bytes) {
    if (bytes > budget)
      return false;
    budget -= bytes;
    return true;
  }

  const char *checkVariant(const lathe_variant &variant);
  const char *checkDevice(const lathe_device_variant &device);
  const char *checkEntry(const lathe_entry &entry, const lathe_variant &variant);
  const char *checkTensor(const lathe_tensor_spec &spec, uint32_t depth = 0);
  const char *checkStates(const lathe_tensor_spec *specs, uint32_t count,
                          const lathe_variant &variant);

  const Image &image;
  uint64_t weightsBytes;
  uint64_t budget;
  const lathe_tensor_spec *states[maxStates]; ///< Where each was met first, in this variant.
};

const char *TableChecker::check(const lathe_artifact &table) {
  bool hasDevices = table.size >= sizeof(lathe_artifact);
  uint64_t devices = hasDevices ? table.device_variant_count : 0;
  if ((table.variant_count == 0 && devices == 0) || table.variant_count > maxVariants ||
      !isArray(table.variants, table.variant_count))
    return "the list of variants is out of range";
  if (devices > maxVariants || (devices && !isArray(table.device_variants, devices)))
    return "the list of variants for devices is out of range";
  for (uint64_t i = 0; i < devices; ++i)
    if (const char *why = checkDevice(table.device_variants[i]))
      return why;
  for (uint32_t i = 0; i < table.variant_count; ++i)
    if (const char *why = checkVariant(table.variants[i]))
      return why;
  if (table.site_count > UINT32_MAX || !isArray(table.sites, table.site_count))
    return "the list of sites is out of range";
  for (uint64_t i = 0; i < table.site_count; ++i)
    if (!isString(table.sites[i].message))
      return "the message of a site is out of range";
  return nullptr;
}

const char *TableChecker::checkVariant(const lathe_variant &variant) {
  std::fill(std::begin(states), std::end(states), nullptr);
  if (!isString(variant.name))
    return "the name of a variant is out of range";
  if (variant.weights_offset > weightsBytes ||
      variant.weights_bytes > weightsBytes - variant.weights_offset ||
      variant.weights_offset % LATHE_ALIGNMENT)
    return "the weights of a variant are out of range";
  if (variant.state_count > maxStates)
    return "the number of states is out of range";
  if (variant.entry_count == 0 || variant.entry_count > maxEntries ||
      !isArray(variant.entries, variant.entry_count))
    return "the list of entries is out of range";
  for (uint32_t i = 0; i < variant.entry_count; ++i)
    if (const char *why = checkEntry(variant.entries[i], variant))
      return why;
  return nullptr;
}

const char *TableChecker::checkDevice(const lathe_device_variant &device) {
  if (const char *why = checkVariant(device.host))
    return why;
  if (device.kernel_count > maxKernels || !isArray(device.kernels, device.kernel_count))
    return "the kernels for a device are out of range";
  if (device.flags & ~uint32_t(LATHE_DEVICE_EXTENTS | LATHE_DEVICE_HOST_LOOKS))
    return "the flags of a device are unknown";
  for (uint32_t i = 0; i < device.kernel_count; ++i) {
    const lathe_device_kernel &kernel = device.kernels[i];
    if (!isString(kernel.name) || kernel.block_threads == 0 ||
        kernel.block_threads > maxBlockThreads || kernel.block_items == 0 ||
        kernel.block_items > kernel.block_threads || kernel.shared_bytes > maxSharedBytes ||
        kernel.arg_count < 2 || kernel.arg_count > maxKernelArgs)
      return "a kernel for a device is out of range";
    if (kernel.tensor_map_count > maxTensorMaps ||
        !isArray(kernel.tensor_maps, kernel.tensor_map_count))
      return "the tensor maps of a kernel are out of range";
    for (uint32_t m = 0; m < kernel.tensor_map_count; ++m)
      if (const char *why = checkTensorMap(kernel.tensor_maps[m], kernel.arg_count))
        return why;
  }
  if (device.image_count > maxImages || !isArray(device.images, device.image_count))
    return "the images for a device are out of range";
  for (uint32_t i = 0; i < device.image_count; ++i) {
    const lathe_image &image = device.images[i];
    auto *data = static_cast<const char *>(image.data);
    if (!isArray(data, image.bytes))
      return "an image for a device is out of range";
    if (image.kind == LATHE_IMAGE_PTX && (!image.bytes || data[image.bytes - 1]))
      return "the text of an image is not terminated";
    if (image.kind != LATHE_IMAGE_EMULATOR)
      continue;
    auto *functions = static_cast<const lathe_emulated_kernel *>(image.data);
    if (image.bytes != device.kernel_count * sizeof(lathe_emulated_kernel) ||
        !isArray(functions, device.kernel_count))
      return "the table of emulated kernels is out of range";
    for (uint32_t k = 0; k < device.kernel_count; ++k)
      if (!isFunction(functions[k]))
        return "an emulated kernel lies outside the code";
  }
  return nullptr;
}

const char *TableChecker::checkEntry(const lathe_entry &entry, const lathe_variant &variant) {
  if (!isString(entry.name))
    return "the name of an entry is out of range";
  if (!isFunction(entry.plan) || !isFunction(entry.run))
    return "a function lies outside the code";
  if (entry.input_count > maxTensors || entry.output_count > maxTensors ||
      !isArray(entry.inputs, entry.input_count) || !isArray(entry.outputs, entry.output_count))
    return "the tensors of an entry are out of range";
  for (uint32_t i = 0; i < entry.input_count; ++i)
    if (const char *why = checkTensor(entry.inputs[i]))
      return why;
  for (uint32_t i = 0; i < entry.output_count; ++i) {
    if (const char *why = checkTensor(entry.outputs[i]))
      return why;
    if (entry.outputs[i].alias < -1 || entry.outputs[i].alias >= int64_t(entry.input_count))
      return "the alias of an output is out of range";
  }
  if (const char *why = checkStates(entry.inputs, entry.input_count, variant))
    return why;
  return checkStates(entry.outputs, entry.output_count, variant);
}

// Whether one state may be read or written as both specs say.
bool isSameState(const lathe_tensor_spec &a, const lathe_tensor_spec &b) {
  bool same = a.dtype == b.dtype && a.rank == b.rank && a.layout == b.layout;
  for (uint32_t d = 0; same && a.layout == LATHE_LAYOUT_CAPACITY && d < a.rank; ++d) {
    auto full = [d](const lathe_tensor_spec &spec) {
      return spec.dims[d].size == LATHE_DYNAMIC ? spec.dims[d].max : spec.dims[d].size;
    };
    same = full(a) == full(b);
  }
  return same;
}

// Each state is taken at most once by these tensors, in the form that all entries agree on.
const char *TableChecker::checkStates(const lathe_tensor_spec *specs, uint32_t count,
                                      const lathe_variant &variant) {
  bool taken[maxStates] = {};
  for (uint32_t i = 0; i < count; ++i) {
    const lathe_tensor_spec &spec = specs[i];
    bool isKept = spec.state >= 0;
    if (spec.state < -1 || (isKept && uint32_t(spec.state) >= variant.state_count) ||
        spec.layout > LATHE_LAYOUT_CAPACITY || (!isKept && spec.layout))
      return "the state or layout of a tensor is out of range";
    if (!isKept)
      continue;
    uint32_t bits = lathe_dtype_bits(spec.dtype);
    if (spec.kind != LATHE_VALUE_TENSOR || spec.dtype == LATHE_STRING || bits < 8 ||
        taken[spec.state])
      return "a state is no tensor of whole bytes, or is taken twice";
    taken[spec.state] = true;
    for (uint32_t d = 0; d < spec.rank && spec.layout == LATHE_LAYOUT_CAPACITY; ++d)
      if (spec.dims[d].size == LATHE_DYNAMIC && spec.dims[d].max == INT64_MAX)
        return "a state that grows where it lies has no bound";
    const lathe_tensor_spec *&first = states[spec.state];
    if (first && !isSameState(*first, spec))
      return "two tensors of one state differ";
    first = &spec;
  }
  return nullptr;
}

const char *TableChecker::checkTensor(const lathe_tensor_spec &spec, uint32_t depth) {
  if (!isString(spec.name))
    return "the name of a tensor is out of range";
  bool isAny = depth && spec.kind == LATHE_VALUE_NONE, isTensor = !isAny && !isContainer(spec.kind);
  if ((spec.kind == LATHE_VALUE_NONE && !isAny) || spec.kind > LATHE_VALUE_STRINGS ||
      (isTensor && !lathe_dtype_bits(spec.dtype)))
    return "the kind or dtype of a tensor is out of range";
  if (const lathe_tensor_spec *items = itemsOf(spec)) {
    uint32_t count = spec.kind == LATHE_VALUE_MAP ? 2 : 1;
    if (depth >= LATHE_MAX_NESTING || !isArray(items, count))
      return "what a sequence, an optional or a map holds is out of range";
    for (uint32_t i = 0; i < count; ++i)
      if (const char *why = checkTensor(items[i], depth + 1))
        return why;
    return nullptr;
  }
  if (depth && spec.rank == LATHE_ANY_RANK)
    return nullptr;
  if (spec.rank > LATHE_MAX_RANK || !isArray(spec.dims, spec.rank))
    return "the dims of a tensor are out of range";
  for (uint32_t i = 0; i < spec.rank; ++i) {
    const lathe_dim &dim = spec.dims[i];
    if ((dim.size < 0 && dim.size != LATHE_DYNAMIC) || dim.min > dim.max ||
        (dim.symbol && !isString(dim.symbol)))
      return "a dim of a tensor is out of range";
  }
  return nullptr;
}

} // namespace

int32_t lathe::runtime::checkVersion(const File &file, const lathe_artifact &table,
                                     lathe_status *status) {
  if (table.format_version == LATHE_FORMAT_VERSION && table.abi_version == LATHE_ABI_VERSION)
    return LATHE_STATUS_OK;
  return fail(status, LATHE_STATUS_VERSION,
              "%s: made for format version %u (call version %u), this runtime has version %u "
              "(call version %u); %s",
              file.name(), table.format_version, table.abi_version, LATHE_FORMAT_VERSION,
              LATHE_ABI_VERSION,
              table.format_version > LATHE_FORMAT_VERSION || table.abi_version > LATHE_ABI_VERSION
                  ? "take a newer runtime, or compile the model with this version's compiler"
                  : "compile the model again");
}

int32_t lathe::runtime::checkTable(const File &file, const Image &image, uint64_t weightsBytes,
                                   const lathe_artifact *&result, lathe_status *status) {
  const auto *table = static_cast<const lathe_artifact *>(image.table());
  // Magic and version stand first, and may be all that another version shares with this one.
  if (reinterpret_cast<uint64_t>(table) % alignof(lathe_artifact) ||
      image.readable(table) < offsetof(lathe_artifact, size) || table->magic != LATHE_MAGIC)
    return malformed(file, status, "its table does not begin with the magic number");
  if (int32_t code = checkVersion(file, *table, status))
    return code;
  // The first tables ended before the devices.
  if (image.readable(table) < offsetof(lathe_artifact, device_variant_count) ||
      table->size < offsetof(lathe_artifact, device_variant_count) ||
      image.readable(table) < std::min<uint64_t>(table->size, sizeof(lathe_artifact)))
    return malformed(file, status, "its table is too short");
  TableChecker checker(image, weightsBytes, std::min(image.size(), file.size()));
  if (const char *why = checker.check(*table))
    return malformed(file, status, why);
  result = table;
  return LATHE_STATUS_OK;
}
