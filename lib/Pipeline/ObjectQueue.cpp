// Objects are made on threads of their own.
// Apache-2.0 WITH LLVM-exception
#include "ObjectQueue.h"

using namespace lathe::pipeline;

ObjectQueue::ObjectQueue(unsigned optLevel, bool assembly)
    : pool(llvm::heavyweight_hardware_concurrency()) {
  options.optLevel = optLevel;
  options.emitAssembly = assembly;
}

ObjectQueue::~ObjectQueue() {
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> unwanted;
  llvm::consumeError(take(unwanted));
}

void ObjectQueue::add(LoweredModule module) {
  auto &result = results.emplace_back(); // a deque's elements stay where they are
  auto work = std::make_shared<LoweredModule>(std::move(module));
  pool.async([this, &result, work] {
    result = codegen::compileHost(std::move(work->module), *work->target, options);
  });
}

llvm::Error ObjectQueue::take(std::vector<std::unique_ptr<llvm::MemoryBuffer>> &objects) {
  pool.wait();
  llvm::Error errors = llvm::Error::success();
  for (auto &result : results) {
    if (*result)
      objects.push_back(std::move(**result));
    else
      errors = llvm::joinErrors(std::move(errors), result->takeError());
  }
  results.clear();
  return errors;
}
