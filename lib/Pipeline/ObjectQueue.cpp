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

size_t ObjectQueue::add(LoweredModule module, std::function<void(llvm::StringRef)> made) {
  auto &result = results.emplace_back(); // a deque's elements stay where they are
  auto work = std::make_shared<LoweredModule>(std::move(module));
  pool.async([this, &result, work, made] {
    result = codegen::compileHost(std::move(work->module), *work->target, options);
    if (made && *result)
      made((**result)->getBuffer());
  });
  return results.size() - 1;
}

size_t ObjectQueue::add(std::unique_ptr<llvm::MemoryBuffer> object) {
  results.emplace_back(std::move(object));
  return results.size() - 1;
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
