/* Measures what this machine can do at most: fused multiply-adds and memory bandwidth.
 * Usage: peak [THREADS]; prints one JSON object. Licensed under Apache-2.0 WITH LLVM-exception. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, MAX_THREADS = 1024 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* One level of vector hardware: as many independent chains as hide the latency of two FMA units
 * (4 cycles each) and still leave registers for the two operands. The empty asm keeps the chains
 * from being merged. Returns floating-point operations. */
#define FMA_KERNEL(NAME, TARGET, BYTES, CHAINS, CONSTRAINT)                                        \
  TARGET __attribute__((noinline)) static double NAME(long count) {                                \
    typedef float vector __attribute__((vector_size(BYTES)));                                      \
    vector sums[CHAINS], a = {0}, b = {0};                                                         \
    memset(sums, 0, sizeof(sums));                                                                 \
    __asm__ volatile("" : "+" CONSTRAINT(a), "+" CONSTRAINT(b));                                   \
    for (long i = 0; i < count; ++i) {                                                             \
      _Pragma("clang loop unroll(full)") for (int k = 0; k < CHAINS; ++k) {                        \
        sums[k] = a * b + sums[k];                                                                 \
        __asm__ volatile("" : "+" CONSTRAINT(sums[k]));                                            \
      }                                                                                            \
    }                                                                                              \
    return 2.0 * (BYTES / sizeof(float)) * CHAINS * (double)count;                                 \
  }

#if defined(__x86_64__)
FMA_KERNEL(fma_avx512, __attribute__((target("avx512f,avx512vl"))), 64, 24, "v")
FMA_KERNEL(fma_avx2, __attribute__((target("avx2,fma"))), 32, 12, "x")
static double (*fma_kernel(const char **level))(long) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
    *level = "avx512";
    return fma_avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    *level = "avx2";
    return fma_avx2;
  }
  return NULL;
}
#elif defined(__aarch64__)
FMA_KERNEL(fma_neon, , 16, 24, "w")
static double (*fma_kernel(const char **level))(long) {
  *level = "neon";
  return fma_neon;
}
#endif

/* Work of one thread: ROUNDS times, with the others, each round begun at a barrier. A worker keeps
 * its own times: a coordinator would be put aside while they have the processors. */
struct worker {
  pthread_barrier_t *barrier;
  void (*round)(struct worker *);
  double (*kernel)(long);
  const uint64_t *data;
  size_t words;
  uint64_t sum;
  double start[ROUNDS], end[ROUNDS];
};

enum { FMA_COUNT = 400000 };

static void fma_round(struct worker *worker) { worker->kernel(FMA_COUNT); }

static void read_round(struct worker *worker) {
  uint64_t sums[32] = {0};
  for (size_t i = 0; i + 32 <= worker->words; i += 32)
    for (int k = 0; k < 32; ++k)
      sums[k] += worker->data[i + k];
  for (int k = 0; k < 32; ++k)
    worker->sum += sums[k];
}

static void *work(void *pointer) {
  struct worker *worker = pointer;
  for (int round = 0; round < ROUNDS; ++round) {
    pthread_barrier_wait(worker->barrier);
    worker->start[round] = now();
    worker->round(worker);
    worker->end[round] = now();
  }
  return NULL;
}

/* The shortest round, from the first thread's start to the last one's end, in seconds. */
static double best_round(int threads, void (*round)(struct worker *), struct worker *workers) {
  pthread_t handles[MAX_THREADS];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; ++i) {
    workers[i].barrier = &barrier;
    workers[i].round = round;
    if (pthread_create(&handles[i], NULL, work, &workers[i]) != 0) {
      fprintf(stderr, "peak: cannot start thread %d\n", i);
      exit(1);
    }
  }
  for (int i = 0; i < threads; ++i)
    pthread_join(handles[i], NULL);
  pthread_barrier_destroy(&barrier);
  double best = 1e9;
  for (int r = 0; r < ROUNDS; ++r) {
    double start = workers[0].start[r], end = workers[0].end[r];
    for (int i = 1; i < threads; ++i) {
      start = workers[i].start[r] < start ? workers[i].start[r] : start;
      end = workers[i].end[r] > end ? workers[i].end[r] : end;
    }
    best = end - start < best ? end - start : best;
  }
  return best;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "usage: peak [THREADS], 1 to %d\n", MAX_THREADS);
    return 2;
  }
  const char *level = "";
  double (*kernel)(long) = fma_kernel(&level);
  if (!kernel) {
    fprintf(stderr, "peak: this processor has no fused multiply-add\n");
    return 1;
  }
  static struct worker workers[MAX_THREADS];
  const size_t bytes = (size_t)256 << 20; /* beyond any cache */
  char *data = aligned_alloc(4096, bytes);
  if (!data) {
    fprintf(stderr, "peak: no memory for %zu bytes\n", bytes);
    return 1;
  }
  memset(data, 1, bytes);
  size_t share = bytes / (size_t)threads / 4096 * 4096;
  for (int i = 0; i < threads; ++i) {
    workers[i].kernel = kernel;
    workers[i].data = (const uint64_t *)(data + (size_t)i * share);
    workers[i].words = share / sizeof(uint64_t);
  }
  double operations = kernel(1) * FMA_COUNT * threads;
  double fma = operations / best_round(threads, fma_round, workers);
  double read = (double)share * threads / best_round(threads, read_round, workers);
  printf("{\"level\": \"%s\", \"threads\": %d, \"gflops\": %.1f, \"read_gbs\": %.1f}\n", level,
         threads, fma * 1e-9, read * 1e-9);
  free(data);
  return 0;
}
