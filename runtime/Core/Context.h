// One caller's state: arena, threads, and the run in progress.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_CONTEXT_H
#define LATHE_RUNTIME_CORE_CONTEXT_H

#include "runtime/Core/Async.h"
#include "runtime/Core/Module.h"
#include "runtime/Core/State.h"
#include "runtime/Core/Statistics.h"
#include "runtime/Cpu/Pool.h"

namespace lathe::runtime {

/// What compiled code is to attend to between dispatches. `Traced` is always set where the
/// context's tracer asks for dispatches; at most one of the others is beside it.
enum CancelReason : uint32_t {
  NotCancelled = 0,
  CancelledByCaller = 1,
  CancelledByDeadline = 2,
  Traced = 4
};

/// Memory that compiled code allocated in this run, freed at its end: a list through the blocks.
struct alignas(LATHE_ALIGNMENT) DynamicBlock {
  DynamicBlock *next;
  uint64_t bytes;
};

/// Where an output's memory comes from.
enum class OutputMemory : uint8_t {
  Unset,  ///< Of a size that depends on data; compiled code has not set it yet.
  Owned,  ///< From the context's allocator, for the caller to release.
  Caller, ///< The caller's.
  State,  ///< A state's, in this context.
  Device, ///< The run's, on a device: of a size that depends on data, to be copied at the end.
};

struct OutputState {
  OutputMemory memory;
  bool dynamic;     ///< The plan leaves dims to the data.
  bool isContainer; ///< A sequence, an optional or a map, of which compiled code gives the address.
  bool fromCaller;  ///< The caller supplied memory,
  void *callerData; ///< here,
  int64_t callerBytes; ///< this much.
  void *hostData;      ///< Where the output goes that is written elsewhere, on a device.
};

/// What a context has on its module's device.
struct DeviceRun {
  void *queue = nullptr;
  /// Inputs, then the first fault that a kernel finds in the data, then outputs, where the host
  /// reads and writes them. Inputs and no fault go to the device in one copy, and what a kernel has
  /// found comes back in one with the outputs.
  char *staging = nullptr;
  /// The same for the kernels, which the host does not see.
  char *values = nullptr;
  uint64_t capacity = 0; ///< of both
  uint64_t inputBytes = 0, outputBytes = 0;
  static constexpr uint64_t faultBytes = LATHE_ALIGNMENT;
  static_assert(sizeof(lathe_error) <= faultBytes);

  lathe_error *faults() const { return reinterpret_cast<lathe_error *>(staging + inputBytes); }
  /// The same for the kernels.
  lathe_error *deviceFaults() const { return reinterpret_cast<lathe_error *>(values + inputBytes); }

  /// By which copies between the device and any memory of the host go; both see it.
  char *bounce = nullptr;
  uint64_t bounceBytes = 0;
  bool isBouncing = false; ///< On the way to the device: nobody may touch it before a wait.
  /// What it holds of the device's memory, as long as nothing was ordered that could change it.
  const char *seenBegin = nullptr, *seenEnd = nullptr;
  /// A copy was refused, for a reason that the queue knows, or this one.
  bool hasFailed = false;
  char refusal[160] = {};

  /// A run of certain sizes with certain memory, which does the same each time.
  struct Recording {
    const lathe_entry *entry = nullptr; ///< Null: free.
    const char *arena, *values;
    /// Of all inputs; kind, place and dims of each. And where states lie.
    Array<int64_t> sizes;
    void *graph = nullptr;
    uint64_t lastUse;
  };
  static constexpr uint32_t maxRecordings = 8;
  Recording recordings[maxRecordings];
  uint64_t runs = 0;
  bool neverRecords = false;
  /// Launches are recorded. What is only for this run, such as a look at values, ends that.
  bool isRecording = false;
};

/// Memory of a device that compiled code allocated in this run, freed at its end.
struct DeviceBlock {
  DeviceBlock *next;
  char *memory;
  uint64_t bytes;
};

/// Why the runtime refused a service; added to the message of the failure it leads to.
struct Refusal {
  enum Kind : uint32_t { None, OverLimit, OutOfMemory, Capacity, Shape };
  std::atomic<uint32_t> kind{None};
  uint64_t wanted = 0, available = 0;
};

} // namespace lathe::runtime

struct lathe_context {
  lathe_context() = default;
  lathe_context(const lathe_context &) = delete;
  ~lathe_context();

