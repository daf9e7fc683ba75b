// Objects are made on threads of their own, while the stages before go on with what is next.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_PIPELINE_OBJECTQUEUE_H
#define LATHE_LIB_PIPELINE_OBJECTQUEUE_H

#include "lathe/Codegen.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ThreadPool.h"
#include <deque>

namespace lathe::pipeline {

/// LLVM IR for one target, in a context of its own.
struct LoweredModule {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module; ///< null: lowering failed
  const codegen::HostTarget *target = nullptr;
};

/// Used from one thread. The targets must outlive it.
class ObjectQueue {
public:
  ObjectQueue(unsigned optLevel, bool assembly);
  ~ObjectQueue(); // waits, as threads use what the caller owns
  /// Returns the object's place in the order. `made`, where given, is called with the finished
  /// object, on the thread that made it.
  size_t add(LoweredModule module, std::function<void(llvm::StringRef object)> made = {});
  /// The same for one that is there already.
  size_t add(std::unique_ptr<llvm::MemoryBuffer> object);
  /// Waits, and appends the objects in the order in which they were added.
  llvm::Error take(std::vector<std::unique_ptr<llvm::MemoryBuffer>> &objects);

private:
  codegen::HostOptions options;
  std::deque<std::optional<llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>>> results;
  llvm::DefaultThreadPool pool;
};

} // namespace lathe::pipeline

#endif // LATHE_LIB_PIPELINE_OBJECTQUEUE_H
