/* The contract between compiled code, the artifact file and the runtime.
 * Plain C11, included by the compiler, the runtime and the tests. Every struct has a fixed layout
 * (8-byte aligned, little endian); fields are only ever appended, and `size`/`version` fields tell
 * which are there. Licensed under Apache-2.0 WITH LLVM-exception. */
#ifndef LATHE_ARTIFACTFORMAT_H
#define LATHE_ARTIFACTFORMAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Format version log: 1 first version. */
#define LATHE_FORMAT_VERSION 1u
/* Version of lathe_call, lathe_value and lathe_services. */
#define LATHE_ABI_VERSION 1u
#define LATHE_MAX_RANK 16u
#define LATHE_ANY_RANK UINT32_MAX /* in specs of items only */
/* Sequences of sequences and so on nest this deep at most. */
#define LATHE_MAX_NESTING 4u
#define LATHE_ERROR_ARGS 6u
#define LATHE_DYNAMIC INT64_MIN
/* Buffers in the arena and weights start at a multiple of this. */
#define LATHE_ALIGNMENT 64u
/* Bytes of a string in the artifact's tables, its terminator included, at most. */
#define LATHE_MAX_STRING 4096u

/* ---- Values ------------------------------------------------------------------------------- */

/* Element types carry the numbers of ONNX TensorProto.DataType, so that no table maps them. */
enum {
  LATHE_F32 = 1,
  LATHE_U8 = 2,
  LATHE_I8 = 3,
  LATHE_U16 = 4,
  LATHE_I16 = 5,
  LATHE_I32 = 6,
  LATHE_I64 = 7,
  LATHE_STRING = 8,
  LATHE_BOOL = 9,
  LATHE_F16 = 10,
  LATHE_F64 = 11,
  LATHE_U32 = 12,
  LATHE_U64 = 13,
  LATHE_C64 = 14,
  LATHE_C128 = 15,
  LATHE_BF16 = 16,
  LATHE_F8E4M3FN = 17,
  LATHE_F8E4M3FNUZ = 18,
  LATHE_F8E5M2 = 19,
  LATHE_F8E5M2FNUZ = 20,
  LATHE_U4 = 21,
  LATHE_I4 = 22,
  LATHE_F4E2M1 = 23,
  LATHE_F8E8M0 = 24,
  LATHE_U2 = 25,
  LATHE_I2 = 26
};

enum lathe_value_kind {
  LATHE_VALUE_NONE = 0,
  LATHE_VALUE_TENSOR = 1,
  LATHE_VALUE_SEQUENCE = 2,
  LATHE_VALUE_OPTIONAL = 3,
  LATHE_VALUE_MAP = 4,
  LATHE_VALUE_STRINGS = 5
};

/* A tagged union. TENSOR: `data` points to the first element; dims and strides count elements.
 * STRINGS: a tensor whose elements are lathe_string; those of an output are the value's own. Bool
 * is one byte, 0 or 1.
 * SEQUENCE, OPTIONAL, MAP: of rank 1 and dtype 0; `data` points to an array of dims[0] lathe_value.
 * An OPTIONAL has none or one. A MAP has two, the keys (i64 or strings) and the values that belong
 * to them: tensors of rank 1 of one size. */
typedef struct lathe_value {
  uint32_t kind;
  uint32_t dtype;
  uint32_t rank;
  uint32_t device; /* 0: host memory; top bit: LATHE_VALUE_OWNED */
  void *data;
  int64_t dims[LATHE_MAX_RANK];
  int64_t strides[LATHE_MAX_RANK];
} lathe_value;

typedef struct lathe_string {
  const char *data;
  uint64_t size;
} lathe_string;

/* In `device`: the runtime's allocator owns `data`, and lathe_value_release frees it. Compiled code
 * never sees it. */
#define LATHE_VALUE_OWNED 0x80000000u

/* ---- The call ABI -------------------------------------------------------------------------- */

struct lathe_call;

/* A piece of parallel work: iterations [begin, end) of the region that `args` describes. */
typedef void (*lathe_body)(const uint64_t *args, int64_t begin, int64_t end);

