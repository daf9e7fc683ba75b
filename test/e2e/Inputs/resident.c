/* What an artifact takes of the machine's memory: after loading, with several contexts, in several
 * processes, and at the peak of a run, as /proc and a counting allocator tell. Fails where weights
 * are held twice, loading reads them, or a run takes more than was promised.
 *
 *   resident MODEL.lathe [SYMBOL=SIZE]... <PEAK
 *
 * PEAK: the bytes that `lathe inspect --dim SYMBOL=SIZE --json` promises.
 *
 * Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTEXTS = 8, PROCESSES = 3, MAX_TENSORS = 64 };

static int64_t live, peak;

static void *allocate(void *user, uint64_t bytes, uint64_t alignment) {
  void *memory = NULL;
  (void)user;
  if (posix_memalign(&memory, alignment, bytes))
    return NULL;
  live += (int64_t)bytes;
  peak = live > peak ? live : peak;
  return memory;
}

static void release(void *user, void *memory, uint64_t bytes) {
  (void)user;
  live -= (int64_t)bytes;
  free(memory);
}

/* Kilobytes of this process, of its mappings of `path`, and how many of these there are. */
struct resident {
  long total, weights, weights_copied;
  int mappings;
};

static struct resident measure(const char *path) {
  struct resident result = {0, 0, 0, 0};
  char line[4096];
  int inside = 0;
  FILE *file = fopen("/proc/self/smaps", "r");
  while (file && fgets(line, sizeof line, file)) {
    long kilobytes = 0;
    if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' ')) {
      inside = strstr(line, path) != NULL;
      result.mappings += inside;
    } else if (sscanf(line, "Rss: %ld", &kilobytes) == 1) {
      result.total += kilobytes;
      result.weights += inside ? kilobytes : 0;
    } else if (inside && (sscanf(line, "Anonymous: %ld", &kilobytes) == 1)) {
      result.weights_copied += kilobytes;
    }
  }
  if (file)
    fclose(file);
  return result;
}

static int64_t size_of(const lathe_dim *dim, char **sizes, int count) {
  if (dim->size != LATHE_DYNAMIC)
    return dim->size;
  for (int i = 0; dim->symbol && i < count; ++i) {
    size_t length = strlen(dim->symbol);
    if (!strncmp(sizes[i], dim->symbol, length) && sizes[i][length] == '=')
      return atoll(sizes[i] + length + 1);
  }
  return dim->min > 1 ? dim->min : 1;
}

#define REQUIRE(condition)                                                                         \
  if (!(condition)) {                                                                              \
    fprintf(stderr, "line %d: %s fails: %s\n", __LINE__, #condition, status.message);              \
    return 1;                                                                                      \
  }

int main(int argc, char **argv) {
  static lathe_status status;
  static lathe_value inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  static lathe_context *contexts[CONTEXTS];
  lathe_module *module = NULL;
  long long inspected = 0;
  REQUIRE(argc >= 2 && scanf("%lld", &inspected) == 1);
  char *path = realpath(argv[1], NULL);
  REQUIRE(path != NULL);

  struct resident before = measure(path);
  REQUIRE(!lathe_module_open(path, NULL, &module, &status));
  struct resident opened = measure(path);
  long file = (long)(lathe_module_file_bytes(module) / 1024);
  printf("file %ld kB; loaded: process grew by %ld kB, %ld kB of the weights are resident\n", file,
         opened.total - before.total, opened.weights);
  REQUIRE(opened.weights == 0 && opened.mappings == 1);

  uint32_t input_count = lathe_module_input_count(module, 0);
  uint32_t output_count = lathe_module_output_count(module, 0);
  REQUIRE(input_count <= MAX_TENSORS && output_count <= MAX_TENSORS);
  for (uint32_t i = 0; i < input_count; ++i) {
    const lathe_tensor_spec *spec = lathe_module_input_spec(module, 0, i);
    int64_t dims[LATHE_MAX_RANK];
    for (uint32_t d = 0; d < spec->rank; ++d)
      dims[d] = size_of(&spec->dims[d], argv + 2, argc - 2);
    REQUIRE(!lathe_value_create(&inputs[i], spec->dtype, spec->rank, dims, NULL, &status));
  }

  /* The peak of a run is what the plan says beforehand: the arena, and the outputs. */
  lathe_context_options options = {0};
  options.size = sizeof options;
  options.threads = 1;
  options.allocator.allocate = allocate;
  options.allocator.release = release;
  for (int i = 0; i < CONTEXTS; ++i)
    REQUIRE(!lathe_context_create(module, &options, &contexts[i], &status));
  uint64_t arena = 0;
  REQUIRE(!lathe_context_plan(contexts[0], 0, inputs, input_count, outputs, &arena, &status));
  int64_t promised = (int64_t)arena;
  for (uint32_t i = 0; i < output_count; ++i)
    promised += lathe_value_bytes(&outputs[i]);
  memset(outputs, 0, sizeof outputs);
  REQUIRE(!lathe_context_run(contexts[0], 0, inputs, input_count, outputs, output_count, &status));
  /* An owned value has a header of LATHE_ALIGNMENT bytes. */
  int64_t headers = (int64_t)output_count * LATHE_ALIGNMENT;
  printf("promised %lld bytes, the run's peak is %lld and %lld of headers; by inspect %lld\n",
         (long long)promised, (long long)(peak - headers), (long long)headers, inspected);
  REQUIRE(peak <= promised + headers && peak == inspected);

  struct resident once = measure(path);
  for (int i = 0; i < CONTEXTS; ++i) {
    for (uint32_t o = 0; o < output_count; ++o)
      lathe_value_release(&outputs[o]);
    REQUIRE(
        !lathe_context_run(contexts[i], 0, inputs, input_count, outputs, output_count, &status));
  }
  struct resident many = measure(path);
  printf("%d contexts: %ld kB of the weights, in %d mapping; with one: %ld kB\n", CONTEXTS,
         many.weights, many.mappings, once.weights);
  REQUIRE(many.mappings == 1 && many.weights == once.weights && many.weights_copied == 0);

  /* Processes that load it for themselves. */
  for (int p = 0; p < PROCESSES; ++p) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      lathe_module *own = NULL;
      lathe_context *context = NULL;
      for (int i = 0; i < CONTEXTS; ++i)
        lathe_context_destroy(contexts[i]);
      lathe_module_close(module);
      memset(outputs, 0, sizeof outputs);
      REQUIRE(measure(path).mappings == 0);
      REQUIRE(!lathe_module_open(path, NULL, &own, &status));
      REQUIRE(!lathe_context_create(own, &options, &context, &status));
      REQUIRE(!lathe_context_run(context, 0, inputs, input_count, outputs, output_count, &status));
      struct resident mine = measure(path);
      printf("process %d: %ld kB of the weights, %ld kB of them copied\n", p + 1, mine.weights,
             mine.weights_copied);
      REQUIRE(mine.weights_copied == 0);
      fflush(stdout);
      _exit(0);
    }
    int result = 1;
    waitpid(child, &result, 0);
    REQUIRE(result == 0);
  }
  puts("one copy");
  return 0;
}
