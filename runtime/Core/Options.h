// The API's structs that begin with their size: options that are read, answers that are written.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_OPTIONS_H
#define LATHE_RUNTIME_CORE_OPTIONS_H

#include "runtime/Core/Status.h"

#include <algorithm>
#include <cstring>

namespace lathe::runtime {

/// Checks what the caller says about the size of a struct called `name`, whose first version had
/// `leastBytes`.
inline int32_t checkSize(uint32_t size, const char *name, size_t leastBytes, lathe_status *status) {
  constexpr size_t mostBytes = 4096;
  if (size >= leastBytes && size <= mostBytes)
    return LATHE_STATUS_OK;
  return fail(status, LATHE_STATUS_ARGUMENT, "%s.size is %u; set it to sizeof(%s)", name, size,
              name);
}

/// Copies what the caller set (null: nothing); fields that an older program lacks are zero. `name`
/// is the struct's, `leastBytes` what its first version had before anything optional.
///
/// A newer program may know more fields than this library. They must be zero: ignoring one could
/// drop a limit or a policy that the program counts on.
template <typename Options>
int32_t readOptions(const Options *given, const char *name, size_t leastBytes, Options &options,
                    lathe_status *status) {
  options = Options();
  if (!given)
    return LATHE_STATUS_OK;
  if (int32_t code = checkSize(given->size, name, leastBytes, status))
    return code;
  const char *bytes = reinterpret_cast<const char *>(given);
  for (size_t i = sizeof(Options); i < given->size; ++i)
    if (bytes[i])
      return fail(status, LATHE_STATUS_ARGUMENT,
                  "%s has %u bytes, of which byte %zu is set; this library (%s) knows %zu", name,
                  given->size, i, lathe_version_string(), sizeof(Options));
  memcpy(&options, given, std::min<size_t>(given->size, sizeof(Options)));
  return LATHE_STATUS_OK;
}

/// Hands an answer out, as much of it as the caller's version knows. `to` is not null.
template <typename Answer>
int32_t answer(Answer *to, const char *name, Answer filled, lathe_status *status) {
  constexpr size_t leastBytes = 2 * sizeof(uint32_t); // the size and the field beside it
  if (int32_t code = checkSize(to->size, name, leastBytes, status))
    return code;
  filled.size = to->size;
  memcpy(to, &filled, std::min<size_t>(to->size, sizeof(Answer)));
  return succeed(status);
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_OPTIONS_H
