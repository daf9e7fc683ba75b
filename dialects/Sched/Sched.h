// The sched dialect.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_SCHED_SCHED_H
#define LATHE_DIALECTS_SCHED_SCHED_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"

#include "dialects/Sched/SchedDialect.h.inc"
#include "dialects/Sched/SchedEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Sched/SchedAttrs.h.inc"

namespace lathe::sched {

/// The name under which a function carries its KindAttr.
constexpr llvm::StringLiteral kindAttrName = "sched.kind";

} // namespace lathe::sched

#endif // LATHE_DIALECTS_SCHED_SCHED_H
