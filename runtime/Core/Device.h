// How the runtime reaches a device that is no processor of the host. The library of a device (that
// of the emulator, say) brings the functions; both libraries are of one version.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_DEVICE_H
#define LATHE_RUNTIME_CORE_DEVICE_H

#include "lathe-c/Runtime.h"

#include <atomic>

namespace lathe::runtime {

/// Who looks at memory.
enum class DeviceMemory : uint32_t {
  Local, ///< Kernels, and copies.
  Shared ///< The host as well, at the same address: what copies of its other memory go by.
};

/// Functions of a device. Any thread, but for those of one queue.
struct DeviceOps {
  uint32_t size; ///< sizeof(DeviceOps)
  /// Gives back what is behind the device; nothing uses it any more.
  void (*destroy)(lathe_device *device);
  /// How well the device runs such code: 0 not at all, more is better.
  uint32_t (*fit)(const lathe_device *device, const lathe_device_variant *code);
  /// Makes the kernels of `code`, which outlives them, ready; fills `status` on failure.
  int32_t (*load)(lathe_device *device, const lathe_device_variant *code, void **program,
                  lathe_status *status);
  void (*unload)(lathe_device *device, void *program);
  /// Memory of the device; null when there is none.
  void *(*allocate)(lathe_device *device, uint64_t bytes, uint64_t alignment, DeviceMemory kind);
  void (*release)(lathe_device *device, void *memory, uint64_t bytes, DeviceMemory kind);
  /// Copies from the host, of which the memory may be any, to the device, and is done when it
  /// returns: an error of `explainRefusal`, or 0.
  int32_t (*upload)(lathe_device *device, void *to, const void *from, uint64_t bytes);
  /// Where kernels run one after the other; null when there is none.
  void *(*openQueue)(lathe_device *device);
  void (*closeQueue)(lathe_device *device, void *queue);
  /// lathe_services.launch and wait. With `takesExtents`, for code that tells them, those of inputs
  /// and outputs stand there as well.
  int32_t (*launch)(void *queue, void *program, lathe_call *call, uint32_t kernel, uint64_t *args,
                    uint32_t argCount, int64_t count);
  int32_t (*wait)(void *queue);
  /// Copies memory of either kind after what was launched and before what is launched next.
  int32_t (*copy)(void *queue, void *to, const void *from, uint64_t bytes);
  /// From `beginCapture` on, launches and copies are recorded, and not done; `endCapture` gives
  /// them as a graph, which `replay` does as if they came one by one. Where one of the first two
  /// fails, the queue is as before, and nothing has to be explained. All null: there are no graphs.
  int32_t (*beginCapture)(void *queue);
  int32_t (*endCapture)(void *queue, void **graph);
  int32_t (*replay)(void *queue, void *graph);
  void (*dropGraph)(void *queue, void *graph);
  /// Writes what went wrong in the queue, terminated, since `launch`, `wait` or `copy` last failed.
  void (*explain)(void *queue, char *text, size_t capacity);
  /// Writes, terminated, why `allocate` or `openQueue` last gave null or `upload` failed, and
  /// returns what it is for a status: LATHE_STATUS_MEMORY or LATHE_STATUS_DEVICE. Null: there was
  /// no memory.
  int32_t (*explainRefusal)(lathe_device *device, char *text, size_t capacity);
  bool takesExtents;
};

} // namespace lathe::runtime

/// Counted: by the caller, and by each module that was opened for it.
struct lathe_device {
  const lathe::runtime::DeviceOps *ops = nullptr;
  std::atomic<uint32_t> references{1};
  char name[64] = {}; ///< "emulator:sm_80"
  lathe_device_info info = {};

  /// DeviceOps::explainRefusal; the text begins with ": " where there is any.
  int32_t explainRefusal(char *text, size_t capacity) {
    text[0] = 0;
    if (!ops->explainRefusal || capacity < 3)
      return LATHE_STATUS_MEMORY;
    int32_t code = ops->explainRefusal(this, text + 2, capacity - 2);
    if (text[2]) {
      text[0] = ':';
      text[1] = ' ';
    }
    return code;
  }

  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      ops->destroy(this);
  }
};

#endif // LATHE_RUNTIME_CORE_DEVICE_H
