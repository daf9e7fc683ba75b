/* A model for devices as the compiler would emit it, written by hand: the host programs launch
 * kernels that only the emulator has. Freestanding. Licensed under Apache-2.0 WITH LLVM-exception.
 */
#include "lathe/ArtifactFormat.h"

#include <stddef.h>

/* ---- Kernels, a call for each thread --------------------------------------------------------- */

enum {
  KERNEL_SCALE,
  KERNEL_PAST_END,
  KERNEL_ORDER,
  KERNEL_MISALIGNED,
  KERNEL_MAPPED,
  KERNEL_COUNT
};
enum { BLOCK_THREADS = 8 };

static int64_t item(const lathe_emulated_thread *thread) {
  return (int64_t)thread->block * BLOCK_THREADS + thread->thread;
}

static int32_t reads(lathe_emulated_thread *thread, const void *address, uint32_t bytes) {
  const char *range[2];
  return thread->check(thread, address, bytes, bytes, 0, range);
}

static int32_t writes(lathe_emulated_thread *thread, const void *address, uint32_t bytes) {
  const char *range[2];
  return thread->check(thread, address, bytes, bytes, 1, range);
}

/* (call, x, weights, z, count): z = x * weight */
static void scale(const uint64_t *args, lathe_emulated_thread *thread) {
  int64_t i = item(thread);
  if (i >= (int64_t)args[4])
    return;
  const float *x = (const float *)args[1] + i, *weight = (const float *)args[2];
  float *z = (float *)args[3] + i;
  if (reads(thread, x, 4) && reads(thread, weight, 4) && writes(thread, z, 4))
    *z = *x * *weight;
}

/* (call, z, count): the last thread writes behind the end */
static void past_end(const uint64_t *args, lathe_emulated_thread *thread) {
  int64_t i = item(thread), count = (int64_t)args[2];
  if (i >= count)
    return;
  float *z = (float *)args[1] + (i == count - 1 ? 64 : i);
  if (writes(thread, z, 4))
    *z = 1;
}

/* (call, z, count): every thread writes its number to the same place */
static void order(const uint64_t *args, lathe_emulated_thread *thread) {
  float *z = (float *)args[1];
  if (item(thread) < (int64_t)args[2] && writes(thread, z, 4))
    *z = (float)item(thread);
}

/* (call, z, count) */
static void misaligned(const uint64_t *args, lathe_emulated_thread *thread) {
  if (item(thread) == 5)
    writes(thread, (const char *)args[1] + 2, 4);
}

static const lathe_emulated_kernel emulated[KERNEL_COUNT] = {scale, past_end, order, misaligned,
                                                             order};
/* Rows of 8 numbers, as many as the count. */
static const lathe_tensor_map tensor_map = {
    1, LATHE_F32, 16, 2, 0, {{8, {0}}, {1, {2}}}, {{1, {0}}, {8, {0}}}, {8, 4}, 0};
static const lathe_device_kernel kernels[KERNEL_COUNT] = {
    {"scale", 5, BLOCK_THREADS, BLOCK_THREADS, 0},
    {"past_end", 3, BLOCK_THREADS, BLOCK_THREADS, 0},
    {"order", 3, BLOCK_THREADS, BLOCK_THREADS, 0},
    {"misaligned", 3, BLOCK_THREADS, BLOCK_THREADS, 0},
    {"mapped", 3, BLOCK_THREADS, BLOCK_THREADS, 0, 1, 0, &tensor_map}};

/* ---- Host programs --------------------------------------------------------------------------- */

static int32_t plan_same(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = call->inputs[0].dims[0];
  plan->arena_bytes = (uint64_t)call->inputs[0].dims[0] * sizeof(float);
  return LATHE_CODE_OK;
}

static int32_t plan_dynamic(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = LATHE_DYNAMIC;
  call->flags |= LATHE_CALL_ALLOCATES;
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static int32_t launch_scale(lathe_call *call, const void *x, void *z, int64_t count) {
  uint64_t args[] = {0, (uint64_t)x, (uint64_t)call->weights, (uint64_t)z, (uint64_t)count};
  return call->services->launch(call, KERNEL_SCALE, args, 5, count);
}

/* Twice, with what lies between in the arena. */
static int32_t run_scale(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0];
  int32_t code = launch_scale(call, call->inputs[0].data, call->arena, count);
  return code ? code : launch_scale(call, call->arena, call->outputs[0].data, count);
}

/* What is positive at the beginning of x, as many as the host finds. */
static int32_t run_leading(lathe_call *call) {
  int64_t count = call->inputs[0].dims[0], found = 0;
  uint64_t bytes = (uint64_t)count * sizeof(float);
  float *scaled = call->services->allocate_device(call, bytes),
        *seen = call->services->allocate(call, bytes);
  if (!scaled || !seen)
    return LATHE_CODE_MEMORY;
  int32_t code = launch_scale(call, call->inputs[0].data, scaled, count);
  if (!code)
    code = call->services->copy(call, seen, scaled, bytes, LATHE_COPY_TO_HOST);
  if (code)
    return code;
  while (found < count && seen[found] > 0)
    ++found;
  float *z = call->services->allocate_output(call, 0, 1, &found);
  return z ? launch_scale(call, scaled, z, found) : LATHE_CODE_MEMORY;
}

