// What the fake drivers have in common: a GPU that is the emulator, a plan of failures, and an
// account of all that was made. Kernels run when the stream is waited for, as late as a GPU might,
// and not where they are launched. Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_FAKE_DRIVERS_FAKE_H
#define LATHE_TEST_FAKE_DRIVERS_FAKE_H

#include "runtime/Core/Device.h"
#include "runtime/Emulator/TensorMap.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace lathe::fake {

/// Errors of both drivers.
enum Error {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NotInitialized = 3,
  InvalidDevice = 101,
  InvalidContext = 201,
  NoBinary = 209,
  NotFound = 500,
  IllegalAddress = 700,
  LaunchFailure = 719,
};

struct Function {
  const lathe_device_variant *code;
  uint32_t kernel;
  unsigned mostShared = 0; ///< What its launches may ask for.
};

struct Module {
  const lathe_device_variant *code;
  std::string text; ///< Where the names of its kernels must stand.
  std::map<std::string, std::unique_ptr<Function>> functions;
};

/// A launch, or a copy.
struct Work {
  const Function *function; ///< Null: a copy.
  std::vector<uint64_t> args;
  void *to = nullptr;
  const void *from = nullptr;
  size_t bytes = 0;
  std::vector<emulator::EmulatedMap> maps = {}; ///< What the driver made, copied by the launch.
};

struct Stream {
  void *queue;
  std::vector<Work> pending;
  bool isCapturing = false;
  std::vector<Work> captured;

  void add(Work work) { (isCapturing ? captured : pending).push_back(std::move(work)); }
};

/// A graph, or what was made of one to be launched.
struct Graph {
  std::vector<Work> works;
  bool isExecutable = false;
};

/// One for each fake driver of a process.
class Fake {
public:
  Fake(const char *name, uint32_t imageKind);
  ~Fake();

  /// Takes words such as "fail=cuMemFree_v2:2=719!" (the second call fails with 719, and the device
  /// is lost, because of the "!"; there may be several), "arch=sm_80", "devices=1",
  /// "version=12040", "unified=1", "counts=0" (1: at the end the calls of each function are
  /// printed); what is not named is as at first. Counts from 0 again.
  void configure(const std::string &text);

  /// Counts a call. Not Success: the call is to return that, and do nothing.
  int begin(const char *function, bool isQuery = false);
  bool fails(const char *function) { return begin(function) != Success; }

  int load(const void *image, void **module);
  int findFunction(void **function, void *module, const char *name);
  int unload(void *module);
  int allocate(void **memory, size_t bytes, runtime::DeviceMemory kind);
  int release(void *memory, runtime::DeviceMemory kind);
  /// Without a stream: now.
  int copy(void *to, const void *from, size_t bytes, void *stream, bool isNow);
  int createStream(void **stream);
  int synchronize(void *stream);
  int destroyStream(void *stream);
  int launch(void *function, unsigned gridX, unsigned blockX, unsigned sharedBytes, void *stream,
             void **parameters);
  int allowShared(void *function, unsigned bytes);
  int beginCapture(void *stream);
  int endCapture(void *stream, void **graph);
  int instantiate(void **executable, void *graph);
  int destroyGraph(void *graph, bool isExecutable);
  int launchGraph(void *executable, void *stream);
  void retainContext();
  void releaseContext();
  /// What no correct program does: counted, printed.
  void misuse(const std::string &what);

  /// What is alive, or was misused; empty if nothing.
  std::string account() const;

  /// How deep the thread is in our one context, or which device is its own: 0 where no call goes
  /// on.
  static thread_local int current;

  std::string architecture;
  int devices, version, unified, printsCounts;
  std::map<std::string, int> counts;

private:
  lathe_device *device();
  const lathe_device_variant *findVariant(const void *image);

  const std::string name;
  const uint32_t imageKind;
  const uint32_t binaryKind = imageKind == LATHE_IMAGE_PTX ? LATHE_IMAGE_CUBIN : 0;
  struct Failure {
    std::string function;
    int call, error;
    bool isLoss;
  };
  std::vector<Failure> planned;
  int lost = Success; ///< What all calls return after the device was lost.

  mutable std::mutex mutex;
  lathe_device *emulator = nullptr;
  std::set<Module *> modules;
  std::set<Stream *> streams;
  std::set<Graph *> graphs;
  struct Allocation {
    size_t bytes;
    runtime::DeviceMemory kind;
  };
  std::map<void *, Allocation> allocations;
  /// The kind of the memory that holds these bytes; null: it is none of ours.
  const runtime::DeviceMemory *findMemory(const void *memory, size_t bytes) const;
  std::map<const void *, const lathe_device_variant *> variants; ///< That were found before.
  int contexts = 0;
  std::vector<std::string> misuses;
};

/// The one of this library.
Fake &fake();

} // namespace lathe::fake

// For tests, by dlsym.
extern "C" {
LATHE_API void lathe_fake_configure(const char *text);
/// Writes what is alive or was misused, terminated; returns its length.
LATHE_API size_t lathe_fake_account(char *text, size_t capacity);
/// Calls `visit` for each function that was called since `lathe_fake_configure`.
LATHE_API void lathe_fake_counts(void (*visit)(void *user, const char *function, int calls),
                                 void *user);
}

#endif // LATHE_TEST_FAKE_DRIVERS_FAKE_H