/* What compiled code may ask of the runtime; the only way out of an artifact. */
typedef struct lathe_services {
  uint32_t version; /* LATHE_ABI_VERSION */
  uint32_t size;    /* sizeof(lathe_services) */
  /* Runs body over [0, count) in pieces of a multiple of `grain` iterations (the last may be
   * shorter), possibly on several threads, and returns when all are done. Pieces never depend on
   * results of each other. */
  void (*parallel)(struct lathe_call *, lathe_body, const uint64_t *args, int64_t count,
                   int64_t grain);
  /* Memory for a value whose size depends on data; aligned to LATHE_ALIGNMENT, freed by the runtime
   * after the call. NULL: out of memory or over the limit; compiled code then returns
   * LATHE_CODE_MEMORY. */
  void *(*allocate)(struct lathe_call *, uint64_t bytes);
  /* Sets the shape of an output whose shape depends on data and returns its memory. */
  void *(*allocate_output)(struct lathe_call *, uint32_t index, uint32_t rank, const int64_t *dims);
  /* Called before a dispatch where `*call->cancel` is not 0: the run is cancelled or traced. Names
   * the kernel, and its floating-point operations and bytes. Not LATHE_CODE_OK: compiled code
   * returns it. NULL: the run is cancelled. */
  int32_t (*attend)(struct lathe_call *, const char *kernel, uint64_t flops, uint64_t bytes);
  /* Called on the way back in loops, whose iterations may need no other service: looks at the
   * deadline. Not LATHE_CODE_OK: compiled code returns it. NULL: nothing to look at. */
  int32_t (*poll)(struct lathe_call *);
  /* How many threads `parallel` uses at most, at least 1. May be asked for by `plan`, too. Absent
   * in runtimes whose `reserved` is longer, where it is NULL. */
  uint32_t (*threads)(struct lathe_call *);
  /* For code of a lathe_device_variant alone, NULL elsewhere. Begins kernel number `kernel` of the
   * variant, in order after those before, for `count` items: its parameters are `arg_count` numbers
   * of 64 bits, of which the runtime sets the first to the address of a lathe_error that the device
   * can write, and the last is `count`. A fault that a kernel notes there ends the run with its
   * code, though no sooner than the host waits. Not LATHE_CODE_OK: compiled code returns it. */
  int32_t (*launch)(struct lathe_call *, uint32_t kernel, uint64_t *args, uint32_t arg_count,
                    int64_t count);
  /* For such code as well. Copies after what was launched before, and before what is launched next.
   * Memory of the device, which the host touches in no other way, is the arena, the weights, the
   * data of tensors among inputs and outputs (not that of strings or C128, which stays with the
   * host), and what `allocate_device` gives. Not LATHE_CODE_OK, also where a kernel has found a
   * fault: compiled code returns it. */
  int32_t (*copy)(struct lathe_call *, void *to, const void *from, uint64_t bytes,
                  uint32_t direction);
  /* As `allocate`, for what kernels on the device read and write. */
  void *(*allocate_device)(struct lathe_call *, uint64_t bytes);
  void *reserved[6]; /* rare helpers */
} lathe_services;

enum lathe_copy_direction {
  LATHE_COPY_TO_HOST = 1,   /* done when it returns; waits for all that was launched */
  LATHE_COPY_TO_DEVICE = 2, /* the host may use its memory again when it returns */
  LATHE_COPY_ON_DEVICE = 3
};

/* Codes that compiled code returns; 0 is success. */
enum lathe_code {
  LATHE_CODE_OK = 0,
  LATHE_CODE_SHAPE = 1,     /* an input's shape does not fit the model */
  LATHE_CODE_INDEX = 2,     /* an index in the data is out of range */
  LATHE_CODE_DIVISION = 3,  /* integer division by zero or INT_MIN / -1 */
  LATHE_CODE_RESHAPE = 4,   /* a run-time shape cannot be applied */
  LATHE_CODE_SIZE = 5,      /* a size is negative or overflows */
  LATHE_CODE_MEMORY = 6,    /* an allocation was refused */
  LATHE_CODE_CANCELLED = 7, /* the cancel flag was seen */
  LATHE_CODE_LOOP = 8,      /* a loop count is over its limit */
  LATHE_CODE_TEXT = 9,      /* a string is not what it must be */
  LATHE_CODE_DEVICE = 10    /* a device failed */
};

/* Where and why compiled code failed. Writers in parallel bodies claim it by compare-and-swap of
 * `code` from 0; the first one wins. `site` indexes lathe_artifact.sites. Kernels of a device have
 * one of their own, and of all that is found in a run what they noted was first: the host waits
 * before it looks at anything they wrote. */
typedef struct lathe_error {
  int32_t code;
  uint32_t site;
  int64_t args[LATHE_ERROR_ARGS];
} lathe_error;

