// Blocks of threads, as the emulator runs them.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_BLOCK_H
#define LATHE_RUNTIME_EMULATOR_BLOCK_H

#include "runtime/Emulator/Matrix.h"
#include "runtime/Emulator/Phases.h"
#include "runtime/Emulator/Products.h"
#include "runtime/Emulator/Queue.h"
#include "runtime/Emulator/TensorMap.h"
#include "runtime/Emulator/Watch.h"

#include <cstdlib>
#include <list>
#include <memory>
#include <ucontext.h>
#include <vector>

namespace lathe::emulator {

/// An order of [0, count) that looks like none: a step that shares no factor with `count`.
class Order {
public:
  Order(uint64_t count, uint64_t seed);
  uint64_t operator()(uint64_t i) const {
    return uint64_t((static_cast<unsigned __int128>(i) * step + start) % count);
  }

private:
  uint64_t count, start, step;
};

/// A kernel in progress, as all of its blocks see it.
struct Launch {
  Queue *queue;
  const lathe_device_kernel *kernel;
  lathe_emulated_kernel function;
  const uint64_t *args;
  uint32_t blocks;
  uint64_t seed;
  const std::vector<uint64_t> &extents;
  uint64_t number = 0; ///< Counts from 1.
  /// The addresses whose races are watched: these bits of them are those.
  uint64_t watchMask = 0, watched = 1;

  /// Chooses what is watched.
  void begin();
  void fail(const lathe_emulated_thread &thread, const char *what) const;
};

/// Runs one block after the other. Threads that wait for each other are fibers, which go on in a
/// new order after each barrier; what they share is watched byte by byte.
class BlockRunner {
public:
  explicit BlockRunner(const Launch &launch);
  ~BlockRunner();
  BlockRunner(const BlockRunner &) = delete;
  void run(uint32_t block);

private:
  /// A copy to shared memory under way: it arrives some of the thread's calls later, or when the
  /// thread waits for its group.
  struct Copy {
    const char *from;
    uint32_t to, bytes, valid, group, calls;
  };
  struct Thread : lathe_emulated_thread {
    BlockRunner *runner;
    /// At a barrier, or with its warp at what that does together, until the others come; or at a
    /// barrier with phases until one is over.
    enum { Ready, Waiting, Meeting, Parked, Done } state;
    ucontext_t context;
    /// Of the matrices (lathe_matrix_unit), or what else its warp does together: `loading` and how
    /// many it loads, `multiplying`, `waiting`.
    uint32_t unit;
    MatrixOperands operands;
    std::vector<Copy> copies; ///< in the order in which they began
    uint32_t group;           ///< of those that begin now
    ProductCall product;      ///< that it comes to with its warpgroup
    ProductWait wait;         ///< that it comes to with its warp
    uint32_t productGroup;    ///< of the products that begin now
    uint32_t fencedAt;        ///< products see what it put in shared memory up to then
    bool fenced;              ///< products may take what it has in registers
    Clocks known;             ///< What it knows of, with phases.
    uint32_t phases, parity;  ///< What it is parked at.
  };
  static constexpr uint32_t loading = 1 << 16, transposed = 1 << 17, multiplying = 1 << 18,
                            waiting = 1 << 19;
  /// Who touched a byte last, and in which stretch between two barriers; 0: never. The thread,
  /// counted from 1, whose copy to it is under way. The moment at which it was written, 0 where
  /// products see that in any case. How many products under way read it. With phases stretches are
  /// those of the one who did it (`Thread::known`), and of several readers `readEpoch` numbers the
  /// list.
  struct Shadow {
    uint32_t writeEpoch, writer, readEpoch, reader, copier, writtenAt, products;
  };
  struct SharedDeleter {
    void operator()(char *memory) const { free(memory); }
  };
  static constexpr uint32_t several = UINT32_MAX;  ///< In place of a reader.
  static constexpr uint32_t isPhases = UINT32_MAX; ///< In place of a copier: of a barrier.
  /// A copy of a box under way, of a thread.
  struct TensorCopy {
    EmulatedMap map;
    int32_t coordinates[LATHE_MAP_RANK];
    uint32_t to, bytes, phases;
  };

