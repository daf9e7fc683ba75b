/* The C API of the Lathe runtime: loads an artifact (`model.lathe`) and runs it.
 * C11; every name begins with `lathe_` or `LATHE_`. Apache-2.0 WITH LLVM-exception.
 *
 * Objects
 *   module   an artifact in memory: code, tables, mapped weights. Immutable; any thread may use it.
 *   context  one caller's state: arena, threads, cancel flag. Used by one thread at a time.
 *   value    a tensor, or a sequence, an optional or a map of values, that borrows memory or owns
 *            it (lathe_value, from ArtifactFormat.h).
 *   pool     threads; several contexts may share one.
 *   stream   a queue of runs beside the caller; several contexts may share one.
 *
 * Errors: a function that can fail returns a lathe_status_code (0 is success) and, where `status`
 * is not NULL, fills the caller's lathe_status with the same code and a message. On failure every
 * out-parameter is left alone, unless said otherwise. Nothing throws, prints or aborts.
 *
 * Ownership: who calls a `create` or `open` calls the matching `destroy`, `close` or `release`,
 * which accept NULL. Strings and specs that a module hands out live as long as the module.
 *
 * Versioning: structs of options and of answers begin with `size`, which the caller sets to sizeof;
 * fields are only ever appended, and zero always means the default. Of an answer only the fields
 * that fit in `size` are written. NULL in place of options: all defaults. The shared library's
 * symbols carry the version that brought them (LATHE_0.1). */
#ifndef LATHE_C_RUNTIME_H
#define LATHE_C_RUNTIME_H

#include "lathe/ArtifactFormat.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LATHE_API __attribute__((visibility("default")))
#else
#define LATHE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status -------------------------------------------------------------------------------- */

/* Numbered by origin: 1 to 99 the data of a run (the same numbers as lathe_code), 100 the caller,
 * 200 the artifact, 300 the system. */
enum lathe_status_code {
  LATHE_STATUS_OK = 0,

  LATHE_STATUS_SHAPE = LATHE_CODE_SHAPE,
  LATHE_STATUS_INDEX = LATHE_CODE_INDEX,
  LATHE_STATUS_DIVISION = LATHE_CODE_DIVISION,
  LATHE_STATUS_RESHAPE = LATHE_CODE_RESHAPE,
  LATHE_STATUS_SIZE = LATHE_CODE_SIZE,
  LATHE_STATUS_RUN_MEMORY = LATHE_CODE_MEMORY, /* out of memory, or over dynamic_limit */
  LATHE_STATUS_CANCELLED = LATHE_CODE_CANCELLED,
  LATHE_STATUS_LOOP = LATHE_CODE_LOOP,
  LATHE_STATUS_TEXT = LATHE_CODE_TEXT,
  LATHE_STATUS_DEVICE = LATHE_CODE_DEVICE, /* the module's device failed */
  LATHE_STATUS_DEADLINE = 90,              /* the context's deadline passed */
  LATHE_STATUS_MODEL = 99, /* compiled code returned a code that this runtime does not know */

  LATHE_STATUS_ARGUMENT = 100, /* NULL, an index out of range, a wrong option */
  LATHE_STATUS_TYPE = 101,     /* a value's kind or dtype is not what the model takes */
  LATHE_STATUS_LAYOUT = 102,   /* strides, alignment, overlap or device of a value */
  LATHE_STATUS_ARENA = 103,    /* the caller's arena is too small */
  LATHE_STATUS_PENDING = 104,  /* lathe_context_wait: the run is still going on */

  LATHE_STATUS_NOT_ARTIFACT = 200, /* not a file of ours, or one that breaks the format's rules */
  LATHE_STATUS_TRUNCATED = 201,
  LATHE_STATUS_ALTERED = 202,   /* a digest does not match */
  LATHE_STATUS_VERSION = 203,   /* another format version */
  LATHE_STATUS_MACHINE = 204,   /* for another machine */
  LATHE_STATUS_VARIANT = 205,   /* no variant that this processor can run */
  LATHE_STATUS_UNTRUSTED = 206, /* the caller's verifier refused it */

  LATHE_STATUS_IO = 300,
  LATHE_STATUS_MEMORY = 301,
  LATHE_STATUS_THREAD = 302 /* a thread could not be started */
};

/* What went wrong. Owned by the caller, who need not initialise or free it; a function that takes
 * one always fills it, also on success. */
