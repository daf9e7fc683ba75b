// GPUs through their vendors' drivers, which are opened when a program asks for one. The drivers of
// NVIDIA and AMD have the same functions but for names and a few habits: a Vendor says which.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_GPU_GPU_H
#define LATHE_RUNTIME_GPU_GPU_H

#include "runtime/Core/Device.h"
#include "runtime/Core/Memory.h"
#include "runtime/Core/Status.h"
#include "runtime/Core/TensorMap.h"

namespace lathe::runtime {

struct Gpu;

/// What a driver returns where all is well; other numbers are errors, mostly the same for both.
inline constexpr int driverSuccess = 0;
inline constexpr int driverOutOfMemory = 2;

/// Functions of an open driver; each returns an error of the driver's, unless said otherwise.
struct Driver {
  int (*init)(unsigned flags);
  int (*version)(int *version);
  int (*deviceCount)(int *count);
  int (*deviceGet)(int *device, int ordinal);
  int (*deviceName)(char *name, int capacity, int device);
  int (*deviceMemory)(size_t *bytes, int device);
  int (*deviceAttribute)(int *value, int attribute, int device);
  int (*moduleLoad)(void **module, const void *image, unsigned options, const int *names,
                    void **values);
  int (*moduleFunction)(void **function, void *module, const char *name);
  int (*moduleUnload)(void *module);
  int (*allocateLocal)(void **memory, size_t bytes);
  int (*releaseLocal)(void *memory);
  int (*allocateShared)(void **memory, size_t bytes, unsigned flags);
  int (*releaseShared)(void *memory);
  int (*streamCreate)(void **stream, unsigned flags);
  int (*streamSynchronize)(void *stream);
  int (*streamDestroy)(void *stream);
  int (*launch)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                unsigned blockY, unsigned blockZ, unsigned sharedBytes, void *stream,
                void **parameters, void **extra);
  // Graphs: all or none.
  int (*captureBegin)(void *stream, int mode);
  int (*captureEnd)(void *stream, void **graph);
  int (*graphInstantiate)(void **executable, void *graph, unsigned long long flags);
  int (*graphDestroy)(void *graph);
  int (*graphLaunch)(void *executable, void *stream);
  int (*executableDestroy)(void *executable);
  // NVIDIA's alone.
  int (*contextRetain)(void **context, int device);
  int (*contextRelease)(int device);
  int (*contextPush)(void *context);
  int (*contextPop)(void **context);
  int (*functionAttribute)(void *function, int attribute, int value);
  int (*copyNow)(void *to, const void *from, size_t bytes);
  int (*copyLater)(void *to, const void *from, size_t bytes, void *stream);
  int (*encodeTensorMap)(void *map, int type, unsigned rank, void *address, const uint64_t *sizes,
                         const uint64_t *strides, const uint32_t *box, const uint32_t *steps,
                         int interleave, int swizzle, int promotion, int fill);
  int (*errorName)(int error, const char **text);
  int (*errorString)(int error, const char **text);
  // AMD's alone.
  int (*getDevice)(int *device);
  int (*setDevice)(int device);
  int (*copyNowOfKind)(void *to, const void *from, size_t bytes, int kind);
  int (*copyLaterOfKind)(void *to, const void *from, size_t bytes, int kind, void *stream);
  int (*properties)(void *properties, int device);
  const char *(*nameOfError)(int error);
  const char *(*textOfError)(int error);
};

/// Where a function of the driver goes, and what it is called.
struct DriverSymbol {
  size_t offset; ///< in Driver
  const char *name;
  bool isRequired;
};

/// What tells the drivers apart.
struct Vendor {
  uint32_t kind;            ///< lathe_device_kind
  const char *prefix;       ///< "cuda"
  const char *targets;      ///< "nvidia:", what names of code begin with
  const char *variable;     ///< The environment's name of another library to open.
  const char *libraries[4]; ///< To be tried in turn; null after the last.
  const DriverSymbol *symbols;
  size_t symbolCount;
  int leastVersion; ///< 0: any that has the functions.
  void (*formatVersion)(int version, char *text, size_t capacity);
  uint64_t maxThreads; ///< Of all blocks of a launch together.
  uint32_t imageKind;
  uint32_t binaryKind; ///< Of images that need no compiler of the driver's; 0: there are none.
  /// What the threads of a block can share that the code says; more the launch has to ask for.
  uint32_t mostShared;
  /// Finds out what the device is, and makes it ready; undone by `shutDown`, also on failure.
  int32_t (*setUp)(Gpu &gpu, lathe_status *status);
  void (*shutDown)(Gpu &gpu);
  /// Makes the device the calling thread's; `leave`, if it went well, gives back what was before.
  int (*enter)(Gpu &gpu, void **before);
  void (*leave)(Gpu &gpu, void *before);
  /// How well the device runs code for an architecture, such as "sm_80"; 0: not at all.
  uint32_t (*fit)(const Gpu &gpu, const char *architecture);
  /// Whether it also takes binaries for that architecture; null where there are none.
  bool (*takesBinary)(const Gpu &gpu, const char *architecture);
  /// Loads an image; what the driver's compiler says goes to `log`.
  int (*load)(Gpu &gpu, const void *image, void **module, char *log, size_t capacity);
  /// Has launches of a function ask for so much shared memory; null: none of them has to.
  int (*allowShared)(const Driver &driver, void *function, uint32_t bytes);
  /// Copies after what was launched in `stream`; null: now.
  int (*copy)(const Driver &driver, void *to, const void *from, size_t bytes, void *stream);
  /// Makes LATHE_MAP_BYTES of a tensor map, at a multiple of 64; null where the driver cannot.
  int (*encode)(const Driver &driver, const TensorMap &map, void *encoded);
  /// The name of an error and what it means; null where the driver knows none.
  void (*explain)(const Driver &driver, int error, const char **name, const char **text);
};

extern const Vendor cudaVendor, hipVendor;

struct Gpu : lathe_device {
  const Vendor *vendor = nullptr;
  Driver driver = {};
  int ordinal = 0, device = 0;
  int capability = 0;      ///< NVIDIA: 90 of sm_90.
  void *context = nullptr; ///< NVIDIA: the device's primary one.
  /// Why memory or a queue was last refused.
  std::atomic<int> refusal{driverSuccess};

  /// Appends "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)", and what to do if we know.
  void describe(TextBuilder &text, int error) const;
  /// Fills `status` with the device, `what`, and the error.
  int32_t fail(lathe_status *status, const char *what, int error) const;
};

/// Makes a device the thread's while it lives. Programs may use the same driver for themselves, so
/// that every call of ours leaves it as it was.
class Inside {
public:
  explicit Inside(Gpu &gpu) : gpu(gpu), failure(gpu.vendor->enter(gpu, &before)) {}
  ~Inside() {
    if (!failure)
      gpu.vendor->leave(gpu, before);
  }
  Inside(const Inside &) = delete;
  int error() const { return failure; }

private:
  Gpu &gpu;
  void *before = nullptr;
  int failure;
};

/// The functions of a device that a driver drives.
extern const DeviceOps gpuOps;

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_GPU_GPU_H
