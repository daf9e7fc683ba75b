/* Runs models that are part of this program. With an argument: compares one of them with the same
 * model in that file. Apache-2.0 WITH LLVM-exception. */
#include "lstm.h"
#include "mlp.h"

#include <stdio.h>
#include <string.h>

static int fail(const lathe_status *status) {
  fprintf(stderr, "%s: %s\n", lathe_status_name(status->code), status->message);
  return 1;
}

static int run(lathe_module *module, float *result, lathe_status *status) {
  lathe_context *context = NULL;
  if (lathe_context_create(module, NULL, &context, status))
    return 1;
  float numeric[6] = {0.5f, -1.0f, 0.25f, 2.0f, 0.0f, 1.5f};
  int64_t categories[2] = {4, 2};
  lathe_value inputs[2] = {{0}}, output = {0};
  int code = lathe_value_borrow(&inputs[MLP_INPUT_NUMERIC], LATHE_F32, 2, (int64_t[]){1, 6},
                                numeric, status) ||
             lathe_value_borrow(&inputs[MLP_INPUT_CATEGORIES], LATHE_I64, 2, (int64_t[]){1, 2},
                                categories, status) ||
             lathe_context_run(context, 0, inputs, 2, &output, 1, status);
  if (!code)
    *result = *(const float *)output.data;
  lathe_value_release(&output);
  lathe_context_destroy(context);
  return code;
}

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module *mlp = NULL, *lstm = NULL, *file = NULL;
  float result = 0, other = 0;
  if (lathe_module_open_static(&lathe_model_mlp, NULL, &mlp, &status) ||
      lathe_module_open_static(&lathe_model_lstm, NULL, &lstm, &status) ||
      run(mlp, &result, &status))
    return fail(&status);
  printf("mlp: %u inputs, 1 row: %f\n", lathe_module_input_count(mlp, 0), result);
  printf("lstm: %u inputs\n", lathe_module_input_count(lstm, 0));
  if (argc > 1) {
    if (lathe_module_open(argv[1], NULL, &file, &status) || run(file, &other, &status))
      return fail(&status);
    printf("%s\n", memcmp(&result, &other, sizeof(result)) ? "not the same" : "the same");
  }
  lathe_module_close(file);
  lathe_module_close(lstm);
  lathe_module_close(mlp);
  return 0;
}
