/* Runs a model that looks numbers up on indices that are right and wrong, one run after the other
 * in one context, and prints what came of each. Arguments: the model, the device, and for each run
 * the index. Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const lathe_status *status) {
  fprintf(stderr, "%s: %s\n", lathe_status_name(status->code), status->message);
  return 1;
}

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module_options options = {.size = sizeof(options)};
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  if (argc < 3)
    return 2;
  if (lathe_device_open(argv[2], &options.device, &status) ||
      lathe_module_open(argv[1], &options, &module, &status) ||
      lathe_context_create(module, NULL, &context, &status))
    return fail(&status);
  lathe_device_close(options.device);
  float numbers[4] = {10, 11, 12, 13};
  for (int i = 3; i < argc; ++i) {
    int64_t index[2] = {0, atoll(argv[i])};
    lathe_value inputs[2], output = {0};
    if (lathe_value_borrow(&inputs[0], LATHE_F32, 1, (int64_t[]){4}, numbers, &status) ||
        lathe_value_borrow(&inputs[1], LATHE_I64, 1, (int64_t[]){2}, index, &status))
      return fail(&status);
    if (lathe_context_run(context, 0, inputs, 2, &output, 1, &status)) {
      printf("%s: %s\n", lathe_status_name(status.code), status.message);
      continue;
    }
    printf("%g %g\n", ((float *)output.data)[0], ((float *)output.data)[1]);
    lathe_value_release(&output);
  }
  lathe_context_destroy(context);
  lathe_module_close(module);
  return 0;
}
