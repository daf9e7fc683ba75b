// The emulated device: its memory, and queues whose work is done as late as a GPU may do it.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_QUEUE_H
#define LATHE_RUNTIME_EMULATOR_QUEUE_H

#include "lathe-c/Emulator.h"
#include "runtime/Core/Device.h"
#include "runtime/Emulator/TensorMap.h"

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace lathe::emulator {

using runtime::DeviceMemory;

/// What memory holds that nobody has written.
constexpr unsigned char poison = 0xAB;

/// Spreads the bits of a number over all 64 (the last step of SplitMix64).
uint64_t scatter(uint64_t number);

struct Queue;
struct Uses;

struct Emulator : lathe_device {
  std::string architecture;
  uint64_t seed = 1;
  /// Of so many lines of memory one is watched for races; a power of two.
  uint64_t watchEvery = 8;
  uint64_t launches = 0; ///< Of all queues, guarded by the mutex.
  struct Piece {
    const char *end;
    uint64_t mapped; ///< Bytes of its pages.
    DeviceMemory kind;
    /// Shared, and what was ordered and is not waited for may use it: not the host's now.
    bool isBusy = false;
    /// The host wrote it before any kernel: weights.
    bool isConstant = false;
    Uses *shadow = nullptr;
    uint64_t shadowBytes = 0; ///< that are mapped
  };
  std::map<const char *, Piece> pieces; ///< What was handed out, by where it begins.
  std::set<Queue *> queues;
  std::mutex mutex;   ///< Of all that is here, and of what queues have to do.
  unsigned users = 0; ///< Launches and copies in progress.

  void *allocate(uint64_t bytes, uint64_t alignment, DeviceMemory kind);
  void release(void *memory);
  /// Kernels that write there do wrong from now on.
  void upload(void *to, const void *from, uint64_t bytes);

  /// Memory can be touched while somebody is in, whosever it is: a host that looks at Local memory
  /// itself, or at Shared memory that is busy, faults.
  void enter();
  void leave();

  /// A piece with what is known of who used it, for a launch.
  struct Watched {
    const char *begin, *end;
    Uses *shadow; ///< Null: it is constant.
  };
  /// The piece that holds these bytes; nothing where there is none.
  Watched find(const char *address, uint64_t bytes);
  // The caller holds the mutex.
  /// The piece that an address is in; the end where it is in none.
  std::map<const char *, Piece>::iterator pieceOf(uint64_t address);
  /// Gives the host all Shared memory back.
  void unguard();
};

class Inside {
public:
  explicit Inside(Emulator &emulator) : emulator(emulator) { emulator.enter(); }
  ~Inside() { emulator.leave(); }
  Inside(const Inside &) = delete;

private:
  Emulator &emulator;
};

/// A launch or a copy that was ordered, and need not be done before somebody waits.
struct Work {
  const lathe_device_kernel *kernel = nullptr; ///< Null: a copy.
  lathe_emulated_kernel function = nullptr;
  lathe_call *call = nullptr;
  std::vector<uint64_t> args;
  std::vector<uint64_t> extents; ///< Bytes behind the args that are addresses; 0: unknown.
  std::vector<EmulatedMap> maps; ///< Made when it was ordered; their addresses follow the args.
  uint32_t blocks = 0;
  uint64_t seed = 0;
  void *to = nullptr;
  const void *from = nullptr;
  uint64_t bytes = 0;

  /// Calls `visit` with all that may be an address of memory that it uses.
  template <typename Visit> void visitAddresses(Visit visit) const {
    for (uint64_t arg : args)
      visit(arg);
    if (kernel)
      return;
    visit(reinterpret_cast<uint64_t>(to));
    visit(reinterpret_cast<uint64_t>(from));
  }
};

/// Work is done in order, each piece at a random moment between its order and the wait.
struct Queue {
  explicit Queue(Emulator &device);
  ~Queue();
  Queue(const Queue &) = delete;

  Emulator *device;
  uint64_t orders = 0;      ///< How often something was ordered,
  uint64_t launches = 0;    ///< and how many of them were launches.
  std::deque<Work> pending; ///< Since the last wait: what is done, then what is not.
  size_t done = 0;          ///< So much of it is.
  bool isLate = false;      ///< Nothing is done before the next wait.
  std::mutex mutex;
  char failure[480] = {}; ///< The first since the last wait.
  std::atomic<bool> failed{false};

  /// Not LATHE_CODE_OK: what was ordered before has failed.
  int32_t order(Work work);
  int32_t wait();
  /// Notes what went wrong, if it is the first.
  void fail(const char *what);

private:
  void guard(const Work &work);
  void doSome(size_t count);
};

/// Runs all threads of a kernel.
void runLaunch(Queue &queue, const Work &work);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_QUEUE_H
