// Lists of keys and values as constants (ai.onnx.ml).
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_COLUMNS_H
#define LATHE_LIB_IMPORT_COLUMNS_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// Keys in the form that graph.find searches, and where each stood before.
struct SortedKeys {
  mlir::Value keys;
  Ints places;
};

/// A list of the keys or values of a mapping, of one of the types that models write.
struct Column {
  mlir::Value constant; ///< [count]
  SortedKeys sorted;
  int64_t count = 0;
};

Column stringColumn(Node &node, llvm::ArrayRef<std::string> values);
Column intColumn(Node &node, llvm::ArrayRef<int64_t> values, mlir::Type element);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_COLUMNS_H
