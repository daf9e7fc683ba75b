// Loads an artifact with the system's loader and calls an entry on doubles from a file:
//   host ARTIFACT ENTRY INPUT OUTPUT
// Built for AArch64 and run under qemu by the tests. Apache-2.0 WITH LLVM-exception.
#include "lathe/ArtifactFormat.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { capacity = 1 << 16 };
static double x[capacity], z[capacity];

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
  lathe_value input = {0}, output = {0};
  input.data = x;
  output.data = z;
  input.dims[0] = (int64_t)fread(x, sizeof(double), capacity, in);
  fclose(in);
  lathe_call call = {0};
  call.inputs = &input;
  call.outputs = &output;
  const lathe_variant *variant = table->variants;
  for (uint32_t i = 0; i < variant->entry_count; ++i) {
    if (strcmp(variant->entries[i].name, argv[2]))
      continue;
    if (variant->entries[i].run(&call))
      return 6;
    FILE *out = fopen(argv[4], "wb");
    if (!out || fwrite(z, sizeof(double), (size_t)input.dims[0], out) != (size_t)input.dims[0])
      return 7;
    return fclose(out) ? 8 : 0;
  }
  return 9;
}
