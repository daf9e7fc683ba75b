/* A model as the compiler would emit it, written by hand: entries that add, gather, allocate, fail,
 * wait and nest. Compiled freestanding, as artifacts are closed. Apache-2.0 WITH LLVM-exception. */
#include "lathe/ArtifactFormat.h"

#include <stddef.h>

enum { SITE_INDEX, SITE_MEMORY, SITE_DIVISION, SITE_PERCENT, SITE_COUNT };

static const lathe_site sites[SITE_COUNT] = {
    {"node 'Gather_3': index %0 is out of range for axis of size %1"},
    {"node 'NonZero_1': no memory for the result"},
    {"node 'Div_7': %0 is divided by %1 (%2 %3 %4 %5)"},
    {"100% of 'Odd_%' fail with %9 and %0%"},
};

static int32_t report(lathe_call *call, int32_t code, uint32_t site, int64_t a, int64_t b) {
  int32_t none = 0;
  if (__atomic_compare_exchange_n(&call->error->code, &none, code, 0, __ATOMIC_RELAXED,
                                  __ATOMIC_RELAXED)) {
    call->error->site = site;
    call->error->args[0] = a;
    call->error->args[1] = b;
    for (int i = 2; i < (int)LATHE_ERROR_ARGS; ++i)
      call->error->args[i] = i;
  }
  return code;
}

static int64_t elements(const lathe_value *value) {
  int64_t count = 1;
  for (uint32_t i = 0; i < value->rank; ++i)
    count *= value->dims[i];
  return count;
}

/* ---- add: z = x + y * weight, in two regions with an intermediate in the arena --------------- */

static int32_t plan_add(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = call->inputs[0].dims[0];
  call->outputs[0].dims[1] = 4;
  plan->arena_bytes = (uint64_t)call->inputs[0].dims[0] * 4 * sizeof(float);
  return LATHE_CODE_OK;
}

static void scale_body(const uint64_t *args, int64_t begin, int64_t end) {
  const float *y = (const float *)args[1], *weight = (const float *)args[3];
  float *temporary = (float *)args[2];
  for (int64_t i = begin; i < end; ++i)
    temporary[i] = y[i] * weight[i % 4];
}

static void add_body(const uint64_t *args, int64_t begin, int64_t end) {
  const float *x = (const float *)args[0], *temporary = (const float *)args[2];
  float *z = (float *)args[4];
  for (int64_t i = begin; i < end; ++i)
    z[i] = x[i] + temporary[i];
}

static int32_t run_add(lathe_call *call) {
  uint64_t args[5] = {(uint64_t)call->inputs[0].data, (uint64_t)call->inputs[1].data,
                      (uint64_t)call->arena, (uint64_t)call->weights,
                      (uint64_t)call->outputs[0].data};
  int64_t count = elements(&call->inputs[0]);
  call->services->parallel(call, scale_body, args, count, 16);
  call->services->parallel(call, add_body, args, count, 16);
  return LATHE_CODE_OK;
}

/* ---- gather: an index out of range is reported out of a parallel body -------------------------
 */

