/* C: runs tiny-mlp with memory of the program's own, so that no run allocates anything.
 *   classify-c mlp.lathe
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 2, RUNS = 1000 };

static int fail(const lathe_status *status) {
  fprintf(stderr, "%s: %s\n", lathe_status_name(status->code), status->message);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s mlp.lathe\n", argv[0]);
    return 2;
  }
  lathe_status status;
  lathe_module *module = NULL;
  if (lathe_module_open(argv[1], NULL, &module, &status))
    return fail(&status);

  float numeric[ROWS][6] = {{0.5f, -1.0f, 0.25f, 2.0f, 0.0f, 1.5f},
                            {-0.5f, 1.0f, 0.75f, -2.0f, 0.1f, 0.0f}};
  int64_t categories[ROWS][2] = {{4, 2}, {0, 1}};
  float probabilities[ROWS];
  lathe_value inputs[2], output;
  if (lathe_value_borrow(&inputs[0], LATHE_F32, 2, (int64_t[]){ROWS, 6}, numeric, &status) ||
      lathe_value_borrow(&inputs[1], LATHE_I64, 2, (int64_t[]){ROWS, 2}, categories, &status) ||
      lathe_value_borrow(&output, LATHE_F32, 2, (int64_t[]){ROWS, 1}, probabilities, &status))
    return fail(&status);

  /* A first context only tells how much memory such a run needs. */
  lathe_context *context = NULL;
  lathe_context_options options = {.size = sizeof options, .threads = 1};
  uint64_t arena_bytes = 0;
  if (lathe_context_create(module, &options, &context, &status) ||
      lathe_context_plan(context, 0, inputs, 2, NULL, &arena_bytes, &status))
    return fail(&status);
  lathe_context_destroy(context);

  options.arena_bytes = (arena_bytes + LATHE_ALIGNMENT - 1) / LATHE_ALIGNMENT * LATHE_ALIGNMENT;
  options.arena = options.arena_bytes ? aligned_alloc(LATHE_ALIGNMENT, options.arena_bytes) : NULL;
  if (lathe_context_create(module, &options, &context, &status))
    return fail(&status);
  for (int run = 0; run < RUNS; ++run)
    if (lathe_context_run(context, 0, inputs, 2, &output, 1, &status))
      return fail(&status);
  for (int row = 0; row < ROWS; ++row)
    printf("row %d: %.3f\n", row, probabilities[row]);

  lathe_statistics statistics = {.size = sizeof statistics};
  lathe_context_statistics(context, &statistics, NULL);
  printf("%d runs in %d bytes of arena\n", (int)statistics.runs, (int)options.arena_bytes);
  lathe_context_destroy(context);
  lathe_module_close(module);
  free(options.arena);
  return 0;
}
