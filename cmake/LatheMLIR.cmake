# MLIR 22.1 from Debian. The package's version file refuses `find_package(MLIR 22)`.
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "Lathe needs LLVM and MLIR 22.1, found ${LLVM_VERSION}; "
                      "run utils/setup, which installs it")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
add_compile_definitions(${LLVM_DEFINITIONS_LIST})
link_directories(${LLVM_LIBRARY_DIRS})

# One precompiled header for all compiler libraries: 10 s a source becomes 1 to 3 s.
file(WRITE ${PROJECT_BINARY_DIR}/pch.cpp.in "// carries the precompiled header\n")
configure_file(${PROJECT_BINARY_DIR}/pch.cpp.in ${PROJECT_BINARY_DIR}/pch.cpp COPYONLY)
add_library(lathe-pch OBJECT ${PROJECT_BINARY_DIR}/pch.cpp)
target_compile_options(lathe-pch PRIVATE -fno-rtti)
target_include_directories(lathe-pch SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_precompile_headers(lathe-pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch.h)