static int32_t plan_gather(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = call->inputs[1].dims[0];
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static void gather_body(const uint64_t *args, int64_t begin, int64_t end) {
  const float *data = (const float *)args[0];
  const int64_t *indices = (const int64_t *)args[1];
  float *out = (float *)args[2];
  for (int64_t i = begin; i < end; ++i) {
    if (indices[i] < 0 || indices[i] >= 8) {
      report((lathe_call *)args[3], LATHE_CODE_INDEX, SITE_INDEX, indices[i], 8);
      return;
    }
    out[i] = data[indices[i]];
  }
}

static int32_t run_gather(lathe_call *call) {
  uint64_t args[4] = {(uint64_t)call->inputs[0].data, (uint64_t)call->inputs[1].data,
                      (uint64_t)call->outputs[0].data, (uint64_t)call};
  call->services->parallel(call, gather_body, args, call->inputs[1].dims[0], 1);
  return call->error->code;
}

/* ---- nonzero: an output, and a temporary, whose size depends on data --------------------------
 */

static int32_t plan_nonzero(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = LATHE_DYNAMIC;
  call->flags |= LATHE_CALL_ALLOCATES;
  plan->arena_bytes = 64;
  return LATHE_CODE_OK;
}

static int32_t run_nonzero(lathe_call *call) {
  const float *data = (const float *)call->inputs[0].data;
  int64_t count = call->inputs[0].dims[0], found = 0;
  int64_t *places = call->services->allocate(call, (uint64_t)count * sizeof(int64_t));
  if (!places)
    return report(call, LATHE_CODE_MEMORY, SITE_MEMORY, count, 0);
  for (int64_t i = 0; i < count; ++i)
    if (data[i] != 0)
      places[found++] = i;
  int64_t *out = call->services->allocate_output(call, 0, 1, &found);
  if (!out)
    return report(call, LATHE_CODE_MEMORY, SITE_MEMORY, found, 0);
  for (int64_t i = 0; i < found; ++i)
    out[i] = places[i];
  return LATHE_CODE_OK;
}

/* ---- wait: runs until cancelled
 * ----------------------------------------------------------------*/

static int32_t plan_none(lathe_call *call, lathe_plan *plan) {
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static void empty_body(const uint64_t *args, int64_t begin, int64_t end) {}

static int32_t run_wait(lathe_call *call) {
  while (!*call->cancel)
    call->services->parallel(call, empty_body, NULL, 4, 1);
  return LATHE_CODE_CANCELLED;
}

/* ---- nest: every iteration of a region runs a region ------------------------------------------
 */

static void inner_body(const uint64_t *args, int64_t begin, int64_t end) {
  __atomic_fetch_add((int64_t *)args[0], end - begin, __ATOMIC_RELAXED);
}

static void outer_body(const uint64_t *args, int64_t begin, int64_t end) {
  lathe_call *call = (lathe_call *)args[1];
  for (int64_t i = begin; i < end; ++i)
    call->services->parallel(call, inner_body, args, 10, 1);
}

static int32_t run_nest(lathe_call *call) {
  int64_t *sum = (int64_t *)call->outputs[0].data;
  *sum = 0;
  uint64_t args[2] = {(uint64_t)sum, (uint64_t)call};
  call->services->parallel(call, outer_body, args, 100, 1);
  return LATHE_CODE_OK;
}

/* ---- floats: the rounding mode as every iteration sees it --------------------------------------
 */

static uint32_t float_state(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr() & ~0x3fu;
#else
  uint64_t state;
  __asm__ volatile("mrs %0, fpcr" : "=r"(state));
  return (uint32_t)state;
#endif
}

static void floats_body(const uint64_t *args, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    ((uint32_t *)args[0])[i] = float_state();
  for (volatile int i = 0; i < 20000; ++i)
    ;
}

static int32_t run_floats(lathe_call *call) {
  uint64_t args[1] = {(uint64_t)call->outputs[0].data};
  call->services->parallel(call, floats_body, args, 64, 1);
  return LATHE_CODE_OK;
}

/* ---- fail: returns and reports what its input says {returned, recorded, site} ------------------
 */

static int32_t run_fail(lathe_call *call) {
  const int64_t *in = (const int64_t *)call->inputs[0].data;
  if (in[1])
    report(call, (int32_t)in[1], (uint32_t)in[2], -7, 0);
  return (int32_t)in[0];
}

/* ---- shapes: a plan that refuses, contradicts itself or overflows ------------------------------
 */

static int32_t plan_shapes(lathe_call *call, lathe_plan *plan) {
  int64_t size = call->inputs[0].dims[0];
  plan->arena_bytes = 0;
  call->outputs[0].dims[0] = size;
  if (size == 13)
    return report(call, LATHE_CODE_SHAPE, SITE_DIVISION, size, 0);
  if (size == 14)
    call->outputs[0].rank = 2;
  if (size == 15)
    call->outputs[0].dims[0] = INT64_MAX;
  if (size == 16)
    plan->arena_bytes = UINT64_MAX;
  return LATHE_CODE_OK;
}

static int32_t run_shapes(lathe_call *call) {
  int64_t wrong[2] = {5, 5};
  if (call->inputs[0].dims[0] == 17 && !call->services->allocate_output(call, 0, 1, wrong))
    return LATHE_CODE_MEMORY;
  return LATHE_CODE_OK;
}

/* ---- increment: the output may share the input's memory ----------------------------------------
 */

static int32_t run_increment(lathe_call *call) {
  for (int i = 0; i < 4; ++i)
    ((int32_t *)call->outputs[0].data)[i] = ((const int32_t *)call->inputs[0].data)[i] + 1;
  return LATHE_CODE_OK;
}

/* ---- sum: a state of its own memory, and one input more; fails where x[0] is negative
 * ------------
 */

static int32_t plan_sum(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = call->inputs[0].dims[0];
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static int32_t run_sum(lathe_call *call) {
  const float *x = (const float *)call->inputs[0].data, *old = (const float *)call->inputs[1].data;
  float *sum = (float *)call->outputs[0].data;
  for (int64_t i = 0; i < call->inputs[0].dims[0]; ++i)
    sum[i] = old[i] + x[i];
  if (call->inputs[1].data != call->states[0] && call->inputs[1].dims[0] == 3)
    return LATHE_CODE_RESHAPE; /* the test gives no other input of three */
  return x[0] < 0 ? report(call, LATHE_CODE_DIVISION, SITE_DIVISION, 0, 0) : LATHE_CODE_OK;
}

/* ---- append: a state that grows where it lies; two rows of at most 8 ----------------------------
 */

static int32_t plan_append(lathe_call *call, lathe_plan *plan) {
  call->outputs[0].dims[0] = 2;
  call->outputs[0].dims[1] = call->inputs[0].dims[1] + call->inputs[1].dims[1];
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static int32_t run_append(lathe_call *call) {
  const lathe_value *past = &call->inputs[0], *news = &call->inputs[1];
  lathe_value *present = &call->outputs[0];
  if (present->data != past->data || present->strides[0] != 8 || past->strides[0] != 8)
    return LATHE_CODE_RESHAPE;
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t i = 0; i < news->dims[1]; ++i)
      ((float *)present->data)[row * 8 + past->dims[1] + i] =
          ((const float *)news->data)[row * news->dims[1] + i];
  return LATHE_CODE_OK;
}

/* ---- keep: a state whose size depends on data: what is not zero
 * ----------------------------------
 */

static int32_t run_keep(lathe_call *call) { return run_nonzero(call); }

/* ---- length: of a sequence ----------------------------------------------------------------------
 */

static int32_t run_length(lathe_call *call) {
  *(int64_t *)call->outputs[0].data = call->inputs[0].dims[0];
  return LATHE_CODE_OK;
}

/* ---- sequence: the one that is given; of seven items it gives nothing ---------------------------
 */

static int32_t run_sequence(lathe_call *call) {
  const lathe_value *from = &call->inputs[0];
  lathe_value *to = &call->outputs[0];
  if (from->dims[0] == 7)
    return LATHE_CODE_OK;
  to->kind = from->kind;
  to->rank = 1;
  to->dims[0] = from->dims[0];
  to->data = from->data;
  return LATHE_CODE_OK;
}

/* ---- many: allocates in parallel bodies
 * ---------------------------------------------------------- */

static void many_body(const uint64_t *args, int64_t begin, int64_t end) {
  lathe_call *call = (lathe_call *)args[0];
  for (int64_t i = begin; i < end; ++i) {
    char *memory = call->services->allocate(call, 100);
    if (!memory)
      report(call, LATHE_CODE_MEMORY, SITE_MEMORY, i, 0);
    else
      memory[0] = memory[99] = 1;
  }
}

static int32_t plan_many(lathe_call *call, lathe_plan *plan) {
  call->flags |= LATHE_CALL_ALLOCATES;
  plan->arena_bytes = 0;
  return LATHE_CODE_OK;
}

static int32_t run_many(lathe_call *call) {
  uint64_t args[1] = {(uint64_t)call};
  call->services->parallel(call, many_body, args, 200, 1);
  return call->error->code;
}

/* ---- conjugate: complex numbers ------------------------------------------------------------- */

static int32_t run_conjugate(lathe_call *call) {
  const float *in = (const float *)call->inputs[0].data;
  float *out = (float *)call->outputs[0].data;
  for (int i = 0; i < 6; ++i)
    out[i] = i % 2 ? -in[i] : in[i];
  return LATHE_CODE_OK;
}

/* ---- The tables
 * ---------------------------------------------------------------------------------- */

#define DYNAMIC_DIM(symbol, min, max) {LATHE_DYNAMIC, symbol, min, max}
#define STATIC_DIM(size) {size, NULL, 0, INT64_MAX}

static const lathe_dim batch4[] = {DYNAMIC_DIM("batch", 0, 4096), STATIC_DIM(4)};
static const lathe_dim dim8[] = {STATIC_DIM(8)}, dim64[] = {STATIC_DIM(64)};
static const lathe_dim dim1[] = {STATIC_DIM(1)}, dim3[] = {STATIC_DIM(3)}, dim4[] = {STATIC_DIM(4)};
static const lathe_dim count[] = {DYNAMIC_DIM("count", 0, INT64_MAX)};
static const lathe_dim unnamed[] = {DYNAMIC_DIM(NULL, 0, INT64_MAX)};

#define TENSOR(name, dtype, rank, dims) {name, LATHE_VALUE_TENSOR, dtype, rank, -1, -1, 0, dims}

static const lathe_tensor_spec add_inputs[] = {TENSOR("x", LATHE_F32, 2, batch4),
                                               TENSOR("y", LATHE_F32, 2, batch4)};
static const lathe_tensor_spec add_outputs[] = {TENSOR("z", LATHE_F32, 2, batch4)};
static const lathe_tensor_spec gather_inputs[] = {TENSOR("data", LATHE_F32, 1, dim8),
                                                  TENSOR("indices", LATHE_I64, 1, count)};
static const lathe_tensor_spec gather_outputs[] = {TENSOR("out", LATHE_F32, 1, count)};
static const lathe_tensor_spec nonzero_inputs[] = {TENSOR("data", LATHE_F32, 1, count)};
static const lathe_tensor_spec nonzero_outputs[] = {TENSOR("places", LATHE_I64, 1, unnamed)};
static const lathe_tensor_spec scalar_i64[] = {TENSOR("value", LATHE_I64, 0, NULL)};
static const lathe_tensor_spec floats_outputs[] = {TENSOR("states", LATHE_U32, 1, dim64)};
static const lathe_tensor_spec fail_inputs[] = {TENSOR("what", LATHE_I64, 1, dim3)};
static const lathe_tensor_spec increment_inputs[] = {TENSOR("in", LATHE_I32, 1, dim4)};
static const lathe_tensor_spec increment_outputs[] = {
    {"out", LATHE_VALUE_TENSOR, LATHE_I32, 1, 0, -1, 0, dim4}};
static const lathe_tensor_spec length_inputs[] = {
    {"list", LATHE_VALUE_SEQUENCE, LATHE_F32, 0, -1, -1, 0, NULL}};
static const lathe_tensor_spec any_floats[] = {TENSOR("", LATHE_F32, LATHE_ANY_RANK, NULL)};
static const lathe_tensor_spec sequences[] = {
    {.name = "list", .kind = LATHE_VALUE_SEQUENCE, .alias = -1, .state = -1, .items = any_floats}};

static const lathe_dim width3[] = {DYNAMIC_DIM("width", 0, 64)};
static const lathe_dim past8[] = {STATIC_DIM(2), DYNAMIC_DIM("past", 0, 8)};
static const lathe_dim news8[] = {STATIC_DIM(2), DYNAMIC_DIM("new", 0, 8)};
#define STATE(name, dtype, rank, alias, number, layout, dims)                                      \
  {name, LATHE_VALUE_TENSOR, dtype, rank, alias, number, layout, dims}
static const lathe_tensor_spec sum_inputs[] = {
    TENSOR("x", LATHE_F32, 1, width3),
    STATE("sum", LATHE_F32, 1, -1, 0, LATHE_LAYOUT_CONTIGUOUS, width3)};
static const lathe_tensor_spec sum_outputs[] = {
    STATE("next", LATHE_F32, 1, -1, 0, LATHE_LAYOUT_CONTIGUOUS, width3)};
static const lathe_tensor_spec append_inputs[] = {
    STATE("past", LATHE_F32, 2, -1, 1, LATHE_LAYOUT_CAPACITY, past8),
    TENSOR("new", LATHE_F32, 2, news8)};
static const lathe_tensor_spec append_outputs[] = {
    STATE("present", LATHE_F32, 2, 0, 1, LATHE_LAYOUT_CAPACITY, past8)};
static const lathe_tensor_spec keep_outputs[] = {
    STATE("places", LATHE_I64, 1, -1, 2, LATHE_LAYOUT_CONTIGUOUS, unnamed)};

static const lathe_tensor_spec complex_values[] = {TENSOR("values", LATHE_C64, 1, dim3)};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ENTRY(name, plan, run, inputs, outputs)                                                    \
  {name, plan, run, COUNT(inputs), COUNT(outputs), inputs, outputs}

static const lathe_entry entries[] = {
    ENTRY("run", plan_add, run_add, add_inputs, add_outputs),
    ENTRY("gather", plan_gather, run_gather, gather_inputs, gather_outputs),
    ENTRY("nonzero", plan_nonzero, run_nonzero, nonzero_inputs, nonzero_outputs),
    {"wait", plan_none, run_wait, 0, 0, NULL, NULL},
    {"nest", plan_none, run_nest, 0, 1, NULL, scalar_i64},
    {"floats", plan_none, run_floats, 0, 1, NULL, floats_outputs},
    {"fail", plan_none, run_fail, 1, 0, fail_inputs, NULL},
    ENTRY("shapes", plan_shapes, run_shapes, nonzero_inputs, nonzero_outputs),
    ENTRY("increment", plan_none, run_increment, increment_inputs, increment_outputs),
    ENTRY("length", plan_none, run_length, length_inputs, scalar_i64),
    ENTRY("sequence", plan_none, run_sequence, sequences, sequences),
    {"many", plan_many, run_many, 0, 0, NULL, NULL},
    ENTRY("sum", plan_sum, run_sum, sum_inputs, sum_outputs),
    ENTRY("append", plan_append, run_append, append_inputs, append_outputs),
    ENTRY("keep", plan_nonzero, run_keep, nonzero_inputs, keep_outputs),
    ENTRY("conjugate", plan_none, run_conjugate, complex_values, complex_values),
};

#if defined(__x86_64__)
enum { BASE = LATHE_X86_V3, BETTER = LATHE_X86_V3 | LATHE_X86_V4 };
#else
enum { BASE = LATHE_AARCH64_BASE, BETTER = LATHE_AARCH64_BASE };
#endif

/* The three share their code; their weights tell which one was chosen. */
static const lathe_variant variants[] = {
    {"future", UINT64_C(1) << 40, 512, 64, COUNT(entries), 3, entries},
    {"better", BETTER, 0, 256, COUNT(entries), 3, entries},
    {"base", BASE, 256, 256, COUNT(entries), 3, entries},
};

static uint64_t zeroed[512];
uint64_t *const writable_data = zeroed;

__attribute__((visibility("default"))) extern const lathe_artifact lathe_artifact_table;
const lathe_artifact lathe_artifact_table = {LATHE_MAGIC,       LATHE_FORMAT_VERSION,
                                             LATHE_ABI_VERSION, sizeof(lathe_artifact),
                                             COUNT(variants),   variants,
                                             SITE_COUNT,        sites};

/* The same as --emit=obj makes it. */
static const float static_weights[144] __attribute__((aligned(LATHE_ALIGNMENT)));
__attribute__((visibility("default"))) extern const lathe_static_model lathe_model_test;
const lathe_static_model lathe_model_test = {
    sizeof(lathe_static_model), 0,    "test", &lathe_artifact_table, (const char *)static_weights,
    sizeof(static_weights),     "{}", 2};