typedef struct lathe_status {
  int32_t code;                   /* lathe_status_code */
  uint32_t site;                  /* codes 1 to 99: the failing place, else UINT32_MAX */
  int64_t args[LATHE_ERROR_ARGS]; /* codes 1 to 99: the numbers in the message */
  char message[968];              /* terminated; empty on success; cut when too long */
} lathe_status;

/* The name of a code, such as "truncated"; "unknown" for others. Static; any thread. */
LATHE_API const char *lathe_status_name(int32_t code);

/* ---- Version and host ---------------------------------------------------------------------- */

/* "0.1.0". Static; any thread. */
LATHE_API const char *lathe_version_string(void);

/* The artifact format that this runtime reads (LATHE_FORMAT_VERSION when it was built). */
LATHE_API uint32_t lathe_version_format(void);

/* Features of this processor that the operating system has enabled (LATHE_X86_V3, ...). */
LATHE_API uint64_t lathe_host_features(void);

/* Processors that this process may use, at least 1. */
LATHE_API uint32_t lathe_host_processors(void);

/* Writes the names of `features`, as "x86-64-v4, avx512-vnni", cut and terminated to `capacity`
 * bytes. Returns the length of the whole text without its terminator. Any thread. */
LATHE_API size_t lathe_features_format(uint64_t features, char *text, size_t capacity);

/* ---- Devices ------------------------------------------------------------------------------- */

/* What a device is. More kinds may come. */
enum lathe_device_kind {
  LATHE_DEVICE_CPU = 1,
  LATHE_DEVICE_CUDA = 2,    /* of NVIDIA */
  LATHE_DEVICE_HIP = 3,     /* of AMD */
  LATHE_DEVICE_EMULATOR = 4 /* lathe-c/Emulator.h */
};

/* Where values lie and runs happen. */
typedef struct lathe_device_info {
  uint32_t size; /* sizeof(lathe_device_info), set by the caller */
  uint32_t kind; /* lathe_device_kind */
  char name[64]; /* "AMD EPYC 9B14", terminated; cut when too long */
  uint32_t processors;
  uint32_t streams;  /* how many go on at the same time; there may be more (lathe_stream_create) */
  uint64_t features; /* LATHE_X86_V3, ... */
  uint64_t memory_bytes;
  char architecture[32]; /* of GPUs, what code is compiled for: "sm_90", "gfx942"; else empty */
} lathe_device_info;

/* Devices that this runtime can use. The number of a device is what lathe_value.device holds. So
 * far there is one, number 0: the host's processors and memory. Any thread. */
LATHE_API uint32_t lathe_device_count(void);

/* Fills `*info`. Any thread. ARGUMENT where there is no such device. */
LATHE_API int32_t lathe_device_query(uint32_t device, lathe_device_info *info,
                                     lathe_status *status);

/* A device that is none of those numbers: a GPU, or one from a library of its own
 * (lathe-c/Emulator.h). lathe_module_options.device takes it. */
typedef struct lathe_device lathe_device;

/* Opens the GPU that its driver gives this number: "cuda:0", "hip:0". The driver is looked for now:
 * libcuda.so.1, libamdhip64.so.7 to .5, or what the environment names (LATHE_CUDA_DRIVER,
 * LATHE_HIP_DRIVER), and stays loaded. The caller closes the device. Any thread. Failure: ARGUMENT
 * (no such number; also "cpu", as the host is NULL), MEMORY; DEVICE where there is no driver, or it
 * or the device is too old, or the driver fails. */
LATHE_API int32_t lathe_device_open(const char *name, lathe_device **device, lathe_status *status);

/* Fills `*info` of a device that is open. Any thread. */
LATHE_API int32_t lathe_device_describe(const lathe_device *device, lathe_device_info *info,
                                        lathe_status *status);

/* Gives the device up (NULL: nothing). Its memory goes when the last module opened for it is gone.
 */
LATHE_API void lathe_device_close(lathe_device *device);

/* "emulator:sm_80"; lives as long as the device. Any thread. */
LATHE_API const char *lathe_device_name(const lathe_device *device);

/* ---- Values -------------------------------------------------------------------------------- */

/* "f32", "i64", "bf16"; NULL for a number that is no dtype. Static; any thread. */
LATHE_API const char *lathe_dtype_name(uint32_t dtype);

/* Bits of one element: 4 for LATHE_I4, 8 for bool, 128 for a string (a lathe_string); 0 for a
 * number that is no dtype. Elements below a byte are packed, the first in the low bits. */
LATHE_API uint32_t lathe_dtype_bits(uint32_t dtype);

