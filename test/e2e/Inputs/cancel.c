/* How fast a run answers a cancellation, and that it starts no kernel after it.
 *   cancel ARTIFACT THREADS TRIALS [DIM=SIZE]...
 * Inputs are zeros. Prints the longest kernel of a run, and the longest time from a cancellation,
 * at some moment of the run, to the end of the call. A run that ends first, because the machine is
 * busy and the canceller wakes late, is tried again. Apache-2.0 WITH LLVM-exception. */
#include "lathe-c/Runtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { most_inputs = 64 };

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static _Atomic int64_t cancelled_at; /* 0: not yet */
static int64_t longest_kernel, begun_after;

static void on_kernel(void *user, const char *kernel, uint64_t flops, uint64_t bytes, int64_t begin,
                      int64_t end) {
  (void)user, (void)kernel, (void)flops, (void)bytes;
  int64_t at = atomic_load(&cancelled_at);
  if (!at && end - begin > longest_kernel)
    longest_kernel = end - begin;
  begun_after += at && begin > at;
}

struct trial {
  lathe_context *context;
  int64_t at, begin;
};

static void *cancel(void *argument) {
  struct trial *trial = argument;
  struct timespec until = {trial->at / 1000000000, trial->at % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  trial->begin = now();
  lathe_context_cancel(trial->context);
  atomic_store(&cancelled_at, now());
  return NULL;
}

static int fail(const char *what) {
  fprintf(stderr, "cancel: %s\n", what);
  return 1;
}

static int64_t size_of(const lathe_dim *dim, int argc, char **argv) {
  for (int i = 4; dim->symbol && i < argc; ++i) {
    size_t length = strlen(dim->symbol);
    if (!strncmp(argv[i], dim->symbol, length) && argv[i][length] == '=')
      return atoll(argv[i] + length + 1);
  }
  return dim->size == LATHE_DYNAMIC ? 1 : dim->size;
}

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  if (argc < 4)
    return fail("usage: cancel ARTIFACT THREADS TRIALS [DIM=SIZE]...");
  lathe_context_options options = {.size = sizeof options, .threads = (uint32_t)atoi(argv[2])};
  options.tracer.dispatch = on_kernel;
  if (lathe_module_open(argv[1], NULL, &module, &status) ||
      lathe_context_create(module, &options, &context, &status))
    return fail(status.message);
  lathe_value inputs[most_inputs] = {{0}}, outputs[most_inputs] = {{0}};
  uint32_t input_count = lathe_module_input_count(module, 0);
  uint32_t output_count = lathe_module_output_count(module, 0);
  if (input_count > most_inputs || output_count > most_inputs)
    return fail("too many tensors");
  for (uint32_t i = 0; i < input_count; ++i) {
    const lathe_tensor_spec *spec = lathe_module_input_spec(module, 0, i);
    int64_t dims[LATHE_MAX_RANK];
    for (uint32_t d = 0; d < spec->rank; ++d)
      dims[d] = size_of(&spec->dims[d], argc, argv);
    if (lathe_value_create(&inputs[i], spec->dtype, spec->rank, dims, NULL, &status))
      return fail(status.message);
  }
  int64_t run_time = 0;
  for (int i = 0; i < 3; ++i) {
    int64_t begin = now();
    if (lathe_context_run(context, 0, inputs, input_count, outputs, output_count, &status))
      return fail(status.message);
    run_time = now() - begin;
    for (uint32_t k = 0; k < output_count; ++k)
      lathe_value_release(&outputs[k]);
  }

  int trials = atoi(argv[3]), answered = 0, attempts = 0;
  int64_t latest = 0, sum = 0;
  for (; answered < trials && attempts < 20 * trials; ++attempts) {
    atomic_store(&cancelled_at, 0);
    int64_t delay = run_time * (2 * (attempts % trials) + 1) / (2 * trials);
    struct trial trial = {context, now() + delay, 0};
    pthread_t thread;
    pthread_create(&thread, NULL, cancel, &trial);
    int32_t code =
        lathe_context_run(context, 0, inputs, input_count, outputs, output_count, &status);
    int64_t end = now();
    pthread_join(thread, NULL);
    lathe_context_resume(context);
    if (code == LATHE_STATUS_OK) { /* it had ended before */
      for (uint32_t k = 0; k < output_count; ++k)
        lathe_value_release(&outputs[k]);
      continue;
    }
    if (code != LATHE_STATUS_CANCELLED)
      return fail(status.message);
    int64_t took = end - trial.begin;
    latest = took > latest ? took : latest;
    sum += took;
    ++answered;
  }
  for (uint32_t i = 0; i < input_count; ++i)
    lathe_value_release(&inputs[i]);
  lathe_context_destroy(context);
  lathe_module_close(module);
  printf("a run takes %.2f ms, its longest kernel %.2f ms\n", (double)run_time / 1e6,
         (double)longest_kernel / 1e6);
  printf("%d of %d cancelled: answered after %.2f ms on average, %.2f ms at most\n", answered,
         attempts, answered ? (double)sum / answered / 1e6 : 0, (double)latest / 1e6);
  /* One may be on its way to its start when it is cancelled. */
  if (begun_after > answered / 10 + 1)
    return fail("kernels begin after the cancellation");
  if (answered < trials)
    return fail("most runs end before they are cancelled");
  printf("no kernel begins after it\n");
  return 0;
}
