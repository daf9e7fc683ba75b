/* A program as users have it: compiled against a released header (the folders beside this file,
 * which never change), run with today's library. It takes an artifact of formats/model.py and fills
 * every option that it knows. Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(void *user, uint64_t bytes, uint64_t alignment) {
  ++*(int *)user;
  return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
static void release(void *user, void *memory, uint64_t bytes) {
  (void)bytes;
  --*(int *)user;
  free(memory);
}
static void note(void *user, int32_t level, const char *message) {
  (void)level, (void)message;
  ++*(int *)user;
}

#define REQUIRE(condition)                                                                         \
  if (!(condition)) {                                                                              \
    fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, status.message);                    \
    return 1;                                                                                      \
  }

int main(int argc, char **argv) {
  lathe_status status = {0};
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  int live = 0, notes = 0;
  REQUIRE(argc == 2);

  lathe_module_options module_options = {0};
  module_options.size = sizeof module_options;
  module_options.variant = "x86-64-v3";
  module_options.features = lathe_host_features();
  REQUIRE(!lathe_module_open(argv[1], &module_options, &module, &status));
  REQUIRE(!lathe_module_verify(module, &status));
  lathe_variant_info variant = {0};
  variant.size = sizeof variant;
  REQUIRE(!lathe_module_variant_info(module, 1, &variant, &status));
  REQUIRE(variant.chosen && !strcmp(variant.name, "x86-64-v3"));
  REQUIRE(lathe_module_input_count(module, 0) == 2);
  const lathe_tensor_spec *spec = lathe_module_input_spec(module, 0, 0);
  REQUIRE(!strcmp(spec->name, "x") && spec->dtype == LATHE_F32 && spec->rank == 2);
  REQUIRE(spec->dims[0].size == LATHE_DYNAMIC && spec->dims[1].size == 4);

  lathe_context_options options = {0};
  options.size = sizeof options;
  options.threads = 2;
  options.dynamic_limit = 1 << 20;
  options.allocator.user = &live;
  options.allocator.allocate = allocate;
  options.allocator.release = release;
  options.logger.user = &notes;
  options.logger.log = note;
  REQUIRE(!lathe_context_create(module, &options, &context, &status));
  lathe_module_close(module);
  REQUIRE(lathe_context_threads(context) == 2);

  float x[8] = {1, 1, 1, 1, 2, 2, 2, 2};
  int64_t index[1] = {1}, x_dims[2] = {2, 4}, index_dims[1] = {1};
  lathe_value inputs[2], output;
  memset(&output, 0, sizeof output);
  REQUIRE(!lathe_value_borrow(&inputs[0], LATHE_F32, 2, x_dims, x, &status));
  REQUIRE(!lathe_value_borrow(&inputs[1], LATHE_I64, 1, index_dims, index, &status));
  REQUIRE(!lathe_context_run(context, 0, inputs, 2, &output, 1, &status));
  REQUIRE(output.rank == 2 && output.dims[0] == 1 && output.dims[1] == 4);
  REQUIRE(((float *)output.data)[0] == 2 && ((float *)output.data)[3] == 8);
  lathe_value_release(&output);
  index[0] = 7;
  REQUIRE(lathe_context_run(context, 0, inputs, 2, &output, 1, &status) == LATHE_STATUS_INDEX);
  REQUIRE(strstr(status.message, "node 'pick'") && status.args[0] == 7);
  lathe_context_destroy(context);
  REQUIRE(live == 0 && notes > 0);
  puts("fine");
  return 0;
}
