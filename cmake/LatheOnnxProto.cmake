# lathe-onnx-proto: the ONNX wire format (lib/Import/onnx.proto) as C++ classes of protobuf's lite
# runtime. Needs no LLVM: the importer reads models with it, the command-line tool test data.
# Include as "lib/Import/onnx.pb.h".
find_package(Protobuf REQUIRED)

set(onnx_proto ${PROJECT_SOURCE_DIR}/lib/Import/onnx.proto)
set(onnx_proto_dir ${PROJECT_BINARY_DIR}/onnx-proto)
set(onnx_proto_out ${onnx_proto_dir}/lib/Import/onnx.pb.cc ${onnx_proto_dir}/lib/Import/onnx.pb.h)
file(MAKE_DIRECTORY ${onnx_proto_dir})
add_custom_command(
  OUTPUT ${onnx_proto_out}
  COMMAND protobuf::protoc --cpp_out=${onnx_proto_dir} --proto_path=${PROJECT_SOURCE_DIR}
          ${onnx_proto}
  DEPENDS ${onnx_proto}
  COMMENT "Generating C++ for onnx.proto"
  VERBATIM)
add_library(lathe-onnx-proto STATIC ${onnx_proto_out})
target_compile_options(lathe-onnx-proto PRIVATE -w)
target_include_directories(lathe-onnx-proto SYSTEM PUBLIC ${onnx_proto_dir})
target_link_libraries(lathe-onnx-proto PUBLIC protobuf::libprotobuf-lite)