/* Bits of lathe_call.flags. */
enum {
  /* Set by `plan`: `run` asks for temporary memory of a size that depends on data. */
  LATHE_CALL_ALLOCATES = 1
};

typedef struct lathe_call {
  uint32_t abi_version; /* LATHE_ABI_VERSION */
  uint32_t flags;       /* LATHE_CALL_ALLOCATES; 0 when `plan` is called */
  const lathe_value *inputs;
  lathe_value *outputs;
  char *arena; /* at least plan->arena_bytes, aligned to LATHE_ALIGNMENT */
  uint64_t arena_bytes;
  const char *weights; /* base of this variant's weights */
  void *const *states; /* lathe_variant.state_count: memory of each state as the run begins */
  const lathe_services *services;
  void *runtime;                   /* the runtime's own; opaque to compiled code */
  const volatile uint32_t *cancel; /* read between dispatches; not 0: call services->attend */
  lathe_error *error;
} lathe_call;

/* What a run will need; filled by lathe_entry.plan from the inputs' dims alone (no data is read).
 * Output dims that depend on data are LATHE_DYNAMIC. */
typedef struct lathe_plan {
  uint64_t arena_bytes;
} lathe_plan;

/* plan: checks the inputs' dims, writes the outputs' rank and dims, and the arena's size.
 * run: executes; the outputs' data pointers are set by the caller, except where plan said
 * LATHE_DYNAMIC. Both return a lathe_code and on failure fill call->error. */
typedef int32_t (*lathe_plan_fn)(lathe_call *, lathe_plan *);
typedef int32_t (*lathe_run_fn)(lathe_call *);

/* ---- The table that an artifact exports ----------------------------------------------------- */

#define LATHE_TABLE_SYMBOL "lathe_artifact_table"
#define LATHE_MAGIC UINT64_C(0x004556414c48544c)   /* arbitrary, never changes */
#define LATHE_SECTION_WEIGHTS ".lathe.weights"     /* non-alloc, file offset aligned to 64 KiB */
#define LATHE_SECTION_MANIFEST ".lathe.manifest"   /* non-alloc, JSON */
#define LATHE_SECTION_DIGESTS ".lathe.digests"     /* non-alloc, lathe_digest[] */
#define LATHE_SECTION_SIGNATURE ".lathe.signature" /* non-alloc, optional; see lathe-c/Sign.h */

/* One dimension of a tensor's type. */
typedef struct lathe_dim {
  int64_t size;       /* LATHE_DYNAMIC: known when running */
  const char *symbol; /* name of the symbolic dimension, or NULL */
  int64_t min, max;   /* bounds of a dynamic dimension; max INT64_MAX: none */
} lathe_dim;

/* How the elements of an entry's tensor lie in memory. */
enum lathe_layout {
  LATHE_LAYOUT_CONTIGUOUS = 0, /* row-major, no gaps */
  /* States only: the strides of a contiguous tensor that has `max` elements in each dynamic dim, so
   * that it grows where it lies. Every dynamic dim has a max. */
  LATHE_LAYOUT_CAPACITY = 1
};

/* A state is a tensor that stays in the context between runs: the output with its number is what
 * the next run's input with the same number finds (of any entry; at first: zeros, dynamic dims as
 * other inputs say by their symbols, else `min`). At most one input and one output of an entry have
 * the same number. Contiguous states have memory of their own for the output; those of layout
 * CAPACITY have one, where the output is written over the input: what compiled code leaves alone
 * is kept, and appending copies nothing. */
typedef struct lathe_tensor_spec {
  const char *name; /* "" of what another value holds */
  uint32_t kind;    /* lathe_value_kind */
  uint32_t dtype;
  uint32_t rank;
  int32_t alias;   /* outputs: the input whose memory it may share, -1: none */
  int32_t state;   /* number of the state that it reads (inputs) or writes (outputs), -1: none */
  uint32_t layout; /* lathe_layout */
  union {
    const lathe_dim *dims; /* tensors: `rank` of them */
    /* What another value, whose dtype and rank are 0, holds. SEQUENCE, OPTIONAL: one spec, MAP:
     * two, of keys and values; NULL: anything. In it kind NONE stands for any value (of a sequence
     * that is always empty), rank LATHE_ANY_RANK for any rank, and dims have no symbols. */
    const struct lathe_tensor_spec *items;
  };
} lathe_tensor_spec;

typedef struct lathe_entry {
  const char *name; /* "run" */
  lathe_plan_fn plan;
  lathe_run_fn run;
  uint32_t input_count, output_count;
  const lathe_tensor_spec *inputs;
  const lathe_tensor_spec *outputs;
} lathe_entry;

