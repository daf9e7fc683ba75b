/* Prints what lathe_context_plan says of the arena of tiny-mlp at three batches. Apache-2.0 WITH
 * LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  lathe_module_options options = {.size = sizeof(options), .variant = "x86-64-v3"};
  if (argc != 2 || lathe_module_open(argv[1], &options, &module, &status) ||
      lathe_context_create(module, NULL, &context, &status))
    return 1;
  for (int64_t batch = 1; batch <= 300; batch = batch * 16 + 1) {
    lathe_value inputs[2] = {{0}};
    uint64_t bytes = 0;
    if (lathe_value_borrow(&inputs[0], LATHE_F32, 2, (int64_t[]){batch, 6}, NULL, &status) ||
        lathe_value_borrow(&inputs[1], LATHE_I64, 2, (int64_t[]){batch, 2}, NULL, &status) ||
        lathe_context_plan(context, 0, inputs, 2, NULL, &bytes, &status)) {
      fprintf(stderr, "%s\n", status.message);
      return 1;
    }
    printf("%lld %llu\n", (long long)batch, (unsigned long long)bytes);
  }
  lathe_context_destroy(context);
  lathe_module_close(module);
  return 0;
}
