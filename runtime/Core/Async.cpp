// Starting runs beside the caller, and waiting for them.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Async.h"
#include "runtime/Core/Clock.h"
#include "runtime/Core/Context.h"
#include "runtime/Core/Stream.h"
#include "runtime/Cpu/Futex.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <sys/eventfd.h>

using namespace lathe::runtime;

namespace {

void signal(int descriptor) {
  uint64_t one = 1;
  // It only fails where the counter is full, and then it is readable already.
  [[maybe_unused]] ssize_t written = write(descriptor, &one, sizeof(one));
}

void drain(int descriptor) {
  uint64_t count;
  [[maybe_unused]] ssize_t got = read(descriptor, &count, sizeof(count)); // does not block
}

void *serve(void *argument) {
  Async &async = static_cast<lathe_context *>(argument)->async;
  for (;;) {
    uint32_t job = async.job.exchange(Async::Nothing, std::memory_order_acquire);
    if (job == Async::Stop)
      return nullptr;
    if (job == Async::Run)
      runTask(argument);
    else
      futexWait(async.job, Async::Nothing);
  }
}

void give(Async &async, Async::Job job) {
  async.job.store(job, std::memory_order_release);
  futexWake(async.job, 1);
}

int32_t prepare(lathe_context &context, lathe_status *status) {
  Async &async = context.async;
  if (!async.inputs.data() && !async.inputs.create(context.inputs.size()))
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (context.options.stream)
    if (int32_t code = context.options.stream->check(status))
      return code;
  if (async.owner != getpid()) {
    // The first run, or the first after a fork, which may have been at any moment of another
    // thread's.
    async.owner = getpid();
    async.job.store(Async::Nothing, std::memory_order_relaxed);
    async.tasks.store(0, std::memory_order_relaxed);
    async.lock.store(0, std::memory_order_relaxed);
    async.threadStarted = false;
  }
  if (context.options.submit || context.options.stream || async.threadStarted)
    return LATHE_STATUS_OK;
  if (!startThread(async.thread, serve, &context))
    return fail(status, LATHE_STATUS_THREAD, "a thread for the run could not be started");
  async.threadStarted = true;
  return LATHE_STATUS_OK;
}

} // namespace

// Once the context is let go, its fields may be those of the next.
void lathe::runtime::runTask(void *argument) {
  lathe_context &context = *static_cast<lathe_context *>(argument);
  Async &async = context.async;
  lathe_status status;
  context.run(*async.entry, async.inputs.data(), async.inputCount, async.outputs, &status);
  lathe_completion completion = async.completion;
  {
    Locked locked(async.lock);
    async.status = status;
    async.waited = false;
    if (async.descriptor >= 0)
      signal(async.descriptor);
    // Before the end shows: who has waited may use the context at once.
    context.busy.store(0, std::memory_order_release);
    async.state.store(Async::Ended, std::memory_order_release);
  }
  futexWake(async.state, INT_MAX);
  if (completion.done)
    completion.done(completion.user, &status);
  std::atomic<uint32_t> *tasks = &async.tasks;
  if (tasks->fetch_sub(1, std::memory_order_acq_rel) == 1)
    futexWake(tasks, INT_MAX); // the context may be gone
}

void lathe::runtime::endAsync(lathe_context &context) {
  Async &async = context.async;
  // In a forked child no thread that runs it exists: nothing goes on there, and nobody would
  // answer.
  bool forked = async.owner && async.owner != getpid();
  while (uint32_t left = forked ? 0 : async.tasks.load(std::memory_order_acquire)) {
    lathe_context_cancel(&context);
    futexWait(async.tasks, left);
  }
  if (async.threadStarted && !forked) {
    give(async, Async::Stop);
    pthread_join(async.thread, nullptr);
  }
  if (async.descriptor >= 0)
    close(async.descriptor);
}

int32_t lathe_context_run_async(lathe_context *context, uint32_t index, const lathe_value *inputs,
                                uint32_t inputCount, lathe_value *outputs, uint32_t outputCount,
                                const lathe_completion *completion, lathe_status *status) {
  Occupy occupied(context, status);
  const lathe_entry *entry = occupied.findEntry(index, status);
  if (!entry)
    return LATHE_STATUS_ARGUMENT;
  if (int32_t code = context->checkInputCount(*entry, inputs, inputCount, status))
    return code;
  if (int32_t code = context->checkOutputCount(*entry, outputs, outputCount, status))
    return code;
  if (int32_t code = prepare(*context, status))
    return code;
  Async &async = context->async;
  async.entry = entry;
  async.inputCount = inputCount;
  std::copy_n(inputs, inputCount, async.inputs.data());
  async.outputs = outputs;
  async.completion = completion ? *completion : lathe_completion();
  {
    Locked locked(async.lock);
    async.state.store(Async::Pending, std::memory_order_relaxed);
    if (async.descriptor >= 0)
      drain(async.descriptor);
  }
  async.tasks.fetch_add(1, std::memory_order_relaxed);
  occupied.keep();
  // From here on the context is the run's.
  succeed(status);
  if (context->options.stream)
    context->options.stream->put(*context);
  else if (context->options.submit)
    context->options.submit(context->options.submit_user, runTask, context);
  else
    give(async, Async::Run);
  return LATHE_STATUS_OK;
}

int32_t lathe_context_wait(lathe_context *context, int64_t timeoutNs, lathe_status *status) {
  if (!context)
    return fail(status, LATHE_STATUS_ARGUMENT, "context is NULL");
  Async &async = context->async;
  int64_t begin = nowNs();
  for (;;) {
    {
      Locked locked(async.lock);
      uint32_t state = async.state.load(std::memory_order_acquire);
      if (state == Async::Never)
        return fail(status, LATHE_STATUS_ARGUMENT,
                    "nothing to wait for; lathe_context_run_async was not called");
      if (state == Async::Ended) {
        async.waited = true;
        if (async.descriptor >= 0)
          drain(async.descriptor);
        if (status)
          *status = async.status;
        return async.status.code;
      }
    }
    int64_t left = timeoutNs < 0 ? -1 : timeoutNs - (nowNs() - begin);
    if (timeoutNs >= 0 && left <= 0)
      return fail(status, LATHE_STATUS_PENDING, "the run is still going on");
    futexWait(async.state, Async::Pending, left);
  }
}

int lathe_context_wait_descriptor(lathe_context *context) {
  Occupy occupied(context);
  if (!occupied)
    return -1;
  Async &async = context->async;
  Locked locked(async.lock);
  if (async.descriptor < 0)
    async.descriptor = eventfd(async.waited ? 0 : 1, EFD_CLOEXEC | EFD_NONBLOCK);
  return async.descriptor;
}