/* The dtype called `name`, 0 for none. */
LATHE_API uint32_t lathe_dtype_find(const char *name);

/* Memory for values, arenas and temporaries. `allocate` returns NULL on failure; `alignment` is a
 * power of two. `release` gets the same `bytes` again. A context calls them from any thread of a
 * run; a value, from the thread that releases it: both must be thread-safe. */
typedef struct lathe_allocator {
  void *user;
  void *(*allocate)(void *user, uint64_t bytes, uint64_t alignment);
  void (*release)(void *user, void *memory, uint64_t bytes);
} lathe_allocator;

/* Makes `value` a contiguous tensor that borrows `data` (LATHE_STRING: of lathe_string), which must
 * outlive its use. ARGUMENT on a bad dtype or rank, negative or overflowing dims. */
LATHE_API int32_t lathe_value_borrow(lathe_value *value, uint32_t dtype, uint32_t rank,
                                     const int64_t *dims, void *data, lathe_status *status);

/* Makes `value` a contiguous tensor of zeros that owns its memory, aligned to LATHE_ALIGNMENT, from
 * `allocator` (NULL: malloc), which must outlive the value. The caller releases it. */
LATHE_API int32_t lathe_value_create(lathe_value *value, uint32_t dtype, uint32_t rank,
                                     const int64_t *dims, const lathe_allocator *allocator,
                                     lathe_status *status);

/* How a tensor lies in memory. All zero but `size`: contiguous, in host memory. */
typedef struct lathe_value_layout {
  uint32_t size;   /* sizeof(lathe_value_layout) */
  uint32_t device; /* number of a device; only 0 so far */
  /* In elements, one for each dim, negative ones included (then `data` is not the lowest address);
   * NULL: row-major without gaps. Elements below a byte and strings take no strides. */
  const int64_t *strides;
  /* A power of two, at most 1 MiB, that the address of the first element is a multiple of. 0: of
   * borrowed memory nothing is asked, new memory is aligned to LATHE_ALIGNMENT. */
  uint64_t alignment;
  lathe_allocator allocator; /* of new memory; all zero: malloc */
} lathe_value_layout;

/* lathe_value_borrow of memory with any layout. ARGUMENT also on strides that reach too far or on
 * an unknown device, LAYOUT where `data` is not aligned as `layout` says. What a run takes as an
 * input must be contiguous: lathe_value_copy makes it so. */
LATHE_API int32_t lathe_value_borrow_layout(lathe_value *value, uint32_t dtype, uint32_t rank,
                                            const int64_t *dims, const lathe_value_layout *layout,
                                            void *data, lathe_status *status);

/* lathe_value_create with any layout; strides must not be negative. */
LATHE_API int32_t lathe_value_create_layout(lathe_value *value, uint32_t dtype, uint32_t rank,
                                            const int64_t *dims, const lathe_value_layout *layout,
                                            lathe_status *status);

/* Copies the elements of a tensor to where those of `to` lie, whatever the strides of both. They
 * have the same dtype and dims and share no memory; no strings. One thread per value. Failure:
 * ARGUMENT, TYPE, SHAPE, LAYOUT. */
LATHE_API int32_t lathe_value_copy(const lathe_value *from, const lathe_value *to,
                                   lathe_status *status);

/* Makes `value` a sequence, an optional or a map that borrows `items`, which must outlive its use
 * and stay the caller's to release, each for itself. ARGUMENT on another kind, or a count that it
 * cannot have (an optional: 0 or 1; a map: 2, keys and values). */
LATHE_API int32_t lathe_value_borrow_items(lathe_value *value, uint32_t kind, int64_t count,
                                           lathe_value *items, lathe_status *status);

/* Frees what `value` owns (nothing where it borrows) and sets it to LATHE_VALUE_NONE. Values may be
 * copied, but only one copy is to be released. A sequence, an optional or a map that a run made is
 * one block with all that it holds: it alone is released, and its items borrow from it. */
LATHE_API void lathe_value_release(lathe_value *value);

/* Number of elements, and of bytes when contiguous; -1 where value is NULL, no tensor, has negative
 * or too large dims. */
LATHE_API int64_t lathe_value_elements(const lathe_value *value);
LATHE_API int64_t lathe_value_bytes(const lathe_value *value);

/* 1 where the elements lie in row-major order without gaps, else 0. Strides that are all zero mean
 * contiguous as well, so that a caller need not fill them. */
LATHE_API int32_t lathe_value_contiguous(const lathe_value *value);

