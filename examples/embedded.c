/* A model inside the program: no file beside it, no heap for the run.
 *   lathe compile mlp.onnx --emit obj,header -o mlp.o, then link mlp.o and liblathe.a
 * Apache-2.0 WITH LLVM-exception. */
#include "mlp.h"

#include <stdalign.h>
#include <stdio.h>

static alignas(LATHE_ALIGNMENT) char arena[64 << 10];

int main(void) {
  lathe_status status;
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  lathe_context_options options = {
      .size = sizeof options, .threads = 1, .arena = arena, .arena_bytes = sizeof arena};
  float numeric[6] = {0.5f, -1.0f, 0.25f, 2.0f, 0.0f, 1.5f}, probability;
  int64_t categories[2] = {4, 2};
  lathe_value inputs[2], output;
  if (lathe_module_open_static(&lathe_model_mlp, NULL, &module, &status) ||
      lathe_context_create(module, &options, &context, &status) ||
      lathe_value_borrow(&inputs[MLP_INPUT_NUMERIC], LATHE_F32, 2, (int64_t[]){1, 6}, numeric,
                         &status) ||
      lathe_value_borrow(&inputs[MLP_INPUT_CATEGORIES], LATHE_I64, 2, (int64_t[]){1, 2}, categories,
                         &status) ||
      lathe_value_borrow(&output, LATHE_F32, 2, (int64_t[]){1, 1}, &probability, &status) ||
      lathe_context_run(context, 0, inputs, 2, &output, 1, &status)) {
    fprintf(stderr, "%s: %s\n", lathe_status_name(status.code), status.message);
    return 1;
  }
  printf("probability %.3f\n", probability);
  lathe_context_destroy(context);
  lathe_module_close(module);
  return 0;
}
