// Values in ONNX's protobuf messages: TensorProto, SequenceProto, OptionalProto, MapProto.
// Apache-2.0 WITH LLVM-exception.
//
// Read from the wire format directly: six flat messages are a small table, and the tools that run
// artifacts then need no protobuf on the machine.
#ifndef LATHE_TOOLS_COMMON_TENSORPROTO_H
#define LATHE_TOOLS_COMMON_TENSORPROTO_H

#include "tools/common/Tensor.h"

namespace lathe::tools {

/// Parses a .pb file that holds a value of the given kind (lathe_value_kind). Throws Failure
/// starting with `name` where the bytes are not such a message or do not match their shape.
Value parseValueProto(std::string_view bytes, const std::string &name, uint32_t kind);

/// The message for a tensor, with its data in raw_data.
std::string formatTensorProto(const Tensor &tensor, const std::string &name);

/// The message for any value.
std::string formatValueProto(const Value &value, const std::string &name);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_TENSORPROTO_H