/* Processor features that a variant needs, as bits. */
enum {
  LATHE_X86_V3 = 1,        /* AVX2, FMA, BMI2, F16C */
  LATHE_X86_V4 = 2,        /* AVX-512 F BW CD DQ VL */
  LATHE_X86_VNNI = 4,      /* AVX512_VNNI */
  LATHE_X86_BF16 = 8,      /* AVX512_BF16 */
  LATHE_X86_AMX_BF16 = 16, /* AMX_TILE, AMX_BF16, and leave of the kernel to use the tiles */
  LATHE_AARCH64_BASE = 256 /* Armv8-A with Advanced SIMD */
};

/* Compiled code for one processor level. Variants are listed best first; the runtime takes the
 * first whose features the host has. */
typedef struct lathe_variant {
  const char *name; /* "x86-64-v4" */
  uint64_t features;
  uint64_t weights_offset, weights_bytes; /* within the weights section */
  uint32_t entry_count;
  uint32_t state_count; /* shared by all entries */
  const lathe_entry *entries;
} lathe_variant;

/* What an image of device code is. */
enum lathe_image_kind {
  LATHE_IMAGE_PTX = 1,     /* text for an NVIDIA driver, terminated */
  LATHE_IMAGE_CUBIN = 2,   /* for one NVIDIA architecture */
  LATHE_IMAGE_HSACO = 3,   /* for one AMD architecture */
  LATHE_IMAGE_EMULATOR = 4 /* the same kernels for the host: an array of lathe_emulated_kernel */
};

typedef struct lathe_image {
  uint32_t kind; /* lathe_image_kind */
  uint32_t reserved;
  const void *data;
  uint64_t bytes; /* of all of it */
} lathe_image;

/* A number that a launch gives: `constant` times those of its parameters that `factors` number, up
 * to the first 0. */
#define LATHE_SIZE_FACTORS 4u
typedef struct lathe_launch_size {
  uint64_t constant;
  uint32_t factors[LATHE_SIZE_FACTORS];
} lathe_launch_size;

/* A tensor in memory, of which the device copies boxes for a kernel (cuTensorMapEncodeTiled). Each
 * launch makes it anew, and hands it to the kernel as LATHE_MAP_BYTES behind its parameters.
 * Dimension 0 is the one whose elements are neighbours. Elements outside of the tensor are 0. */
#define LATHE_MAP_RANK 5u
#define LATHE_MAP_BYTES 128u
typedef struct lathe_tensor_map {
  uint32_t buffer;  /* the parameter that is its address, */
  uint32_t dtype;   /* of 1, 2, 4 or 8 bytes */
  uint64_t offset;  /* and the bytes from there to the first element */
  uint32_t rank;    /* 1 to LATHE_MAP_RANK */
  uint32_t swizzle; /* 0, or rows of so many bytes (32, 64, 128) whose pieces of 16 change places */
  lathe_launch_size sizes[LATHE_MAP_RANK];
  lathe_launch_size strides[LATHE_MAP_RANK]; /* in elements; that of dimension 0 is not looked at */
  uint32_t box[LATHE_MAP_RANK];              /* 1 to 256 elements */
  uint32_t reserved;
} lathe_tensor_map;

typedef struct lathe_device_kernel {
  const char *name; /* in the images as well */
  uint32_t arg_count;
  uint32_t block_threads;
  uint32_t block_items;  /* a launch has ceil(count / block_items) blocks */
  uint32_t shared_bytes; /* that the threads of a block share; in the images as well, but of PTX
                            where they are more than LATHE_MOST_STATIC_SHARED: all of them are asked
                            for by the launch. Not 0: the threads wait for each other */
  uint32_t tensor_map_count;
  uint32_t reserved;
  const lathe_tensor_map *tensor_maps;
} lathe_device_kernel;

#define LATHE_MOST_STATIC_SHARED 49152

/* Of the host program of a device. 1 and 2 were in use before the first release. */
enum lathe_device_flags {
  /* Behind the parameters of a launch stand as many numbers again: how many bytes lie behind the
   * address that a parameter is, or 0 where it is none or that is not known. */
  LATHE_DEVICE_EXTENTS = 4,
  /* The host program does more than launch: it may copy values to itself, and go on by what they
   * are or compute others. Runs of it are not recorded. */
  LATHE_DEVICE_HOST_LOOKS = 8
};

