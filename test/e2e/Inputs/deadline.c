/* Runs a model that never ends on its own, with a deadline: deadline ARTIFACT
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <time.h>

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv) {
  lathe_status status = {0};
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  if (argc != 2 || lathe_module_open(argv[1], NULL, &module, &status) != LATHE_STATUS_OK ||
      lathe_context_create(module, NULL, &context, &status) != LATHE_STATUS_OK) {
    fprintf(stderr, "%s\n", status.message);
    return 1;
  }
  float data[4] = {1, 2, 3, 4};
  int64_t dims[] = {4}, start = now();
  lathe_value input = {0}, output = {0};
  lathe_value_borrow(&input, LATHE_F32, 1, dims, data, &status);
  lathe_context_deadline(context, start + 50000000);
  int32_t code = lathe_context_run(context, 0, &input, 1, &output, 1, &status);
  printf("%s %s\n", lathe_status_name(code), now() - start < 5000000000 ? "in time" : "late");
  lathe_context_destroy(context);
  lathe_module_close(module);
  return 0;
}
