/* Runs the tests' model with a runtime built for AArch64, under qemu-user:
 *   main ARTIFACT
 * Prints what differs from the expected and returns 1, or nothing and 0.
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("line %d: " #condition ": %s\n", __LINE__, status.message);                           \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

int main(int argc, char **argv) {
  lathe_status status = {0};
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  if (argc != 2)
    return 2;
  EXPECT(lathe_module_open(argv[1], NULL, &module, &status) == LATHE_STATUS_OK);
  EXPECT(lathe_module_verify(module, &status) == LATHE_STATUS_OK);
  lathe_context_options options = {.size = sizeof(options), .threads = 3};
  EXPECT(lathe_context_create(module, &options, &context, &status) == LATHE_STATUS_OK);
  if (failures)
    return 1;

  float x[4000], z[4000];
  for (int i = 0; i < 4000; ++i)
    x[i] = (float)i;
  lathe_value inputs[2], output;
  lathe_value_borrow(&inputs[0], LATHE_F32, 2, (int64_t[]){1000, 4}, x, NULL);
  inputs[1] = inputs[0];
  lathe_value_borrow(&output, LATHE_F32, 2, (int64_t[]){1000, 4}, z, NULL);
  for (int repeat = 0; repeat < 50; ++repeat) {
    memset(z, 0, sizeof(z));
    EXPECT(lathe_context_run(context, 0, inputs, 2, &output, 1, &status) == LATHE_STATUS_OK);
    for (int i = 0; i < 4000; ++i)
      EXPECT(z[i] == x[i] * 3); /* the variant "better": its weights are 2 */
  }

  int64_t indices[3] = {1, 9, 2};
  lathe_value gathered = {0};
  lathe_value_borrow(&inputs[0], LATHE_F32, 1, (int64_t[]){8}, x, NULL);
  lathe_value_borrow(&inputs[1], LATHE_I64, 1, (int64_t[]){3}, indices, NULL);
  uint32_t gather = (uint32_t)lathe_module_entry_find(module, "gather");
  EXPECT(lathe_context_run(context, gather, inputs, 2, &gathered, 1, &status) ==
         LATHE_STATUS_INDEX);
  EXPECT(!strcmp(status.message, "node 'Gather_3': index 9 is out of range for axis of size 8"));

  /* Rounding mode and flushing are the default in every thread. */
  lathe_value states = {0};
  uint32_t floats = (uint32_t)lathe_module_entry_find(module, "floats");
  EXPECT(lathe_context_run(context, floats, NULL, 0, &states, 1, &status) == LATHE_STATUS_OK);
  for (int i = 0; states.data && i < 64; ++i)
    EXPECT(((uint32_t *)states.data)[i] == 0);
  lathe_value_release(&states);

  lathe_context_destroy(context);
  lathe_module_close(module);
  return failures != 0;
}
