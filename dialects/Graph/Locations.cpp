// What locations say of the nodes of a model.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Locations.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

Location lathe::graph::withOperator(Location place, StringRef text) {
  MLIRContext *context = place.getContext();
  return FusedLoc::get(place, StringAttr::get(context, text), context);
}

StringRef lathe::graph::getOperator(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return getOperator(name.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location)) {
    StringRef callee = getOperator(call.getCallee());
    return callee.empty() ? getOperator(call.getCaller()) : callee;
  }
  if (auto fused = dyn_cast<FusedLoc>(location)) {
    if (auto text = dyn_cast_or_null<StringAttr>(fused.getMetadata()))
      return text.getValue();
    for (Location part : fused.getLocations())
      if (StringRef text = getOperator(part); !text.empty())
        return text;
  }
  return "";
}
