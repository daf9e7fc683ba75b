// The queue of a stream, and its thread.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Stream.h"
#include "runtime/Core/Clock.h"
#include "runtime/Core/Context.h"
#include "runtime/Cpu/Futex.h"

#include <climits>

using namespace lathe::runtime;

int32_t lathe_stream::start(lathe_status *status) {
  owner = getpid();
  started = startThread(thread, threadMain, this);
  if (!started)
    return fail(status, LATHE_STATUS_THREAD, "a thread for the stream could not be started");
  return LATHE_STATUS_OK;
}

lathe_stream::~lathe_stream() {
  if (!started || owner != getpid())
    return;
  stopping.store(true, std::memory_order_relaxed);
  changes.fetch_add(1, std::memory_order_release);
  futexWake(changes, 1);
  pthread_join(thread, nullptr);
}

int32_t lathe_stream::check(lathe_status *status) const {
  if (owner == getpid())
    return LATHE_STATUS_OK;
  return fail(status, LATHE_STATUS_ARGUMENT,
              "the stream's thread is in the process that made it; after fork() make another one");
}

void lathe_stream::put(lathe_context &context) {
  context.async.next = nullptr;
  {
    Locked locked(lock);
    (last ? last->async.next : first) = &context;
    last = &context;
    ++count;
  }
  changes.fetch_add(1, std::memory_order_release);
  futexWake(changes, 1);
}

lathe_context *lathe_stream::take() {
  Locked locked(lock);
  lathe_context *context = first;
  if (context)
    first = context->async.next;
  if (!first)
    last = nullptr;
  return context;
}

void *lathe_stream::threadMain(void *argument) {
  auto &stream = *static_cast<lathe_stream *>(argument);
  for (;;) {
    uint32_t seen = stream.changes.load(std::memory_order_acquire);
    if (lathe_context *context = stream.take()) {
      runTask(context);
      stream.done.fetch_add(1, std::memory_order_release);
      futexWake(stream.done, INT_MAX);
    } else if (stream.stopping.load(std::memory_order_relaxed)) {
      return nullptr;
    } else {
      futexWait(stream.changes, seen);
    }
  }
}

int32_t lathe_stream::wait(int64_t timeoutNs, lathe_status *status) {
  if (int32_t code = check(status))
    return code;
  int64_t begin = nowNs();
  uint32_t target;
  {
    Locked locked(lock);
    target = count;
  }
  for (;;) {
    uint32_t ended = done.load(std::memory_order_acquire);
    if (int32_t(target - ended) <= 0)
      return succeed(status);
    int64_t left = timeoutNs < 0 ? -1 : timeoutNs - (nowNs() - begin);
    if (timeoutNs >= 0 && left <= 0)
      return fail(status, LATHE_STATUS_PENDING, "%u runs of the stream are still going on",
                  target - ended);
    futexWait(done, ended, left);
  }
}

int32_t lathe_stream_create(uint32_t device, lathe_stream **stream, lathe_status *status) {
  if (!stream)
    return fail(status, LATHE_STATUS_ARGUMENT, "stream is NULL");
  if (device >= lathe_device_count())
    return fail(status, LATHE_STATUS_ARGUMENT, "device %u does not exist; there are %u", device,
                lathe_device_count());
  auto *result = createObject<lathe_stream>();
  if (!result)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (int32_t code = result->start(status)) {
    destroyObject(result);
    return code;
  }
  *stream = result;
  return succeed(status);
}

void lathe_stream_destroy(lathe_stream *stream) { destroyObject(stream); }

int32_t lathe_stream_wait(lathe_stream *stream, int64_t timeoutNs, lathe_status *status) {
  if (!stream)
    return fail(status, LATHE_STATUS_ARGUMENT, "stream is NULL");
  return stream->wait(timeoutNs, status);
}