/* ---- Modules ------------------------------------------------------------------------------- */

typedef struct lathe_module lathe_module;

/* Bits of lathe_module_options.flags. */
enum lathe_module_flags {
  /* Only look: accepts an artifact of another machine or without a suitable variant, maps no code,
   * and makes no contexts. */
  LATHE_MODULE_INSPECT = 1
};

/* Bytes of an artifact. */
typedef struct lathe_bytes {
  const void *data;
  uint64_t bytes;
} lathe_bytes;

/* An artifact before it is trusted. What it points to lives during the call. */
typedef struct lathe_unverified {
  uint32_t size; /* sizeof(lathe_unverified) */
  uint32_t loaded_count, deferred_count;
  uint32_t reserved;
  const char *name;      /* its path, or the name that the caller gave */
  const void *signature; /* section ".lathe.signature"; NULL, and 0 bytes: it is not signed */
  uint64_t signature_bytes;
  /* What loading reads, in private memory that nobody can change afterwards: ELF header, program
   * headers, section headers, then the sections in their order (no digests, no signature). */
  const lathe_bytes *loaded;
  /* What it does not read, mapped from the file: weights and debug sections, in their order. To
   * look at them takes time in proportion. */
  const lathe_bytes *deferred;
} lathe_unverified;

/* The caller's policy on artifacts: liblathe-sign (lathe-c/Sign.h) has one for signatures. */
typedef struct lathe_verifier {
  void *user;
  /* Called by the thread that opens, when all digests are right and before anything of the artifact
   * is interpreted further or made executable. Returns 0 to trust it; else the artifact is refused
   * with UNTRUSTED and the text written to `reason` (terminated; at most `capacity` bytes). Must be
   * thread-safe where several threads open. */
  int32_t (*verify)(void *user, const lathe_unverified *artifact, char *reason, uint64_t capacity);
} lathe_verifier;

/* How to open an artifact; all zero but `size`: the best variant that this host can run. */
typedef struct lathe_module_options {
  uint32_t size;  /* sizeof(lathe_module_options) */
  uint32_t flags; /* lathe_module_flags */
  /* Take only the variant of this name ("x86-64-v3"), still provided the host can run it. */
  const char *variant;
  /* Act as if the host had only those of its features; 0: all of them. */
  uint64_t features;
  lathe_verifier verifier; /* all zero: whatever is undamaged is trusted. Not for static models */
  /* Run on this device, which the module keeps alive: takes the code in the file that fits it best,
   * and fails with VARIANT where none does. NULL: on the host. Contexts of the module use memory of
   * the device for all but inputs and outputs, which they copy; they take no arena. */
  lathe_device *device;
} lathe_module_options;

/* Loads an artifact. Code and tables are copied, checked and relocated; weights are mapped from the
 * file, which must not be changed in place while the module lives (replace it by rename). Loading
 * does not read the weights: see lathe_module_verify. Environment: LATHE_PERF=1 writes
 * /tmp/perf-PID.map for perf, LATHE_GDB=1 tells gdb of the functions. The caller closes the
 * module. Any thread.
 * Failure: IO, NOT_ARTIFACT, TRUNCATED, ALTERED, VERSION, MACHINE, VARIANT, UNTRUSTED, MEMORY. */
LATHE_API int32_t lathe_module_open(const char *path, const lathe_module_options *options,
                                    lathe_module **module, lathe_status *status);

/* The same from a seekable file descriptor, which is duplicated: the caller may close it. `name`
 * (NULL: "artifact") stands for the path in messages. */
LATHE_API int32_t lathe_module_open_fd(int fd, const char *name,
                                       const lathe_module_options *options, lathe_module **module,
                                       lathe_status *status);

/* The same from memory, aligned to LATHE_ALIGNMENT, that is borrowed until the module is gone:
 * weights are used in place. */
LATHE_API int32_t lathe_module_open_memory(const void *data, uint64_t bytes, const char *name,
                                           const lathe_module_options *options,
                                           lathe_module **module, lathe_status *status);

/* A model that is linked into the program: nothing is read, copied or checked but versions, as it
 * is trusted like the program's own code. `model` comes from the header that `lathe compile
 * --emit=obj,header` writes. */
LATHE_API int32_t lathe_module_open_static(const lathe_static_model *model,
                                           const lathe_module_options *options,
                                           lathe_module **module, lathe_status *status);

/* Gives the module up. Its memory goes when the last context made of it is destroyed. */
LATHE_API void lathe_module_close(lathe_module *module);

