// What handlers of several families do with sequences.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_SEQUENCE_H
#define LATHE_LIB_IMPORT_SEQUENCE_H

#include "lib/Import/Importer.h"

namespace lathe::import {

/// Makes the values for one item of each sequence; other inputs are the same for all.
using MapBody = llvm::function_ref<llvm::FailureOr<llvm::SmallVector<mlir::Value>>(
    llvm::ArrayRef<mlir::Value> items)>;

/// Sequences of what `body` makes of all items of `inputs`, of which the first is a sequence. It is
/// called for each item, or for that of a loop, perhaps more than once; `key` stands for the loop.
llvm::FailureOr<llvm::SmallVector<mlir::Value>> mapSequences(Node &node,
                                                             llvm::ArrayRef<mlir::Value> inputs,
                                                             const void *key, unsigned outputs,
                                                             MapBody body);

// Handlers of operators on maps.
llvm::LogicalResult importZipMap(Node &node);
llvm::LogicalResult importDictVectorizer(Node &node);
llvm::LogicalResult importCastMap(Node &node);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_SEQUENCE_H
