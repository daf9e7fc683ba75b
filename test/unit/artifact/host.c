// Loads an artifact with the system's loader and calls an entry on the f32 or f64 of a file:
//   host ARTIFACT ENTRY INPUT OUTPUT
// Built for AArch64 and run under qemu by the tests. Apache-2.0 WITH LLVM-exception.
#include "lathe/ArtifactFormat.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { capacity = 1 << 16 };
static double x[capacity], z[capacity]; // or as many bytes of f32

int main(int argc, char **argv) {
  if (argc != 5)
    return 2;
  void *handle = dlopen(argv[1], RTLD_NOW);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    return 3;
  }
  const lathe_artifact *table = dlsym(handle, LATHE_TABLE_SYMBOL);
  if (!table || table->magic != LATHE_MAGIC)
    return 4;
  FILE *in = fopen(argv[3], "rb");
  if (!in)
    return 5;
  size_t bytes = fread(x, 1, sizeof(x), in);
  fclose(in);
  lathe_value input = {0}, output = {0};
  input.data = x;
  output.data = z;
  lathe_call call = {0};
  call.inputs = &input;
  call.outputs = &output;
  const lathe_variant *variant = table->variants;
  for (uint32_t i = 0; i < variant->entry_count; ++i) {
    const lathe_entry *entry = &variant->entries[i];
    if (strcmp(entry->name, argv[2]))
      continue;
    size_t size = entry->inputs[0].dtype == LATHE_F32 ? sizeof(float) : sizeof(double);
    input.dims[0] = (int64_t)(bytes / size);
    if (entry->run(&call))
      return 6;
    FILE *out = fopen(argv[4], "wb");
    if (!out || fwrite(z, 1, bytes, out) != bytes)
      return 7;
    return fclose(out) ? 8 : 0;
  }
  return 9;
}
