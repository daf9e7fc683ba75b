// Fuzzes the artifact's reader and loader, with digests left unchecked so that every byte counts:
// whatever the bytes are, they load or give a status with a message, and all that a loaded module
// tells can be read. Nothing of it is executed.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

uint64_t sum; // of all that was read, so that no reading is optimized away

void readText(const char *text) {
  if (!text || strlen(text) >= LATHE_MAX_STRING)
    __builtin_trap();
  sum += strlen(text);
}

void readTensor(const lathe_tensor_spec &spec) {
  readText(spec.name);
  for (uint32_t d = 0; d < spec.rank; ++d) {
    sum += uint64_t(spec.dims[d].size) ^ uint64_t(spec.dims[d].max);
    if (spec.dims[d].symbol)
      readText(spec.dims[d].symbol);
  }
}

void readModule(const lathe_module *module) {
  uint64_t bytes;
  const char *manifest = lathe_module_manifest(module, &bytes);
  if (manifest[bytes])
    __builtin_trap();
  for (uint32_t i = 0; i < lathe_module_variant_count(module); ++i) {
    lathe_variant_info info = {};
    info.size = sizeof(info);
    if (lathe_module_variant_info(module, i, &info, nullptr))
      __builtin_trap();
    readText(info.name);
    for (uint32_t k = 0; k < lathe_module_image_count(module, i); ++k) {
      lathe_image_info image = {};
      image.size = sizeof(image);
      if (lathe_module_image_info(module, i, k, &image, nullptr))
        __builtin_trap();
      for (uint64_t b = 0; b < image.bytes; ++b)
        sum += static_cast<const unsigned char *>(image.data)[b];
    }
  }
  for (uint32_t i = 0; i < lathe_module_section_count(module); ++i) {
    lathe_section_info info = {};
    info.size = sizeof(info);
    if (lathe_module_section_info(module, i, &info, nullptr))
      __builtin_trap();
    sum += strlen(info.name);
  }
  for (uint32_t e = 0; e < lathe_module_entry_count(module); ++e) {
    readText(lathe_module_entry_name(module, e));
    lathe_module_symbol(module, lathe_module_entry_name(module, e));
    for (uint32_t i = 0; i < lathe_module_input_count(module, e); ++i)
      readTensor(*lathe_module_input_spec(module, e, i));
    for (uint32_t i = 0; i < lathe_module_output_count(module, e); ++i)
      readTensor(*lathe_module_output_spec(module, e, i));
  }
  lathe_module_verify(module, nullptr);
}

void open(const void *memory, size_t size, const lathe_module_options &options) {
  lathe_module *module = nullptr;
  lathe_status status;
  int32_t code = lathe_module_open_memory(memory, size, "fuzzed.lathe", &options, &module, &status);
  // A refusal without a word is as bad as a module without a table.
  if (code != status.code || (code == LATHE_STATUS_OK) != (module != nullptr) ||
      (code != LATHE_STATUS_OK) != (status.message[0] != 0))
    __builtin_trap();
  if (!module)
    return;
  readModule(module);
  lathe_context *context = nullptr;
  lathe_context_options contextOptions = {};
  contextOptions.size = sizeof(contextOptions);
  contextOptions.threads = 1;
  if (!(options.flags & LATHE_MODULE_INSPECT) &&
      lathe_context_create(module, &contextOptions, &context, &status))
    __builtin_trap();
  lathe_module_close(module);
  lathe_context_destroy(context);
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  setenv("LATHE_GDB", "1", 1); // what is written for the debugger is read from the file as well
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  void *memory = nullptr;
  if (posix_memalign(&memory, LATHE_ALIGNMENT, std::max<size_t>(size, 1)))
    return 0;
  memcpy(memory, data, size);
  lathe_module_options options = {};
  options.size = sizeof(options);
  open(memory, size, options);
  options.flags = LATHE_MODULE_INSPECT;
  open(memory, size, options);
  free(memory);
  return 0;
}

// Most of a small artifact is padding before its weights. Half of the changes go to one aligned
// word of the rest, where headers, tables and relocations are.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned int seed) {
  constexpr size_t head = 12 << 10, word = sizeof(uint64_t);
  uint64_t random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
  auto next = [&](uint64_t bound) {
    random ^= random >> 29;
    random *= UINT64_C(0xbf58476d1ce4e5b9);
    random ^= random >> 32;
    return random % bound;
  };
  if (size < 64 || next(2))
    return LLVMFuzzerMutate(data, size, maxSize);
  for (uint64_t times = 1 + next(3); times; --times) {
    uint8_t *at = data + next(std::min(size, head) / word) * word;
    uint64_t value;
    memcpy(&value, at, word);
    static constexpr uint64_t special[] = {0,         1,         0x7f,       0xffff,
                                           INT32_MAX, INT64_MAX, UINT64_MAX, uint64_t(1) << 46};
    switch (next(5)) {
    case 0:
      value = special[next(sizeof(special) / sizeof(special[0]))];
      break;
    case 1: // a half of it
      value = (value & ~UINT64_C(0xffffffff)) | uint32_t(special[next(8)]);
      break;
    case 2:
      value += next(33) - 16;
      break;
    case 3:
      value ^= uint64_t(1) << next(64);
      break;
    case 4: // a word from elsewhere
      memcpy(&value, data + next(std::min(size, head) / word) * word, word);
      break;
    }
    memcpy(at, &value, word);
  }
  return size;
}
