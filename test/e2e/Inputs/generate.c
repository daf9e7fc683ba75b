/* Feeds a language model one token at a time through its states, then all at once without them: the
 * logits must agree. Arguments: the model with states, the same without; built with EMULATOR also
 * the architecture to run them on. Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"
#ifdef EMULATOR
#include "lathe-c/Emulator.h"
#endif

#include <math.h>
#include <stdio.h>

enum { TOKENS = 6, VOCABULARY = 100, CACHES = 4, INPUTS = 2 + CACHES, OUTPUTS = 1 + CACHES };

static int fail(const lathe_status *status) {
  fprintf(stderr, "%s: %s\n", lathe_status_name(status->code), status->message);
  return 1;
}

static int64_t tokens[TOKENS] = {3, 14, 15, 92, 65, 35};
static int64_t mask[TOKENS] = {1, 1, 1, 1, 1, 1};

/* Tokens [from, from + count), with `past` before them. */
static int run(lathe_context *context, int64_t from, int64_t count, lathe_value *outputs,
               int withStates, lathe_status *status) {
  lathe_value inputs[INPUTS] = {{0}};
  if (lathe_value_borrow(&inputs[0], LATHE_I64, 2, (int64_t[]){1, count}, tokens + from, status) ||
      lathe_value_borrow(&inputs[1], LATHE_I64, 2, (int64_t[]){1, from + count}, mask, status))
    return 1;
  static float nothing[1];
  for (int i = 2; i < INPUTS && !withStates; ++i)
    if (lathe_value_borrow(&inputs[i], LATHE_F32, 4, (int64_t[]){1, 4, 0, 8}, nothing, status))
      return 1;
  return lathe_context_run(context, 0, inputs, INPUTS, outputs, OUTPUTS, status);
}

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module_options options = {.size = sizeof(options)};
#ifdef EMULATOR
  if (argc != 4)
    return 2;
  if (lathe_emulator_open(argv[3], NULL, &options.device, &status))
    return fail(&status);
#else
  if (argc != 3)
    return 2;
#endif
  lathe_module *modules[2] = {NULL, NULL};
  lathe_context *contexts[2] = {NULL, NULL};
  for (int i = 0; i < 2; ++i)
    if (lathe_module_open(argv[1 + i], &options, &modules[i], &status) ||
        lathe_context_create(modules[i], NULL, &contexts[i], &status))
      return fail(&status);

  float stepwise[TOKENS][VOCABULARY];
  for (int round = 0; round < 2; ++round) { /* the second one after a reset */
    for (int64_t t = 0; t < TOKENS; ++t) {
      lathe_value outputs[OUTPUTS] = {{0}};
      if (run(contexts[0], t, 1, outputs, 1, &status))
        return fail(&status);
      for (int i = 0; i < VOCABULARY; ++i)
        stepwise[t][i] = ((const float *)outputs[0].data)[i];
      if (outputs[1].dims[2] != t + 1)
        return printf("the cache holds %d tokens after %d\n", (int)outputs[1].dims[2], (int)t + 1);
      for (int i = 0; i < OUTPUTS; ++i)
        lathe_value_release(&outputs[i]);
    }
    lathe_context_reset(contexts[0]);
  }

  lathe_value outputs[OUTPUTS] = {{0}};
  if (run(contexts[1], 0, TOKENS, outputs, 0, &status))
    return fail(&status);
  float worst = 0, largest = 0;
  for (int i = 0; i < TOKENS * VOCABULARY; ++i) {
    float expected = ((const float *)outputs[0].data)[i];
    worst = fmaxf(worst, fabsf(expected - ((float *)stepwise)[i]));
    largest = fmaxf(largest, fabsf(expected));
  }
  printf("the logits agree: %s\n", worst <= 1e-5f * largest ? "yes" : "no");
  for (int i = 0; i < OUTPUTS; ++i)
    lathe_value_release(&outputs[i]);
  for (int i = 0; i < 2; ++i) {
    lathe_context_destroy(contexts[i]);
    lathe_module_close(modules[i]);
  }
  lathe_device_close(options.device);
  return worst > 1e-5f * largest;
}
