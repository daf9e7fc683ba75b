// Reading the caller's option structs, of any version.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_OPTIONS_H
#define LATHE_RUNTIME_CORE_OPTIONS_H

#include "runtime/Core/Status.h"

#include <algorithm>
#include <cstring>

namespace lathe::runtime {

/// Copies what the caller set (null: nothing); fields that an older program lacks are zero. `name`
/// is the struct's, `leastBytes` what its first version had before anything optional.
///
/// A newer program may know more fields than this library. They must be zero: ignoring one could
/// drop a limit or a policy that the program counts on.
template <typename Options>
int32_t readOptions(const Options *given, const char *name, size_t leastBytes, Options &options,
                    lathe_status *status) {
  constexpr size_t mostBytes = 4096;
  options = Options();
  if (!given)
    return LATHE_STATUS_OK;
  if (given->size < leastBytes || given->size > mostBytes)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s.size is %u; set it to sizeof(%s)", name,
                given->size, name);
  const char *bytes = reinterpret_cast<const char *>(given);
  for (size_t i = sizeof(Options); i < given->size; ++i)
    if (bytes[i])
      return fail(status, LATHE_STATUS_ARGUMENT,
                  "%s has %u bytes, of which byte %zu is set; this library (%s) knows %zu", name,
                  given->size, i, lathe_version_string(), sizeof(Options));
  memcpy(&options, given, std::min<size_t>(given->size, sizeof(Options)));
  return LATHE_STATUS_OK;
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_OPTIONS_H