/* Code for a device and the host program that drives it. */
typedef struct lathe_device_variant {
  lathe_variant host; /* its name is the device's: "nvidia:sm_80" */
  uint32_t kernel_count;
  uint32_t image_count;
  const lathe_device_kernel *kernels;
  const lathe_image *images;
  uint32_t flags; /* LATHE_DEVICE_... */
  uint32_t reserved;
} lathe_device_variant;

/* Instructions that multiply small matrices, of 16 rows by 8 or 16 columns, by all lanes of a warp
 * together: a unit and what its operands are. Those are f16 where nothing is added. */
enum lathe_matrix_unit {
  LATHE_MATRIX_MMA_SYNC = 1,
  LATHE_MATRIX_MFMA = 2,
  LATHE_MATRIX_WMMA = 3,
  LATHE_MATRIX_WMMA_GFX12 = 4,
  LATHE_MATRIX_MFMA_GFX942 = 5, /* where it differs from that of gfx90a */
  LATHE_MATRIX_BF16 = 16,
  LATHE_MATRIX_TF32 = 32,  /* f32, of which ten bits of the mantissa count */
  LATHE_MATRIX_INT8 = 48,  /* signed; sums are i32 */
  LATHE_MATRIX_FP8 = 64,   /* e4m3 */
  LATHE_MATRIX_UNITS = 15, /* masks */
  LATHE_MATRIX_KINDS = 240,
  LATHE_MATRIX_LEFT_OTHER = 256, /* added: the left operand is unsigned, or e5m2 */
  LATHE_MATRIX_RIGHT_OTHER = 512
};

/* What the operands of multiply_shared are. */
enum lathe_product_flags {
  LATHE_PRODUCT_BF16 = 1,             /* numbers of bf16, not f16 */
  LATHE_PRODUCT_LEFT_TRANSPOSED = 2,  /* rows lie together, not what is added up */
  LATHE_PRODUCT_RIGHT_TRANSPOSED = 4, /* columns do */
  LATHE_PRODUCT_LEFT_REGISTERS = 8    /* `left` is the address of the thread's 8 numbers */
};

/* One thread of a kernel, as the emulator runs it. */
typedef struct lathe_emulated_thread {
  uint32_t thread, block, block_threads, block_count;
  char *shared; /* lathe_device_kernel.shared_bytes of the block */
  /* Whether `bytes` at `address` are memory of the device and `address` is a multiple of
   * `alignment`. If so, stores the memory that they are part of to `range`: begin and end.
   * If not, the fault is noted, and the thread ends. `access`: 1 for a write, and in bits 8 to 31
   * the number of the parameter, counted from 1, that the address is based on; 0: nobody knows. */
  int32_t (*check)(struct lathe_emulated_thread *, const void *address, uint64_t bytes,
                   uint32_t alignment, uint32_t access, const char **range);
  /* Returns when all threads of the block have called it. 0: the thread ends. */
  int32_t (*barrier)(struct lathe_emulated_thread *);
  /* Returns when all lanes of the warp have called it, with result = sums + left * right in the
   * registers of each: 16-bit numbers, sums of 32 bits. 0: the thread ends. */
  int32_t (*multiply)(struct lathe_emulated_thread *, uint32_t unit, const void *left,
                      const void *right, const void *sums, void *result);
  /* Begins to copy to shared memory: of `bytes` (4, 8 or 16) the first `valid` are read, the others
   * become 0. Nobody may look there before the thread waits for it. 0: the thread ends. */
  int32_t (*copy)(struct lathe_emulated_thread *, void *to, const void *from, uint32_t bytes,
                  uint32_t valid);
  /* The copies that the thread began since it last did this are its next group. */
  int32_t (*commit_copies)(struct lathe_emulated_thread *);
  /* Returns when all of the thread's groups but the last `groups` have arrived. */
  int32_t (*wait_copies)(struct lathe_emulated_thread *, uint32_t groups);
  /* Returns when all lanes of the warp have called it: `count` (1, 2 or 4) matrices of 8 x 8
   * numbers of 16 bits in shared memory, whose rows begin where eight lanes say, are in their
   * registers. */
  int32_t (*load_matrices)(struct lathe_emulated_thread *, uint32_t count, uint32_t is_transposed,
                           const void *row, void *result);
  /* An address whose bits `watch_mask` are `watched` is checked at each access, also in a piece
   * that is known. */
  uint64_t watch_mask, watched;
  /* Begins sums + left * right once all threads of the warpgroup have called it: 64 rows, so many
   * columns, 16 numbers added up, of matrices in shared memory that their descriptors describe.
   * What is in `result` is of use to the next product and to the wait alone. 0: the thread ends. */
  int32_t (*multiply_shared)(struct lathe_emulated_thread *, uint32_t columns, uint32_t flags,
                             uint64_t left, uint64_t right, const float *sums, float *result);
  /* From here on products may take what the thread has in registers. */
  int32_t (*fence_products)(struct lathe_emulated_thread *);
  /* Products that begin behind the next barrier see what the thread has put in shared memory. */
  int32_t (*fence_shared)(struct lathe_emulated_thread *);
  /* The products that the thread began since it last did this are its next group. */
  int32_t (*commit_products)(struct lathe_emulated_thread *);
  /* Returns when all of the thread's groups but the last `groups` are done, with the `count` sums
   * of those in `sums`. */
  int32_t (*wait_products)(struct lathe_emulated_thread *, uint32_t groups, uint32_t count,
                           float *sums);
  /* Makes 8 bytes of shared memory a barrier with phases, each of which ends when it has `count`
   * arrivals and as many bytes of tensor copies as they expect. */
  int32_t (*init_phases)(struct lathe_emulated_thread *, void *barrier, uint32_t count);
  /* Tensor copies may use the barriers that the thread has made. */
  int32_t (*fence_phases)(struct lathe_emulated_thread *);
  /* An arrival in the present phase, which expects `bytes` more. */
  int32_t (*arrive)(struct lathe_emulated_thread *, void *barrier, uint32_t bytes);
  /* Returns when the barrier's phase with this parity, of which the first has 0, is over: when the
   * present one has another. */
  int32_t (*wait_phase)(struct lathe_emulated_thread *, void *barrier, uint32_t parity);
  /* Begins to copy a box of a tensor, whose first element has these `rank` coordinates, to shared
   * memory. Nobody may look there before the phase of `barrier` in which its bytes arrive is over.
   */
  int32_t (*copy_tensor)(struct lathe_emulated_thread *, void *to, const void *map, void *barrier,
                         uint32_t rank, const int32_t *coordinates);
} lathe_emulated_thread;

