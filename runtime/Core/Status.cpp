// Status codes and messages.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Status.h"

#include <cstdarg>
#include <cstdio>

using namespace lathe::runtime;

int32_t lathe::runtime::succeed(lathe_status *status) {
  if (status) {
    status->code = LATHE_STATUS_OK;
    status->site = UINT32_MAX;
    for (int64_t &arg : status->args)
      arg = 0;
    status->message[0] = 0;
  }
  return LATHE_STATUS_OK;
}

int32_t lathe::runtime::fail(lathe_status *status, int32_t code, const char *format, ...) {
  if (status) {
    succeed(status);
    status->code = code;
    va_list list;
    va_start(list, format);
    vsnprintf(status->message, sizeof(status->message), format, list);
    va_end(list);
  }
  return code;
}

void TextBuilder::add(const char *format, ...) {
  va_list list;
  va_start(list, format);
  size_t room = used < capacity ? capacity - used : 0;
  int length = vsnprintf(room ? text + used : nullptr, room, format, list);
  va_end(list);
  if (length > 0)
    used += length;
}

const char *lathe_status_name(int32_t code) {
  struct Name {
    int32_t code;
    const char *name;
  };
  static constexpr Name names[] = {
      {LATHE_STATUS_OK, "ok"},
      {LATHE_STATUS_SHAPE, "shape"},
      {LATHE_STATUS_INDEX, "index"},
      {LATHE_STATUS_DIVISION, "division"},
      {LATHE_STATUS_RESHAPE, "reshape"},
      {LATHE_STATUS_SIZE, "size"},
      {LATHE_STATUS_RUN_MEMORY, "run memory"},
      {LATHE_STATUS_CANCELLED, "cancelled"},
      {LATHE_STATUS_LOOP, "loop"},
      {LATHE_STATUS_TEXT, "text"},
      {LATHE_STATUS_DEVICE, "device"},
      {LATHE_STATUS_DEADLINE, "deadline"},
      {LATHE_STATUS_MODEL, "model"},
      {LATHE_STATUS_ARGUMENT, "argument"},
      {LATHE_STATUS_TYPE, "type"},
      {LATHE_STATUS_LAYOUT, "layout"},
      {LATHE_STATUS_ARENA, "arena"},
      {LATHE_STATUS_PENDING, "pending"},
      {LATHE_STATUS_NOT_ARTIFACT, "not an artifact"},
      {LATHE_STATUS_TRUNCATED, "truncated"},
      {LATHE_STATUS_ALTERED, "altered"},
      {LATHE_STATUS_VERSION, "version"},
      {LATHE_STATUS_MACHINE, "machine"},
      {LATHE_STATUS_VARIANT, "variant"},
      {LATHE_STATUS_UNTRUSTED, "untrusted"},
      {LATHE_STATUS_IO, "io"},
      {LATHE_STATUS_MEMORY, "memory"},
      {LATHE_STATUS_THREAD, "thread"},
  };
  for (const Name &entry : names)
    if (entry.code == code)
      return entry.name;
  return "unknown";
}

const char *lathe_version_string() { return LATHE_VERSION_STRING; }

uint32_t lathe_version_format() { return LATHE_FORMAT_VERSION; }
