// Checks the table that an artifact exports.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_TABLE_H
#define LATHE_RUNTIME_ARTIFACT_TABLE_H

#include "runtime/Artifact/Image.h"

namespace lathe::runtime {

/// Whether this runtime knows the format and call versions of a table.
int32_t checkVersion(const File &file, const lathe_artifact &table, lathe_status *status);

/// Checks everything that is reachable from the image's table: pointers lie in the image, strings
/// are terminated, counts and enumerators are in range, functions are code. `weightsBytes` is the
/// size of the weights section. On success `table` may be followed without further checks.
int32_t checkTable(const File &file, const Image &image, uint64_t weightsBytes,
                   const lathe_artifact *&table, lathe_status *status);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_TABLE_H