/* Checks the digests of weights and debug sections, which loading leaves out: reads all of them.
 * ALTERED names the section. Any thread. */
LATHE_API int32_t lathe_module_verify(const lathe_module *module, lathe_status *status);

/* The JSON manifest, terminated, with its length in `*bytes` (may be NULL); "" where there is none.
 */
LATHE_API const char *lathe_module_manifest(const lathe_module *module, uint64_t *bytes);

/* Code for one processor level, or for a device. */
typedef struct lathe_variant_info {
  uint32_t size;     /* sizeof(lathe_variant_info), set by the caller */
  uint32_t reserved; /* 0 */
  const char *name;
  uint64_t features;
  uint64_t weights_offset, weights_bytes;
  int32_t chosen;        /* 1: the one that contexts run */
  int32_t runnable;      /* 1: this host (as restricted by the options) could run it */
  int32_t device;        /* 1: it is for a device, and runs where one is given that it fits */
  uint32_t device_flags; /* for a device: lathe_device_flags */
} lathe_variant_info;

/* Variants in the file, best first, then those for devices. `info` returns ARGUMENT where `index`
 * is out of range. */
LATHE_API uint32_t lathe_module_variant_count(const lathe_module *module);
LATHE_API int32_t lathe_module_variant_info(const lathe_module *module, uint32_t index,
                                            lathe_variant_info *info, lathe_status *status);

/* Entry points of the chosen variant (of the first one, where INSPECT chose none). Out of range or
 * unknown: NULL, or -1 for `find`. */
LATHE_API uint32_t lathe_module_entry_count(const lathe_module *module);
LATHE_API const char *lathe_module_entry_name(const lathe_module *module, uint32_t entry);
LATHE_API int32_t lathe_module_entry_find(const lathe_module *module, const char *name);

/* Inputs and outputs of an entry. Counts are 0, specs NULL and `find` -1 where there is no such
 * thing. */
LATHE_API uint32_t lathe_module_input_count(const lathe_module *module, uint32_t entry);
LATHE_API uint32_t lathe_module_output_count(const lathe_module *module, uint32_t entry);
LATHE_API const lathe_tensor_spec *lathe_module_input_spec(const lathe_module *module,
                                                           uint32_t entry, uint32_t index);
LATHE_API const lathe_tensor_spec *lathe_module_output_spec(const lathe_module *module,
                                                            uint32_t entry, uint32_t index);
LATHE_API int32_t lathe_module_input_find(const lathe_module *module, uint32_t entry,
                                          const char *name);
LATHE_API int32_t lathe_module_output_find(const lathe_module *module, uint32_t entry,
                                           const char *name);

/* Writes the type of a tensor, as "f32[batch,3,?]" or "sequence of f32[?]", cut and terminated to
 * `capacity` bytes. Returns the length of the whole text without its terminator. Any thread. */
LATHE_API size_t lathe_tensor_spec_format(const lathe_tensor_spec *spec, char *text,
                                          size_t capacity);

/* Code for a device in one of its forms. */
typedef struct lathe_image_info {
  uint32_t size;         /* sizeof(lathe_image_info), set by the caller */
  uint32_t kind;         /* lathe_image_kind */
  const void *data;      /* lives as long as the module */
  uint64_t bytes;        /* EMULATOR: of the table, whose code is part of the artifact's own */
  uint32_t kernel_count; /* the same in all images of the variant */
  uint32_t reserved;     /* 0 */
} lathe_image_info;

/* Images of a variant, none where it is for a processor. `info` returns ARGUMENT where `variant` or
 * `index` is out of range. */
LATHE_API uint32_t lathe_module_image_count(const lathe_module *module, uint32_t variant);
LATHE_API int32_t lathe_module_image_info(const lathe_module *module, uint32_t variant,
                                          uint32_t index, lathe_image_info *info,
                                          lathe_status *status);

/* A section of the file. */
typedef struct lathe_section_info {
  uint32_t size;     /* sizeof(lathe_section_info), set by the caller */
  uint32_t reserved; /* 0 */
  const char *name;
  uint64_t offset, bytes; /* in the file; bytes is the size in memory where type is NOBITS (8) */
  uint32_t type;          /* ELF sh_type */
  int32_t loaded;         /* 1: part of the image in memory */
} lathe_section_info;

/* Sections, in the order of the section header table. */
LATHE_API uint32_t lathe_module_section_count(const lathe_module *module);
LATHE_API int32_t lathe_module_section_info(const lathe_module *module, uint32_t index,
                                            lathe_section_info *info, lathe_status *status);