  int32_t create(lathe_module &module, const lathe_context_options &options, lathe_status *status);
  int32_t reserve(uint64_t bytes, lathe_status *status);

  /// Checks the inputs (their data too, where `needData`) and asks compiled code for the outputs'
  /// dims and the arena's size.
  int32_t plan(const lathe_entry &entry, const lathe_value *inputs, uint32_t inputCount,
               bool needData, uint64_t &arenaBytes, lathe_status *status);

  /// Plans and runs; the API's lathe_context_run. With null outputs: only warms up.
  int32_t run(const lathe_entry &entry, const lathe_value *inputs, uint32_t inputCount,
              lathe_value *outputs, lathe_status *status);

  lathe_module *module = nullptr;
  lathe_context_options options = {};
  lathe_pool *pool = nullptr; ///< Null: one thread, or an executor.
  uint32_t threads() const {
    return options.executor.parallel ? options.executor.width : pool ? pool->threads() : 1;
  }
  /// For the arena, and for states, which callers look at. All else is from options.allocator, or
  /// memory of the device that runs ask for.
  lathe_allocator workAllocator = {}, stateAllocator = {};
  lathe::runtime::DeviceRun deviceRun;
  char *arena = nullptr;
  uint64_t arenaBytes = 0;
  std::atomic<uint32_t> cancel{0};  ///< CancelReason; compiled code polls it.
  std::atomic<uint32_t> busy{0};    ///< Guards against use by two threads.
  std::atomic<int64_t> deadline{0}; ///< CLOCK_MONOTONIC, ns; 0: none.

  /// With a tracer: the kernel that runs now, and since when.
  struct TracedKernel {
    const char *kernel = nullptr;
    uint64_t flops = 0, bytes = 0;
    int64_t begin = 0;
  } traced;

  lathe::runtime::Async async;
  lathe::runtime::Statistics statistics;
  bool warming = false; ///< The run in progress only warms up.

  // The run in progress. Arrays are as long as the largest entry needs.
  lathe_call call = {};
  lathe_error error = {};
  const lathe_entry *entry = nullptr;
  lathe::runtime::Array<lathe_value> inputs, outputs;
  lathe::runtime::Array<lathe::runtime::OutputState> outputStates;
  lathe::runtime::Array<int64_t> symbolSizes;
  lathe::runtime::Array<lathe::runtime::State> states;
  lathe::runtime::Array<void *> stateMemory; ///< lathe_call.states
  std::atomic<lathe::runtime::DynamicBlock *> dynamicBlocks{nullptr};
  lathe::runtime::DeviceBlock *deviceBlocks = nullptr;
  std::atomic<uint64_t> dynamicBytes{0};
  std::atomic<bool> inRegion{false};
  lathe::runtime::Refusal refusal;

  /// Null, with the status filled, where there is no such entry.
  const lathe_entry *findEntry(uint32_t index, lathe_status *status) const;
  int32_t checkInputCount(const lathe_entry &called, const lathe_value *given, uint32_t count,
                          lathe_status *status) const;
  int32_t checkOutputCount(const lathe_entry &called, const lathe_value *given, uint32_t count,
                           lathe_status *status) const;
  /// The API's lathe_context_memory and lathe_context_warm_up.
  int32_t queryMemory(const lathe_entry &entry, const lathe_value *inputs, uint32_t inputCount,
                      lathe_memory_info &info, lathe_status *status);
  int32_t warmUp(const lathe_entry &entry, const lathe_value *inputs, uint32_t inputCount,
                 lathe_status *status);

