/* liblathe-emulator: a device that runs kernels for GPUs on the processors of the host, thread by
 * thread, and checks what they do. Slow, and for tests: it needs no GPU. C11.
 * Licensed under Apache-2.0 WITH LLVM-exception. */
#ifndef LATHE_C_EMULATOR_H
#define LATHE_C_EMULATOR_H

#include "lathe-c/Runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an emulator behaves; zeroed but for the size: as it does without. */
typedef struct lathe_emulator_options {
  uint32_t size; /* sizeof(lathe_emulator_options) */
  /* Of every so many lines of 64 bytes of memory one is watched for races in each launch, another
   * in the next: 1: all are, which is slower, 2^20, the most: hardly any. A power of two; 0:
   * $LATHE_WATCH, else 8. */
  uint32_t watch_every;
  /* Decides in which order blocks and threads run; messages of failures name it. 0: $LATHE_SEED,
   * else 1. */
  uint64_t seed;
} lathe_emulator_options;

/* Makes a device that takes code for `architecture` ("sm_80", "gfx942"), whatever GPUs there are.
 * Memory that it hands out is filled with 0xAB. What is launched is done at any moment up to the
 * wait, and until then its memory is not the host's. Each thread of a kernel is checked at each
 * access to memory: outside of what the device handed out, or not aligned, it ends, and the run
 * fails with LATHE_STATUS_DEVICE and says which kernel, block and thread it was. Blocks run side by
 * side on the threads of the context. The caller closes it with lathe_device_close. Failure:
 * ARGUMENT, MEMORY. */
LATHE_API int32_t lathe_emulator_open(const char *architecture,
                                      const lathe_emulator_options *options, lathe_device **device,
                                      lathe_status *status);

#ifdef __cplusplus
}
#endif

#endif /* LATHE_C_EMULATOR_H */