/* Bytes of the file, and of the image (code, tables, data) that the module holds in memory. */
LATHE_API uint64_t lathe_module_file_bytes(const lathe_module *module);
LATHE_API uint64_t lathe_module_image_bytes(const lathe_module *module);

/* The function of the artifact that contains `address`, or NULL. Any thread. */
LATHE_API const char *lathe_module_symbol(const lathe_module *module, const void *address);

/* ---- Pools --------------------------------------------------------------------------------- */

typedef struct lathe_pool lathe_pool;

/* A pool in which `threads` threads work, the caller's own among them: it starts threads - 1.
 * 0: one per processor. Idle threads spin for some microseconds, then sleep. The caller destroys
 * it, after the contexts that use it. At most 1024. Failure: ARGUMENT, MEMORY, THREAD. */
LATHE_API int32_t lathe_pool_create(uint32_t threads, lathe_pool **pool, lathe_status *status);
LATHE_API void lathe_pool_destroy(lathe_pool *pool);
LATHE_API uint32_t lathe_pool_threads(const lathe_pool *pool);

/* ---- Streams ------------------------------------------------------------------------------- */

typedef struct lathe_stream lathe_stream;

/* A queue of runs beside the caller: what lathe_context_run_async starts in contexts that name it
 * (lathe_context_options.stream) runs one after another, in the order of these calls, each with its
 * completion. On processors (`device` 0) that is one thread, which a context's pool helps. The
 * caller destroys it, after the contexts that use it. A completion of its runs must not destroy a
 * context of it, nor wait for it. A forked child cannot use it, but may destroy it. Failure:
 * ARGUMENT, MEMORY, THREAD. */
LATHE_API int32_t lathe_stream_create(uint32_t device, lathe_stream **stream, lathe_status *status);
LATHE_API void lathe_stream_destroy(lathe_stream *stream);

/* Waits until all runs that are in the stream now have ended, successfully or not, completions
 * included, for `timeout_ns` at most (negative: as long as it takes). PENDING where some go on.
 * Any thread. */
LATHE_API int32_t lathe_stream_wait(lathe_stream *stream, int64_t timeout_ns, lathe_status *status);

/* ---- Contexts ------------------------------------------------------------------------------ */

typedef struct lathe_context lathe_context;

/* The caller's own threads. `parallel` calls task(argument) at least once and at most `width`
 * times, on any threads (its own among them) at the same time, and returns when all calls have. */
typedef struct lathe_executor {
  void *user;
  uint32_t width; /* how many calls make sense: the number of threads */
  uint32_t reserved;
  void (*parallel)(void *user, uint32_t width, void (*task)(void *argument), void *argument);
} lathe_executor;

/* How much a note matters. */
enum lathe_log_level { LATHE_LOG_INFO = 0, LATHE_LOG_WARNING = 1 };

/* Receives notes, such as an arena that grew. Called by the thread that uses the context. */
typedef struct lathe_logger {
  void *user;
  void (*log)(void *user, int32_t level, const char *message);
} lathe_logger;

/* Receives what a run does, for profiles, from the thread that runs; times are CLOCK_MONOTONIC in
 * ns. Either function may be NULL. */
typedef struct lathe_tracer {
  void *user;
  /* A parallel region: `body` is the address of its function (see lathe_module_symbol). */
  void (*region)(void *user, const void *body, int64_t count, int64_t begin_ns, int64_t end_ns);
  /* A kernel, parallel or not, up to the start of the next one: its name, which lives as long as
   * the module, its floating-point operations and the bytes of the tensors that it touches. */
  void (*dispatch)(void *user, const char *kernel, uint64_t flops, uint64_t bytes, int64_t begin_ns,
                   int64_t end_ns);
} lathe_tracer;