  static int32_t check(lathe_emulated_thread *thread, const void *address, uint64_t bytes,
                       uint32_t alignment, uint32_t isWrite, const char **range);
  static int32_t wait(lathe_emulated_thread *thread);
  static int32_t multiply(lathe_emulated_thread *thread, uint32_t unit, const void *left,
                          const void *right, const void *sums, void *result);
  static int32_t copy(lathe_emulated_thread *thread, void *to, const void *from, uint32_t bytes,
                      uint32_t valid);
  static int32_t commitCopies(lathe_emulated_thread *thread);
  static int32_t waitCopies(lathe_emulated_thread *thread, uint32_t groups);
  static int32_t loadMatrices(lathe_emulated_thread *thread, uint32_t count, uint32_t isTransposed,
                              const void *row, void *result);
  static int32_t multiplyShared(lathe_emulated_thread *thread, uint32_t columns, uint32_t flags,
                                uint64_t left, uint64_t right, const float *sums, float *result);
  static int32_t fenceProducts(lathe_emulated_thread *thread);
  static int32_t fenceShared(lathe_emulated_thread *thread);
  static int32_t commitProducts(lathe_emulated_thread *thread);
  static int32_t waitProducts(lathe_emulated_thread *thread, uint32_t groups, uint32_t count,
                              float *sums);
  void beginProducts(size_t first);
  const char *findBytes(const Clocks &known, const ProductCall &call, bool isRight, uint32_t count,
                        std::vector<uint32_t> &bytes, uint32_t &odd) const;
  Accumulator *findSums(size_t first, size_t thread, const ProductCall &call);
  void finishProducts(size_t first, const Product *last);
  void landProducts(size_t first);
  Clocks knownToAll(size_t first) const;
  void noteProductReads(const Thread &last, const Product &product);
  void waitProducts(Thread &thread);
  static int32_t initPhases(lathe_emulated_thread *thread, void *barrier, uint32_t count);
  static int32_t fencePhases(lathe_emulated_thread *thread);
  static int32_t arrive(lathe_emulated_thread *thread, void *barrier, uint32_t bytes);
  static int32_t waitPhase(lathe_emulated_thread *thread, void *barrier, uint32_t parity);
  static int32_t copyTensor(lathe_emulated_thread *thread, void *to, const void *map, void *barrier,
                            uint32_t rank, const int32_t *coordinates);
  static void begin(unsigned high, unsigned low);
  void runReady(uint32_t block, uint32_t turn);
  bool goOnTogether();
  bool workTogether();
  bool workTogether(Thread &first);
  static int32_t meet(Thread &thread);
  bool loadTogether(size_t warp, const MatrixOperands *lanes, uint32_t unit);
  void landSome(Thread &thread);
  bool readSource(const Thread &thread, const char *from, uint64_t bytes);
  void land(const Copy &copy);
  /// Where an address lies in shared memory; false where `bytes` of it do not.
  bool findShared(const void *address, uint64_t bytes, uint64_t &offset) const;
  /// Whether a thread may use memory of the device; what it is part of goes to `range`.
  bool findMemory(const Thread &thread, const char *address, uint64_t bytes, uint32_t access,
                  const char **range);
  const Emulator::Watched *findPiece(const char *address, uint64_t bytes);
  bool watch(const Thread &thread, const Emulator::Watched &piece, const char *address,
             uint64_t bytes, bool isWrite);
  void start(Thread &thread, uint32_t block, uint32_t number);
  void runTogether(uint32_t block);
  bool touchShared(const Thread &thread, uint64_t offset, uint64_t bytes, bool isWrite);
  // Phases.cpp
  bool hasPhases() const { return !threads.front().known.empty(); }
  void watchPhases();
  void forgetPhases();
  Phases *findPhases(const Thread &thread, const void *barrier);
  void endPhases(Phases &phases);
  bool wakeParked();
  bool failParked();
  void meetAll();
  size_t clocks() const {
    return threads.size() + mostPhases + (threads.size() + warpLanes - 1) / warpLanes;
  }
  /// The clock of a warp's products.
  uint32_t productClock(size_t thread) const {
    return uint32_t(threads.size() + mostPhases + thread / warpLanes);
  }
  /// The stretch in which a thread is, and whether it knows of what was done in another.
  uint32_t now(const Thread &thread) const {
    return thread.known.empty() ? epoch : thread.known[thread.thread];
  }
  bool knows(const Thread &thread, uint32_t who, uint32_t when) const;
  bool knowsReads(const Thread &thread, const Shadow &byte, uint32_t *other);
  void noteRead(const Thread &thread, Shadow &byte);
  // TensorCopies.cpp
  void landTensor(size_t number);
  void landSomeTensors();
  void checkCopiesWaitedFor();
  bool goesOn() const { return !launch.queue->failed.load(std::memory_order_relaxed); }

  const Launch &launch;
  std::vector<Thread> threads; ///< One, where they do not wait for each other.
  /// Begins at a multiple of what addresses of shared memory count, so that their low bits are the
  /// places in it.
  static constexpr size_t sharedSpan = 1 << 18;
  std::unique_ptr<char, SharedDeleter> shared;
  size_t sharedBytes;
  std::vector<Shadow> shadow;
  std::vector<Emulator::Watched> pieces; ///< That were found before.
  std::list<Product> products;           ///< under way, in the order in which they began
  std::list<Accumulator> accumulators;
  uint32_t lastProduct = 0; ///< Its number.
  uint32_t productCount = 0;
  uint32_t moment = 1;
  std::vector<Phases> phases; ///< In the order in which they were made.
  ReaderLists readers;
  std::vector<TensorCopy> tensorCopies;
  char *stacks = nullptr;
  ucontext_t scheduler;
  uint32_t epoch = 0;
  uint64_t chance = 0; ///< decides when copies arrive
};

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_BLOCK_H
