/* What a run costs beyond its work: time, allocations, locks, writes to what contexts share. The
 * model adds two tensors of four floats. With the argument `quiet` after the file it only runs,
 * between two writes to standard output, for a tracer of system calls. Apache-2.0 WITH
 * LLVM-exception. */
#define _GNU_SOURCE
#include "lathe-c/Runtime.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 2000, ROUNDS = 200 };

/* Every way to memory and to a lock counts; while `guard` is set, memory comes in pages of its own,
 * so that it can be made read-only. */
static long calls;
static int guard;
static char *pages, *next;
static const size_t pagesBytes = 64 << 20;

void *__libc_memalign(size_t, size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

static void *fresh(size_t bytes, size_t alignment) {
  ++calls;
  if (!guard)
    return __libc_memalign(alignment, bytes ? bytes : 1);
  next = (char *)(((size_t)next + alignment - 1) / alignment * alignment);
  char *result = next;
  next += bytes ? bytes : 1;
  if (next > pages + pagesBytes)
    abort();
  return result;
}

static int guarded(const void *memory) {
  return pages && (const char *)memory >= pages && (const char *)memory < pages + pagesBytes;
}

void *malloc(size_t bytes) { return fresh(bytes, 16); }
void *calloc(size_t count, size_t bytes) {
  if (guard)
    return fresh(count * bytes, 16); /* zeros: the pages are new */
  ++calls;
  return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
  ++calls;
  if (guard || guarded(memory))
    abort(); /* the runtime has no need of it */
  return __libc_realloc(memory, bytes);
}
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  *memory = fresh(bytes, alignment);
  return 0;
}
void free(void *memory) {
  ++calls;
  if (!guarded(memory))
    __libc_free(memory);
}

static long locks;
int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static int (*real)(pthread_mutex_t *);
  if (!real)
    real = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
  ++locks;
  return real(mutex);
}

/* Protects the writable data of liblathe. */
static int protectLibrary(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)size;
  if (!strstr(info->dlpi_name, "liblathe.so"))
    return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_W)) {
      size_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, end = begin;
      end += info->dlpi_phdr[i].p_memsz;
      begin &= ~(size_t)4095;
      if (mprotect((void *)begin, end - begin, *(int *)argument))
        abort();
    }
  return 1;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int main(int argc, char **argv) {
  lathe_status status;
  lathe_module *module = NULL;
  lathe_context *context = NULL;
  lathe_context_options options = {.size = sizeof options, .threads = 1};
  int64_t dims[1] = {4};
  float x[4] = {1, 2, 3, 4}, y[4] = {10, 20, 30, 40}, z[4] = {0};
  lathe_value inputs[2], output;
  pages = next = mmap(NULL, pagesBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  guard = 1;
  int code = lathe_module_open(argv[1], NULL, &module, &status);
  guard = 0;
  if (code || lathe_context_create(module, &options, &context, &status) ||
      lathe_value_borrow(&inputs[0], LATHE_F32, 1, dims, x, &status) ||
      lathe_value_borrow(&inputs[1], LATHE_F32, 1, dims, y, &status) ||
      lathe_value_borrow(&output, LATHE_F32, 1, dims, z, &status) ||
      lathe_context_run(context, 0, inputs, 2, &output, 1, &status)) {
    fprintf(stderr, "%s\n", status.message);
    return 1;
  }
  int quiet = argc > 2 && !strcmp(argv[2], "quiet");
  int readOnly = PROT_READ, writable = PROT_READ | PROT_WRITE;
  if (!quiet &&
      (mprotect(pages, pagesBytes, readOnly) || !dl_iterate_phdr(protectLibrary, &readOnly)))
    return 2;
  if (quiet && write(1, "begin\n", 6) != 6)
    return 2;
  long callsBefore = calls, locksBefore = locks;
  int64_t best = INT64_MAX;
  for (int round = 0; round < (quiet ? 1 : ROUNDS); ++round) {
    int64_t begin = now();
    for (int i = 0; i < RUNS; ++i)
      code |= lathe_context_run(context, 0, inputs, 2, &output, 1, &status);
    int64_t taken = now() - begin;
    best = taken < best ? taken : best;
  }
  long callsIn = calls - callsBefore, locksIn = locks - locksBefore;
  if (quiet)
    return write(1, "end\n", 4) == 4 && !code ? 0 : 1;
  mprotect(pages, pagesBytes, writable);
  dl_iterate_phdr(protectLibrary, &writable);
  printf("z = %g %g %g %g\n", z[0], z[1], z[2], z[3]);
  printf("%ld allocations, %ld locks, no write to what contexts share\n", callsIn, locksIn);
  printf("%.3f us a run\n", (double)best / RUNS / 1000);
  lathe_context_destroy(context);
  lathe_module_close(module);
  return code || callsIn || locksIn || best / RUNS > 1000;
}