/* A context's threads, memory and limits; all zero but `size`: one thread per processor, malloc. */
typedef struct lathe_context_options {
  uint32_t size;    /* sizeof(lathe_context_options) */
  uint32_t threads; /* 1: only the caller's; 0: one per processor. Not used with pool, executor */
  lathe_pool *pool; /* shared threads; must outlive the context. NULL: the context's own */
  /* Memory for intermediates, aligned to LATHE_ALIGNMENT, borrowed while the context lives. With
   * one, the context never allocates an arena of its own: too small is LATHE_STATUS_ARENA. */
  void *arena;
  uint64_t arena_bytes;
  /* Bytes that one run may allocate for values whose size depends on data; 0: 1 GiB. */
  uint64_t dynamic_limit;
  lathe_allocator allocator; /* all zero: malloc */
  lathe_executor executor;   /* all zero: none */
  lathe_logger logger;       /* all zero: none */
  lathe_tracer tracer;       /* all zero: none */
  /* Where lathe_context_run_async runs: calls task(argument) once and soon, on a thread of the
   * caller's, and returns without waiting for it. NULL: on a thread of the context's own, which
   * starts with the first such run. */
  void (*submit)(void *user, void (*task)(void *argument), void *argument);
  void *submit_user;
  /* Or in this queue, which contexts may share; must outlive the context. NULL: none. */
  lathe_stream *stream;
} lathe_context_options;

/* A context on `module`, which it keeps alive. Any thread; the caller destroys it, when no call is
 * in progress in it; a lathe_context_run_async is cancelled and waited for. Failure: ARGUMENT,
 * MEMORY, THREAD. */
LATHE_API int32_t lathe_context_create(lathe_module *module, const lathe_context_options *options,
                                       lathe_context **context, lathe_status *status);
LATHE_API void lathe_context_destroy(lathe_context *context);

/* What a run with inputs of such dims needs, without running: fills `outputs` (an array as long as
 * the entry has outputs) with kind, dtype, dims and strides but no data, and `*arena_bytes`; either
 * may be NULL. Dims that depend on data are LATHE_DYNAMIC. Only kind, dtype, rank and dims of the
 * inputs are looked at. One thread per context. Failure: as lathe_context_run. */
LATHE_API int32_t lathe_context_plan(lathe_context *context, uint32_t entry,
                                     const lathe_value *inputs, uint32_t input_count,
                                     lathe_value *outputs, uint64_t *arena_bytes,
                                     lathe_status *status);

/* What the runtime's allocator is asked for in a run, beyond what the module holds. */
typedef struct lathe_memory_info {
  uint32_t size; /* sizeof(lathe_memory_info), set by the caller */
  /* 1: values whose size depends on data, outputs (strings among them) or temporaries, come on top,
   * at most dynamic_limit */
  uint32_t dynamic;
  uint64_t
      arena_bytes; /* as lathe_context_plan says; 0 of the context's where it is the caller's */
  uint64_t output_bytes; /* of outputs that are left zeroed; those supplied cost nothing */
  uint64_t state_bytes;  /* states, in full */
  uint64_t peak_bytes;   /* of all, at the same time */
} lathe_memory_info;

/* The memory that a run with inputs of such dims holds, without running: exact, and where `dynamic`
 * is 0 all there is. Only kind, dtype, rank and dims of the inputs are looked at. One thread per
 * context. Failure: as lathe_context_run. */
LATHE_API int32_t lathe_context_memory(lathe_context *context, uint32_t entry,
                                       const lathe_value *inputs, uint32_t input_count,
                                       lathe_memory_info *info, lathe_status *status);

/* Makes the context's arena at least `bytes` large, so that later runs need not. No effect where
 * the caller supplied the arena: ARENA if that is smaller. One thread per context. */
LATHE_API int32_t lathe_context_reserve(lathe_context *context, uint64_t bytes,
                                        lathe_status *status);

/* Runs an entry. Inputs are borrowed until it returns; they are contiguous and aligned to their
 * elements (complex numbers and strings as their halves). Each output is either
 *   zeroed (LATHE_VALUE_NONE): the runtime allocates it and the caller releases the value; strings,
 *   sequences, optionals and maps always come so; or
 *   a tensor with data: the result is written there. Its dtype, rank and dims must be the planned
 *   ones; where the plan says LATHE_DYNAMIC, its dims are the capacity, and become the real ones.
 * With outputs and arena supplied nothing is allocated, but for values whose size depends on data.
 * An output shares memory with an input only where its spec's `alias` allows it.
 * Tensors whose spec has a `state` stay in the context: leave such an input zeroed to go on from
 * the last run that succeeded, or give a tensor to go on from that; leave such an output zeroed: it
 * comes back as a tensor that borrows the state's memory (look at its strides) until the next run.
 * The floating-point environment is set to the default for the run and restored.
 * One thread per context. On failure `outputs` is left as it was, what memory they borrow may have
 * been written, and the context stays usable.
 * Failure: 1 to 99 as the model says, ARGUMENT, TYPE, LAYOUT, ARENA, MEMORY. */