/* Addresses of the tensor maps follow the parameters. */
typedef void (*lathe_emulated_kernel)(const uint64_t *args, lathe_emulated_thread *thread);

/* A place in the model that can fail at run time. `message` holds %0..%5 for the arguments:
 * "node 'Gather_3': index %0 is out of range for axis of size %1". */
typedef struct lathe_site {
  const char *message;
} lathe_site;

typedef struct lathe_artifact {
  uint64_t magic;
  uint32_t format_version;
  uint32_t abi_version;
  uint32_t size; /* sizeof(lathe_artifact) */
  uint32_t variant_count;
  const lathe_variant *variants;
  uint64_t site_count;
  const lathe_site *sites;
  /* From here on only where `size` says so. */
  uint64_t device_variant_count;
  const lathe_device_variant *device_variants; /* best first, for each kind of device */
} lathe_artifact;

/* A model that is linked into the program (`lathe compile --emit=obj,header`). */
typedef struct lathe_static_model {
  uint32_t size; /* sizeof(lathe_static_model) */
  uint32_t reserved;
  const char *name; /* for messages */
  const lathe_artifact *table;
  const char *weights; /* aligned to LATHE_ALIGNMENT */
  uint64_t weights_bytes;
  const char *manifest;    /* JSON, terminated */
  uint64_t manifest_bytes; /* without the terminator */
} lathe_static_model;

/* XXH3-128 (seed 0) of one section's bytes in the file. The digests section is an array, in any
 * order, with exactly one entry for
 *   - index 0, the file's headers: the ELF header, then the program headers, then the section
 *     headers, as if concatenated (so it is computed last, when these are final), and
 *   - every section but the null section, those of type NOBITS, and the digests section itself;
 *     sections of size 0 may be left out.
 * Weights and sections whose names begin with ".debug" are non-alloc and carry LATHE_DIGEST_VERIFY:
 * they are checked by `verify`, all others when loading. File bytes outside headers and sections
 * are padding: 0, or 0xCC in the gaps of code. */
#define LATHE_DIGEST_VERIFY 1u

typedef struct lathe_digest {
  uint32_t section; /* index in the section header table */
  uint32_t flags;   /* LATHE_DIGEST_VERIFY or 0 */
  uint64_t low, high;
} lathe_digest;

#ifdef __cplusplus
}
#endif

#endif /* LATHE_ARTIFACTFORMAT_H */