/* The same, but the host looks without a copy. */
static int32_t run_ahead(lathe_call *call) {
  float *scaled = call->services->allocate_device(call, sizeof(float));
  if (!scaled)
    return LATHE_CODE_MEMORY;
  int32_t code = launch_scale(call, call->inputs[0].data, scaled, 1);
  return code ? code : *(volatile float *)scaled > 0 ? LATHE_CODE_OK : LATHE_CODE_INDEX;
}

static int32_t launch_on_output(lathe_call *call, uint32_t kernel) {
  uint64_t args[] = {0, (uint64_t)call->outputs[0].data, (uint64_t)call->inputs[0].dims[0]};
  return call->services->launch(call, kernel, args, 3, call->inputs[0].dims[0]);
}

static int32_t run_past_end(lathe_call *call) { return launch_on_output(call, KERNEL_PAST_END); }
static int32_t run_order(lathe_call *call) { return launch_on_output(call, KERNEL_ORDER); }
static int32_t run_misaligned(lathe_call *call) {
  return launch_on_output(call, KERNEL_MISALIGNED);
}
static int32_t run_unknown(lathe_call *call) { return launch_on_output(call, KERNEL_COUNT); }

/* ---- The tables ------------------------------------------------------------------------------ */

static const lathe_dim count[] = {{LATHE_DYNAMIC, "count", 0, 4096}};
static const lathe_dim unnamed[] = {{LATHE_DYNAMIC, NULL, 0, INT64_MAX}};
#define TENSOR(name, dims)                                                                         \
  {                                                                                                \
    name, LATHE_VALUE_TENSOR, LATHE_F32, 1, -1, -1, 0, { dims }                                    \
  }
static const lathe_tensor_spec x[] = {TENSOR("x", count)}, z[] = {TENSOR("z", count)};
static const lathe_tensor_spec some[] = {TENSOR("z", unnamed)};

static const lathe_entry entries[] = {
    {"run", plan_same, run_scale, 1, 1, x, z},
    {"leading", plan_dynamic, run_leading, 1, 1, x, some},
    {"ahead", plan_same, run_ahead, 1, 1, x, z},
    {"past_end", plan_same, run_past_end, 1, 1, x, z},
    {"order", plan_same, run_order, 1, 1, x, z},
    {"misaligned", plan_same, run_misaligned, 1, 1, x, z},
    {"unknown", plan_same, run_unknown, 1, 1, x, z},
};
enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

#if defined(__x86_64__)
enum { BASE = LATHE_X86_V3 };
#else
enum { BASE = LATHE_AARCH64_BASE };
#endif

static const char ptx[] = ".version 7.0";
static const lathe_image both[] = {{LATHE_IMAGE_PTX, 0, ptx, sizeof(ptx)},
                                   {LATHE_IMAGE_EMULATOR, 0, emulated, sizeof(emulated)}};
static const lathe_image text[] = {{LATHE_IMAGE_PTX, 0, ptx, sizeof(ptx)}};

static const lathe_device_variant devices[] = {
    {{"nvidia:sm_80", BASE, 0, 256, ENTRIES, 0, entries},
     KERNEL_COUNT,
     2,
     kernels,
     both,
     LATHE_DEVICE_HOST_LOOKS,
     0},
    {{"amd:gfx942", BASE, 256, 256, ENTRIES, 0, entries},
     KERNEL_COUNT,
     2,
     kernels,
     both,
     LATHE_DEVICE_HOST_LOOKS,
     0},
    {{"nvidia:sm_90", BASE, 0, 256, ENTRIES, 0, entries},
     KERNEL_COUNT,
     1,
     kernels,
     text,
     LATHE_DEVICE_HOST_LOOKS,
     0},
    {{"nvidia:sm_120", UINT64_C(1) << 40, 0, 256, ENTRIES, 0, entries},
     KERNEL_COUNT,
     2,
     kernels,
     both,
     LATHE_DEVICE_HOST_LOOKS,
     0},
};
static const lathe_site sites[] = {{"nowhere"}};

__attribute__((visibility("default"))) extern const lathe_artifact lathe_artifact_table;
const lathe_artifact lathe_artifact_table = {LATHE_MAGIC,
                                             LATHE_FORMAT_VERSION,
                                             LATHE_ABI_VERSION,
                                             sizeof(lathe_artifact),
                                             0,
                                             NULL,
                                             1,
                                             sites,
                                             sizeof(devices) / sizeof(devices[0]),
                                             devices};

/* The same as --emit=obj would make it, so that tests can copy and break it. */
static const float static_weights[144] __attribute__((aligned(LATHE_ALIGNMENT)));
__attribute__((visibility("default"))) extern const lathe_static_model lathe_model_device;
const lathe_static_model lathe_model_device = {
    sizeof(lathe_static_model), 0,    "device", &lathe_artifact_table, (const char *)static_weights,
    sizeof(static_weights),     "{}", 2};