LATHE_API int32_t lathe_context_run(lathe_context *context, uint32_t entry,
                                    const lathe_value *inputs, uint32_t input_count,
                                    lathe_value *outputs, uint32_t output_count,
                                    lathe_status *status);

/* Makes later runs with inputs of such dims as fast as they get: reads the weights into memory,
 * touches the arena, and runs once, keeping neither outputs nor states, and counting nothing in the
 * statistics. (An entry whose states lie in LATHE_LAYOUT_CAPACITY is not run, as that would write
 * to them.) One thread per context. Failure: as lathe_context_run. */
LATHE_API int32_t lathe_context_warm_up(lathe_context *context, uint32_t entry,
                                        const lathe_value *inputs, uint32_t input_count,
                                        lathe_status *status);

/* Told when a run that lathe_context_run_async started has ended. */
typedef struct lathe_completion {
  void *user;
  /* Called once, on the thread that ran, also when the run failed. `status` is valid until it
   * returns. It may start the context's next run, but not destroy the context. NULL: nobody is
   * told. */
  void (*done)(void *user, const lathe_status *status);
} lathe_completion;

/* lathe_context_run beside the caller: returns at once. The array `outputs` and what inputs and
 * outputs borrow must stay until the run has ended; the array `inputs` is copied. Until then the
 * context is in use, as if by another thread. `completion` (copied) may be NULL. Failure here, with
 * nothing started and nobody told: ARGUMENT, MEMORY, THREAD; whatever else fails, the run's status
 * says. */
LATHE_API int32_t lathe_context_run_async(lathe_context *context, uint32_t entry,
                                          const lathe_value *inputs, uint32_t input_count,
                                          lathe_value *outputs, uint32_t output_count,
                                          const lathe_completion *completion, lathe_status *status);

/* Waits until the latest lathe_context_run_async has ended, for `timeout_ns` at most (negative: as
 * long as it takes), and returns its code and status. PENDING where it goes on, ARGUMENT where
 * there was none. May return before the completion has. Any one thread. */
LATHE_API int32_t lathe_context_wait(lathe_context *context, int64_t timeout_ns,
                                     lathe_status *status);

/* A descriptor for poll and epoll, which is readable when a lathe_context_run_async has ended,
 * until lathe_context_wait; made at the first call, closed with the context. -1 where the system
 * refuses one or a run is in progress. One thread per context. */
LATHE_API int lathe_context_wait_descriptor(lathe_context *context);

/* Takes all states of the context back to what they were before its first run, keeping their
 * memory. One thread per context; without effect while another one runs it. */
LATHE_API void lathe_context_reset(lathe_context *context);

/* Makes the run in progress, and all later ones, return CANCELLED soon, until resumed. Any thread,
 * also a signal handler. */
LATHE_API void lathe_context_cancel(lathe_context *context);
LATHE_API void lathe_context_resume(lathe_context *context);

/* Runs that go on past this time (CLOCK_MONOTONIC, ns; 0: none) return DEADLINE. It is looked at
 * between parallel regions and on the way back in loops, so a run may end late by the time that one
 * region takes. Any thread, also while it runs. */
LATHE_API void lathe_context_deadline(lathe_context *context, int64_t monotonic_ns);

/* What the runs of a context came to. Times are sums in ns, of successes and failures. */
typedef struct lathe_statistics {
  uint32_t size;     /* sizeof(lathe_statistics), set by the caller */
  uint32_t reserved; /* 0 */
  uint64_t runs;     /* that succeeded */
  uint64_t failures; /* cancelled and late ones among them */
  uint64_t cancelled;
  uint64_t late;       /* LATHE_STATUS_DEADLINE */
  uint64_t prepare_ns; /* checking inputs, planning, arena, outputs */
  uint64_t run_ns;     /* compiled code */
  uint64_t finish_ns;  /* handing over the outputs, freeing temporaries */
  uint64_t longest_ns; /* the longest single run, all stages */
} lathe_statistics;

/* Fills `*statistics`: each number is right, but they may be of different runs while one is in
 * progress. Any thread. ARGUMENT on NULL. */
LATHE_API int32_t lathe_context_statistics(const lathe_context *context,
                                           lathe_statistics *statistics, lathe_status *status);

/* Bytes of the arena the context has now, and threads that its runs use. */
LATHE_API uint64_t lathe_context_arena_bytes(const lathe_context *context);
LATHE_API uint32_t lathe_context_threads(const lathe_context *context);

#ifdef __cplusplus
}
#endif

#endif /* LATHE_C_RUNTIME_H */
