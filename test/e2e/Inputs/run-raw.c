/* Runs a model on made-up inputs and writes its outputs as raw bytes to standard output:
 *   run-raw ARTIFACT
 * Inputs are f32 of static shape, a fixed pattern each. Links the runtime alone, so that it also
 * builds for another architecture.
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const lathe_status *status) {
  fprintf(stderr, "%s: %s\n", what, status->message);
  return 1;
}

int main(int argc, char **argv) {
  lathe_status status = {0};
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  if (argc != 2)
    return 2;
  if (lathe_module_open(argv[1], NULL, &module, &status) != LATHE_STATUS_OK)
    return fail("open", &status);
  lathe_context_options options = {.size = sizeof(options), .threads = 2};
  if (lathe_context_create(module, &options, &context, &status) != LATHE_STATUS_OK)
    return fail("context", &status);

  lathe_value inputs[8] = {{0}}, outputs[8] = {{0}};
  uint32_t input_count = lathe_module_input_count(module, 0);
  uint32_t output_count = lathe_module_output_count(module, 0);
  if (input_count > 8 || output_count > 8)
    return 2;
  uint32_t state = 1;
  for (uint32_t i = 0; i < input_count; ++i) {
    const lathe_tensor_spec *spec = lathe_module_input_spec(module, 0, i);
    int64_t dims[LATHE_MAX_RANK];
    for (uint32_t d = 0; d < spec->rank; ++d)
      dims[d] = spec->dims[d].size;
    if (spec->dtype != LATHE_F32 || lathe_value_create(&inputs[i], LATHE_F32, spec->rank, dims,
                                                       NULL, &status) != LATHE_STATUS_OK)
      return fail("input", &status);
    float *data = inputs[i].data;
    for (int64_t k = 0; k < lathe_value_elements(&inputs[i]); ++k) {
      state = state * 1664525u + 1013904223u;
      data[k] = (float)(state >> 8) / (float)(1 << 23) - 1.0f;
    }
  }
  if (lathe_context_run(context, 0, inputs, input_count, outputs, output_count, &status) !=
      LATHE_STATUS_OK)
    return fail("run", &status);
  for (uint32_t i = 0; i < output_count; ++i) {
    fwrite(outputs[i].data, 1, (size_t)lathe_value_bytes(&outputs[i]), stdout);
    lathe_value_release(&outputs[i]);
  }
  for (uint32_t i = 0; i < input_count; ++i)
    lathe_value_release(&inputs[i]);
  lathe_context_destroy(context);
  lathe_module_close(module);
  return 0;
}