  void log(int32_t level, const char *message) const {
    if (options.logger.log)
      options.logger.log(options.logger.user, level, message);
  }
  /// Memory for the next value of the state that an output writes; null when refused.
  void *reserveOutputState(uint32_t output, uint64_t bytes);
  /// Why the device failed, terminated; empty where it has not.
  void explainDevice(char *text, size_t capacity) const;
  /// Memory of the device, until the end of the run; null when there is none.
  void *allocateOnDevice(uint64_t bytes);
  /// lathe_services.copy.
  int32_t copyTo(char *to, const char *from, uint64_t bytes, uint32_t direction);
  int32_t waitForDevice();
  /// Whether launches are recorded, which ends: the host asks for what is only for this run.
  bool endsRecording() {
    bool was = deviceRun.isRecording;
    deviceRun.isRecording = false;
    return was;
  }
  /// Sets the cancel flag where the deadline has passed.
  void pollDeadline();
  /// Reports the traced kernel, which ends now.
  void endTraced(int64_t now);
  /// The value of `cancel` while nobody cancels.
  uint32_t notCancelled() const {
    return options.tracer.dispatch ? lathe::runtime::Traced : lathe::runtime::NotCancelled;
  }
  bool isCancelled() const { return cancel.load(std::memory_order_relaxed) != notCancelled(); }

private:
  int32_t createPool(lathe_status *status);
  int32_t prepare(const lathe_entry &entry, const lathe_value *inputs, uint32_t inputCount,
                  const lathe_value *results, lathe_status *status);
  int32_t finish(int32_t code, lathe_value *results, lathe_status *status);
  uint64_t stateBytes(const lathe_value *given) const;
  int32_t checkInputs(const lathe_value *given, uint32_t count, bool needData,
                      lathe_status *status);
  int32_t checkInput(uint32_t index, const int32_t *symbols, bool needData, lathe_status *status);
  int32_t readState(uint32_t index, const int32_t *symbols, bool needData, lathe_status *status);
  int32_t writeState(uint32_t index, lathe_status *status);
  int32_t bindState(uint32_t index, const lathe_value &given, lathe_status *status);
  void keepStates();
  int32_t bindOutput(uint32_t index, const lathe_value &given, lathe_status *status);
  int32_t ownCopy(uint32_t index, lathe_status *status);
  int32_t checkOverlap(uint32_t index, lathe_status *status) const;
  int32_t execute(lathe_status *status);
  int32_t openDevice(lathe_status *status);
  void closeDevice();
  void releaseStaging();
  int32_t reserveStaging(uint64_t bytes, lathe_status *status);
  int32_t stage(lathe_status *status);
  bool isStaged(uint32_t output) const;
  int32_t unstage(int32_t code, lathe_status *status);
  int32_t runOnDevice();
  int32_t fetch(char *to, const char *from, uint64_t bytes);
  int32_t put(char *to, const char *from, uint64_t bytes);
  int32_t reserveBounce(uint64_t bytes);
  int32_t refuseCopy(const void *address, uint64_t bytes);
  /// The piece of memory of the device that holds these bytes; false where there is none.
  bool findOnDevice(const char *address, uint64_t bytes, const char *&begin,
                    const char *&end) const;
  void releaseOnDevice();
  int32_t launchAll();
  lathe::runtime::DeviceRun::Recording *findRecording();
  void record(lathe::runtime::DeviceRun::Recording &recording);
  void pinValues() const;
  int32_t unpinValues(int32_t code, lathe_status *status) const;
  int32_t convertError(int32_t code, lathe_status *status);
  void releaseDynamic();
  void releaseOutputs();
  bool ownsPool = false, ownsArena = false;
  bool prepared = false; ///< The run in progress has been planned and may hold memory.
};

namespace lathe::runtime {

/// Holds a context for a call of the API. A context serves one thread at a time; a second one gets
/// an error instead of a race.
class Occupy {
public:
  /// False, and `status` says why (LATHE_STATUS_ARGUMENT), where `context` is null or in use.
  explicit Occupy(lathe_context *context, lathe_status *status = nullptr) : context(context) {
    if (!context)
      fail(status, LATHE_STATUS_ARGUMENT, "context is NULL");
    else if (context->busy.exchange(1, std::memory_order_acquire))
      fail(status, LATHE_STATUS_ARGUMENT,
           "another thread is using the context; make one context per thread");
    else
      entered = true;
  }
  ~Occupy() {
    if (entered)
      context->busy.store(0, std::memory_order_release);
  }
  Occupy(const Occupy &) = delete;
  explicit operator bool() const { return entered; }

  /// The context's entry; null, and `status` says why, where it is not held or has no such entry.
  const lathe_entry *findEntry(uint32_t index, lathe_status *status) const {
    return entered ? context->findEntry(index, status) : nullptr;
  }

  /// The context stays held, by whoever it was handed to.
  void keep() { entered = false; }

private:
  lathe_context *context;
  bool entered = false;
};

/// The services that compiled code gets; one table for all contexts.
extern const lathe_services services;

/// The context of a call that it made.
inline lathe_context &contextOf(lathe_call *call) {
  return *static_cast<lathe_context *>(call->runtime);
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_CONTEXT_H
